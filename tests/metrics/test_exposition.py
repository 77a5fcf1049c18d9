import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.exposition import exposition
from wedsync_ops.metrics.model import Counts, HostLoad, Metrics, Range, Spread, Tally, WeddingCounts

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
)


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
    ],
)
def test_every_figure_is_there_in_base_units(name: str, labels: dict[str, str], value: float) -> None:
    assert parsed(exposition(metrics(BUSY)))[name, frozenset(labels.items())] == pytest.approx(value)


def test_every_metric_is_a_gauge_explained_once_and_no_name_looks_like_a_counter() -> None:
    text = exposition(metrics(BUSY))
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation.endswith(".") for family in families)
    assert len(names) == len(set(names)) == text.count("# HELP ")
    assert all(re.fullmatch(r"wedsync_ops_[a-z_]+", name) and not name.endswith("_total") for name in names)


def test_what_is_not_known_has_no_sample_and_keeps_its_name() -> None:
    text = exposition(metrics(Tally(), HostLoad(None, None, None)))
    assert "None" not in text
    assert "NaN" not in text
    found = {name for name, _ in parsed(text)}
    assert {"executions", "queue_length", "wedding_day_executions", "range_seconds"} <= found
    assert not found & {"error_ratio", "throughput_per_second", "execution_duration_seconds", "host_cpu_ratio"}
    full = exposition(metrics(BUSY))
    assert re.findall("# TYPE (.+)", text) == re.findall("# TYPE (.+)", full)


def test_the_text_ends_in_a_line_feed_and_odd_labels_stay_on_their_line() -> None:
    text = exposition(metrics(BUSY, module="odd-module"))
    assert text.endswith("\n")
    assert all(line.startswith(("# HELP ", "# TYPE ", "wedsync_ops_")) for line in text.splitlines())
