"""What a look reads: few rows through an index each, never the backlog."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Lane, Priority
from wedsync_ops.top.history import LOOK, Execution
from wedsync_ops.top.model import Running

RUNNING = 200
"""The most leased jobs that are listed."""
DEAD = 300
"""How many of the latest dead letters are looked at."""
_NEXT_OF_LANE = 40
_NEXT_SCHEDULED = 200

_LATEST = (
    "SELECT id, finished_at, outcome, duration_us, queue_wait_us FROM executions WHERE id > :after"
    f" ORDER BY id DESC LIMIT {LOOK}"
)
# A job that waits in a worker still has the start of its execution before, if there was one.
_RUNNING = (
    "SELECT id, module_type, priority, CASE WHEN finished_at IS NULL THEN started_at END AS started_at, leased_by,"
    " supplier_id FROM jobs WHERE state = 'running' AND leased_by = :worker ORDER BY started_at, id"
    f" LIMIT {RUNNING}"
)
_DEAD = (
    "SELECT module_type, finished_at, error, state,"
    " EXISTS (SELECT 1 FROM payloads WHERE job_id = jobs.id AND config IS NOT NULL) AS has_payload FROM jobs"
    # In the words of the index, which SQLite uses for no others.
    " WHERE (state = 'discarded' OR state = 'cancelled' OR state = 'expired')"
    f" ORDER BY finished_at DESC, id DESC LIMIT {DEAD}"
)
_WEDDING = "SELECT id, module_type, wedding_on, timezone FROM jobs"
_NEXT_IN_LANE = (
    f"{_WEDDING} WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
    f" AND priority = :priority ORDER BY rank, id LIMIT {_NEXT_OF_LANE}"
)
_NEXT_DUE = f"{_WEDDING} WHERE state IN ('scheduled','retryable') ORDER BY due_at LIMIT {_NEXT_SCHEDULED}"
_UNDER_WAY = f"{_WEDDING} WHERE state = 'running' LIMIT {RUNNING}"


class Letter(NamedTuple):
    """A dead letter as it is grouped."""

    module_type: str
    finished_at: int
    error: str | None


class Coming(NamedTuple):
    """A job that has a wedding and comes next."""

    job_id: int
    module_type: str
    wedding_on: str
    timezone: str | None


def latest(connection: Connection, after: int) -> list[Execution]:
    """The newest executions with a larger id, the newest first."""
    return [Execution._make(row) for row in db.run(connection, _LATEST, {"after": after}).all()]


def running(connection: Connection, worker_ids: Iterable[str]) -> list[Running]:
    """What workers have leased, the longest under way first, then what no slot has begun."""
    found = [
        Running(row.id, row.module_type, Priority(row.priority), row.started_at, row.leased_by, row.supplier_id)
        for worker_id in worker_ids
        for row in db.run(connection, _RUNNING, {"worker": worker_id})
    ]
    return sorted(found, key=lambda job: (job.started_at is None, job.started_at or 0, job.job_id))[:RUNNING]


def dead(connection: Connection) -> tuple[list[Letter], bool]:
    """The latest dead letters, the newest first; and whether there are no others."""
    rows = db.run(connection, _DEAD).all()
    dead_ones = (row for row in rows if row.state == "discarded" and row.has_payload)
    letters = [Letter(row.module_type, row.finished_at, row.error) for row in dead_ones]
    return letters, len(rows) < DEAD


def coming(connection: Connection, lanes: Sequence[Lane]) -> list[Coming]:
    """The jobs with a wedding among those that run, the first of each lane, and those that fall due next."""
    statements: list[tuple[str, Mapping[str, Any]]] = [(_UNDER_WAY, {}), (_NEXT_DUE, {})]
    statements += [(_NEXT_IN_LANE, {"module_type": lane.module_type, "priority": int(lane.priority)}) for lane in lanes]
    return [
        Coming._make(row)
        for statement, values in statements
        for row in db.run(connection, statement, values)
        if row.wedding_on is not None
    ]
