"""The rules that are always there. Own ones with the same name change them. Pure."""

from collections.abc import Iterable, Mapping

from wedsync_ops.alerts.model import AlertType, Rule, Severity
from wedsync_ops.instants import HOUR, MINUTE

BUILT_IN: tuple[Rule, ...] = (
    Rule(name="high_error_rate", type=AlertType.HIGH_ERROR_RATE, metric="error_rate", minimum=10),
    Rule(name="high_response_time", type=AlertType.HIGH_RESPONSE_TIME, metric="longest_execution"),
    Rule(
        name="queue_length",
        type=AlertType.QUEUE_LENGTH,
        metric="queue_length",
        threshold=1000.0,
        per_module=False,
    ),
    Rule(
        name="wedding_week_errors",
        type=AlertType.WEDDING_WEEK_ERRORS,
        metric="wedding_week_error_rate",
        severity=Severity.CRITICAL,
        threshold=0.1,
    ),
    Rule(
        name="capacity",
        type=AlertType.CAPACITY,
        metric="wedding_week_load",
        severity=Severity.CRITICAL,
        threshold=80.0,
        per_module=False,
        clear_for_us=5 * MINUTE,
    ),
    Rule(
        name="low_throughput",
        type=AlertType.LOW_THROUGHPUT,
        metric="throughput",
        below=True,
        for_us=15 * MINUTE,
    ),
    Rule(
        name="expired",
        type=AlertType.EXPIRED,
        metric="expired_jobs",
        severity=Severity.CRITICAL,
        threshold=0.0,
        window_us=15 * MINUTE,
    ),
    Rule(
        name="anomaly",
        type=AlertType.ANOMALY,
        metric="deviation",
        threshold=5.0,
        clears_at=3.0,
        window_us=15 * MINUTE,
        minimum=30,
        for_us=5 * MINUTE,
        clear_for_us=10 * MINUTE,
    ),
    Rule(
        name="fast_burn",
        type=AlertType.ERROR_BUDGET_BURN,
        metric="error_budget_burn",
        severity=Severity.CRITICAL,
        threshold=14.4,
        per_module=False,
        window_us=HOUR,
        short_us=5 * MINUTE,
        slo_percent=99.0,
        minimum=100,
    ),
    Rule(
        name="slow_burn",
        type=AlertType.ERROR_BUDGET_BURN,
        metric="error_budget_burn",
        threshold=6.0,
        per_module=False,
        window_us=6 * HOUR,
        short_us=30 * MINUTE,
        slo_percent=99.0,
        minimum=200,
    ),
    Rule(
        name="no_worker",
        type=AlertType.NO_WORKER,
        metric="jobs_without_worker",
        severity=Severity.CRITICAL,
        threshold=0.0,
        per_module=False,
        for_us=5 * MINUTE,
        clear_for_us=0,
    ),
    Rule(
        name="worker_silent",
        type=AlertType.WORKER_SILENT,
        metric="silent_workers",
        threshold=0.0,
        per_module=False,
        window_us=15 * MINUTE,
        for_us=MINUTE,
        clear_for_us=0,
    ),
    Rule(
        name="schedule_late",
        type=AlertType.SCHEDULE_LATE,
        metric="schedule_lateness",
        threshold=60.0,
        critical=300.0,
        per_module=False,
        clear_for_us=0,
    ),
    Rule(
        name="job_quarantined",
        type=AlertType.JOB_QUARANTINED,
        metric="quarantined_jobs",
        threshold=0.0,
        window_us=15 * MINUTE,
    ),
    Rule(
        name="promise_broken",
        type=AlertType.PROMISE_BROKEN,
        metric="broken_promises",
        severity=Severity.CRITICAL,
        threshold=0.0,
        for_us=MINUTE,
        clear_for_us=0,
    ),
    Rule(
        name="webhook_failing",
        type=AlertType.WEBHOOK_FAILING,
        metric="webhook_failures",
        threshold=4.0,
        critical=20.0,
        per_module=False,
        clear_for_us=0,
    ),
)


def together(own: Iterable[Rule]) -> tuple[Rule, ...]:
    """Every rule that is in force: those that are always there, changed and added to by one's own."""
    found: Mapping[str, Rule] = {rule.name: rule for rule in (*BUILT_IN, *own)}
    return tuple(rule for rule in found.values() if rule.enabled)


def windows_asked(rules: Iterable[Rule]) -> frozenset[int]:
    """The lengths of the windows that rules ask for, in microseconds."""
    return frozenset(length for rule in rules for length in (rule.window_us, rule.short_us) if length is not None)


def ended_asked(rules: Iterable[Rule]) -> frozenset[int]:
    """The same of jobs that ended badly."""
    return frozenset(rule.window_us for rule in rules if rule.metric in ("expired_jobs", "quarantined_jobs"))
