"""Jobs as people look at them: lists, one job whole, positions in the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Priority, State

POSITION_CAP = 10_000
"""The last position in a lane that is worth counting to."""


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as ``jobs list`` shows it; instants in microseconds."""

    job_id: int
    module_type: str
    module_version: int
    state: State
    priority_requested: Priority
    priority_applied: Priority
    attempt: int
    max_attempts: int
    queued_at: int
    due_at: int
    started_at: int | None
    finished_at: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """One attempt at a job as ``jobs show`` shows it; lengths in microseconds, memory in KB."""

    attempt: int
    outcome: str
    started_at: int
    finished_at: int
    duration_us: int | None
    queue_wait_us: int | None
    cpu_us: int | None
    memory_kb: int | None
    bytes_sent: int | None
    error: str | None
    worker_id: str
    traceback: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its payload and every execution, oldest first; a payload that retention removed is ``None``."""

    job: JobView
    client_id: str
    supplier_id: str | None
    region: str
    key: str | None
    rank: int | None
    deadline_at: int | None
    expires_at: int | None
    losses: int
    kills: int
    config: Any
    context: Any
    result_data: Any
    priority_reasons: Sequence[str]
    due_reasons: Sequence[str]
    executions: Sequence[ExecutionView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs to list; ``limit`` 0 is all of them, ``since`` an instant of queueing."""

    states: Sequence[State] = ()
    module: str | None = None
    client: str | None = None
    supplier: str | None = None
    since: int | None = None
    limit: int = 100


_COLUMNS = (
    "jobs.id AS job_id, module_type, module_version, state, priority_requested, priority AS priority_applied, attempt,"
    " max_attempts, queued_at, due_at, started_at, finished_at, error"
)


def list_jobs(connection: Connection, wanted: Filter) -> list[JobView]:
    """The jobs that fit, newest first."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    if wanted.states:
        names = ", ".join(f"'{State(state).value}'" for state in wanted.states)
        conditions.append(f"state IN ({names})")
    for column, value in (
        ("module_type = :module", wanted.module),
        ("supplier_id = :supplier", wanted.supplier),
        ("queued_at >= :since", wanted.since),
        ("jobs.id IN (SELECT job_id FROM payloads WHERE client_id = :client)", wanted.client),
    ):
        if value is not None:
            conditions.append(column)
            values[column.rpartition(":")[2].rstrip(")")] = value
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {int(wanted.limit)}" if wanted.limit else ""
    rows = db.run(connection, f"SELECT {_COLUMNS} FROM jobs{where} ORDER BY jobs.id DESC{limit}", values)
    return [_view(row) for row in rows.mappings()]


def state_of(connection: Connection, job_id: int) -> JobView | None:
    """One job as a list would show it, ``None`` when there is none."""
    row = db.run(connection, f"SELECT {_COLUMNS} FROM jobs WHERE id = :id", {"id": job_id}).mappings().first()
    return None if row is None else _view(row)


def show_job(connection: Connection, job_id: int) -> JobDetail | None:
    """One job whole, ``None`` when there is none."""
    row = (
        db.run(
            connection,
            (
                f"SELECT {_COLUMNS}, client_id, supplier_id, region, key, rank, deadline_at, expires_at, losses, kills,"
                " config, context, result, reasons FROM jobs JOIN payloads ON payloads.job_id = jobs.id"
                " WHERE jobs.id = :id"
            ),
            {"id": job_id},
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    reasons = orjson.loads(row["reasons"])
    extra = ("client_id", "supplier_id", "region", "key", "rank", "deadline_at", "expires_at", "losses", "kills")
    return JobDetail(
        job=_view(row),
        **{name: row[name] for name in extra},
        config=_json(row["config"]),
        context=_json(row["context"]),
        result_data=_json(row["result"]),
        priority_reasons=reasons["priority"],
        due_reasons=reasons["due"],
        executions=_executions(connection, job_id),
    )


def position(connection: Connection, job_id: int) -> int | None:
    """1 + the available jobs of higher priority + those before it in its own lane.

    ``None`` when the job is not available or is held back, or further back than anybody counts (10,000).
    """
    row = db.run(
        connection,
        ("SELECT module_type, priority, rank FROM jobs WHERE id = :id AND state = 'available' AND held_by IS NULL"),
        {"id": job_id},
    ).first()
    if row is None:
        return None
    higher = db.run(
        connection,
        ("SELECT coalesce(sum(available), 0) FROM lane_counts WHERE priority > :priority"),
        {"priority": row.priority},
    ).scalar_one()
    before = db.run(
        connection,
        (
            "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'available' AND held_by IS NULL"
            " AND module_type = :module_type AND priority = :priority AND (rank, id) < (:rank, :id)"
            " LIMIT :cap) AS before"
        ),
        {
            "module_type": row.module_type,
            "priority": row.priority,
            "rank": row.rank,
            "id": job_id,
            "cap": POSITION_CAP,
        },
    ).scalar_one()
    place = 1 + int(higher) + int(before)
    return place if place <= POSITION_CAP else None


def _executions(connection: Connection, job_id: int) -> list[ExecutionView]:
    rows = db.run(
        connection,
        (
            "SELECT attempt, outcome, started_at, finished_at, duration_us, queue_wait_us, cpu_us, memory_kb,"
            " bytes_sent, error, worker_id, traceback, log FROM executions"
            " LEFT JOIN execution_details ON execution_id = executions.id WHERE job_id = :id ORDER BY executions.id"
        ),
        {"id": job_id},
    )
    return [ExecutionView(**row) for row in rows.mappings()]


def _view(row: Any) -> JobView:
    return JobView(
        **{
            **{name: row[name] for name in JobView.__slots__},
            "state": State(row["state"]),
            "priority_requested": Priority(row["priority_requested"]),
            "priority_applied": Priority(row["priority_applied"]),
        }
    )


def _json(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)
