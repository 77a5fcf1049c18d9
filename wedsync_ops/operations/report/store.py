"""Reads what a report needs beyond the metrics: one module type a query, through its index on the finish time."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import MINUTE
from wedsync_ops.jobs.model import Priority
from wedsync_ops.operations.report.model import Period

ERRORS = 2_000
"""The most different texts of errors of a module type that are looked at, the most frequent first."""

_IN_PERIOD = "module_type = :module_type AND finished_at >= :from_at AND finished_at < :to_at"
_RAN = "outcome NOT IN ('lost', 'cancelled')"
_FAILED = "outcome NOT IN ('ok', 'lost', 'cancelled')"
_BUCKET = "(finished_at - :from_at) / :step AS bucket"


def _three_digits(column: str) -> str:
    """At most 0.5 % off, so that a day's times are a few thousand rows."""
    steps = " ".join(
        f"WHEN {column} < {10**digits} THEN {column} - {column} % {10 ** (digits - 3)} + {10 ** (digits - 3) // 2}"
        for digits in range(4, 16)
    )
    return f"CASE WHEN {column} < 1000 THEN {column} {steps} ELSE {column} END"


def _times(column: str) -> str:
    return (
        f"SELECT {_BUCKET}, {_three_digits(column)} AS value, count(*) AS many FROM executions"
        f" WHERE {_IN_PERIOD} AND {_RAN} AND {column} IS NOT NULL GROUP BY 1, 2"
    )


_OUTCOMES = f"SELECT {_BUCKET}, outcome, count(*) AS many FROM executions WHERE {_IN_PERIOD} GROUP BY 1, 2"
_DURATIONS, _WAITS = _times("duration_us"), _times("queue_wait_us")
_NEARNESS = (
    f"SELECT wedding_days, sum(CASE WHEN {_FAILED} THEN 1 ELSE 0 END) AS failed,"
    " sum(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END) AS ok FROM executions"
    f" WHERE {_IN_PERIOD} AND wedding_days BETWEEN 0 AND 7 GROUP BY wedding_days"
)
_SERVED = (
    "SELECT client_id, wedding_on, min(wedding_days) AS days FROM executions"
    " JOIN jobs ON jobs.id = executions.job_id JOIN payloads ON payloads.job_id = jobs.id"
    " WHERE executions.module_type = :module_type AND executions.finished_at >= :from_at"
    " AND executions.finished_at < :to_at AND outcome = 'ok' AND wedding_on IS NOT NULL GROUP BY client_id, wedding_on"
)
_ERRORS = (
    "SELECT error, count(*) AS many, max(finished_at) AS last_seen,"
    " sum(CASE WHEN wedding_days BETWEEN 0 AND 7 THEN 1 ELSE 0 END) AS week FROM executions"
    f" WHERE {_IN_PERIOD} AND {_FAILED} GROUP BY error ORDER BY count(*) DESC, max(finished_at) DESC LIMIT {ERRORS}"
)
_LATE = (
    "SELECT started_at - queue_wait_us AS due_at, started_at FROM executions"
    f" WHERE module_type = :module_type AND finished_at >= :from_at AND priority = {int(Priority.CRITICAL)}"
    f" AND queue_wait_us > {MINUTE} AND started_at - queue_wait_us + {MINUTE} < :to_at"
)
_STILL_LATE = (
    "SELECT min(due_at) AS due_at FROM jobs WHERE state = 'available' AND held_by IS NULL"
    f" AND module_type = :module_type AND priority = {int(Priority.CRITICAL)}"
)


class Many(NamedTuple):
    """How often a value occurs in a bucket."""

    bucket: int
    value: Any
    many: int


class Served(NamedTuple):
    """A wedding that something was done for, and how near it was at the nearest."""

    client_id: str
    wedding_on: str
    days: int | None


class ErrorText(NamedTuple):
    """An error's text, and how often it was met."""

    error: str | None
    many: int
    last_seen: int
    week: int


def outcomes(connection: Connection, module_type: str, over: Period) -> list[Many]:
    """How many executions ended in which way, by bucket."""
    return _many(connection, _OUTCOMES, module_type, over)


def durations(connection: Connection, module_type: str, over: Period) -> list[Many]:
    """Wall times in µs of executions that ran, to three digits."""
    return _many(connection, _DURATIONS, module_type, over)


def waits(connection: Connection, module_type: str, over: Period) -> list[Many]:
    """Waits in µs from due to start of executions that ran, to three digits."""
    return _many(connection, _WAITS, module_type, over)


def nearness(connection: Connection, module_type: str, over: Period) -> list[tuple[int, int, int]]:
    """Executions 0 to 7 days before the wedding: days, how many went well, how many failed."""
    rows = db.run(connection, _NEARNESS, _bound(module_type, over, stepped=False))
    return [(row.wedding_days, int(row.ok), int(row.failed)) for row in rows]


def served(connection: Connection, module_type: str, over: Period) -> Iterable[Served]:
    """The weddings for which an execution went well."""
    return [Served._make(row) for row in db.run(connection, _SERVED, _bound(module_type, over, stepped=False)).all()]


def errors(connection: Connection, module_type: str, over: Period) -> list[ErrorText]:
    """What failed executions said, the most frequent first."""
    rows = db.run(connection, _ERRORS, _bound(module_type, over, stepped=False)).all()
    return [ErrorText(row.error, int(row.many), row.last_seen, int(row.week)) for row in rows]


def late(connection: Connection, module_type: str, over: Period, now: int) -> list[tuple[int, int]]:
    """When critical jobs were late in the period: from a minute after they were due until they started, or now."""
    rows = db.run(connection, _LATE, _bound(module_type, over, stepped=False)).all()
    found = [(row.due_at + MINUTE, row.started_at) for row in rows]
    waiting = db.run(connection, _STILL_LATE, {"module_type": module_type}).scalar_one()
    if waiting is not None and waiting + MINUTE < min(now, over.to_at):
        found.append((waiting + MINUTE, now))
    return found


def _many(connection: Connection, statement: str, module_type: str, over: Period) -> list[Many]:
    return [Many._make(row) for row in db.run(connection, statement, _bound(module_type, over)).all()]


def _bound(module_type: str, over: Period, *, stepped: bool = True) -> dict[str, Any]:
    values = {"module_type": module_type, "from_at": over.from_at, "to_at": over.to_at}
    return {**values, "step": over.step_us} if stepped else values
