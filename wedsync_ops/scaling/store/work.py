"""The SQL of what the number of slots is decided by: work that was done, jobs that run, the wait of the oldest job.

Every statement goes through an index and is bounded, so that a decision costs the same with a million jobs waiting.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Lane

MOST = 2_000
"""The most executions of a module type that are added up for a decision."""
_DONE = (
    "SELECT count(*) AS many, sum(duration_us) AS work_us, min(finished_at) AS first_at FROM"
    " (SELECT duration_us, finished_at FROM executions WHERE module_type = :module_type AND finished_at > :since"
    f" AND finished_at <= :now ORDER BY finished_at DESC LIMIT {MOST}) AS latest"
)
_RUNNING = (
    "SELECT leased_by, module_type, count(*) AS many FROM jobs WHERE state = 'running' GROUP BY leased_by, module_type"
)
_OLDEST = (
    "SELECT due_at FROM jobs WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
    " AND priority = :priority ORDER BY rank, id LIMIT 1"
)


class Running(NamedTuple):
    """How many jobs of a module type a worker has leased, those included that it has not started."""

    worker_id: str
    module_type: str
    many: int


def slots_kept_busy(connection: Connection, module_type: str, since: int, now: int) -> float:
    """How many slots the executions that finished since an instant kept busy, on average.

    Where there were very many, over the time in which the latest of them finished.
    """
    row = db.run(connection, _DONE, {"module_type": module_type, "since": since, "now": now}).one()
    if not row.many:
        return 0.0
    over_us = now - (since if row.many < MOST else row.first_at)
    return float(row.work_us or 0) / max(1, over_us)


def running(connection: Connection) -> list[Running]:
    """What every worker has leased."""
    return [Running._make(row) for row in db.run(connection, _RUNNING)]


def oldest_due(connection: Connection, lane: Lane) -> int | None:
    """When the job that is next in a lane was due; ``None`` for an empty one."""
    values = {"module_type": lane.module_type, "priority": int(lane.priority)}
    found: int | None = db.run(connection, _OLDEST, values).scalar()
    return found
