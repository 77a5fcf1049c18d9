"""The figures of executions, reckoned by hand from the rows themselves."""

from typing import Any

import pytest
from hypothesis import strategies as st

from tests.metrics.rows import NOW
from wedsync_ops.instants import HOUR, MINUTE

RAN = ("ok", "error", "timeout", "oom", "killed")

EXECUTION = st.fixed_dictionaries(
    {
        "module_type": st.sampled_from(("email", "sms", "other")),
        "outcome": st.sampled_from((*RAN, "lost", "cancelled")),
        "finished_at": st.integers(-MINUTE, HOUR + MINUTE).map(lambda ago: NOW - ago),
        "duration_us": st.none() | st.integers(0, 10**9),
        "queue_wait_us": st.none() | st.integers(0, 10**10),
        "priority": st.sampled_from((1, 3)),
        "cpu_us": st.none() | st.integers(0, 10**9),
        "memory_kb": st.none() | st.integers(0, 10**6),
        "bytes_sent": st.none() | st.integers(0, 10**6),
        "wedding_days": st.none() | st.integers(-2, 10),
        "in_peak": st.integers(0, 1),
        "vendor_type": st.none() | st.sampled_from(("venue", "florist", "Fotógrafo 📷")),
    }
)


def average(values: list[Any], scale: float = 1.0) -> Any:
    known = [value for value in values if value is not None]
    return pytest.approx(sum(known) / len(known) / scale) if known else None


def nearest(times: list[int], percent: int, rel: float) -> Any:
    """The nearest-rank percentile in ms, to be met within a share of it."""
    ranked = [t for i, t in enumerate(sorted(times), 1) if 100 * i >= percent * len(times)]
    return pytest.approx(ranked[0] / 1000, rel=rel) if ranked else None


def expected_common(found: list[dict[str, Any]], minutes: float = 60, rel: float = 1e-12) -> dict[str, Any]:
    """What the platform's part of the document must say of executions."""
    ran = [row for row in found if row["outcome"] in RAN]
    good = sum(row["outcome"] == "ok" for row in found)
    times = [row["duration_us"] for row in ran if row["duration_us"] is not None]
    urgent = [row["queue_wait_us"] for row in ran if row["priority"] == 3 and row["queue_wait_us"] is not None]
    served = sum(wait <= 60_000_000 for wait in urgent)
    return {
        "total_executions": len(found),
        "successful_executions": good,
        "failed_executions": len(ran) - good,
        "lost_executions": sum(row["outcome"] == "lost" for row in found),
        "cancelled_executions": sum(row["outcome"] == "cancelled" for row in found),
        "average_execution_time_ms": average(times, 1000),
        "p50_execution_time_ms": nearest(times, 50, rel),
        "p95_execution_time_ms": nearest(times, 95, rel),
        "p99_execution_time_ms": nearest(times, 99, rel),
        "error_rate": pytest.approx((len(ran) - good) / len(ran) * 100) if ran else None,
        "throughput": pytest.approx(len(ran) / minutes) if found else None,
        "availability": pytest.approx(100 * served / len(urgent)) if urgent else None,
        "current_queue_length": 0,
    }


def expected_module(found: list[dict[str, Any]], minutes: float = 60, rel: float = 1e-12) -> dict[str, Any]:
    """What a module's part of the document must say of executions."""
    ran = [row for row in found if row["outcome"] in RAN]
    both = [row for row in ran if row["cpu_us"] is not None and row["duration_us"] is not None]
    wall = sum(row["duration_us"] for row in both)
    vendors = [row["vendor_type"] for row in found if row["vendor_type"] is not None]
    return {
        **expected_common(found, minutes, rel),
        "resource_usage": {
            "cpu_usage_avg": pytest.approx(sum(row["cpu_us"] for row in both) / wall * 100) if wall else None,
            "memory_usage_avg": average([row["memory_kb"] for row in ran], 1024),
            "network_io_avg": average([row["bytes_sent"] for row in ran], 1024),
            "queue_wait_time_avg": average([row["queue_wait_us"] for row in ran], 1000),
            "queue_wait_time_p95": nearest(
                [r["queue_wait_us"] for r in ran if r["queue_wait_us"] is not None], 95, rel
            ),
        },
        "wedding_specific_metrics": {
            "wedding_week_executions": sum(row["wedding_days"] in range(8) for row in found),
            "wedding_day_executions": sum(row["wedding_days"] == 0 for row in found),
            "peak_season_executions": sum(row["in_peak"] for row in found),
            "vendor_type_breakdown": {vendor: vendors.count(vendor) for vendor in set(vendors)},
        },
    }
