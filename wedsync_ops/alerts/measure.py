"""From facts to samples: what each metric of a rule is now, and in which words that is told. Pure.

A sample without a value says that nothing can be known; one with ``idle`` that the condition cannot hold now, whatever
the value (a target for throughput counts only while jobs wait).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

from wedsync_ops.alerts.anomaly import Expected, expected
from wedsync_ops.alerts.facts import Facts, SilentWorker, Sums
from wedsync_ops.alerts.model import Rule
from wedsync_ops.instants import HOUR, MINUTE, SECOND, iso

FEWEST_FAILURES = 5
"""Failures of the long window under which errors do not burn the budget: one of a quiet hour must page nobody."""
_US_PER_MS = 1000
_PERCENT = 100
_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A metric's value for one module type or subject; ``count`` is how many executions it rests on.

    ``threshold`` is ``None`` when the rule's own counts; ``said`` tells the value in words.
    """

    module_type: str | None = None
    subject: str | None = None
    value: float | None
    count: int = 0
    threshold: float | None = None
    idle: bool = False
    said: str = ""


def samples(rule: Rule, facts: Facts) -> list[Sample]:
    """The samples of a rule's metric, for each module type or subject that it watches."""
    if rule.metric in _SUBJECTS:
        return list(_SUBJECTS[rule.metric](rule, facts))
    measure = _MODULES[rule.metric]
    return [sample for module in _watched(rule, facts) for sample in measure(rule, facts, module)]


def _watched(rule: Rule, facts: Facts) -> list[str | None]:
    if not rule.per_module:
        return [None]
    used = (name for name, targets in facts.modules.items() if targets.is_used)
    seen = {*used, *facts.waiting, *facts.windows.get(rule.window_us, {})}
    seen |= set(facts.ended.get(rule.window_us, {}))
    return [*sorted(seen if rule.modules is None else seen & rule.modules)]


def by_subject(metric: str) -> bool:
    """Whether the subjects of a metric come and go by themselves: one that is not there any more is well."""
    return metric in _SUBJECTS


def span(length_us: int) -> str:
    """A length in words: ``5 minutes``, ``6 hours``, ``90 seconds``."""
    for unit, word in ((HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
        if length_us >= unit and length_us % unit == 0:
            count = length_us // unit
            return f"{count} {word}{'' if count == 1 else 's'}"
    return f"{length_us / SECOND:g} seconds"


def _of(module: str | None) -> str:
    return "all module types" if module is None else module


def _error_rate(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    sums = facts.sums(rule.window_us, module)
    targets = facts.modules.get(module or "")
    yield Sample(
        module_type=module,
        value=_rate(sums.failed, sums.ran),
        count=sums.ran,
        threshold=5.0 if targets is None else targets.error_rate,
        said=f"{_of(module)}: {sums.failed} of {sums.ran} executions of the last {span(rule.window_us)} failed",
    )


def _wedding_week_error_rate(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    sums = facts.sums(rule.window_us, module)
    yield Sample(
        module_type=module,
        value=_rate(sums.week_failed, sums.week_ran),
        count=sums.week_ran,
        said=f"{_of(module)}: {sums.week_failed} of {sums.week_ran} wedding-week executions of the last"
        f" {span(rule.window_us)} failed",
    )


def _longest(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    sums = facts.sums(rule.window_us, module)
    targets = facts.modules.get(module or "")
    value = sums.longest_us / _US_PER_MS if sums.ran else None
    yield Sample(
        module_type=module,
        value=value,
        count=sums.ran,
        threshold=2000.0 if targets is None else targets.execution_ms,
        said=f"{_of(module)}: an execution of the last {span(rule.window_us)} took {value or 0:,.0f} ms",
    )


def _average(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    sums = facts.sums(rule.window_us, module)
    value = _average_ms(sums)
    yield Sample(
        module_type=module,
        value=value,
        count=sums.ran,
        said=f"{_of(module)}: executions of the last {span(rule.window_us)} took {value or 0:,.0f} ms on average",
    )


def _volume(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    ran = facts.sums(rule.window_us, module).ran
    said = f"{_of(module)}: {ran} executions in the last {span(rule.window_us)}"
    yield Sample(module_type=module, value=float(ran), count=ran, said=said)


def _throughput(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    targets = facts.modules.get(module or "")
    target = rule.threshold if rule.threshold is not None or targets is None else targets.throughput
    if target is None:
        return
    ran, waiting = facts.sums(rule.window_us, module).ran, facts.queue(module)
    value = ran / (rule.window_us / MINUTE)
    yield Sample(
        module_type=module,
        value=value,
        count=ran,
        threshold=target,
        idle=waiting == 0,
        said=f"{_of(module)}: {value:,.1f} executions a minute, while {waiting:,} jobs wait",
    )


def _queue_length(_: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    waiting = facts.queue(module)
    most = sorted(facts.waiting.items(), key=lambda item: -item[1])[:_NAMED] if module is None else []
    mostly = ", most of them " + ", ".join(f"{name} ({count:,})" for name, count in most) if most else ""
    yield Sample(module_type=module, value=float(waiting), said=f"{_of(module)}: {waiting:,} jobs wait{mostly}")


def _load(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    busy = facts.sums(rule.window_us, module).week_us
    value = _PERCENT * busy / (facts.slots * rule.window_us) if facts.slots else None
    yield Sample(
        module_type=module,
        value=value,
        said=f"wedding-week executions took {value or 0:.0f} % of the time of {facts.slots} slots in the last"
        f" {span(rule.window_us)}",
    )


def _burn(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    short_us = rule.short_us or rule.window_us // 12
    allowed = (_PERCENT - (rule.slo_percent or 99.0)) / _PERCENT
    long, short = facts.sums(rule.window_us, module), facts.sums(short_us, module)
    value = None
    if long.ran and short.ran:
        value = min(long.failed / long.ran, short.failed / short.ran) / allowed
        value = value if long.failed >= FEWEST_FAILURES else min(value, rule.clears_at or 0.0)
    yield Sample(
        module_type=module,
        value=value,
        count=long.ran,
        said=f"{_of(module)}: errors use up the budget of {_PERCENT * allowed:g} % {value or 0:.1f} times as fast as"
        f" allowed ({long.failed} of {long.ran} failed in {span(rule.window_us)}, {short.failed} of {short.ran} in"
        f" {span(short_us)})",
    )


def _deviation(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    usual = facts.usual.get(module or "")
    sums, minutes = facts.sums(rule.window_us, module), rule.window_us / MINUTE
    volume = expected(usual.volume, _noise(usual.volume, minutes)) if usual else None
    errors = expected(usual.error_rate, 1.0) if usual else None
    took = expected(usual.execution_ms, 1.0) if usual else None
    is_busy = sums.ran >= rule.minimum
    rate = sums.ran / minutes if volume and volume.median * minutes >= rule.minimum else None
    shown = (
        ("volume", "executions a minute", rate, volume),
        ("error_rate", "% failed", _only_above(_rate(sums.failed, sums.ran), errors, is_busy), errors),
        ("latency", "ms on average", _only_above(_average_ms(sums), took, is_busy), took),
    )
    for subject, unit, value, usually in shown:
        known = value is not None and usually is not None
        deviation = abs(usually.deviation(value)) if value is not None and usually is not None else None
        said = f"{_of(module)}: {value:,.1f} {unit} in the last {span(rule.window_us)}" if known else ""
        said += f", expected {usually.low:,.1f} to {usually.high:,.1f} at this hour of this weekday" if usually else ""
        yield Sample(module_type=module, subject=subject, value=deviation, count=max(sums.ran, rule.minimum), said=said)


def _noise(volumes: tuple[float, ...], minutes: float) -> float:
    """What a count scatters by itself, per minute: the root of it."""
    middle = sorted(volumes)[len(volumes) // 2] if volumes else 0.0
    return max(sqrt(middle * minutes), 1.0) / minutes


def _only_above(value: float | None, usually: Expected | None, is_busy: bool) -> float | None:  # noqa: FBT001
    """Fewer errors and shorter times than usual are nobody's worry; neither is what few executions show."""
    if value is None or usually is None or not is_busy:
        return None
    return max(value, usually.median)


def _expired(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    count = facts.jobs_ended(rule.window_us, module).expired
    said = f"{_of(module)}: {_jobs(count)} of the last {span(rule.window_us)} expired before they could start"
    yield Sample(module_type=module, value=float(count), said=said)


def _quarantined(rule: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    count = facts.jobs_ended(rule.window_us, module).quarantined
    said = f"{_of(module)}: {_jobs(count)} of the last {span(rule.window_us)} were quarantined"
    yield Sample(module_type=module, value=float(count), said=said)


def _broken(_: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    count = sum(facts.broken.values()) if module is None else facts.broken.get(module, 0)
    said = f"{_of(module)}: {_jobs(count)} cannot be done by the deadline any more"
    yield Sample(module_type=module, value=float(count), said=said)


def _without_worker(_: Rule, facts: Facts, module: str | None) -> Iterator[Sample]:
    waiting = 0 if facts.workers else facts.queue(module)
    yield Sample(module_type=module, value=float(waiting), said=f"no worker lives, and {_jobs(waiting)} are due")


def _silent(_: Rule, facts: Facts) -> Iterator[Sample]:
    named = ", ".join(_worker(worker) for worker in facts.silent[:_NAMED])
    more = f" and {len(facts.silent) - _NAMED} more" if len(facts.silent) > _NAMED else ""
    yield Sample(value=float(len(facts.silent)), said=f"{named}{more} and nobody has taken the place")


def _worker(worker: SilentWorker) -> str:
    what = "died" if worker.died else "gives no sign of life"
    return f"the worker {worker.name} on {worker.host} {what} (last heartbeat {iso(worker.heartbeat_at)})"


def _late(rule: Rule, facts: Facts) -> Iterator[Sample]:
    for schedule, lag_us in facts.late.items():
        if lag_us / SECOND > (rule.threshold or 0.0) / 2:
            said = f"the schedule {schedule} should have fired {lag_us / SECOND:,.0f} s ago"
            yield Sample(subject=schedule, value=lag_us / SECOND, said=said)


def _webhook(_: Rule, facts: Facts) -> Iterator[Sample]:
    failures, error = facts.webhook
    said = f"the webhook's receiver failed {failures} times in a row: {error}"
    yield Sample(value=float(failures), said=said)


def _rate(failed: int, ran: int) -> float | None:
    return _PERCENT * failed / ran if ran else None


def _average_ms(sums: Sums) -> float | None:
    return sums.total_us / sums.ran / _US_PER_MS if sums.ran else None


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"


_MODULES: dict[str, Callable[[Rule, Facts, str | None], Iterator[Sample]]] = {
    "error_rate": _error_rate,
    "longest_execution": _longest,
    "average_execution": _average,
    "volume": _volume,
    "throughput": _throughput,
    "queue_length": _queue_length,
    "wedding_week_error_rate": _wedding_week_error_rate,
    "wedding_week_load": _load,
    "error_budget_burn": _burn,
    "deviation": _deviation,
    "expired_jobs": _expired,
    "quarantined_jobs": _quarantined,
    "broken_promises": _broken,
    "jobs_without_worker": _without_worker,
}
_SUBJECTS: dict[str, Callable[[Rule, Facts], Iterator[Sample]]] = {
    "silent_workers": _silent,
    "schedule_lateness": _late,
    "webhook_failures": _webhook,
}
