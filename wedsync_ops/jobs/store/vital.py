"""What tells whether the queue moves: the next job of each lane, what is overdue, and who has finished something."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.model import Lane, Priority

_HEAD = (
    "SELECT id, module_type, priority, due_at, supplier_id, region, wedding_on, timezone, vendor_type FROM jobs"
    " WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type AND priority = :priority"
    " ORDER BY rank, id LIMIT 1"
)
_HEAD_IN_REGION = _HEAD.replace(" ORDER BY", " AND region = :region ORDER BY")
_UNPROMOTED = (
    "SELECT id, module_type, priority, due_at, supplier_id, region, wedding_on, timezone, vendor_type FROM jobs"
    " WHERE state IN ('scheduled','retryable') ORDER BY due_at LIMIT 1"
)
_RUNNING = (
    "SELECT id, leased_by, module_type, module_version, vendor_type, supplier_id, started_at FROM jobs"
    " WHERE state = 'running' AND finished_at IS NULL AND started_at IS NOT NULL"
)
_FINISHED = "SELECT 1 FROM executions WHERE module_type = :type AND finished_at >= :since AND worker_id = :id LIMIT 1"


class Waiting(NamedTuple):
    """A job that waits; ``due_at`` is an instant."""

    id: int
    module_type: str
    priority: Priority
    due_at: int
    supplier_id: str | None
    region: str
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None


class Running(NamedTuple):
    """A job that has been seen to run, since the instant ``started_at``."""

    id: int
    leased_by: str
    module_type: str
    module_version: int
    vendor_type: str | None
    supplier_id: str | None
    started_at: int


def heads(connection: Connection, lanes: Iterable[Lane]) -> list[Waiting]:
    """The job of each lane that comes next; one that a limit or a pause holds never does."""
    found = []
    for lane in lanes:
        found += _waiting(connection, _HEAD, {"module_type": lane.module_type, "priority": int(lane.priority)})
    return found


def heads_in(connection: Connection, lanes: Iterable[Lane], regions: Iterable[str]) -> list[Waiting]:
    """The same of those in each of these regions."""
    found = []
    for lane in lanes:
        values = {"module_type": lane.module_type, "priority": int(lane.priority)}
        for region in regions:
            found += _waiting(connection, _HEAD_IN_REGION, {**values, "region": region})
    return found


def unpromoted(connection: Connection) -> Waiting | None:
    """The scheduled or retryable job that is due first, perhaps not yet."""
    return next(iter(_waiting(connection, _UNPROMOTED, {})), None)


def running(connection: Connection) -> list[Running]:
    """The jobs whose workers have noted that they run, which they do of those that take a while."""
    return [Running._make(row) for row in db.run(connection, _RUNNING)]


def has_finished(connection: Connection, worker_id: str, module_types: Iterable[str], since: int) -> bool:
    """Whether a worker has ended an execution of any of these module types since an instant."""
    values = {"id": worker_id, "since": since}
    return any(db.run(connection, _FINISHED, {**values, "type": name}).first() is not None for name in module_types)


def _waiting(connection: Connection, statement: str, values: dict[str, object]) -> list[Waiting]:
    return [
        Waiting(
            **{
                **row,
                "priority": Priority(row["priority"]),
                "wedding_on": None if row["wedding_on"] is None else parse_date(row["wedding_on"]),
            }
        )
        for row in db.run(connection, statement, values).mappings()
    ]
