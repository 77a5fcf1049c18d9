"""A report as JSON."""

from typing import Any

from wedsync_ops.instants import iso
from wedsync_ops.metrics.actions import to_document as metrics_document
from wedsync_ops.operations.report.model import Bucket, Report
from wedsync_ops.operations.report.words import OUTCOMES, missed, outcome


def to_document(report: Report) -> dict[str, Any]:
    """The document, without its schema."""
    measured = metrics_document(report.metrics)
    platform = {name: value for name, value in measured["platform"].items() if name != "current_queue_length"}
    modules = [
        {**{name: value for name, value in module.items() if name != "current_queue_length"}, "missed_targets": words}
        for module, words in zip(measured["modules"], _missed(report), strict=True)
    ]
    over, weddings = report.period, report.weddings
    return {
        "kind": over.kind,
        "range": {"from": iso(over.from_at), "to": iso(over.to_at)},
        "timezone": over.zone,
        "made_at": iso(report.made_at),
        "season": {
            "current_season": report.season.word,
            "expected_load_multiplier": report.season.multiplier,
            "weekend_surge_active": report.season.is_weekend,
        },
        "availability": {
            "percent": report.availability.percent,
            "minutes": report.availability.minutes,
            "late_minutes": report.availability.late,
        },
        "platform": {**platform, "p95_queue_wait_ms": report.wait_p95_ms},
        "modules": modules,
        "buckets": [_bucket(bucket) for bucket in report.buckets],
        "weddings": {
            "served": weddings.served,
            "served_in_wedding_week": weddings.served_in_week,
            "by_days_before": [{"days": one.days, "ok": one.ok, "failed": one.failed} for one in weddings.by_days],
        },
        "failures": [
            {
                "module_type": one.module_type,
                "error_fingerprint": one.fingerprint,
                "count": one.count,
                "wedding_week_executions": one.wedding_week,
                "last_seen": iso(one.last_seen),
                "error": one.error,
            }
            for one in report.failures
        ],
    }


def _missed(report: Report) -> list[list[str]]:
    return [missed(module, report.targets.get(module.module_type)) for module in report.metrics.modules]


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {
        "at": iso(bucket.at),
        "outcomes": {name: outcome(bucket.counts, name) for name in OUTCOMES},
        "error_rate": bucket.error_rate,
        "p50_execution_time_ms": bucket.p50_ms,
        "p95_execution_time_ms": bucket.p95_ms,
        "p99_execution_time_ms": bucket.p99_ms,
        "p50_queue_wait_ms": bucket.wait_p50_ms,
        "p95_queue_wait_ms": bucket.wait_p95_ms,
    }
