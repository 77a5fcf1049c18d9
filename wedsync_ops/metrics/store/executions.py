"""Adds up executions themselves: one pass over those in question says all that a bucket says.

This is the one place that defines what is counted and summed. Buckets are made from it, and what no bucket covers is
read with it, so that the two cannot differ. SQL adds up, and hands over times as one JSON list each, which costs a
fraction of sending rows. Where there are very many, times are grouped in the database instead, to four digits (at most
0.05 % off), so that memory stays small.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.metrics.model import Kind, Part, Range, Series, Spread, Sums

EXACT_LIMIT = 500_000
"""Executions up to which their times are taken one by one."""
LATE_US = 60_000_000
"""A critical job that waited for longer than this was not served in time."""
CRITICAL = 3
"""The number of the priority whose jobs must be served in time."""

# "ok" comes first because most are: SQLite evaluates this per row and column, and stops there.
_RAN = "(outcome = 'ok' OR outcome NOT IN ('lost', 'cancelled'))"
_FAILED = "(outcome <> 'ok' AND outcome NOT IN ('lost', 'cancelled'))"
_WEEK = "wedding_days BETWEEN 0 AND 7"
_URGENT = f"{_RAN} AND priority = {CRITICAL} AND queue_wait_us IS NOT NULL"
_SUMS: Mapping[str, str] = {
    **{name: f"count(*) FILTER (WHERE outcome = '{name}')" for name in Sums._fields[:7]},
    "cpu_us": f"sum(cpu_us) FILTER (WHERE {_RAN} AND duration_us IS NOT NULL)",
    "cpu_wall_us": f"sum(duration_us) FILTER (WHERE {_RAN} AND cpu_us IS NOT NULL)",
    "memory_known": f"count(memory_kb) FILTER (WHERE {_RAN})",
    "memory_kb": f"sum(memory_kb) FILTER (WHERE {_RAN})",
    "bytes_known": f"count(bytes_sent) FILTER (WHERE {_RAN})",
    "bytes_sent": f"sum(bytes_sent) FILTER (WHERE {_RAN})",
    "week": f"count(*) FILTER (WHERE {_WEEK})",
    "day": "count(*) FILTER (WHERE wedding_days = 0)",
    "peak": "count(*) FILTER (WHERE in_peak = 1)",
    "week_ran": f"count(*) FILTER (WHERE {_WEEK} AND {_RAN})",
    "week_failed": f"count(*) FILTER (WHERE {_WEEK} AND {_FAILED})",
    "urgent": f"count(*) FILTER (WHERE {_URGENT})",
    "urgent_late": f"count(*) FILTER (WHERE {_URGENT} AND queue_wait_us > {LATE_US})",
}
_NAMES: Mapping[Kind, str] = {
    Kind.ALL: "''",
    Kind.VENDOR_TYPE: "coalesce(vendor_type, '')",
    Kind.PRIORITY: "CAST(priority AS text)",
    Kind.REGION: "coalesce((SELECT region FROM jobs WHERE jobs.id = executions.job_id), 'unknown')",
}
LISTS = {"sqlite": "json_group_array", "postgresql": "json_agg"}
"""What makes one JSON list of a column."""
_TIMES = ("duration_us", "queue_wait_us")
_DIGITS = range(5, 17)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which executions are meant: a condition in SQL with its values. All of its texts are of this package."""

    where: str
    values: Mapping[str, Any]
    group: str = "(module_type || '')"
    """The module type, to group by: spelt so that SQLite does not walk the whole index on it for the sake of order."""


def in_range(module_type: str, over: Range, *, above: int = 0, up_to: int | None = None) -> Scope:
    """A module type's executions that finished in a range, with ids above one and up to another.

    Read by their finish; the plus signs keep the databases from reading all ids in between instead.
    """
    where = "module_type = :module_type AND finished_at >= :from_at AND finished_at < :to_at AND +id > :above"
    values = {"module_type": module_type, "from_at": over.from_at, "to_at": over.to_at, "above": above}
    if up_to is None:
        return Scope(where, values, "module_type")
    return Scope(f"{where} AND +id <= :up_to", {**values, "up_to": up_to}, "module_type")


def after(above: int, over: Range) -> Scope:
    """All executions with ids above one that finished in a range; read by their ids, which are few."""
    where = "id > :above AND +finished_at >= :from_at AND +finished_at < :to_at"
    return Scope(where, {"above": above, "from_at": over.from_at, "to_at": over.to_at})


def between(above: int, up_to: int) -> Scope:
    """All executions with ids above one and up to another, whenever they finished."""
    return Scope("id > :above AND id <= :up_to", {"above": above, "up_to": up_to})


def parts(
    connection: Connection, scope: Scope, kind: Kind, *, width: int | None = None, exact_limit: int = EXACT_LIMIT
) -> list[Part]:
    """What these executions come to, for each module type and name of a kind.

    With a ``width`` (µs) they are divided by the bucket that they finished in, too.
    """
    if width is None and _is_many(connection, scope, exact_limit):
        return list(_grouped(connection, scope, kind))
    array = LISTS[connection.dialect.name]
    lists = (
        f"CAST({array}({column}) FILTER (WHERE {_RAN} AND {column} IS NOT NULL) AS text) AS listed_{column}"
        for column in _TIMES
    )
    return [
        Part(row[0], Series(kind, row[1], row[2]), _sums(row[3:-2]), listed(row[-2]), listed(row[-1]))
        for row in _select(connection, scope, kind, [*_columns(), *lists], width)
    ]


def totals(connection: Connection, scope: Scope, kind: Kind) -> dict[tuple[str, str], int]:
    """How many of these executions there are, by module type and name of a kind."""
    return {(row[1], row[2]): row[3] for row in _select(connection, scope, kind, ["count(*) AS many"], None)}


def starts(connection: Connection, scope: Scope, width: int) -> dict[tuple[str, int], int]:
    """How many of these executions there are, by module type and the start of the bucket that they finished in."""
    return {(row[1], row[0]): row[3] for row in _select(connection, scope, Kind.ALL, ["count(*) AS many"], width)}


def _grouped(connection: Connection, scope: Scope, kind: Kind) -> Iterator[Part]:
    times: list[defaultdict[tuple[str, str], list[tuple[int, int]]]] = []
    for column in _TIMES:
        found: defaultdict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        only = replace(scope, where=f"{scope.where} AND {_RAN} AND {column} IS NOT NULL")
        rounded = _four_digits(column)
        for row in _select(connection, only, kind, [f"{rounded} AS value", "count(*) AS many"], None, by=rounded):
            found[row[1], row[2]].append((row[3], row[4]))
        times.append(found)
    exact = [f"sum({column}) FILTER (WHERE {_RAN}) AS total_{column}" for column in _TIMES]
    for row in _select(connection, scope, kind, [*_columns(), *exact], None):
        key, rest = (row[1], row[2]), row[3:]
        durations, waits = (
            _counted(found[key], int(total or 0)) for found, total in zip(times, rest[-2:], strict=True)
        )
        yield Part(0, Series(kind, *key), _sums(rest[:-2]), durations, waits)


def _select(
    connection: Connection, scope: Scope, kind: Kind, columns: Sequence[str], width: int | None, by: str = ""
) -> list[Any]:
    start = "0" if width is None else f"(finished_at - finished_at % {width})"
    groups = [part for part in ("" if width is None else start, scope.group, _NAMES[kind], by) if part]
    groups = [part for part in groups if part != "''"]
    statement = (
        f"SELECT {start} AS start, {scope.group}, {_NAMES[kind]} AS name, {', '.join(columns)}"
        f" FROM executions WHERE {scope.where} GROUP BY {', '.join(groups)}"
    )
    return list(db.run(connection, statement, scope.values))


def _columns() -> list[str]:
    return [f"{expression} AS {name}" for name, expression in _SUMS.items()]


def _four_digits(column: str) -> str:
    """The middle of the stretch in which a time has the same first four digits."""
    steps = (
        f"WHEN {column} < {10**digits} THEN {column} - {column} % {10 ** (digits - 4)} + {10 ** (digits - 4) // 2}"
        for digits in _DIGITS
    )
    return f"CASE WHEN {column} < 10000 THEN {column} {' '.join(steps)} ELSE {column} END"


def _is_many(connection: Connection, scope: Scope, limit: int) -> bool:
    # Two sub-selects, because SQLite scans for max and min in one: two looks at an index, and most databases are done.
    span = "SELECT coalesce((SELECT max(id) FROM executions) - (SELECT min(id) FROM executions) + 1, 0)"
    if db.run(connection, span).scalar_one() <= limit:
        return False
    capped = f"SELECT count(*) FROM (SELECT 1 FROM executions WHERE {scope.where} LIMIT {limit + 1}) AS found"
    return bool(db.run(connection, capped, scope.values).scalar_one() > limit)


def listed(value: str | None) -> Spread:
    """The times of one of the databases' JSON lists."""
    values = [] if value is None else orjson.loads(value)  # PostgreSQL's list of nothing is NULL
    values.sort()
    return Spread(values, None, sum(values))


def _counted(pairs: list[tuple[int, int]], total: int) -> Spread:
    pairs.sort()
    return Spread([value for value, _ in pairs], [many for _, many in pairs], total)


def _sums(values: Sequence[Any]) -> Sums:
    return Sums(*(int(value or 0) for value in values))  # PostgreSQL adds whole numbers up as Decimal
