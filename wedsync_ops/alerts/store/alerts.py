"""The SQL of alerts and of everything that happened to them.

Whoever writes takes the lock first: then events become visible in the order of their ids, so that a reader who
remembers the last id that it has seen misses none. Evaluation and people write seldom; nobody waits for long.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts.model import Alert, AlertEvent, AlertState, AlertType, EventKind, Severity, Wedding

_LOCK = 0x57454454
_NAMES = tuple(item.name for item in fields(Alert))
_COLUMN = {"group": "group_key"}
_COLUMNS = ", ".join(_COLUMN.get(name, name) for name in _NAMES)
_WRITTEN = tuple(name for name in _NAMES if name != "id")
_INSERT = (
    f"INSERT INTO alerts ({', '.join(_COLUMN.get(name, name) for name in _WRITTEN)})"
    f" VALUES ({', '.join(f':{name}' for name in _WRITTEN)}) RETURNING id"
)
_CHANGES = ", ".join(f"{_COLUMN.get(name, name)} = :{name}" for name in _WRITTEN)
_UPDATE = f"UPDATE alerts SET {_CHANGES} WHERE id = :id"
_EVENT_COLUMNS = "id, alert_id, kind, at, alert, actor, note"


def lock(connection: Connection) -> None:
    """Keep others from writing alerts and events until the transaction ends; on SQLite it does so by itself."""
    if connection.dialect.name == "postgresql":
        db.run(connection, "SELECT pg_advisory_xact_lock(:lock)", {"lock": _LOCK})


def unresolved(connection: Connection) -> list[Alert]:
    """Every alert that is not over, pending ones included, in the order of their ids."""
    return _alerts(db.run(connection, f"SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NULL ORDER BY id"))


def resolved(connection: Connection, since: int, limit: int) -> list[Alert]:
    """The alerts that were resolved after an instant, the latest first, at most ``limit``."""
    statement = (
        f"SELECT {_COLUMNS} FROM alerts WHERE resolved_at IS NOT NULL AND resolved_at >= :since"
        " ORDER BY resolved_at DESC, id DESC LIMIT :limit"
    )
    return _alerts(db.run(connection, statement, {"since": since, "limit": limit}))


def get(connection: Connection, alert_id: int) -> Alert | None:
    """One alert; ``None`` when there is none of this id."""
    found = _alerts(db.run(connection, f"SELECT {_COLUMNS} FROM alerts WHERE id = :id", {"id": alert_id}))
    return found[0] if found else None


def insert(connection: Connection, alert: Alert) -> int:
    """Write a new alert; returns the id that it got."""
    return int(db.run(connection, _INSERT, _row(alert)).scalar_one())


def update(connection: Connection, alert: Alert) -> None:
    """Write an alert in place of what was known of it."""
    db.run(connection, _UPDATE, {"id": alert.id, **_row(alert)})


def delete(connection: Connection, alert_id: int) -> None:
    """Forget an alert that was pending and never opened."""
    db.run(connection, "DELETE FROM alerts WHERE id = :id AND opened_at IS NULL", {"id": alert_id})


def record(
    connection: Connection, alert: Alert, kind: EventKind, at: int, *, actor: str | None = None, note: str | None = None
) -> None:
    """Tell that something happened to an alert, which is given as it is after it."""
    statement = (
        "INSERT INTO alert_events (alert_id, kind, at, alert, actor, note)"
        " VALUES (:alert_id, :kind, :at, :alert, :actor, :note)"
    )
    values = {"alert_id": alert.id, "kind": kind.value, "at": at, "alert": to_text(alert), "actor": actor, "note": note}
    db.run(connection, statement, values)


def read_events(connection: Connection, after: int, limit: int) -> list[AlertEvent]:
    """What happened after the event of this id (0: from the beginning), in order, at most ``limit``."""
    statement = f"SELECT {_EVENT_COLUMNS} FROM alert_events WHERE id > :after ORDER BY id LIMIT :limit"
    return _events(db.run(connection, statement, {"after": after, "limit": limit}))


def events_of(connection: Connection, alert_id: int) -> list[AlertEvent]:
    """Everything that happened to one alert, in order."""
    statement = f"SELECT {_EVENT_COLUMNS} FROM alert_events WHERE alert_id = :id ORDER BY id"
    return _events(db.run(connection, statement, {"id": alert_id}))


def latest_events(connection: Connection, since: int, limit: int) -> list[AlertEvent]:
    """The latest events since an instant, the newest first, at most ``limit``."""
    statement = (
        f"SELECT {_EVENT_COLUMNS} FROM (SELECT * FROM alert_events ORDER BY id DESC LIMIT :limit) AS latest"
        " WHERE at >= :since ORDER BY id DESC"
    )
    return _events(db.run(connection, statement, {"since": since, "limit": limit}))


def last_event(connection: Connection) -> int:
    """The id of the latest event; 0 when there is none."""
    return int(db.run(connection, "SELECT coalesce(max(id), 0) FROM alert_events").scalar_one())


def to_text(alert: Alert) -> str:
    """An alert as the JSON text that an event keeps."""
    values = {name: getattr(alert, name) for name in _NAMES if name != "weddings"}
    return orjson.dumps({**values, "weddings": _weddings(alert)}).decode()


def from_text(text: str) -> Alert:
    """The alert that an event keeps."""
    return _alert(orjson.loads(text))


def _row(alert: Alert) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in _WRITTEN}
    plain = {name: values[name].value for name in ("type", "severity", "state")}
    return {**values, **plain, "weddings": orjson.dumps(_weddings(alert)).decode()}


def _weddings(alert: Alert) -> list[Sequence[Any]]:
    return [[one.wedding_on, one.client_id, one.supplier_id, one.job_id] for one in alert.weddings]


def _alerts(rows: Iterable[Any]) -> list[Alert]:
    return [_alert({**dict(zip(_NAMES, row, strict=True)), "weddings": orjson.loads(row.weddings)}) for row in rows]


def _alert(values: dict[str, Any]) -> Alert:
    typed = {
        "type": AlertType(values["type"]),
        "severity": Severity(values["severity"]),
        "state": AlertState(values["state"]),
        "weddings": tuple(Wedding(*each) for each in values["weddings"]),
    }
    return Alert(**{**values, **typed})


def _events(rows: Iterable[Any]) -> list[AlertEvent]:
    return [
        AlertEvent(
            id=row.id,
            alert_id=row.alert_id,
            kind=EventKind(row.kind),
            at=row.at,
            alert=from_text(row.alert),
            actor=row.actor,
            note=row.note,
        )
        for row in rows
    ]
