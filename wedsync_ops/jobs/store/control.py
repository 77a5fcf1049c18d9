"""What people do to jobs and lanes: cancel, retry, pause, resume."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import iso
from wedsync_ops.jobs.model import Priority, State
from wedsync_ops.jobs.store import drains, events, stops
from wedsync_ops.jobs.store.lanes import Moves

_PAUSES = "SELECT scope, name, reason, paused_by, paused_at, until FROM pauses WHERE (until IS NULL OR until > :now)"
_CLOSED = (
    f"{_PAUSES} UNION ALL SELECT scope, name, 'drained' || coalesce(': ' || reason, ''), begun_by, drained_at, until"
    " FROM drains WHERE drained_at IS NOT NULL AND (until IS NULL OR until > :now)"
    " UNION ALL SELECT kind, name, reason, source, set_at, until FROM measures"
    " WHERE (kind = 'module' OR kind = 'priority') AND (until IS NULL OR until > :now) ORDER BY 1, 2"
)


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause: of everything, a module type or a supplier; ``until`` and ``paused_at`` are instants.

    An emergency's, whose ``paused_by`` is ``emergency`` and its number, may also be of a priority.
    """

    scope: str
    name: str
    reason: str | None
    paused_by: str
    paused_at: int
    until: int | None

    @property
    def is_of_emergency(self) -> bool:
        """Whether an emergency has made it, and takes it back."""
        return self.paused_by.startswith("emergency ")


def states(connection: Connection, ids: Sequence[int]) -> dict[int, State]:
    """The states of those jobs that exist."""
    rows = db.run(
        connection, (f"SELECT id, state FROM jobs WHERE id IN {db.ids_source(connection)}"), {"ids": db.many(ids)}
    )
    return {row.id: State(row.state) for row in rows}


def cancel(connection: Connection, ids: Sequence[int], now: int) -> set[int]:
    """Cancel those of the jobs that still wait; returns their ids."""
    source = db.ids_source(connection)
    locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    columns = "id, module_type, priority, state, held_by"
    waiting = f"id IN {source} AND state IN ('scheduled','available','retryable')"
    rows = db.run(
        connection, f"SELECT {columns} FROM jobs WHERE {waiting} ORDER BY id{locking}", {"ids": db.many(ids)}
    ).all()
    moves = Moves()
    for row in rows:
        moves.leave(row.module_type, row.priority, row.state)
        if row.held_by is not None:
            moves.hold(row.module_type, row.priority, -1)
    # Those and no others: on PostgreSQL one of the rest may have begun to wait by now, and would not be counted.
    setting = "SET state = 'cancelled', held_by = NULL, finished_at = :now"
    values = {"ids": db.many([row.id for row in rows]), "now": now}
    db.run(connection, f"UPDATE jobs {setting} WHERE id IN {source}", values)
    moves.save(connection)
    events.record(connection, [(row.id, State.CANCELLED, now) for row in rows])
    stops.forget(connection, [row.id for row in rows])
    return {row.id for row in rows}


@dataclass(frozen=True, slots=True)
class Retryable:
    """A finished job that may be tried again, with what deciding its place takes."""

    id: int
    module_type: str
    priority: int
    supplier_id: str | None
    has_payload: bool
    unique_key: str | None = None


def retryable(connection: Connection, ids: Sequence[int]) -> list[Retryable]:
    """Those of the jobs that failed for good, were cancelled or expired; locked on PostgreSQL, with their payloads."""
    locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    rows = db.run(
        connection,
        (
            "SELECT id, module_type, priority, supplier_id, payloads.config IS NOT NULL AS has_payload, unique_key"
            f" FROM jobs JOIN payloads ON payloads.job_id = jobs.id WHERE id IN {db.ids_source(connection)}"
            f" AND state IN ('discarded','cancelled','expired') ORDER BY id{locking}"
        ),
        {"ids": db.many(ids)},
    ).mappings()
    return [Retryable(**{**row, "has_payload": bool(row["has_payload"])}) for row in rows]


def retry(connection: Connection, jobs: Sequence[Retryable], now: int, due: Sequence[int] | None = None) -> None:
    """Make finished jobs scheduled again, with every attempt before them; promotion ranks them anew.

    They are due now, or each at its own instant of ``due``. Their unique keys must be free (``unique.taken``).

    An expiry that has passed by then is dropped: whoever retries the job wants it to run.
    """
    moves = Moves()
    for job in jobs:
        moves.enter(job.module_type, job.priority, State.SCHEDULED)
    stops.forget(connection, [job.id for job in jobs])  # what was asked of an earlier execution
    db.run(
        connection,
        (
            "UPDATE jobs SET state = 'scheduled', due_at = r.due, attempt = 0, losses = 0, kills = 0, rank = NULL,"
            " next_change_at = r.due, error = NULL, finished_at = NULL,"
            " expires_at = CASE WHEN expires_at > r.due THEN expires_at END"
            f" FROM {db.rows_source(connection, {'id': 'bigint', 'due': 'bigint'})}"
            " WHERE jobs.id = r.id AND jobs.state IN ('discarded','cancelled','expired')"
        ),
        {"rows": db.many([(job.id, at) for job, at in zip(jobs, due or [now] * len(jobs), strict=True)])},
    )
    moves.save(connection)


def reschedule(
    connection: Connection, ids: Sequence[int], *, due_at: int | None, priority: Priority | None
) -> tuple[set[int], set[int]]:
    """Move waiting jobs to another due time, another priority asked for, or both; promotion ranks them anew.

    Returns those that were moved, and those that would have expired before they were due, which are left alone.
    """
    locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    rows = db.run(
        connection,
        f"SELECT id, module_type, priority, state, held_by, due_at, expires_at FROM jobs WHERE id IN"
        f" {db.ids_source(connection)} AND state IN ('scheduled','available','retryable') ORDER BY id{locking}",
        {"ids": db.many(ids)},
    ).all()
    late = {row.id for row in rows if row.expires_at is not None and row.expires_at <= (due_at or row.due_at)}
    moved = [row for row in rows if row.id not in late]
    moves = Moves()
    for row in moved:
        moves.leave(row.module_type, row.priority, row.state)
        if row.held_by is not None:
            moves.hold(row.module_type, row.priority, -1)
        moves.enter(row.module_type, row.priority, State.SCHEDULED)
    db.run(
        connection,
        "UPDATE jobs SET state = 'scheduled', held_by = NULL, rank = NULL, next_change_at = NULL,"
        " due_at = coalesce(CAST(:due_at AS bigint), due_at),"
        " priority_requested = coalesce(CAST(:priority AS smallint), priority_requested)"
        f" WHERE id IN {db.ids_source(connection)}",
        {
            "ids": db.many([row.id for row in moved]),
            "due_at": due_at,
            "priority": None if priority is None else int(priority),
        },
    )
    moves.save(connection)
    if due_at is not None:
        _say_due(connection, [row.id for row in moved], f"rescheduled to {iso(due_at)}")
    return {row.id for row in moved}, late


def _say_due(connection: Connection, ids: Sequence[int], reason: str) -> None:
    """Keep with jobs why they are due when they are."""
    known = f"SELECT job_id, reasons FROM payloads WHERE job_id IN {db.ids_source(connection)}"
    rows = [
        (job_id, orjson.dumps({**orjson.loads(reasons), "due": [reason]}).decode())
        for job_id, reasons in map(tuple, db.run(connection, known, {"ids": db.many(ids)}).all())
    ]
    source = db.rows_source(connection, {"id": "bigint", "reasons": "text"})
    statement = f"UPDATE payloads SET reasons = r.reasons FROM {source} WHERE payloads.job_id = r.id"
    db.run(connection, statement, {"rows": db.many(rows)})


def pause(connection: Connection, pause: Pause) -> None:
    """Write a pause, or replace the one of the same scope and name."""
    db.run(
        connection,
        (
            "INSERT INTO pauses (scope, name, reason, paused_by, paused_at, until)"
            " VALUES (:scope, :name, :reason, :paused_by, :paused_at, :until)"
            " ON CONFLICT (scope, name) DO UPDATE SET reason = excluded.reason, paused_by = excluded.paused_by,"
            " paused_at = excluded.paused_at, until = excluded.until"
        ),
        {name: getattr(pause, name) for name in Pause.__slots__},
    )
    if pause.scope == "supplier":
        values = {"key": pause.name, "until": pause.until}
        db.run(connection, "UPDATE limit_gauges SET wake_at = :until WHERE name = 'pause' AND key = :key", values)


def resume(connection: Connection, scope: str, name: str) -> bool:
    """End a pause and a drain; whether there was one. What was held by a supplier's is let go by the next claims."""
    if scope == "supplier":
        db.run(connection, "UPDATE limit_gauges SET wake_at = 0 WHERE name = 'pause' AND key = :key", {"key": name})
    statement = "DELETE FROM pauses WHERE scope = :scope AND name = :name"
    was_paused = db.run(connection, statement, {"scope": scope, "name": name}).rowcount == 1
    return drains.end(connection, scope, name) or was_paused


def pauses(connection: Connection, now: int) -> list[Pause]:
    """The pauses in force."""
    rows = db.run(connection, f"{_PAUSES} ORDER BY scope, name", {"now": now})
    return [Pause(*row) for row in map(tuple, rows)]


def closed(connection: Connection, now: int) -> list[Pause]:
    """What nothing starts of: the pauses in force, what is drained, and what an emergency holds."""
    return [Pause(*row) for row in map(tuple, db.run(connection, _CLOSED, {"now": now}))]
