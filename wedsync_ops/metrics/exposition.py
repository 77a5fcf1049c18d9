"""The figures in Prometheus's text format 0.0.4, and in OpenMetrics 1.0. Pure.

What describes a range that slides on, or a moment, is a gauge, its percentiles a summary without a count: it falls as
well as it rises. Counters and histograms
are of all executions since the first, which no retention makes fewer. Base units only: seconds, bytes, ratios of 1.
What is not known has no sample. Platform-wide counts are left to the reader (``sum``); only what can't be added up over
module types has a platform series.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from wedsync_ops.instants import SECOND
from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.model import Counts, Metrics, ModuleMetrics, PlatformMetrics, Sums, Times
from wedsync_ops.metrics.sketch import Sketch

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "wedsync_ops_"

TIME_BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
WAIT_BOUNDS_S = (0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0)
"""Upper bounds of the histograms, in seconds; a time within 1 % of one may be counted on its other side."""
_DECLARED_WITHOUT = "_total"
_PERCENT = 100
_MS_PER_S = 1000
_S_PER_MINUTE = 60
_BYTES_PER_KB = 1024
_BYTES_PER_MB = 1024 * 1024


class Sample(NamedTuple):
    """A value under labels; ``suffix`` follows the metric's name."""

    labels: Mapping[str, str]
    value: float | None
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples; ``name`` goes without the prefix, ``type`` is gauge, counter, histogram or summary."""

    name: str
    about: str
    samples: tuple[Sample, ...]
    type: str = "gauge"


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
    ("availability_ratio", "Critical executions that started in time.", lambda m: _over(m.availability, _PERCENT)),
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
_COUNTERS: tuple[tuple[str, str, Callable[[Sums], float]], ...] = (
    ("cpu_seconds_total", "CPU time of executions that ran to an end.", lambda sums: sums.cpu_us / SECOND),
    ("sent_bytes_total", "What executions that ran to an end delivered.", lambda sums: sums.bytes_sent),
    (
        "wedding_week_ran_total",
        "Executions that ran to an end 0 to 7 days before the wedding.",
        lambda sums: sums.week_ran,
    ),
    ("wedding_week_failed_total", "Those of them that failed.", lambda sums: sums.week_failed),
    ("critical_ran_total", "Critical executions that ran to an end, with a known wait.", lambda sums: sums.urgent),
    ("critical_late_total", "Those of them that waited longer than 60 s.", lambda sums: sums.urgent_late),
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
    (
        "platform_availability_ratio",
        "Critical executions of any module type that started in time.",
        lambda p: _over(p.availability, _PERCENT),
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


def exposition(metrics: Metrics, ever: Mapping[str, Sum], more: Iterable[Family] = ()) -> str:
    """The whole text; every line ends in a line feed. ``ever`` is what all executions come to, by module type.

    ``more`` are families of other rooms, that follow.
    """
    return "".join(f"{line}\n" for family in (*families(metrics, ever), *more) for line in _lines(family))


def openmetrics(metrics: Metrics, ever: Mapping[str, Sum], more: Iterable[Family] = ()) -> str:
    """The same in OpenMetrics: a counter is declared without ``_total``, and the last line says that nothing is cut."""
    lines = [line for family in (*families(metrics, ever), *more) for line in _lines(family, _DECLARED_WITHOUT)]
    return "".join(f"{line}\n" for line in (*lines, "# EOF"))


def families(metrics: Metrics, ever: Mapping[str, Sum]) -> Iterator[Family]:
    """Every metric, whether or not it has samples now, so that names and meanings are always there."""
    yield from _gauges(metrics)
    yield from _counters(ever)
    yield _histogram(
        "execution_time_seconds",
        "Wall time of executions that ran to an end, since the first.",
        {name: found.durations.sketch() for name, found in ever.items()},
        TIME_BOUNDS_S,
    )
    yield _histogram(
        "queue_wait_time_seconds",
        "Time from due to start of executions that ran to an end, since the first.",
        {name: found.waits.sketch() for name, found in ever.items()},
        WAIT_BOUNDS_S,
    )


def _counters(ever: Mapping[str, Sum]) -> Iterator[Family]:
    yield Family(
        "finished_executions_total",
        "Executions that finished, since the first.",
        tuple(
            Sample({"module": name, "outcome": outcome}, count)
            for name, found in ever.items()
            for outcome, count in _outcomes(found.sums.counts)
        ),
        "counter",
    )
    for metric, about, figure in _COUNTERS:
        samples = tuple(Sample({"module": name}, figure(found.sums)) for name, found in ever.items())
        yield Family(metric, about, samples, "counter")


def _histogram(metric: str, about: str, sketches: Mapping[str, Sketch], bounds_s: Sequence[float]) -> Family:
    def samples(name: str, sketch: Sketch) -> Iterator[Sample]:
        for bound in bounds_s:
            yield Sample({"module": name, "le": repr(bound)}, sketch.at_most(round(bound * SECOND)), "_bucket")
        yield Sample({"module": name, "le": "+Inf"}, sketch.count, "_bucket")
        yield Sample({"module": name}, sketch.total / SECOND, "_sum")
        yield Sample({"module": name}, sketch.count, "_count")

    found = tuple(sample for name, sketch in sketches.items() for sample in samples(name, sketch))
    return Family(metric, about, found, "histogram")


def _gauges(metrics: Metrics) -> Iterator[Family]:
    seconds = (metrics.range.to_at - metrics.range.from_at) / SECOND
    yield Family("range_seconds", "Length of the range that the figures describe.", (Sample({}, seconds),))
    yield from _distributions(metrics)
    for name, about, figure in _PER_MODULE:
        yield Family(name, about, tuple(Sample({"module": m.module_type}, figure(m)) for m in metrics.modules))
    for name, about, of_platform in _PLATFORM:
        yield Family(name, about, (Sample({}, of_platform(metrics.platform)),))


def _distributions(metrics: Metrics) -> Iterator[Family]:
    modules = metrics.modules
    yield Family(
        "executions",
        "Executions that finished in the range.",
        tuple(
            Sample({"module": m.module_type, "outcome": outcome}, count)
            for m in modules
            for outcome, count in _outcomes(m.counts)
        ),
    )
    yield Family(
        "execution_duration_seconds",
        "Nearest-rank percentiles of the wall time of executions.",
        tuple(
            Sample({"module": m.module_type, "quantile": quantile}, value)
            for m in modules
            for quantile, value in _quantiles(m.times)
        ),
        "summary",
    )
    yield Family(
        "platform_execution_duration_seconds",
        "Nearest-rank percentiles of the wall time of executions of any module type.",
        tuple(Sample({"quantile": quantile}, value) for quantile, value in _quantiles(metrics.platform.times)),
        "summary",
    )
    yield Family(
        "vendor_executions",
        "Executions that finished in the range, by the supplier's vendor type.",
        tuple(
            Sample({"module": m.module_type, "vendor_type": vendor}, count)
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


def _lines(family: Family, ending: str = "") -> Iterator[str]:
    """A family's lines; a counter is declared without the ``ending`` of its name."""
    name = PREFIX + family.name
    declared = name.removesuffix(ending) if family.type == "counter" else name
    yield f"# HELP {declared} {family.about}"
    yield f"# TYPE {declared} {family.type}"
    for sample in family.samples:
        if sample.value is not None:
            yield f"{name}{sample.suffix}{_labelled(sample.labels)} {sample.value!r}"


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
