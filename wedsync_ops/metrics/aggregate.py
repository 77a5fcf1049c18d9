"""From tallies to figures. Pure; where there is nothing to divide by, a figure is ``None``."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain

from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.model import (
    Counts,
    Group,
    HostLoad,
    ModuleMetrics,
    PlatformMetrics,
    Range,
    Spread,
    Tally,
    Times,
    Usage,
    Utilization,
    WeddingCounts,
)

_US_PER_MS = 1000
_KB_PER_MB = 1024
_BYTES_PER_KB = 1024


def percentile(spread: Spread, percent: int) -> float | None:
    """The smallest value that at least ``percent`` (1 to 100) of all values do not exceed: the nearest rank, in µs."""
    if not spread.values:
        return None
    if spread.counts is None:
        return spread.values[_rank(len(spread.values), percent) - 1]
    reached = list(accumulate(spread.counts))
    return spread.values[bisect_left(reached, _rank(reached[-1], percent))]


def _rank(count: int, percent: int) -> int:
    # In whole numbers: as floats, 0.55 * 100 is more than 55, and its ceiling one rank too far.
    return -(-percent * count // 100)


def merged(spreads: Sequence[Spread]) -> Spread:
    """Several spreads as one."""
    if len(spreads) == 1:
        return spreads[0]
    total_us = sum(spread.total_us for spread in spreads)
    if all(spread.counts is None for spread in spreads):
        return Spread(sorted(chain.from_iterable(spread.values for spread in spreads)), None, total_us)
    occurrences: Counter[float] = Counter()
    for spread in spreads:
        if spread.counts is None:
            occurrences.update(spread.values)
        else:
            for value, count in zip(spread.values, spread.counts, strict=True):
                occurrences[value] += count
    values = sorted(occurrences)
    return Spread(values, [occurrences[value] for value in values], total_us)


def tally(total: Sum | None, vendors: Mapping[str, int]) -> Tally:
    """What is known of a module type's executions; ``vendors`` counts them by vendor type."""
    if total is None:
        return Tally()
    sums, durations, waits = total.sums, merged(total.durations.spreads()), merged(total.waits.spreads())
    return Tally(
        counts=sums.counts,
        spread=durations,
        cpu_us=sums.cpu_us,
        cpu_wall_us=sums.cpu_wall_us,
        memory_kb=sums.memory_kb / sums.memory_known if sums.memory_known else None,
        bytes_sent=sums.bytes_sent / sums.bytes_known if sums.bytes_known else None,
        queue_wait_us=waits.total_us / waits.size if waits.size else None,
        weddings=WeddingCounts(sums.week, sums.day, sums.peak, dict(sorted(vendors.items()))),
        waits=waits,
        urgent=sums.urgent,
        urgent_late=sums.urgent_late,
    )


def availability(urgent: int, late: int) -> float | None:
    """Percent of the critical executions that started in time; ``None`` without any."""
    return 100 * (urgent - late) / urgent if urgent else None


def error_rate(counts: Counts) -> float | None:
    """Percent of the executions that ran which failed; lost and cancelled ones count in neither part."""
    return 100 * counts.failed / counts.ran if counts.ran else None


def throughput(counts: Counts, over: Range) -> float | None:
    """Executions that ran to an end per minute of the range; ``None`` when nothing at all finished in it."""
    return counts.ran / over.minutes if counts.total and over.minutes > 0 else None


def times(spread: Spread) -> Times:
    """Average and percentiles in ms."""
    return Times(
        average_ms=spread.total_us / spread.size / _US_PER_MS if spread.size else None,
        p50_ms=_over(percentile(spread, 50), _US_PER_MS),
        p95_ms=_over(percentile(spread, 95), _US_PER_MS),
        p99_ms=_over(percentile(spread, 99), _US_PER_MS),
    )


def usage(tally: Tally) -> Usage:
    """What an execution used on average. CPU is weighted by wall time: the share of a core that was busy meanwhile."""
    return Usage(
        cpu_percent=100 * tally.cpu_us / tally.cpu_wall_us if tally.cpu_wall_us else None,
        memory_mb=_over(tally.memory_kb, _KB_PER_MB),
        network_kb=_over(tally.bytes_sent, _BYTES_PER_KB),
        queue_wait_ms=_over(tally.queue_wait_us, _US_PER_MS),
        queue_wait_p95_ms=_over(percentile(tally.waits, 95), _US_PER_MS),
    )


def utilization(load: HostLoad, lately: int, *, seconds: float, network_capacity_mbps: float) -> Utilization:
    """The hosts' load in percent; ``lately`` is how many executions ran to an end in the last ``seconds``."""
    network = load.network_mbps
    return Utilization(
        cpu_percent=load.cpu_percent,
        memory_percent=load.memory_percent,
        network_percent=100 * network / network_capacity_mbps if network is not None else None,
        executions_per_s=lately / seconds if lately else None,
    )


def module_metrics(
    module_type: str, tally: Tally, over: Range, queue_length: int, trend: Sequence[int] = ()
) -> ModuleMetrics:
    """The figures of one module type."""
    return ModuleMetrics(
        module_type=module_type,
        counts=tally.counts,
        times=times(tally.spread),
        error_rate=error_rate(tally.counts),
        throughput=throughput(tally.counts, over),
        queue_length=queue_length,
        usage=usage(tally),
        weddings=tally.weddings,
        availability=availability(tally.urgent, tally.urgent_late),
        trend=trend,
    )


def group(name: str | None, total: Sum, over: Range) -> Group:
    """The figures of all executions of a name, of whatever module type."""
    counts = total.sums.counts
    return Group(
        name=name,
        counts=counts,
        times=times(merged(total.durations.spreads())),
        error_rate=error_rate(counts),
        throughput=throughput(counts, over),
        availability=availability(total.sums.urgent, total.sums.urgent_late),
    )


def platform_metrics(
    tallies: Sequence[Tally], over: Range, queue_length: int, utilized: Utilization
) -> PlatformMetrics:
    """The figures of all module types together."""
    counts = _added([tally.counts for tally in tallies])
    return PlatformMetrics(
        counts=counts,
        times=times(merged([tally.spread for tally in tallies])),
        error_rate=error_rate(counts),
        throughput=throughput(counts, over),
        queue_length=queue_length,
        utilization=utilized,
        availability=_availability(tallies),
    )


def _availability(tallies: Sequence[Tally]) -> float | None:
    return availability(sum(tally.urgent for tally in tallies), sum(tally.urgent_late for tally in tallies))


def _added(several: Sequence[Counts]) -> Counts:
    return Counts(
        ok=sum(counts.ok for counts in several),
        error=sum(counts.error for counts in several),
        timeout=sum(counts.timeout for counts in several),
        oom=sum(counts.oom for counts in several),
        killed=sum(counts.killed for counts in several),
        lost=sum(counts.lost for counts in several),
        cancelled=sum(counts.cancelled for counts in several),
    )


def _over(value: float | None, divisor: int) -> float | None:
    return None if value is None else value / divisor
