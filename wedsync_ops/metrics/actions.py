"""Measures the platform over a range, and writes the figures as the JSON contract wants them."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownModule, UsageError, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, iso
from wedsync_ops.jobs.model import Priority
from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.model import (
    Counts,
    Group,
    Kind,
    Metrics,
    ModuleMetrics,
    PlatformMetrics,
    Range,
    Series,
    Tally,
    Times,
    Utilization,
)
from wedsync_ops.metrics.reading import Reading, ever
from wedsync_ops.metrics.store import buckets, present

SCHEMA = "wedsync-ops/metrics@1"
_LATELY = MINUTE
_LONGEST = 3650 * DAY
_RANGE = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}


def parse_range(text: str) -> int:
    """The length of a range such as ``90s``, ``5m``, ``1h`` or ``30d``, in µs. Raises UsageError for anything else."""
    found = _RANGE.fullmatch(text.strip())
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= _LONGEST:
        raise UsageError(
            f"{quoted(text)} is not a range",
            hint="write a number and s, m, h or d, such as 5m, 1h or 30d; at most 3650d",
        )
    return length


def measure(
    database: Database,
    registry_modules: Sequence[str],
    *,
    range_us: int,
    now: int,
    module: str | None = None,
    network_capacity_mbps: float = 1000.0,
    by: Kind | None = None,
    with_trend: bool = False,
) -> Metrics:
    """The figures of the ``range_us`` before ``now`` (not included): of the platform, and of each module type.

    Every registered module type is listed, in the order given, then any other that has executions in the range or
    jobs waiting. ``module`` narrows that list and the groups ``by`` a kind to one; the platform's figures stay those of
    all. Where the executions at its start are gone, the range starts with the bucket that holds it. Raises
    UnknownModule for a module that is neither registered nor ever ran.
    """
    asked = Range(max(now - range_us, 0), now)
    with database.snapshot() as connection:
        lengths = present.queue_lengths(connection, now)
        executed = list(dict.fromkeys((*present.executed_types(connection), *buckets.module_types(connection))))
        types = list(dict.fromkeys((*registry_modules, *sorted({*executed, *lengths}))))
        if module is not None and module not in types:
            raise UnknownModule(f"there is no module type {quoted(module)}")
        reading = Reading(connection, asked, executed, singly=by is Kind.SUPPLIER)
        over = reading.over
        tallies = _tallies(reading, types)
        groups = () if by is None else _groups(_named(reading, by, module), over)
        trends = reading.trend() if with_trend else {}
        utilized = _utilization(connection, executed, now, network_capacity_mbps)
    measured = tuple(
        aggregate.module_metrics(name, tallies[name], over, lengths.get(name, 0), trends.get(name, ()))
        for name in types
        if name == module
        or (module is None and (name in registry_modules or tallies[name].counts.total or lengths.get(name, 0)))
    )
    platform = aggregate.platform_metrics(list(tallies.values()), over, sum(lengths.values()), utilized)
    return Metrics(over, platform, measured, by, groups)


def since_ever(database: Database, module: str | None = None) -> Mapping[str, Sum]:
    """What all executions since the first come to, by module type, of one when that is named."""
    with database.snapshot() as connection:
        found = ever(connection)
    return {name: found[name] for name in sorted(found) if module in (None, name)}


def _tallies(reading: Reading, types: Sequence[str]) -> Mapping[str, Tally]:
    sums = reading.sums(Kind.ALL)
    vendors = reading.totals(Kind.VENDOR_TYPE)
    return {
        name: aggregate.tally(
            sums.get(Series(Kind.ALL, name, "")),
            {vendor: many for (owner, vendor), many in vendors.items() if owner == name and vendor},
        )
        for name in types
    }


def _named(reading: Reading, by: Kind, module: str | None) -> Mapping[str, Sum]:
    if by is Kind.SUPPLIER:
        return reading.suppliers(module)
    named: defaultdict[str, Sum] = defaultdict(Sum)
    for series, found in reading.sums(by, module, waits=False).items():
        named[series.name].include(found)
    return named


def _groups(named: Mapping[str, Sum], over: Range) -> tuple[Group, ...]:
    """The busiest first."""
    groups = [aggregate.group(name or None, total, over) for name, total in named.items()]
    return tuple(sorted(groups, key=lambda group: (-group.counts.total, group.name or "")))


def _utilization(connection: Connection, types: Sequence[str], now: int, capacity_mbps: float) -> Utilization:
    lately = Range(max(now - _LATELY, 0), now)
    return aggregate.utilization(
        present.host_load(connection, now - _LATELY, now),
        sum(present.ran(connection, name, lately) for name in types),
        seconds=_LATELY / SECOND,
        network_capacity_mbps=capacity_mbps,
    )


def to_document(metrics: Metrics) -> dict[str, Any]:
    """The figures as the document that ``metrics --json`` prints."""
    document = {
        "schema": SCHEMA,
        "range": {"from": iso(metrics.range.from_at), "to": iso(metrics.range.to_at)},
        "platform": _platform(metrics.platform),
        "modules": [_module(module) for module in metrics.modules],
    }
    if metrics.by is not None:
        document["by"] = metrics.by
        document["groups"] = [_group(group, metrics.by) for group in metrics.groups]
    return document


def _group(group: Group, by: Kind) -> dict[str, Any]:
    return {
        "name": group_name(group, by),
        **_counts(group.counts),
        **_times(group.times),
        "error_rate": group.error_rate,
        "throughput": group.throughput,
        "availability": group.availability,
    }


def group_name(group: Group, by: Kind) -> str | None:
    """How a group is called: a priority by its word; ``None`` where the name is not known."""
    if by is Kind.PRIORITY and group.name is not None:
        return Priority(int(group.name)).word
    return group.name


def _platform(platform: PlatformMetrics) -> dict[str, Any]:
    utilized = platform.utilization
    return {
        **_common(platform),
        "resource_utilization": {
            "cpu_usage": utilized.cpu_percent,
            "memory_usage": utilized.memory_percent,
            "network_usage": utilized.network_percent,
            "queue_processing_rate": utilized.executions_per_s,
        },
    }


def _module(module: ModuleMetrics) -> dict[str, Any]:
    return {
        "module_type": module.module_type,
        **_common(module),
        "resource_usage": {
            "cpu_usage_avg": module.usage.cpu_percent,
            "memory_usage_avg": module.usage.memory_mb,
            "network_io_avg": module.usage.network_kb,
            "queue_wait_time_avg": module.usage.queue_wait_ms,
            "queue_wait_time_p95": module.usage.queue_wait_p95_ms,
        },
        "wedding_specific_metrics": {
            "wedding_week_executions": module.weddings.week,
            "wedding_day_executions": module.weddings.day,
            "peak_season_executions": module.weddings.peak_season,
            "vendor_type_breakdown": dict(module.weddings.by_vendor),
        },
    }


def _common(figures: PlatformMetrics | ModuleMetrics) -> Mapping[str, Any]:
    return {
        **_counts(figures.counts),
        **_times(figures.times),
        "error_rate": figures.error_rate,
        "throughput": figures.throughput,
        "availability": figures.availability,
        "current_queue_length": figures.queue_length,
    }


def _counts(counts: Counts) -> Mapping[str, int]:
    return {
        "total_executions": counts.total,
        "successful_executions": counts.ok,
        "failed_executions": counts.failed,
        "lost_executions": counts.lost,
        "cancelled_executions": counts.cancelled,
    }


def _times(times: Times) -> Mapping[str, float | None]:
    return {
        "average_execution_time_ms": times.average_ms,
        "p50_execution_time_ms": times.p50_ms,
        "p95_execution_time_ms": times.p95_ms,
        "p99_execution_time_ms": times.p99_ms,
    }
