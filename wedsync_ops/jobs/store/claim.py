"""From waiting to running: promote what is due, reconsider what time has changed, claim, and give back.

Every statement takes a bounded chunk through an index of its own; none ever walks the backlog.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from wedsync_ops import db
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.model import Claimed, Lane, Priority, State
from wedsync_ops.jobs.store import events
from wedsync_ops.jobs.store.lanes import Moves, without_region
from wedsync_ops.jobs.store.workers import Orphan

CHUNK = 120
"""The most jobs that one transaction promotes, and the most that it reconsiders: 3 ms each, while others wait."""


@dataclass(frozen=True, slots=True)
class Ripe:
    """A scheduled or retryable job that has fallen due, or a waiting one whose priority must be looked at again."""

    id: int
    module_type: str
    module_version: int
    state: State
    held_by: str | None
    priority: Priority
    priority_requested: Priority
    rank: int | None
    due_at: int
    expires_at: int | None
    deadline_at: int | None
    attempts_left: int
    supplier_id: str | None
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a ripe job: its state, priority, rank, and when it must be looked at again."""

    job: Ripe
    state: State
    priority: Priority
    rank: int | None
    next_change_at: int | None


_RIPE = (
    "SELECT id, module_type, module_version, state, held_by, priority, priority_requested, rank, due_at, expires_at,"
    " deadline_at, max_attempts - attempt AS attempts_left, supplier_id, wedding_on, timezone, vendor_type FROM jobs"
)
_DUE = f"{_RIPE} WHERE state IN ('scheduled','retryable') AND due_at <= :now ORDER BY due_at LIMIT :chunk"
_CHANGING = (
    f"{_RIPE} WHERE state = 'available' AND next_change_at IS NOT NULL AND next_change_at <= :now"
    " ORDER BY next_change_at LIMIT :chunk"
)
_NEXT_DUE = (
    "SELECT (SELECT min(due_at) FROM jobs WHERE state IN ('scheduled','retryable')),"
    " (SELECT min(next_change_at) FROM jobs WHERE state = 'available' AND next_change_at IS NOT NULL),"
    " (SELECT min(wake_at) FROM limit_gauges WHERE wake_at IS NOT NULL),"
    " (SELECT min(wake_at) FROM limit_gauges WHERE wake_at IS NOT NULL AND name <> 'pause'),"
    " (SELECT min(next_due_at) FROM schedules WHERE next_due_at IS NOT NULL)"
)
_CHANGED = {
    "id": "bigint",
    "old": "text",
    "state": "text",
    "priority": "bigint",
    "rank": "bigint",
    "next_change_at": "bigint",
}
_CLAIMED_COLUMNS = (
    "id, token, attempt, max_attempts, module_type, module_version, priority, rank, due_at, expires_at, deadline_at,"
    " losses, kills, wedding_on, timezone, vendor_type, supplier_id, key"
)
_MODULE, _PRIORITY, _WEDDING = map(Claimed._fields.index, ("module_type", "priority", "wedding_on"))


def due(connection: Connection, now: int, chunk: int = CHUNK) -> list[Ripe]:
    """The scheduled and retryable jobs that have fallen due, at most ``chunk``; locked on PostgreSQL."""
    return _ripe(connection, _DUE, now, chunk)


def changing(connection: Connection, now: int, chunk: int = CHUNK) -> list[Ripe]:
    """The available jobs whose priority or life may have changed by now, at most ``chunk``."""
    return _ripe(connection, _CHANGING, now, chunk)


class NextDue(NamedTuple):
    """When time does something next: to a job that waits for its moment, its age or its wedding, to one that is held,
    and to a recurring schedule. ``None`` is never.
    """

    waiting_at: int | None
    held_at: int | None
    limited_at: int | None
    """The same as ``held_at``, but only for what a limit holds."""
    fire_at: int | None

    @property
    def at(self) -> int | None:
        """When time moves any job."""
        return min((moment for moment in self[:2] if moment is not None), default=None)


def next_due(connection: Connection) -> NextDue:
    """When the next scheduled or retryable job falls due, a waiting or held one must be looked at, a schedule fires.

    One statement for all, because every transaction of the loop asks.
    """
    moments: tuple[int | None, ...] = tuple(db.run(connection, _NEXT_DUE).one())
    return NextDue(min((moment for moment in moments[:2] if moment is not None), default=None), *moments[2:])


def change(connection: Connection, changes: Sequence[Change], now: int) -> int:
    """Write what became of ripe jobs; a job that somebody else moved meanwhile is left alone."""
    if not changes:
        return 0
    source = db.rows_source(connection, _CHANGED)
    rows = [(c.job.id, c.job.state, c.state, int(c.priority), c.rank, c.next_change_at) for c in changes]
    done = db.run(
        connection,
        (
            "UPDATE jobs SET state = r.state, priority = r.priority, rank = r.rank, next_change_at = r.next_change_at,"
            " held_by = CASE WHEN r.state = 'available' THEN held_by END,"
            " finished_at = CASE WHEN r.state = 'expired' THEN :now ELSE jobs.finished_at END,"
            " error = CASE WHEN r.state = 'expired' THEN 'expired before it could start' ELSE jobs.error END"
            f" FROM {source} WHERE jobs.id = r.id AND jobs.state = r.old RETURNING jobs.id"
        ),
        {"rows": db.many(rows), "now": now},
    )
    moved = set(done.scalars())
    moves = Moves()
    for c in changes:
        if c.job.id in moved:
            moves.leave(c.job.module_type, c.job.priority, c.job.state)
            moves.enter(c.job.module_type, c.priority, c.state)
            if c.job.held_by is not None:
                moves.hold(c.job.module_type, c.job.priority, -1)
                if c.state is State.AVAILABLE:
                    moves.hold(c.job.module_type, c.priority)
    moves.save(connection)
    expired = [c.job.id for c in changes if c.state is State.EXPIRED and c.job.id in moved]
    events.record(connection, [(job_id, State.EXPIRED, now) for job_id in expired])
    return len(moved)


def claim(
    connection: Connection, lane: Lane, count: int, *, worker_id: str, region: str | None = None
) -> Sequence[Row[Any]]:
    """Lease the first ``count`` jobs of a lane to a worker; ``load`` adds the payloads. Costs each an attempt.

    With a ``region`` only its jobs and those without one.
    """
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    picked = (
        "(SELECT id FROM jobs WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
        f" AND priority = :priority ORDER BY rank, id LIMIT :count{locking})"
    )
    if region is not None:
        picked = in_region(connection)
    values: dict[str, Any] = {
        "module_type": lane.module_type,
        "priority": int(lane.priority),
        "worker": worker_id,
        "count": count,
    }
    if region is not None:
        values |= {"region": region, "unknown": without_region(region)}
    return lease(connection, picked, values)


def lease(connection: Connection, picked: str, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """Lease the jobs whose ids a sub-select names to ``:worker``."""
    setting = "SET state = 'running', leased_by = :worker, token = token + 1, attempt = attempt + 1"
    if connection.dialect.name == "sqlite":
        statement = f"UPDATE jobs {setting} WHERE id IN {picked} RETURNING {_CLAIMED_COLUMNS}"
    else:
        columns = ", ".join(f"jobs.{column.strip()}" for column in _CLAIMED_COLUMNS.split(","))
        statement = (
            f"WITH picked(id) AS MATERIALIZED {picked}"
            f" UPDATE jobs {setting} FROM picked WHERE jobs.id = picked.id RETURNING {columns}"
        )
    return db.run(connection, statement, values).all()


def in_region(connection: Connection) -> str:
    """A sub-select of the first ids of a lane that are of a region or of none: the heads of both, read by the index."""
    locking = "" if connection.dialect.name == "sqlite" else " FOR UPDATE SKIP LOCKED"
    heads = (
        "SELECT id, rank FROM (SELECT id, rank FROM jobs WHERE state = 'available' AND held_by IS NULL"
        f" AND module_type = :module_type AND priority = :priority AND region = :{name}"
        f" ORDER BY rank, id LIMIT :count{locking}) AS {name}"
        for name in ("region", "unknown")
    )
    return f"(SELECT id FROM ({' UNION ALL '.join(heads)}) AS heads ORDER BY rank, id LIMIT :count)"


def load(connection: Connection, rows: Sequence[Row[Any]]) -> list[Claimed]:
    """Freeze claimed rows into values, with their payloads, and count them out of their lanes."""
    if not rows:
        return []
    ids = db.many([row[0] for row in rows])
    found = db.run(
        connection,
        f"SELECT job_id, config, context, reason, {db.number_in(connection, 'reasons', 'send_delay_min')}"
        " FROM payloads LEFT JOIN suppressions USING (recipient)"
        f" WHERE job_id IN {db.ids_source(connection)}",
        {"ids": ids},
    )
    payloads = {job_id: rest for job_id, *rest in map(tuple, found)}
    jobs = []
    lanes: Counter[Lane] = Counter()
    for row in rows:
        values = list(row)  # in the order of Claimed's fields
        lane = Lane(values[_MODULE], Priority(values[_PRIORITY]))
        lanes[lane] += 1
        values[_PRIORITY] = lane.priority
        values[_WEDDING] = _day(values[_WEDDING])
        config, context, *rest = payloads[values[0]]
        jobs.append(Claimed._make((*values, (config or "{}").encode(), (context or "{}").encode(), *rest)))
    moves = Moves()
    for lane, count in lanes.items():
        moves.leave(*lane, State.AVAILABLE, count)
    moves.save(connection)
    return jobs


def release(connection: Connection, jobs: Iterable[Claimed | Orphan], *, now: int, expired: bool = False) -> int:
    """Give leases back: unstarted jobs become available (or expired), and the attempt that the claim took is undone."""
    by_id = {job.id: job for job in jobs}
    if not by_id:
        return 0
    state = State.EXPIRED if expired else State.AVAILABLE
    source = db.rows_source(connection, {"id": "bigint", "token": "bigint"})
    ending = ", finished_at = :now, error = 'expired before it could start'" if expired else ""
    values: dict[str, Any] = {"rows": db.many([(job.id, job.token) for job in by_id.values()])}
    if expired:
        values["now"] = now
    done = db.run(
        connection,
        (
            f"UPDATE jobs SET state = '{state}', leased_by = NULL, attempt = attempt - 1{ending} FROM {source}"
            " WHERE jobs.id = r.id AND jobs.token = r.token AND jobs.state = 'running' RETURNING jobs.id"
        ),
        values,
    ).scalars()
    moves = Moves()
    released = list(done)
    for job_id in released:
        moves.enter(by_id[job_id].module_type, by_id[job_id].priority, state)
    moves.save(connection)
    if expired:
        events.record(connection, [(job_id, state, now) for job_id in released])
    return len(released)


def _ripe(connection: Connection, statement: str, now: int, chunk: int) -> list[Ripe]:
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    return [
        Ripe(
            **{
                **row,
                "state": State(row["state"]),
                "priority": Priority(row["priority"]),
                "priority_requested": Priority(row["priority_requested"]),
                "wedding_on": _day(row["wedding_on"]),
            }
        )
        for row in db.run(connection, statement + locking, {"now": now, "chunk": chunk}).mappings()
    ]


def _day(value: str | None) -> date | None:
    return None if value is None else parse_date(value)
