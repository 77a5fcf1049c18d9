import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.exposition import exposition, openmetrics
from wedsync_ops.metrics.model import (
    Counts,
    HostLoad,
    Kind,
    Metrics,
    Part,
    Range,
    Series,
    Spread,
    Sums,
    Tally,
    WeddingCounts,
)

HOUR = Range(0, 3_600_000_000)
ODD = 'back\\slash "quoted"\nline'
BUSY = Tally(
    counts=Counts(ok=9, timeout=1, lost=2),
    spread=Spread([250_000, 500_000], None, 750_000),
    cpu_us=100,
    cpu_wall_us=400,
    memory_kb=1024.0,
    bytes_sent=2048.0,
    queue_wait_us=1_500_000.0,
    weddings=WeddingCounts(4, 1, 6, {"venue": 3, ODD: 1}),
    urgent=4,
    urgent_late=1,
)


def since_ever() -> Sum:
    found = Sum()
    sums = Sums(ok=90, timeout=10, lost=2, cpu_us=2_500_000, bytes_sent=77, week_ran=5, week_failed=1, urgent=4)
    spread = Spread([2_000, 250_000, 700_000_000], [7, 2, 1], 700_514_000)
    found.add(Part(0, Series(Kind.ALL, "email", ""), sums._replace(urgent_late=1), spread, spread))
    return found


EVER = {"email": since_ever()}
LOAD = HostLoad(50.0, 25.0, 100.0)


def metrics(tally: Tally, load: HostLoad = LOAD, module: str = "email") -> Metrics:
    utilized = aggregate.utilization(load, tally.counts.ran, seconds=60, network_capacity_mbps=1000)
    return Metrics(
        HOUR,
        aggregate.platform_metrics([tally], HOUR, 5, utilized),
        (aggregate.module_metrics(module, tally, HOUR, 5),),
    )


def parsed(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name.removeprefix("wedsync_ops_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("range_seconds", {}, 3600.0),
        ("executions", {"module": "email", "outcome": "ok"}, 9),
        ("executions", {"module": "email", "outcome": "timeout"}, 1),
        ("executions", {"module": "email", "outcome": "lost"}, 2),
        ("executions", {"module": "email", "outcome": "oom"}, 0),
        ("execution_duration_seconds", {"module": "email", "quantile": "0.5"}, 0.25),
        ("execution_duration_seconds", {"module": "email", "quantile": "0.99"}, 0.5),
        ("execution_duration_average_seconds", {"module": "email"}, 0.375),
        ("error_ratio", {"module": "email"}, 0.1),
        ("throughput_per_second", {"module": "email"}, 10 / 3600),
        ("queue_length", {"module": "email"}, 5),
        ("execution_cpu_ratio", {"module": "email"}, 0.25),
        ("execution_memory_bytes", {"module": "email"}, 1024 * 1024),
        ("execution_sent_bytes", {"module": "email"}, 2048),
        ("queue_wait_seconds", {"module": "email"}, 1.5),
        ("wedding_week_executions", {"module": "email"}, 4),
        ("wedding_day_executions", {"module": "email"}, 1),
        ("peak_season_executions", {"module": "email"}, 6),
        ("vendor_executions", {"module": "email", "vendor_type": "venue"}, 3),
        ("vendor_executions", {"module": "email", "vendor_type": ODD}, 1),
        ("platform_execution_duration_seconds", {"quantile": "0.95"}, 0.5),
        ("platform_execution_duration_average_seconds", {}, 0.375),
        ("platform_error_ratio", {}, 0.1),
        ("platform_queue_length", {}, 5),
        ("host_cpu_ratio", {}, 0.5),
        ("host_memory_ratio", {}, 0.25),
        ("host_network_ratio", {}, 0.1),
        ("queue_processing_per_second", {}, 10 / 60),
        ("availability_ratio", {"module": "email"}, 0.75),
        ("platform_availability_ratio", {}, 0.75),
        ("finished_executions_total", {"module": "email", "outcome": "ok"}, 90),
        ("finished_executions_total", {"module": "email", "outcome": "lost"}, 2),
        ("finished_executions_total", {"module": "email", "outcome": "killed"}, 0),
        ("cpu_seconds_total", {"module": "email"}, 2.5),
        ("sent_bytes_total", {"module": "email"}, 77),
        ("wedding_week_ran_total", {"module": "email"}, 5),
        ("wedding_week_failed_total", {"module": "email"}, 1),
        ("critical_ran_total", {"module": "email"}, 4),
        ("critical_late_total", {"module": "email"}, 1),
        ("execution_time_seconds_bucket", {"module": "email", "le": "0.001"}, 0),
        ("execution_time_seconds_bucket", {"module": "email", "le": "0.005"}, 7),
        ("execution_time_seconds_bucket", {"module": "email", "le": "0.5"}, 9),
        ("execution_time_seconds_bucket", {"module": "email", "le": "+Inf"}, 10),
        ("execution_time_seconds_count", {"module": "email"}, 10),
        ("execution_time_seconds_sum", {"module": "email"}, 700.514),
        ("queue_wait_time_seconds_bucket", {"module": "email", "le": "900.0"}, 10),
        ("queue_wait_time_seconds_sum", {"module": "email"}, 700.514),
    ],
)
def test_every_figure_is_there_in_base_units(name: str, labels: dict[str, str], value: float) -> None:
    assert parsed(exposition(metrics(BUSY), EVER))[name, frozenset(labels.items())] == pytest.approx(value)


def test_every_metric_is_explained_once_and_says_what_it_is() -> None:
    text = exposition(metrics(BUSY), EVER)
    types = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    assert len(types) == len(dict(types)) == text.count("# HELP ")
    assert {kind for _, kind in types} == {"gauge", "counter", "histogram", "summary"}
    assert all(re.fullmatch(r"wedsync_ops_[a-z_]+", name) for name, _ in types)
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in types)
    assert all(name.endswith("_seconds") for name, kind in types if kind == "histogram")
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation.endswith(".") for family in families)
    # Whoever reads it as OpenMetrics knows a counter without its suffix: even then no name is taken twice.
    assert len({family.name for family in families}) == len(families) == len(types)


def test_the_buckets_of_a_histogram_never_fall() -> None:
    (found,) = (
        f for f in text_string_to_metric_families(exposition(metrics(BUSY), EVER)) if "execution_time" in f.name
    )
    counts = [sample.value for sample in found.samples if sample.name.endswith("_bucket")]
    assert counts == sorted(counts)
    assert len(counts) == 16


def test_what_is_not_known_has_no_sample_and_keeps_its_name() -> None:
    text = exposition(metrics(Tally(), HostLoad(None, None, None)), {})
    assert "None" not in text
    assert "NaN" not in text
    found = {name for name, _ in parsed(text)}
    assert {"executions", "queue_length", "wedding_day_executions", "range_seconds"} <= found
    assert not found & {"error_ratio", "throughput_per_second", "execution_duration_seconds", "host_cpu_ratio"}
    full = exposition(metrics(BUSY), EVER)
    assert re.findall("# TYPE (.+)", text) == re.findall("# TYPE (.+)", full)


def test_the_text_ends_in_a_line_feed_and_odd_labels_stay_on_their_line() -> None:
    text = exposition(metrics(BUSY, module="odd-module"), {ODD: EVER["email"]})
    assert text.endswith("\n")
    assert all(line.startswith(("# HELP ", "# TYPE ", "wedsync_ops_")) for line in text.splitlines())


def test_openmetrics_says_the_same_and_its_strict_reader_takes_it() -> None:
    text = openmetrics(metrics(BUSY, module=ODD), {ODD: EVER["email"]})
    found = {
        (sample.name.removeprefix("wedsync_ops_"), frozenset(sample.labels.items())): sample.value
        for family in openmetrics_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert found == parsed(exposition(metrics(BUSY, module=ODD), {ODD: EVER["email"]}))
    assert text.endswith("\n# EOF\n")
    assert list(openmetrics_families(openmetrics(metrics(Tally(), HostLoad(None, None, None)), {})))  # type: ignore[no-untyped-call]


def test_only_a_summary_has_quantiles() -> None:
    text = exposition(metrics(BUSY), EVER)
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    assert {kinds[name] for name in re.findall(r"^(\w+){[^}]*quantile=", text, re.MULTILINE)} == {"summary"}
