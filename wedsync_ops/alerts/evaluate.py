"""Whether a condition holds, and what that makes of an alert. Pure: facts and the moment come in, steps go out.

Evaluating the same facts at the same moment again changes nothing: that is what makes a restart, or a second evaluator,
harmless.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from wedsync_ops.alerts.facts import Facts
from wedsync_ops.alerts.measure import Sample, by_subject, samples, span
from wedsync_ops.alerts.model import Alert, AlertState, AlertType, EventKind, Rule, Severity, Silence, Verdict

UNWATCHED = "no longer watched"
"""Why an alert is resolved whose rule or module type is gone."""
_STAYS, _STAYS_BELOW = 0.8, 1.1
"""Where a rule does not say at which value it clears: at this share of its threshold (of one for too little: above)."""
_UNITS = {
    "error_rate": " %",
    "wedding_week_error_rate": " %",
    "wedding_week_load": " %",
    "longest_execution": " ms",
    "average_execution": " ms",
    "throughput": " a minute",
    "error_budget_burn": " times",
    "deviation": " standard deviations",
    "schedule_lateness": " s",
}
COMMANDS: Mapping[AlertType, str] = {
    AlertType.HIGH_ERROR_RATE: "wedsync-ops jobs failures",
    AlertType.HIGH_RESPONSE_TIME: "wedsync-ops metrics --range 1h",
    AlertType.QUEUE_LENGTH: "wedsync-ops queue status",
    AlertType.WEDDING_WEEK_ERRORS: "wedsync-ops jobs failures",
    AlertType.CAPACITY: "wedsync-ops scale status",
    AlertType.LOW_THROUGHPUT: "wedsync-ops queue status",
    AlertType.EXPIRED: "wedsync-ops jobs list --state expired",
    AlertType.ANOMALY: "wedsync-ops metrics --range 1h",
    AlertType.ERROR_BUDGET_BURN: "wedsync-ops jobs failures",
    AlertType.NO_WORKER: "wedsync-ops workers list",
    AlertType.WORKER_SILENT: "wedsync-ops workers list",
    AlertType.SCHEDULE_LATE: "wedsync-ops schedules list",
    AlertType.JOB_QUARANTINED: "wedsync-ops jobs list --state discarded",
    AlertType.WEBHOOK_FAILING: "wedsync-ops events --json",
    AlertType.PROMISE_BROKEN: "wedsync-ops weddings calls",
    AlertType.CUSTOM: "wedsync-ops metrics --range 1h",
}
"""What to run next, by alert type."""
_TAKES_MODULE = (" metrics ", " jobs list ", " jobs failures ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a rule came to for one module type or subject at one moment."""

    rule: Rule
    key: str
    module_type: str | None
    subject: str | None
    value: float | None
    threshold: float
    verdict: Verdict
    severity: Severity
    message: str


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of an alert: as it is then (``None``: it never opened and is forgotten), and what happened to it.

    ``before`` is what it was, ``None`` for a new one.
    """

    alert: Alert | None
    events: tuple[EventKind, ...] = ()
    note: str | None = None
    before: Alert | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A sample and what it means: most say that all is well, and nothing more is made of those."""

    rule: Rule
    sample: Sample
    key: str
    threshold: float
    verdict: Verdict

    def reading(self) -> Reading:
        """The same in words."""
        rule, sample = self.rule, self.sample
        beyond = rule.critical is not None and sample.value is not None and _is_over(rule, sample.value, rule.critical)
        more = "less" if rule.below else "more"
        unit = _UNITS.get(rule.metric, "")
        compared = (
            "" if sample.value is None else f" ({sample.value:,.4g}{unit}, {more} than {self.threshold:,.4g}{unit})"
        )
        return Reading(
            rule=rule,
            key=self.key,
            module_type=sample.module_type,
            subject=sample.subject,
            value=sample.value,
            threshold=self.threshold,
            verdict=self.verdict,
            severity=Severity.CRITICAL if beyond else rule.severity,
            message=sample.said + compared,
        )


def judge(rules: Sequence[Rule], facts: Facts) -> list[Judged]:
    """What every rule comes to, for each module type and subject that it watches."""
    return [_judged(rule, sample) for rule in rules for sample in samples(rule, facts)]


def _judged(rule: Rule, sample: Sample) -> Judged:
    threshold = rule.threshold if rule.threshold is not None else sample.threshold
    limit = 0.0 if threshold is None else threshold
    parts = (part for part in (sample.module_type, sample.subject) if part is not None)
    return Judged(rule, sample, "/".join((rule.name, *parts)), limit, _verdict(rule, sample, limit))


def _verdict(rule: Rule, sample: Sample, threshold: float) -> Verdict:
    if sample.idle:
        return Verdict.CLEAR
    if sample.value is None:
        return Verdict.MISSING
    if _is_over(rule, sample.value, threshold):
        return Verdict.BREACH if _is_enough(rule, sample) else Verdict.HOLD
    line = rule.clears_at
    if line is None:
        line = threshold * _STAYS_BELOW if rule.below else threshold * _STAYS
    is_clear = sample.value >= line if rule.below else sample.value <= line
    return Verdict.CLEAR if is_clear else Verdict.HOLD


_COUNTED = frozenset(
    {
        "error_rate",
        "wedding_week_error_rate",
        "longest_execution",
        "average_execution",
        "error_budget_burn",
        "deviation",
    }
)


def _is_enough(rule: Rule, sample: Sample) -> bool:
    return rule.metric not in _COUNTED or sample.count >= rule.minimum


def _is_over(rule: Rule, value: float, threshold: float) -> bool:
    return value < threshold if rule.below else value > threshold


def evaluate(
    rules: Sequence[Rule], facts: Facts, alerts: Iterable[Alert], silences: Sequence[Silence] = ()
) -> list[Step]:
    """What becomes of every alert that is not over, and which new ones there are; only what changes is listed."""
    return conclude(rules, judge(rules, facts), alerts, silences, facts.now)


def conclude(
    rules: Sequence[Rule],
    judged: Sequence[Judged],
    alerts: Iterable[Alert],
    silences: Sequence[Silence],
    now: int,
) -> list[Step]:
    """The same from what was judged already."""
    known = {alert.key: _not_ahead(alert, now) for alert in alerts}
    in_force = {rule.name: rule for rule in rules}
    steps: list[Step] = []
    for one in judged:
        alert = known.pop(one.key, None)
        if alert is not None or one.verdict is Verdict.BREACH:
            steps.append(_told(alert, advance(alert, one.reading(), now), one.rule, silences, now))
    for alert in known.values():
        rule = in_force.get(alert.rule)
        steps.append(_told(alert, _absent(alert, rule, now), rule, silences, now))
    return [step for step in steps if step.events or step.alert != step.before]


def _not_ahead(alert: Alert, now: int) -> Alert:
    """The alert with nothing that began later than now: the clock was set back, and all would wait for it."""
    if max(alert.since, alert.told_at or 0, alert.clear_since or 0) <= now:
        return alert
    told, clear = alert.told_at, alert.clear_since
    return replace(
        alert,
        since=min(alert.since, now),
        told_at=None if told is None else min(told, now),
        clear_since=None if clear is None else min(clear, now),
    )


def advance(alert: Alert | None, reading: Reading, now: int) -> Step:
    """What a reading makes of the alert with its key, if there is one."""
    if alert is None:
        if reading.verdict is not Verdict.BREACH:
            return Step(None)
        return _opened(_begun(reading, now), reading, now)
    if alert.state is AlertState.PENDING:
        return _still_pending(alert, reading, now)
    return {
        Verdict.BREACH: _goes_on,
        Verdict.HOLD: _goes_on,
        Verdict.MISSING: _is_missing,
        Verdict.CLEAR: _clears,
    }[reading.verdict](alert, reading, now)


def _begun(reading: Reading, now: int) -> Alert:
    rule = reading.rule
    return Alert(
        id=0,
        key=reading.key,
        group=rule.type if rule.type is not AlertType.CUSTOM else rule.name,
        rule=rule.name,
        type=rule.type,
        severity=reading.severity,
        state=AlertState.PENDING,
        module_type=reading.module_type,
        subject=reading.subject,
        since=now,
        opened_at=None,
        updated_at=now,
        value=reading.value,
        worst=reading.value,
        threshold=reading.threshold,
        message=reading.message,
        runbook=rule.runbook_of,
        command=_command(rule.type, reading.module_type),
    )


def _command(kind: AlertType, module_type: str | None) -> str:
    command = COMMANDS[kind]
    takes = module_type is not None and any(part in f"{command} " for part in _TAKES_MODULE)
    return f"{command} --module {module_type}" if takes else command


def _opened(alert: Alert, reading: Reading, now: int) -> Step:
    """The alert opens when its condition has held for long enough."""
    if now - alert.since < reading.rule.for_us:
        return Step(alert)
    opened = replace(alert, state=AlertState.FIRING, opened_at=now, told_at=now)
    return Step(opened, (EventKind.OPENED,))


def _still_pending(alert: Alert, reading: Reading, now: int) -> Step:
    if reading.verdict is Verdict.MISSING:
        return Step(alert)
    if reading.verdict is not Verdict.BREACH:
        return Step(None)
    return _opened(_seen(alert, reading, now), reading, now)


def _seen(alert: Alert, reading: Reading, now: int) -> Alert:
    """The alert with what was just read; a severity that has risen stays."""
    worst = alert.worst
    if reading.value is not None:
        better = min if reading.rule.below else max
        worst = reading.value if worst is None else better(worst, reading.value)
    rises = reading.severity is Severity.CRITICAL
    return replace(
        alert,
        severity=Severity.CRITICAL if rises else alert.severity,
        value=reading.value,
        worst=worst,
        threshold=reading.threshold,
        message=reading.message,
        updated_at=now,
        missing_since=None,
    )


def _goes_on(alert: Alert, reading: Reading, now: int) -> Step:
    seen = replace(_seen(alert, reading, now), clear_since=None)
    events = () if alert.missing_since is None else (EventKind.DATA_BACK,)
    if seen.severity is not alert.severity:
        return Step(replace(seen, told_at=now), (*events, EventKind.WORSENED))
    return Step(seen, events)


def _is_missing(alert: Alert, _: Reading, now: int) -> Step:
    """Nobody knows whether it is over; so it is not."""
    if alert.missing_since is not None:
        return Step(alert)
    return Step(replace(alert, missing_since=now, clear_since=None, updated_at=now), (EventKind.NO_DATA,))


def _clears(alert: Alert, reading: Reading, now: int) -> Step:
    seen = replace(_seen(alert, reading, now), clear_since=alert.clear_since or now, message=alert.message)
    events = () if alert.missing_since is None else (EventKind.DATA_BACK,)
    if now - (seen.clear_since or now) < reading.rule.clear_for_us:
        return Step(seen, events)
    return resolved(seen, now, None)


def resolved(alert: Alert, now: int, note: str | None) -> Step:
    """An alert that is over."""
    over = replace(
        alert, state=AlertState.RESOLVED, resolved_at=now, updated_at=now, missing_since=None, silenced_until=None
    )
    return Step(over, (EventKind.RESOLVED,), note)


def _absent(alert: Alert, rule: Rule | None, now: int) -> Step:
    """An alert that no reading is about any more: its subject is well, or nobody watches it now."""
    if alert.state is AlertState.PENDING:
        return Step(None)
    if rule is None or not by_subject(rule.metric):
        return resolved(alert, now, UNWATCHED)
    since = alert.clear_since or now
    if now - since < rule.clear_for_us:
        return Step(replace(alert, clear_since=since, updated_at=now))
    return resolved(alert, now, None)


def _told(before: Alert | None, step: Step, rule: Rule | None, silences: Sequence[Silence], now: int) -> Step:
    """A step with the silences of the moment, and with a word when an alert that still fires was told long ago."""
    if step.alert is None or step.alert.state is AlertState.RESOLVED:
        return replace(step, before=before)
    alert, events = settled(step.alert, silences, now)
    if before is None or before.state is AlertState.PENDING:
        events = ()  # it opens silenced; that is not news of its own
    told = Step(alert, (*step.events, *events), step.note, before)
    return told if told.events or rule is None else _reminded(told, alert, rule, now)


def _reminded(step: Step, alert: Alert, rule: Rule, now: int) -> Step:
    if alert.state is not AlertState.FIRING or alert.told_at is None or now - alert.told_at < rule.repeat_us:
        return step
    return replace(step, alert=replace(alert, told_at=now), events=(EventKind.REPEATED,))


def settled(alert: Alert, silences: Sequence[Silence], now: int) -> tuple[Alert, tuple[EventKind, ...]]:
    """An alert in the state that follows from what is known of it, and whether it became silent or loud by that."""
    in_force = (one for one in silences if one.ended_at is None and one.until > now)
    until = max((one.until for one in in_force if one.covers(alert)), default=None)
    was = alert.silenced_until is not None
    alert = replace(alert, silenced_until=until)
    alert = replace(alert, state=_state(alert))
    if was == (until is not None) or not alert.is_open:
        return alert, ()
    return (replace(alert, told_at=now), (EventKind.UNSILENCED,)) if was else (alert, (EventKind.SILENCED,))


def _state(alert: Alert) -> AlertState:
    if alert.resolved_at is not None:
        return AlertState.RESOLVED
    if alert.opened_at is None:
        return AlertState.PENDING
    if alert.silenced_until is not None:
        return AlertState.SILENCED
    if alert.acknowledged_at is not None:
        return AlertState.ACKNOWLEDGED
    return AlertState.FIRING if alert.missing_since is None else AlertState.NO_DATA


def lasted(alert: Alert, now: int) -> str:
    """How long an alert has lasted, in words."""
    return span(max(0, (alert.resolved_at or now) - alert.since) // 1_000_000 * 1_000_000)
