"""The alerts that would have opened, minute by minute, by the rules and the evaluation that real ones have. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wedsync_ops.alerts.evaluate import evaluate
from wedsync_ops.alerts.facts import Facts, Point, Sums, Targets
from wedsync_ops.alerts.model import Alert, EventKind, Rule
from wedsync_ops.instants import MINUTE
from wedsync_ops.planning.simulate.model import Alarm

_WATCHED = frozenset(
    {
        "error_rate",
        "longest_execution",
        "average_execution",
        "volume",
        "throughput",
        "queue_length",
        "wedding_week_error_rate",
        "wedding_week_load",
        "error_budget_burn",
        "jobs_without_worker",
    }
)
"""What a simulation knows enough of; the rest (unusual figures, late schedules) needs a past or what is not there."""

_MAY_RISE = frozenset({"average_execution", "volume"})
"""What may come to be beyond a threshold although nothing runs."""


class Watch:
    """Evaluates the rules once a minute. ``busy`` is the slots that the wedding week takes, while that is alerted."""

    def __init__(self, rules: Sequence[Rule], targets: Mapping[str, Targets]) -> None:
        self._rules = tuple(rule for rule in rules if rule.enabled and rule.metric in _WATCHED)
        self._targets = targets
        self._rests = all(rule.metric not in _MAY_RISE for rule in self._rules)
        lengths = {length for rule in self._rules for length in (rule.window_us, rule.short_us) if length is not None}
        self._windows = {length: _Window(length) for length in sorted(lengths)}
        self._alerts: dict[str, Alert] = {}
        self._opened = 0
        self.alarms: dict[int, Alarm] = {}
        self.busy: float | None = None

    def look(self, now: int, points: Sequence[Point], waiting: Mapping[str, int], workers: int, slots: int) -> None:
        """Evaluate at the end of a minute, of which these are the executions."""
        if not self._rules:
            return
        for window in self._windows.values():
            window.add(now, points)
        if not points and not waiting and self._is_quiet:
            return
        facts = Facts(
            now=now,
            modules=self._targets,
            windows={length: window.sums() for length, window in self._windows.items()},
            waiting=waiting,
            workers=workers,
            slots=slots,
        )
        for step in evaluate(self._rules, facts, self._alerts.values()):
            self._follow(step.before, step.alert, step.events, now)
        self.busy = self._week_busy(facts)

    @property
    def _is_quiet(self) -> bool:
        """Whether no rule can come to anything while nothing runs and nothing waits."""
        return self._rests and not self._alerts and not any(window.has_failures for window in self._windows.values())

    def _follow(self, before: Alert | None, alert: Alert | None, events: Sequence[EventKind], now: int) -> None:
        if before is not None:
            del self._alerts[before.key]
        if alert is None:
            return
        if not alert.id:
            self._opened += 1
            alert = replace(alert, id=self._opened)
        if alert.resolved_at is None:
            self._alerts[alert.key] = alert
        if EventKind.OPENED in events:
            self.alarms[alert.id] = Alarm(
                rule=alert.rule,
                module_type=alert.module_type,
                severity=alert.severity.value,
                opened_at=now,
                resolved_at=None,
                message=alert.message,
            )
        elif EventKind.RESOLVED in events and alert.id in self.alarms:
            self.alarms[alert.id] = replace(self.alarms[alert.id], resolved_at=now)

    def _week_busy(self, facts: Facts) -> float | None:
        """What an open alert of the wedding week's load asks the autoscaler to take on."""
        asking = [
            rule
            for rule in self._rules
            if rule.metric == "wedding_week_load"
            and any(alert.rule == rule.name and alert.is_open for alert in self._alerts.values())
        ]
        return max((facts.sums(rule.window_us, None).week_us / rule.window_us for rule in asking), default=None)


class _Window:
    """The executions of the latest minutes, added up as they come and go."""

    def __init__(self, length_us: int) -> None:
        self._length_us = length_us
        self._points: deque[Point] = deque()
        self._sums: dict[str, list[int]] = {}

    @property
    def has_failures(self) -> bool:
        """Whether any of them failed."""
        return any(sums[1] for sums in self._sums.values())

    def add(self, now: int, points: Sequence[Point]) -> None:
        """A minute has passed, of which these are the executions."""
        for point in points:
            self._points.append(point)
            self._count(point, 1)
        since = max(self._length_us, MINUTE)
        while self._points and self._points[0].from_at < now - since:
            self._count(self._points.popleft(), -1)

    def sums(self) -> dict[str, Sums]:
        """By module type; the longest is that of what is left."""
        longest: dict[str, int] = {}
        for point in self._points:
            if point.sums.longest_us > longest.get(point.module_type, 0):
                longest[point.module_type] = point.sums.longest_us
        return {
            name: Sums._make((*sums[:-1], longest.get(name, 0))) for name, sums in self._sums.items() if sums[0] > 0
        }

    def _count(self, point: Point, sign: int) -> None:
        sums = self._sums.setdefault(point.module_type, [0] * len(Sums._fields))
        for place, value in enumerate(point.sums):
            sums[place] += sign * value
