"""Reads measurements: executions of a range, what waits now, how the hosts fare.

Every query over executions names one module type, so that the index on (module_type, finished_at) serves it. A module
type's executions are read in one pass: SQL adds up, and hands over durations and words as one JSON list each, which
costs a fraction of sending rows or of sorting and grouping in the database. Where there are very many, they are
grouped there instead, durations to three digits (at most 0.5 % off), so that memory stays small.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, TextClause, text

from wedsync_ops.metrics.model import Counts, HostLoad, Range, Spread, Tally, WeddingCounts

EXACT_LIMIT = 500_000
"""Executions of one module type in a range up to which percentiles are exact."""

_IN_RANGE = "module_type = :module_type AND finished_at >= :from_at AND finished_at < :to_at"
# "ok" comes first because most are: SQLite evaluates this per row and column, and stops there.
_RAN = "(outcome = 'ok' OR outcome NOT IN ('lost', 'cancelled'))"
_DIGITS = range(4, 16)

_SUMS = ", ".join(
    [
        "count(*) AS total",
        f"sum(cpu_us) FILTER (WHERE {_RAN} AND duration_us IS NOT NULL) AS cpu_us",
        f"sum(duration_us) FILTER (WHERE {_RAN} AND cpu_us IS NOT NULL) AS cpu_wall_us",
        *(f"avg({name}) FILTER (WHERE {_RAN}) AS {name}" for name in ("memory_kb", "bytes_sent", "queue_wait_us")),
        "count(*) FILTER (WHERE wedding_days BETWEEN 0 AND 7) AS week",
        "count(*) FILTER (WHERE wedding_days = 0) AS day",
        "count(*) FILTER (WHERE in_peak = 1) AS peak",
    ]
)


def _listing(array: str) -> TextClause:
    lists = (
        ("outcome", "outcome <> 'ok'", "outcomes"),
        ("duration_us", f"{_RAN} AND duration_us IS NOT NULL", "durations"),
        ("vendor_type", "vendor_type IS NOT NULL", "vendors"),
    )
    columns = ", ".join(
        f"CAST({array}({column}) FILTER (WHERE {only}) AS text) AS {name}" for column, only, name in lists
    )
    return text(f"SELECT {_SUMS}, {columns} FROM executions WHERE {_IN_RANGE}")


_LISTING = {"sqlite": _listing("json_group_array"), "postgresql": _listing("json_agg")}
_SUMMING = text(f"SELECT {_SUMS}, sum(duration_us) FILTER (WHERE {_RAN}) AS wall_us FROM executions WHERE {_IN_RANGE}")
_OUTCOMES = text(f"SELECT outcome, count(*) AS many FROM executions WHERE {_IN_RANGE} GROUP BY outcome")
_THREE_DIGITS = (
    "CASE WHEN duration_us < 1000 THEN duration_us "
    + " ".join(
        f"WHEN duration_us < {10**digits} THEN"
        f" duration_us - duration_us % {10 ** (digits - 3)} + {10 ** (digits - 3) // 2}"
        for digits in _DIGITS
    )
    + " ELSE duration_us END"
)
_DURATIONS = text(
    f"SELECT {_THREE_DIGITS} AS value, count(*) AS many FROM executions"
    f" WHERE {_IN_RANGE} AND {_RAN} AND duration_us IS NOT NULL GROUP BY 1 ORDER BY 1"
)
_VENDORS = text(
    "SELECT vendor_type, count(*) AS many FROM executions"
    f" WHERE {_IN_RANGE} AND vendor_type IS NOT NULL GROUP BY vendor_type"
)
# Two sub-selects, because SQLite scans for max and min in one.
_SPAN = text("SELECT coalesce((SELECT max(id) FROM executions) - (SELECT min(id) FROM executions) + 1, 0)")
_CAPPED = text(f"SELECT count(*) FROM (SELECT 1 FROM executions WHERE {_IN_RANGE} LIMIT :most) AS found")
_RAN_LATELY = text(f"SELECT count(*) FROM executions WHERE {_IN_RANGE} AND {_RAN}")

# Walks from each distinct value to the next through the index; DISTINCT would read every row.
_TYPES = text(
    "WITH RECURSIVE types(name) AS (SELECT min(module_type) FROM executions UNION ALL"
    " SELECT (SELECT min(module_type) FROM executions WHERE module_type > types.name) FROM types"
    " WHERE types.name IS NOT NULL) SELECT name FROM types WHERE name IS NOT NULL"
)
_HOSTS = text(
    "WITH RECURSIVE hosts(name) AS (SELECT min(host) FROM host_samples UNION ALL"
    " SELECT (SELECT min(host) FROM host_samples WHERE host > hosts.name) FROM hosts WHERE hosts.name IS NOT NULL),"
    " per_host AS (SELECT avg(cpu_percent) AS cpu, avg(memory_percent) AS memory, avg(network_mbps) AS network"
    " FROM hosts JOIN host_samples ON host_samples.host = hosts.name"
    " WHERE sampled_at > :since AND sampled_at <= :now GROUP BY hosts.name)"
    " SELECT avg(cpu) AS cpu, avg(memory) AS memory, avg(network) AS network FROM per_host"
)
_AVAILABLE = text("SELECT module_type, sum(available) AS many FROM lane_counts GROUP BY module_type")
_HELD = text("SELECT module_type, count(*) AS many FROM jobs WHERE held_by IS NOT NULL GROUP BY module_type")
_DUE = text(
    "SELECT module_type, count(*) AS many FROM jobs"
    " WHERE state IN ('scheduled','retryable') AND due_at <= :now GROUP BY module_type"
)


def executed_types(connection: Connection) -> list[str]:
    """Every module type that has executions, whenever."""
    return list(connection.execute(_TYPES).scalars())


def queue_lengths(connection: Connection, now: int) -> Mapping[str, int]:
    """How many jobs of each module type wait now: available, or scheduled or retryable and due."""
    lengths: Counter[str] = Counter()
    for row in connection.execute(_AVAILABLE):
        lengths[row.module_type] += int(row.many)
    for row in connection.execute(_HELD):
        lengths[row.module_type] += row.many
    for row in connection.execute(_DUE, {"now": now}):
        lengths[row.module_type] += row.many
    return lengths


def host_load(connection: Connection, since: int, now: int) -> HostLoad:
    """The average over all hosts of each one's average over the samples taken after ``since``, up to ``now``."""
    row = connection.execute(_HOSTS, {"since": since, "now": now}).one()
    return HostLoad(row.cpu, row.memory, row.network)


def ran(connection: Connection, module_type: str, over: Range) -> int:
    """How many executions ran to an end of their own in a range."""
    return int(connection.execute(_RAN_LATELY, _bound(module_type, over)).scalar_one())


def tally(connection: Connection, module_type: str, over: Range, *, exact_limit: int = EXACT_LIMIT) -> Tally:
    """What is known of a module type's executions in a range; over ``exact_limit`` durations are rounded."""
    bound = _bound(module_type, over)
    if _is_many(connection, bound, exact_limit):
        return _tally_grouped(connection, bound)
    row = connection.execute(_LISTING[connection.dialect.name], bound).mappings().one()
    others = Counter(_listed(row["outcomes"]))
    durations = sorted(_listed(row["durations"]))
    return _to_tally(
        row,
        Counts(ok=row["total"] - others.total(), **others),
        Spread(durations, None, sum(durations)),
        Counter(_listed(row["vendors"])),
    )


def _tally_grouped(connection: Connection, bound: Mapping[str, Any]) -> Tally:
    row = connection.execute(_SUMMING, bound).mappings().one()
    outcomes = {found.outcome: found.many for found in connection.execute(_OUTCOMES, bound)}
    vendors = {found.vendor_type: found.many for found in connection.execute(_VENDORS, bound)}
    durations = connection.execute(_DURATIONS, bound).all()
    spread = Spread([d.value for d in durations], [d.many for d in durations], int(row["wall_us"] or 0))
    return _to_tally(row, Counts(**outcomes), spread, vendors)


def _is_many(connection: Connection, bound: Mapping[str, Any], limit: int) -> bool:
    if connection.execute(_SPAN).scalar_one() <= limit:  # two looks at an index, and most databases are done
        return False
    return bool(connection.execute(_CAPPED, {**bound, "most": limit + 1}).scalar_one() > limit)


def _bound(module_type: str, over: Range) -> dict[str, Any]:
    return {"module_type": module_type, "from_at": over.from_at, "to_at": over.to_at}


def _listed(value: str | None) -> list[Any]:
    return [] if value is None else orjson.loads(value)  # PostgreSQL's list of nothing is NULL


def _to_tally(row: RowMapping, counts: Counts, spread: Spread, vendors: Mapping[str, int]) -> Tally:
    return Tally(
        counts=counts,
        spread=spread,
        cpu_us=int(row["cpu_us"] or 0),
        cpu_wall_us=int(row["cpu_wall_us"] or 0),
        memory_kb=_number(row["memory_kb"]),
        bytes_sent=_number(row["bytes_sent"]),
        queue_wait_us=_number(row["queue_wait_us"]),
        weddings=WeddingCounts(row["week"], row["day"], row["peak"], dict(sorted(vendors.items()))),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)  # PostgreSQL averages whole numbers as Decimal
