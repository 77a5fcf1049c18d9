from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.metrics import rows
from tests.metrics.reckoned import EXECUTION, RAN, expected_common, expected_module
from tests.metrics.rows import NOW
from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownModule, UsageError
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.metrics.actions import measure, parse_range, to_document
from wedsync_ops.metrics.model import Kind, Range
from wedsync_ops.metrics.store import executions

MODULES = ("email", "sms")


def document(database: Database, range_us: int = HOUR, module: str | None = None) -> dict[str, Any]:
    found = measure(database, MODULES, range_us=range_us, now=NOW, module=module, network_capacity_mbps=500.0)
    return to_document(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5m", 5 * MINUTE), ("1h", HOUR), ("24h", DAY), ("7d", 7 * DAY), ("30d", 30 * DAY), ("90s", 90 * SECOND)],
)
def test_ranges_are_a_number_and_a_unit(text: str, expected: int) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "0m", "-1h", "1.5h", "1w", "1h30m", "١h", "9999999999d", "3651d", "1H"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError, match="is not a range"):
        parse_range(text)


def test_an_empty_platform_has_counts_of_zero_and_knows_nothing_else(database: Database) -> None:
    unknown_times = dict.fromkeys(f"{name}_execution_time_ms" for name in ("average", "p50", "p95", "p99"))
    counts = dict.fromkeys((f"{name}_executions" for name in ("total", "successful", "failed", "lost", "cancelled")), 0)
    rates = dict.fromkeys(("error_rate", "throughput", "availability"))
    common = {**counts, **unknown_times, **rates, "current_queue_length": 0}
    usage = dict.fromkeys(
        ("cpu_usage_avg", "memory_usage_avg", "network_io_avg", "queue_wait_time_avg", "queue_wait_time_p95")
    )
    near = ("wedding_week_executions", "wedding_day_executions", "peak_season_executions")
    weddings: dict[str, Any] = {**dict.fromkeys(near, 0), "vendor_type_breakdown": {}}
    utilization = dict.fromkeys(("cpu_usage", "memory_usage", "network_usage", "queue_processing_rate"))

    found = document(database)

    assert list(found) == ["schema", "range", "platform", "modules"]
    assert found == {
        "schema": "wedsync-ops/metrics@1",
        "range": {"from": "2027-06-19T11:00:00.000000Z", "to": "2027-06-19T12:00:00.000000Z"},
        "platform": {**common, "resource_utilization": utilization},
        "modules": [
            {"module_type": name, **common, "resource_usage": usage, "wedding_specific_metrics": weddings}
            for name in MODULES
        ],
    }


def test_the_range_includes_its_start_and_not_its_end(database: Database) -> None:
    edges = [NOW - HOUR - 1, NOW - HOUR, NOW - 1, NOW]
    rows.executions(database, [{"finished_at": at, "duration_us": i} for i, at in enumerate(edges)])
    found = document(database)["platform"]
    assert found["total_executions"] == 2
    assert found["p99_execution_time_ms"] == 0.002


def test_every_outcome_is_counted_where_it_belongs(database: Database) -> None:
    every = {"ok": 3, "error": 1, "timeout": 2, "oom": 1, "killed": 1, "lost": 4, "cancelled": 5}
    rows.executions(database, [{"outcome": outcome} for outcome, many in every.items() for _ in range(many)])
    found = document(database)
    for figures in (found["platform"], found["modules"][0]):
        assert figures["successful_executions"] == 3
        assert figures["failed_executions"] == 5
        assert figures["lost_executions"] == 4
        assert figures["cancelled_executions"] == 5
        assert figures["total_executions"] == 17
        assert figures["error_rate"] == 62.5
        assert figures["throughput"] == pytest.approx(8 / 60)


def test_times_and_usage_are_of_executions_that_ran_and_were_measured(database: Database) -> None:
    costs = {"cpu_us": 500, "memory_kb": 1024, "bytes_sent": 2048, "queue_wait_us": 4000}
    much = {"cpu_us": 10**9, "memory_kb": 10**9, "bytes_sent": 10**9, "queue_wait_us": 10**9, "duration_us": 10**9}
    rows.executions(
        database,
        [
            {"duration_us": 1000, **costs},
            {"duration_us": 3000, "outcome": "error"},
            {"duration_us": None, "outcome": "killed", "cpu_us": 10**9},
            {"outcome": "lost", **much},
            {"outcome": "cancelled", **much},
        ],
    )
    found = document(database)["modules"][0]
    assert found["average_execution_time_ms"] == 2.0
    assert (found["p50_execution_time_ms"], found["p99_execution_time_ms"]) == (1.0, 3.0)
    assert found["resource_usage"] == {
        "cpu_usage_avg": 50.0,
        "memory_usage_avg": 1.0,
        "network_io_avg": 2.0,
        "queue_wait_time_avg": 4.0,
        "queue_wait_time_p95": 4.0,
    }


def test_executions_near_a_wedding_in_season_and_by_vendor(database: Database) -> None:
    rows.executions(
        database,
        [
            *({"wedding_days": days} for days in (-1, 0, 1, 7, 8, None)),
            {"in_peak": 1, "vendor_type": "photographer"},
            {"in_peak": 1, "vendor_type": "photographer", "outcome": "lost"},
            {"vendor_type": 'a "quoted", odd\nvendor'},
            {"vendor_type": "venue", "module_type": "sms"},
        ],
    )
    found = document(database)["modules"]
    assert found[0]["wedding_specific_metrics"] == {
        "wedding_week_executions": 3,
        "wedding_day_executions": 1,
        "peak_season_executions": 2,
        "vendor_type_breakdown": {'a "quoted", odd\nvendor': 1, "photographer": 2},
    }
    assert found[1]["wedding_specific_metrics"]["vendor_type_breakdown"] == {"venue": 1}


def test_the_queue_is_what_could_start_now(database: Database) -> None:
    rows.lanes(database, ("email", 1, 0, 7), ("email", 1, 3, -2), ("email", 3, 0, 1), ("sms", 0, 0, 4))
    rows.jobs(
        database,
        [
            {"due_at": NOW},
            {"due_at": NOW + 1},
            {"state": "retryable", "due_at": NOW - 5},
            {"state": "retryable", "due_at": NOW + 5},
            {"state": "available", "due_at": NOW - 5},
            {"state": "completed", "due_at": NOW - 5, "finished_at": NOW},
            {"module_type": "sms", "due_at": NOW - DAY},
        ],
    )
    found = document(database)
    assert [module["current_queue_length"] for module in found["modules"]] == [8, 5]
    assert found["platform"]["current_queue_length"] == 13


def test_hosts_count_alike_however_often_they_were_sampled_in_the_last_minute(database: Database) -> None:
    rows.samples(
        database,
        [
            {"sampled_at": NOW, "cpu_percent": 10.0, "memory_percent": 40.0, "network_mbps": None},
            {"sampled_at": NOW - 1, "cpu_percent": 20.0, "memory_percent": 40.0, "network_mbps": 100.0},
            {"sampled_at": NOW - MINUTE, "cpu_percent": 99.0, "memory_percent": 99.0, "network_mbps": 99.0},
            {"sampled_at": NOW + 1, "cpu_percent": 99.0, "memory_percent": 99.0, "network_mbps": 99.0},
            {"host": "b", "cpu_percent": 45.0, "memory_percent": 60.0, "network_mbps": 200.0},
            {"host": "c", "sampled_at": NOW - DAY, "cpu_percent": 99.0},
        ],
    )
    found = document(database)["platform"]["resource_utilization"]
    assert found == {"cpu_usage": 30.0, "memory_usage": 50.0, "network_usage": 30.0, "queue_processing_rate": None}


def test_the_processing_rate_is_of_the_last_minute_whatever_the_range(database: Database) -> None:
    recent: list[dict[str, Any]] = [
        {"finished_at": NOW - MINUTE},
        {"finished_at": NOW - 1},
        {"finished_at": NOW - 1, "module_type": "sms"},
    ]
    others: list[dict[str, Any]] = [
        {"finished_at": NOW - MINUTE - 1},
        {"finished_at": NOW - 1, "outcome": "lost"},
        {"finished_at": NOW},
    ]
    rows.executions(database, recent + others)
    for range_us in (SECOND, DAY):
        assert document(database, range_us)["platform"]["resource_utilization"]["queue_processing_rate"] == 0.05


def test_one_module_may_be_asked_for_and_the_platform_stays_whole(database: Database) -> None:
    rows.executions(database, [{}, {"module_type": "sms"}])
    found = document(database, module="sms")
    assert [module["module_type"] for module in found["modules"]] == ["sms"]
    assert found["platform"]["total_executions"] == 2


def test_a_type_that_is_no_longer_registered_counts_and_is_listed_while_it_has_figures(database: Database) -> None:
    rows.executions(database, [{"module_type": "retired"}, {"module_type": "ancient", "finished_at": NOW - DAY}])
    rows.lanes(database, ("gone", 1, 0, 2), ("empty", 1, 0, 0))
    found = document(database)
    assert [module["module_type"] for module in found["modules"]] == ["email", "sms", "gone", "retired"]
    assert found["platform"]["total_executions"] == 1
    assert document(database, module="ancient")["modules"][0]["total_executions"] == 0


def test_an_unknown_module_is_an_error_that_names_it(database: Database) -> None:
    with pytest.raises(UnknownModule, match="'emial'"):
        document(database, module="emial")


def test_a_range_longer_than_time_starts_with_the_epoch(database: Database) -> None:
    found = measure(database, MODULES, range_us=HOUR, now=MINUTE)
    assert found.range == Range(0, MINUTE)


def test_very_many_executions_are_measured_within_one_percent(database: Database) -> None:
    sizes = [value * 10**power + 7 for power in range(9) for value in range(1, 40)]
    rows.executions(
        database,
        [{"duration_us": us, "queue_wait_us": us + 3, "vendor_type": "venue", "cpu_us": 1} for us in sizes]
        + [{"outcome": "lost", "duration_us": 5}, {"outcome": "error", "duration_us": 999}, {"duration_us": None}],
    )
    scope = executions.in_range("email", Range(NOW - HOUR, NOW))
    elsewhere = executions.in_range("sms", Range(NOW - HOUR, NOW))
    with database.reading() as connection:
        (exact,) = executions.parts(connection, scope, Kind.VENDOR_TYPE, exact_limit=1000)[1:]
        (rounded,) = executions.parts(connection, scope, Kind.VENDOR_TYPE, exact_limit=10)[1:]
        assert not executions.parts(connection, elsewhere, Kind.ALL, exact_limit=10)
    assert (exact.series, exact.sums) == (rounded.series, rounded.sums)
    for true, found in ((exact.durations, rounded.durations), (exact.waits, rounded.waits)):
        assert (true.counts, found.size, found.total_us) == (None, true.size, true.total_us)
        assert found.counts is not None
        listed = [v for v, many in zip(found.values, found.counts, strict=True) for _ in range(many)]
        assert listed == pytest.approx(list(true.values), rel=0.0005)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EXECUTION, max_size=40))
def test_the_figures_equal_those_that_are_reckoned_by_hand(database: Database, all_rows: list[dict[str, Any]]) -> None:
    rows.forget(database)
    rows.executions(database, all_rows)
    inside = [row for row in all_rows if NOW - HOUR <= row["finished_at"] < NOW]
    lately = [row for row in inside if row["outcome"] in RAN and row["finished_at"] >= NOW - MINUTE]

    found = document(database)

    assert found["platform"] == {
        **expected_common(inside),
        "resource_utilization": {
            "cpu_usage": None,
            "memory_usage": None,
            "network_usage": None,
            "queue_processing_rate": pytest.approx(len(lately) / 60) if lately else None,
        },
    }
    others = ["other"] if any(row["module_type"] == "other" for row in inside) else []
    assert found["modules"] == [
        {"module_type": name, **expected_module([row for row in inside if row["module_type"] == name])}
        for name in (*MODULES, *others)
    ]
