"""A module type whose jobs are unique, and what tests do with them."""

from dataclasses import replace
from typing import Any

import orjson

from tests.stores.queues import NOW, request
from tests.stores.rows import counted, ending, take
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Queued, Request, State
from wedsync_ops.jobs.store import finish, lanes
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store


def definition(**unique_values: Any) -> dict[str, Any]:
    return {
        "id": "note",
        "display_name": "Note",
        "category": "messages",
        "handler": "tests.stores.handlers:nothing",
        "config_schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"form_id": {}, "n": {"type": "integer"}},
        },
        "unique": {"key": ["client_id", "config.form_id"], **unique_values},
    }


def with_unique(queue: Queue, **unique_values: Any) -> Queue:
    """The queue with a module type ``note`` that is unique by client and form."""
    raw = orjson.dumps({"schema_version": 1, "modules": [definition(**unique_values)]})
    assert modules.register(queue.database, raw, "test", now=NOW).problems == ()
    with queue.database.reading() as connection:
        return replace(queue, rules=replace(queue.rules, registry=store.load(connection)))


def note(form_id: Any = "f", **values: Any) -> Request:
    n = values.pop("n", 1)
    return request("note", {"form_id": form_id, "n": n}, **values)


def queued(queue: Queue, one: Request, **options: Any) -> Queued:
    return actions.enqueue(queue, one, **options)


def run(queue: Queue, state: State, **values: Any) -> int:
    """Claim the only job that waits, and end its execution so."""
    with queue.database.transaction() as connection:
        (job,) = take(connection, module_type="note")
        assert finish.apply(connection, [ending(job, state, at=queue.clock.now(), **values)]) == {job.id}
    return job.id


def check_lanes(queue: Queue) -> None:
    with queue.database.reading() as connection:
        kept = {(c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting) for c in lanes.read(connection)}
        assert {lane: counts for lane, counts in kept.items() if counts != (0, 0)} == counted(connection)
