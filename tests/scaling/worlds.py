"""Calendars and histories for tests, made by rules that are plain to see."""

from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

from wedsync_ops.scaling.history import HOURS_A_DAY, History, date_of
from wedsync_ops.scaling.methods import World
from wedsync_ops.scaling.profile import usual_hours
from wedsync_ops.weddings.model import Calendar

UTC = ZoneInfo("UTC")
END = date(2027, 6, 7)
"""A Monday."""


def calendar(zone: str = "UTC") -> Calendar:
    return Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo(zone))


def day_number(on: date) -> int:
    return on.toordinal() - date(1970, 1, 1).toordinal()


def history(
    days: int, many: Callable[[date, int], float], *, end: date = END, hour_days: int | None = None, name: str = "email"
) -> History:
    """Days before ``end``, each hour with as many executions as ``many`` says of its date and hour."""
    last = day_number(end)
    first = last - days
    hours = [round(many(date_of(day), hour)) for day in range(first, last) for hour in range(HOURS_A_DAY)]
    totals = [sum(hours[at : at + HOURS_A_DAY]) for at in range(0, len(hours), HOURS_A_DAY)]
    kept = days if hour_days is None else hour_days
    return History(name, first, totals, last - kept, hours[len(hours) - kept * HOURS_A_DAY :])


def world(*histories: History, ahead: int = 20, zone: str = "UTC") -> World:
    first = min(one.first_day for one in histories)
    return World.of(calendar(zone), usual_hours(), first, max(one.end for one in histories) + ahead)


def at_work(on: date, hour: int) -> float:
    """Twenty an hour from nine to five, three times as many on Saturdays."""
    return (60.0 if on.weekday() == 5 else 20.0) if 9 <= hour < 17 else 0.0
