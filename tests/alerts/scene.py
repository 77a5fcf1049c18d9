"""What tests put into a watched platform."""

from typing import Any

from sqlalchemy import text

from tests.alerts.conftest import Watch
from wedsync_ops.alerts.definitions import parse, to_text
from wedsync_ops.alerts.model import Alert
from wedsync_ops.alerts.store import silences


def one(watch: Watch, kind: str) -> Alert:
    (found,) = [alert for alert in watch.alerts() if alert.type == kind]
    return found


def own_rule(watch: Watch, written: str) -> None:
    parsed = parse(f"schema_version: 1\nalerts:\n  - {written}\n".encode())
    assert parsed is not None
    assert parsed.problems == ()
    with watch.database.transaction() as connection:
        for definition in parsed.definitions:
            silences.save_rule(connection, definition.name, to_text(definition), watch.clock.now())


def worker(watch: Any, **values: Any) -> None:
    now = watch.clock.now()
    plain = {
        "id": f"w{now}{len(values)}",
        "name": "one",
        "host": "h",
        "pid": 1,
        "version": "1",
        "lock_file": "",
        "slots": 2,
        "busy": 0,
        "started_at": now,
        "heartbeat_at": now,
        "stopped_at": None,
        "died": False,
    }
    full = {**plain, **values}
    names = ", ".join(full)
    with watch.database.transaction() as connection:
        connection.execute(text(f"INSERT INTO workers ({names}) VALUES ({', '.join(f':{n}' for n in full)})"), full)


def schedule(watch: Watch, next_due_at: int) -> None:
    with watch.database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO schedules (id, definition, registered_at, next_fire_at, next_due_at)"
                " VALUES ('nightly', '{}', 0, :at, :at)"
            ),
            {"at": next_due_at},
        )
