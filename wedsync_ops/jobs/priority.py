"""The effective priority of a job, with its reasons. Pure.

The highest of four rules (what was asked for, the wedding's nearness, the peak season, the vendor type's boost), raised
by a weekend in wedding week, then by waiting. The result is never below what was asked for.
"""

from dataclasses import replace
from datetime import date
from functools import lru_cache

from wedsync_ops.instants import MINUTE, local_date
from wedsync_ops.jobs.model import Decision, Priority
from wedsync_ops.modules.model import WeddingRules
from wedsync_ops.modules.overrides import Overrides
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Calendar, Season, Wedding
from wedsync_ops.weddings.proximity import days_until, in_wedding_week, next_boundary
from wedsync_ops.weddings.season import season_on, weekend_on

_NORMAL_WITHIN_DAYS = 30
_CRITICAL_WITHIN_DAYS = 1


def decide(
    requested: Priority,
    at: int,
    *,
    wedding: Wedding | None,
    calendar: Calendar,
    rules: WeddingRules,
    boost: int,
    waited_us: int = 0,
    ageing_us: int,
) -> Decision:
    """Decide the priority of a job for the instant ``at``: when it is due, or while it waits.

    ``boost`` is the vendor type's, in steps; ``waited_us`` how long the job has been available at ``at``, ``ageing_us``
    the wait (more than 0) that is worth one step; all times in microseconds.
    """
    day = local_date(at, calendar.zone)
    peak = rules.seasonal_scaling and season_on(day, calendar) is Season.PEAK
    if wedding is None or not rules.wedding_week_priority:
        boundary = None
        decided, reasons, raised = _by_rules(requested, None, None, boost, peak=peak, weekend=False)
    else:
        days = days_until(wedding, at)
        near = 0 <= days <= _NORMAL_WITHIN_DAYS
        boundary = next_boundary(wedding, at)
        decided, reasons, raised = _by_rules(
            requested,
            days if near else None,
            wedding.on if near else None,
            boost,
            peak=peak,
            weekend=weekend_on(day),
        )
    if decided >= Priority.HIGH:
        return Decision(decided, reasons, raised, None if requested is Priority.CRITICAL else boundary)
    steps = waited_us // ageing_us
    if steps > 0:
        decided, reasons = _aged(decided, reasons, steps, waited_us)
    if decided < Priority.HIGH:
        older = at - waited_us + (steps + 1) * ageing_us
        boundary = older if boundary is None or older < boundary else boundary
    return Decision(decided, reasons, raised, boundary)


def raised(requested: Priority, overrides: Overrides | None) -> Priority:
    """What was asked for, raised by the customisations that hold for the job: steps up to high, a least priority."""
    if overrides is None:
        return requested
    boosted = Priority(min(requested + overrides.priority_boost, Priority.HIGH))
    least = Priority.LOW if overrides.priority is None else Priority[overrides.priority.upper()]
    return max(requested, boosted, least)


def explained(decision: Decision, requested: Priority, overrides: Overrides | None) -> Decision:
    """A decision for what ``raised`` gave, with the customisations among its reasons."""
    asked = raised(requested, overrides)
    if overrides is None or asked is requested:
        return decision
    told = (
        f"asked for: {requested.word}",
        f"customised by {overrides.by('priority', 'priority_boost')}: raised to {asked.word}",
    )
    return replace(decision, reasons=(*told, *decision.reasons[1:]))


def boost_for(rules: WeddingRules, vendor_type: str | None) -> int:
    """The steps that a module type adds for a vendor type, singular or plural; 0 when it has no rule for it."""
    if vendor_type is None or not rules.vendor_type_optimization:
        return 0
    name = singular(vendor_type)
    exact = rules.vendor_type_optimization.get(name)
    if exact is not None:
        return exact.priority_boost
    return next(
        (rule.priority_boost for key, rule in rules.vendor_type_optimization.items() if singular(key) == name), 0
    )


@lru_cache(maxsize=8192)
def _by_rules(
    requested: Priority, days: int | None, on: date | None, boost: int, *, peak: bool, weekend: bool
) -> tuple[Priority, tuple[str, ...], bool]:
    """Rules 1 to 4 and the weekend: the priority, the reasons, and whether the weekend raised it."""
    reasons = [f"asked for: {requested.word}"]
    near = requested if days is None else _by_nearness(days)
    if days is not None and near >= requested:
        reasons.append(f"{_wedding_in_words(days)} ({on}): {near.word}")
    seasonal = Priority(min(requested + 1, Priority.CRITICAL)) if peak else requested
    if seasonal > requested:
        reasons.append(f"peak season: raised one step to {seasonal.word}")
    boosted = max(requested, Priority(min(requested + boost, Priority.HIGH)))
    if boosted > requested:
        reasons.append(f"vendor type's boost of {_count(boost, 'step')}, up to high: {boosted.word}")
    decided = max(requested, near, seasonal, boosted)
    raised = weekend and in_wedding_week(days) and decided < Priority.CRITICAL
    if raised:
        decided = Priority(decided + 1)
        reasons.append(f"weekend in wedding week: raised one step to {decided.word}")
    return decided, tuple(reasons), raised


def _by_nearness(days: int) -> Priority:
    if days <= _CRITICAL_WITHIN_DAYS:
        return Priority.CRITICAL
    return Priority.HIGH if in_wedding_week(days) else Priority.NORMAL


def _aged(decided: Priority, reasons: tuple[str, ...], steps: int, waited_us: int) -> tuple[Priority, tuple[str, ...]]:
    aged = Priority(min(decided + steps, Priority.HIGH))
    raised = _count(aged - decided, "step")
    return aged, (*reasons, f"waited {_count(waited_us // MINUTE, 'minute')}: raised {raised} to {aged.word}")


def _wedding_in_words(days: int) -> str:
    return f"wedding in {_count(days, 'day')}" if days else "wedding on the same day"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
