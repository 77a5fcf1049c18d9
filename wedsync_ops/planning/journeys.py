"""When a step of a journey is to happen, in words and to the microsecond. Pure.

Days are counted on the calendar of the wedding's own zone, so a change of the clocks moves nothing. A local time that
the clocks leave out is later by as much as they jump; one that they show twice is the first of both.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from wedsync_ops.instants import from_datetime, to_datetime
from wedsync_ops.planning.definitions import Journey, Step
from wedsync_ops.planning.model import Couple, Direction, StepTime

IsHoliday = Callable[[date], bool]
_SATURDAY = 5
_LONGEST_SKIP_DAYS = 31


def step_time(step: Step, couple: Couple, is_holiday: IsHoliday) -> StepTime | None:
    """When a step of a couple's journey is to happen; ``None`` when it counts from a booking of an unknown date."""
    anchor = couple.wedding_on if step.anchor == "wedding" else couple.booked_on
    if anchor is None:
        return None
    wanted = anchor + timedelta(days=step.days)
    day, why = _working_day(step, wanted, anchor, is_holiday)
    said = f"{_from_anchor(step)} ({anchor}), at {step.clock:%H:%M} ({couple.zone.key})"
    at, late = _local(day, step, couple.zone)
    return StepTime(at, tuple(reason for reason in (said, why, late) if reason))


def instance_id(journey_id: str, client_id: str) -> str:
    """The instance of a journey that a couple is on."""
    return f"{journey_id}:{client_id}"


def key_of(journey_id: str, step_id: str, client_id: str) -> str:
    """The idempotency key of the job of one step for one couple."""
    return f"journey:{journey_id}:{step_id}:{client_id}"


def context_of(couple: Couple, journey: Journey, step: Step) -> Mapping[str, object]:
    """What the job of a step is told."""
    own = couple.context.get("supplier_data")
    return {
        **couple.context,
        "journey_instance_id": instance_id(journey.id, couple.client_id),
        "supplier_data": {**journey.supplier_data, **(own if isinstance(own, Mapping) else {})},
        "step_data": {"id": step.id},
    }


def _working_day(step: Step, wanted: date, anchor: date, is_holiday: IsHoliday) -> tuple[date, str | None]:
    """The day of a step, past the weekends and holidays that it skips, and why it is another one.

    It is never skipped over the day that it is counted from: what is to happen before the wedding happens before it.
    """
    blocked = _blocked(step, wanted, is_holiday)
    if blocked is None or not step.days:
        return wanted, None
    direction, what = blocked
    for way in (direction, "previous" if direction == "next" else "next"):
        day = wanted
        pace = timedelta(days=1 if way == "next" else -1)
        for _ in range(_LONGEST_SKIP_DAYS):
            day += pace
            if (day - anchor).days * step.days <= 0:
                break
            if _blocked(step, day, is_holiday) is None:
                return day, f"{wanted:%A} {wanted} is {what}: moved to {day:%A} {day}"
    return wanted, f"{wanted} is {what}, and no other day is free"


def _blocked(step: Step, day: date, is_holiday: IsHoliday) -> tuple[Direction, str] | None:
    if step.skip_weekends and day.weekday() >= _SATURDAY:
        return step.skip_weekends, "a weekend"
    if step.skip_holidays and is_holiday(day):
        return step.skip_holidays, "a holiday"
    return None


def _local(day: date, step: Step, zone: ZoneInfo) -> tuple[int, str | None]:
    at = from_datetime(datetime.combine(day, step.clock, tzinfo=zone))
    shown = to_datetime(at, zone)
    if shown.time() == step.clock:
        return at, None
    return at, f"the clocks leave out {step.clock:%H:%M} on that day: {shown:%H:%M}"


def _from_anchor(step: Step) -> str:
    number = abs(step.days)
    if not number:
        return f"on the day of the {step.anchor}"
    days = "1 day" if number == 1 else f"{number} days"
    return f"{days} {'before' if step.days < 0 else 'after'} the {step.anchor}"
