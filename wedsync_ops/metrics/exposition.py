"""The figures in Prometheus's text format 0.0.4. Pure.

Everything here is a gauge, because it describes a range that slides on, or a moment: it falls as well as it rises.
Counting all executions on record would be no counter either: retention deletes old rows, and a scraper would take the
fall for a restart. Base units only: seconds, bytes, ratios of 1. What is not known has no sample. Platform-wide counts
are left to the reader (``sum``); only what can't be added up over module types has a platform series.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

from wedsync_ops.instants import SECOND
from wedsync_ops.metrics.model import Counts, Metrics, ModuleMetrics, PlatformMetrics, Times

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "wedsync_ops_"

_PERCENT = 100
_MS_PER_S = 1000
_S_PER_MINUTE = 60
_BYTES_PER_KB = 1024
_BYTES_PER_MB = 1024 * 1024

Sample = tuple[Mapping[str, str], float | None]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples; ``name`` goes without the prefix."""

    name: str
    about: str
    samples: tuple[Sample, ...]


# Name, meaning, and where the figure is found, in base units.
_PER_MODULE: tuple[tuple[str, str, Callable[[ModuleMetrics], float | None]], ...] = (
    (
        "execution_duration_average_seconds",
        "Average wall time of an execution.",
        lambda m: _over(m.times.average_ms, _MS_PER_S),
    ),
    ("error_ratio", "Failed executions among those that ran to an end.", lambda m: _over(m.error_rate, _PERCENT)),
    (
        "throughput_per_second",
        "Executions that ran to an end per second of the range.",
        lambda m: _over(m.throughput, _S_PER_MINUTE),
    ),
    ("queue_length", "Jobs that wait now and are due.", lambda m: m.queue_length),
    (
        "execution_cpu_ratio",
        "Share of one core that executions kept busy.",
        lambda m: _over(m.usage.cpu_percent, _PERCENT),
    ),
    (
        "execution_memory_bytes",
        "Average peak memory of an execution.",
        lambda m: _times(m.usage.memory_mb, _BYTES_PER_MB),
    ),
    (
        "execution_sent_bytes",
        "Average of what an execution delivered.",
        lambda m: _times(m.usage.network_kb, _BYTES_PER_KB),
    ),
    (
        "queue_wait_seconds",
        "Average time from due to start.",
        lambda m: _over(m.usage.queue_wait_ms, _MS_PER_S),
    ),
    ("wedding_week_executions", "Executions 0 to 7 days before the wedding.", lambda m: m.weddings.week),
    ("wedding_day_executions", "Executions on the wedding day.", lambda m: m.weddings.day),
    ("peak_season_executions", "Executions in the peak season.", lambda m: m.weddings.peak_season),
)
_PLATFORM: tuple[tuple[str, str, Callable[[PlatformMetrics], float | None]], ...] = (
    (
        "platform_execution_duration_average_seconds",
        "Average wall time of an execution of any module type.",
        lambda p: _over(p.times.average_ms, _MS_PER_S),
    ),
    (
        "platform_error_ratio",
        "Failed executions of any module type among those that ran to an end.",
        lambda p: _over(p.error_rate, _PERCENT),
    ),
    ("platform_queue_length", "Jobs of any module type that wait now and are due.", lambda p: p.queue_length),
    (
        "host_cpu_ratio",
        "Share of the hosts' cores in use over the last minute.",
        lambda p: _over(p.utilization.cpu_percent, _PERCENT),
    ),
    (
        "host_memory_ratio",
        "Share of the hosts' memory in use over the last minute.",
        lambda p: _over(p.utilization.memory_percent, _PERCENT),
    ),
    (
        "host_network_ratio",
        "Share of the configured network capacity in use over the last minute.",
        lambda p: _over(p.utilization.network_percent, _PERCENT),
    ),
    (
        "queue_processing_per_second",
        "Executions that ran to an end per second of the last minute.",
        lambda p: p.utilization.executions_per_s,
    ),
)


def exposition(metrics: Metrics) -> str:
    """The whole text; every line ends in a line feed."""
    return "".join(f"{line}\n" for family in families(metrics) for line in _lines(family))


def families(metrics: Metrics) -> Iterator[Family]:
    """Every metric, whether or not it has samples now, so that names and meanings are always there."""
    seconds = (metrics.range.to_at - metrics.range.from_at) / SECOND
    yield Family("range_seconds", "Length of the range that the figures describe.", (({}, seconds),))
    yield from _distributions(metrics)
    for name, about, figure in _PER_MODULE:
        yield Family(name, about, tuple(({"module": m.module_type}, figure(m)) for m in metrics.modules))
    for name, about, of_platform in _PLATFORM:
        yield Family(name, about, (({}, of_platform(metrics.platform)),))


def _distributions(metrics: Metrics) -> Iterator[Family]:
    modules = metrics.modules
    yield Family(
        "executions",
        "Executions that finished in the range.",
        tuple(
            ({"module": m.module_type, "outcome": outcome}, count)
            for m in modules
            for outcome, count in _outcomes(m.counts)
        ),
    )
    yield Family(
        "execution_duration_seconds",
        "Nearest-rank percentiles of the wall time of executions.",
        tuple(
            ({"module": m.module_type, "quantile": quantile}, value)
            for m in modules
            for quantile, value in _quantiles(m.times)
        ),
    )
    yield Family(
        "platform_execution_duration_seconds",
        "Nearest-rank percentiles of the wall time of executions of any module type.",
        tuple(({"quantile": quantile}, value) for quantile, value in _quantiles(metrics.platform.times)),
    )
    yield Family(
        "vendor_executions",
        "Executions that finished in the range, by the supplier's vendor type.",
        tuple(
            ({"module": m.module_type, "vendor_type": vendor}, count)
            for m in modules
            for vendor, count in m.weddings.by_vendor.items()
        ),
    )


def _outcomes(counts: Counts) -> Iterator[tuple[str, int]]:
    for item in fields(counts):
        yield item.name, getattr(counts, item.name)


def _quantiles(times: Times) -> tuple[tuple[str, float | None], ...]:
    named = (("0.5", times.p50_ms), ("0.95", times.p95_ms), ("0.99", times.p99_ms))
    return tuple((quantile, _over(value, _MS_PER_S)) for quantile, value in named)


def _lines(family: Family) -> Iterator[str]:
    name = PREFIX + family.name
    yield f"# HELP {name} {family.about}"
    yield f"# TYPE {name} gauge"
    for labels, value in family.samples:
        if value is not None:
            yield f"{name}{_labelled(labels)} {value!r}"


def _labelled(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _over(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
