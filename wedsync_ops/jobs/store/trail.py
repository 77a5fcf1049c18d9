"""What happened, as the rows tell it: executions with their kept logs, and jobs that ended without one."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Result, State

OVERLAP = 1000
"""How many ids before the newest may yet appear on PostgreSQL, where transactions that overlap commit out of order."""
_EXECUTIONS = (
    "SELECT executions.id, job_id, attempt, module_type, worker_id, outcome, finished_at, duration_us, error, log"
    " FROM executions LEFT JOIN execution_details ON execution_id = executions.id"
)
_EVENTS = (
    "SELECT events.id, events.job_id, events.state, events.at, jobs.module_type, jobs.attempt, jobs.error"
    " FROM events LEFT JOIN jobs ON jobs.id = events.job_id"
)


class Ended(NamedTuple):
    """An execution that has ended; lengths in microseconds."""

    id: int
    job_id: int
    attempt: int
    module_type: str
    worker_id: str
    outcome: Result
    finished_at: int
    duration_us: int | None
    error: str | None
    log: str | None


class Closed(NamedTuple):
    """A job that was given up, expired or was cancelled; what retention has taken of it is ``None``."""

    id: int
    job_id: int
    state: State
    at: int
    module_type: str | None
    attempt: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to read: of one job, one module type, since an instant, only what went wrong; ``most`` 0 is all of it."""

    job: int | None = None
    module: str | None = None
    since: int | None = None
    only_failed: bool = False
    most: int = 0


@dataclass(slots=True)
class Place:
    """How far a reader has come in a table: the newest id, and which of those near it were there."""

    after: int
    seen: set[int]


def ended(connection: Connection, wanted: Wanted, after: int = 0) -> list[Ended]:
    """The latest executions that fit, with ids after ``after``, oldest first."""
    conditions, values = _conditions(wanted, "executions.id", "job_id", "finished_at", after)
    if wanted.only_failed:
        conditions.append("outcome <> 'ok' AND outcome <> 'cancelled'")
    rows = _read(connection, _EXECUTIONS, conditions, values, "executions.id", wanted.most)
    return [Ended(**{**row, "outcome": Result(row["outcome"])}) for row in reversed(rows)]


def closed(connection: Connection, wanted: Wanted, after: int = 0) -> list[Closed]:
    """The latest jobs that ended otherwise than by completion, oldest first."""
    conditions, values = _conditions(wanted, "events.id", "events.job_id", "events.at", after)
    conditions.append("events.state <> 'completed'")
    if wanted.only_failed:
        conditions.append("events.state <> 'cancelled'")
    rows = _read(connection, _EVENTS, conditions, values, "events.id", wanted.most)
    return [Closed(**{**row, "state": State(row["state"])}) for row in reversed(rows)]


def newest(connection: Connection, table: str) -> int:
    """The highest id of ``executions`` or ``events``; 0 when there is none."""
    return int(db.run(connection, f"SELECT coalesce(max(id), 0) FROM {table}").scalar_one())


def begin(connection: Connection, table: str) -> Place:
    """The end of a table as it is now."""
    after = newest(connection, table)
    near = db.run(connection, f"SELECT id FROM {table} WHERE id > :from", {"from": after - overlap(connection)})
    return Place(after, set(near.scalars()))


def overlap(connection: Connection) -> int:
    """How far back a reader looks for what has appeared behind what it has seen; SQLite's ids appear in their order."""
    return 0 if connection.dialect.name == "sqlite" else OVERLAP


def _conditions(wanted: Wanted, row: str, job: str, at: str, after: int) -> tuple[list[str], dict[str, Any]]:
    given = (
        (f"{row} > :after", "after", after or None),
        (f"{job} = :job", "job", wanted.job),
        ("module_type = :module", "module", wanted.module),
        (f"{at} >= :since", "since", wanted.since),
    )
    used = [(condition, name, value) for condition, name, value in given if value is not None]
    return [condition for condition, _, _ in used], {name: value for _, name, value in used}


def _read(
    connection: Connection, select: str, conditions: list[str], values: dict[str, Any], row: str, most: int
) -> list[Any]:
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    limit = f" LIMIT {int(most)}" if most else ""
    return list(db.run(connection, f"{select}{where} ORDER BY {row} DESC{limit}", values).mappings())
