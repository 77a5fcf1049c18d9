"""Facts, rules and readings for tests, like plain ones but for what a test says."""

from typing import Any

from wedsync_ops.alerts.evaluate import Reading
from wedsync_ops.alerts.facts import Facts, Sums, Targets
from wedsync_ops.alerts.model import AlertType, Rule, Severity, Verdict
from wedsync_ops.instants import MINUTE, parse_instant

NOW = parse_instant("2027-06-19T12:00:00Z")
EMAIL = Targets(5.0, 2000.0, None)


def rule(**changes: Any) -> Rule:
    """A rule that opens above 10 and clears at 8, after no time."""
    plain: dict[str, Any] = {
        "name": "errors",
        "type": AlertType.HIGH_ERROR_RATE,
        "metric": "error_rate",
        "threshold": 10.0,
        "clears_at": 8.0,
        "clear_for_us": 0,
    }
    return Rule(**{**plain, **changes})


def reading(verdict: Verdict, value: float | None = 50.0, **changes: Any) -> Reading:
    watched = changes.pop("rule", rule())
    plain: dict[str, Any] = {
        "rule": watched,
        "key": "errors/email",
        "module_type": "email",
        "subject": None,
        "value": value,
        "threshold": 10.0,
        "verdict": verdict,
        "severity": Severity.WARNING,
        "message": "many fail",
    }
    return Reading(**{**plain, **changes})


def facts(now: int = NOW, window: dict[str, Sums] | None = None, **changes: Any) -> Facts:
    """Facts whose every window holds the same executions."""
    found = window or {}
    lengths = (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE, 360 * MINUTE)
    plain: dict[str, Any] = {"now": now, "modules": {"email": EMAIL}, "windows": dict.fromkeys(lengths, found)}
    return Facts(**{**plain, **changes})
