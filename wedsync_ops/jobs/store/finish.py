"""From running to what comes next: transitions and their execution rows, in one transaction, fenced by the token."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import FINISHED, Priority, Transition
from wedsync_ops.jobs.store import events
from wedsync_ops.jobs.store.insert import placeholders
from wedsync_ops.jobs.store.lanes import Moves


class Execution(NamedTuple):
    """One attempt at a job, measured: instants and ``_us`` in microseconds, memory in KB, delivered bytes."""

    job_id: int
    attempt: int
    module_type: str
    module_version: int
    worker_id: str
    priority: Priority
    outcome: str
    started_at: int
    finished_at: int
    duration_us: int | None
    queue_wait_us: int | None
    cpu_us: int | None
    memory_kb: int | None
    bytes_sent: int | None
    wedding_days: int | None
    in_peak: bool
    vendor_type: str | None
    error: str | None
    traceback: str | None = None
    log: str | None = None


class Finish(NamedTuple):
    """A transition to apply where the lease still holds, with the execution and the result to record."""

    token: int
    transition: Transition
    execution: Execution
    data: bytes | None


_COLUMNS = {  # what follows the token is in the order of Transition's fields
    "id": "bigint",
    "token": "bigint",
    "state": "text",
    "attempt": "bigint",
    "losses": "bigint",
    "kills": "bigint",
    "due_at": "bigint",
    "started_at": "bigint",
    "finished_at": "bigint",
    "error": "text",
}
_APPLY = (
    "UPDATE jobs SET state = r.state, leased_by = NULL, attempt = r.attempt, losses = r.losses, kills = r.kills,"
    " due_at = coalesce(r.due_at, jobs.due_at), started_at = r.started_at, finished_at = r.finished_at,"
    " error = r.error FROM {source}"
    " WHERE jobs.id = r.id AND jobs.token = r.token AND jobs.state = 'running' RETURNING jobs.id, jobs.token"
)
_EXECUTION = (
    "INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome, started_at,"
    " finished_at, duration_us, queue_wait_us, cpu_us, memory_kb, bytes_sent, wedding_days, in_peak, vendor_type,"
    " error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_DETAIL = "INSERT INTO execution_details (execution_id, traceback, log) VALUES (:id, :traceback, :log)"
_RESULT = "UPDATE payloads SET result = ? WHERE job_id = ?"


def apply(connection: Connection, batch: Sequence[Finish]) -> set[int]:
    """Apply transitions where the token still matches; returns the ids that were. The others changed nothing."""
    if not batch:
        return set()
    rows = [
        (
            f.execution.job_id,
            f.token,
            *f.transition[:5],
            f.execution.started_at,
            f.execution.finished_at,
            f.transition.error,
        )
        for f in batch
    ]
    statement = _APPLY.format(source=db.rows_source(connection, _COLUMNS))
    applied = {tuple(row) for row in db.run(connection, statement, {"rows": db.many(rows)})}
    kept = [f for f in batch if (f.execution.job_id, f.token) in applied]
    moves = Moves()
    for f in kept:
        moves.enter(f.execution.module_type, f.execution.priority, f.transition.state)
    moves.save(connection)
    _record(connection, [f.execution for f in kept])
    ended = [f for f in kept if f.transition.state in FINISHED]
    events.record(connection, [(f.execution.job_id, f.transition.state, f.execution.finished_at) for f in ended])
    results = [(f.data.decode(), f.execution.job_id) for f in kept if f.data is not None]
    if results:
        connection.exec_driver_sql(placeholders(connection, _RESULT), results)
    return {f.execution.job_id for f in kept}


def held(connection: Connection, leases: Sequence[tuple[int, int]]) -> set[int]:
    """Those of the jobs, as (id, token), whose lease still holds; on PostgreSQL they are locked by this."""
    locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    rows = db.run(
        connection,
        (
            f"SELECT id, token FROM jobs WHERE id IN {db.ids_source(connection)} AND state = 'running'"
            f" ORDER BY id{locking}"
        ),
        {"ids": db.many([job_id for job_id, _ in leases])},
    )
    return {row.id for row in rows if (row.id, row.token) in leases}


def _record(connection: Connection, executions: Sequence[Execution]) -> None:
    plain = [_values(e) for e in executions if e.traceback is None and e.log is None]
    if plain:
        connection.exec_driver_sql(placeholders(connection, _EXECUTION), plain)
    for e in executions:
        if e.traceback is not None or e.log is not None:
            statement = placeholders(connection, _EXECUTION + " RETURNING id")
            execution_id = connection.exec_driver_sql(statement, _values(e)).scalar_one()
            db.run(connection, _DETAIL, {"id": execution_id, "traceback": e.traceback, "log": e.log})


def _values(e: Execution) -> tuple[object, ...]:
    return (
        e.job_id,
        e.attempt,
        e.module_type,
        e.module_version,
        e.worker_id,
        int(e.priority),
        e.outcome,
        e.started_at,
        e.finished_at,
        e.duration_us,
        e.queue_wait_us,
        e.cpu_us,
        e.memory_kb,
        e.bytes_sent,
        e.wedding_days,
        int(e.in_peak),
        e.vendor_type,
        e.error,
    )


def mark_started(connection: Connection, started: Sequence[tuple[int, int, int]]) -> None:
    """Note when long-running jobs started, as (job id, token, instant), so that others can see it."""
    if started:
        source = db.rows_source(connection, {"id": "bigint", "token": "bigint", "at": "bigint"})
        db.run(
            connection,
            (
                f"UPDATE jobs SET started_at = r.at, finished_at = NULL FROM {source}"
                " WHERE jobs.id = r.id AND jobs.token = r.token AND jobs.state = 'running'"
            ),
            {"rows": db.many(started)},
        )
