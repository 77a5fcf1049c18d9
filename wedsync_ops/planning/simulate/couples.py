"""Synthetic couples: on which days they marry, when they have booked, and the journey that they go on. Pure."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from wedsync_ops.planning.definitions import Journey
from wedsync_ops.planning.model import Couple
from wedsync_ops.weddings.model import Calendar, Region, Season
from wedsync_ops.weddings.season import season_on

_WEEKDAYS = (0.03, 0.03, 0.03, 0.05, 0.12, 0.58, 0.16)
"""The share of weddings on each day of the week, from Monday on."""
_LEADS = (400, 300, 180)
"""How many days before their wedding couples book; a third each."""
VENDOR_TYPES = ("photographer", "venue", "florist", "caterer", "planner")

_STEPS: tuple[tuple[str, str, str, str, str], ...] = (
    ("welcome", "email", "booking", "0d", "10:00"),
    ("contract", "form", "booking", "+2d", "11:00"),
    ("first-call", "meeting", "booking", "+7d", "14:00"),
    ("style", "form", "wedding", "-120d", "10:00"),
    ("ideas", "info", "wedding", "-90d", "12:00"),
    ("payment", "email", "wedding", "-60d", "09:00"),
    ("guests", "form", "wedding", "-45d", "10:00"),
    ("timeline", "email", "wedding", "-30d", "11:00"),
    ("walk-through", "meeting", "wedding", "-21d", "15:00"),
    ("final-count", "form", "wedding", "-14d", "10:00"),
    ("final-details", "email", "wedding", "-7d", "09:30"),
    ("last-payment", "email", "wedding", "-6d", "11:30"),
    ("call", "meeting", "wedding", "-5d", "13:00"),
    ("weather", "info", "wedding", "-3d", "09:00"),
    ("rehearsal", "sms", "wedding", "-2d", "16:00"),
    ("tomorrow", "sms", "wedding", "-1d", "10:00"),
    ("run-sheet", "email", "wedding", "-1d", "17:00"),
    ("good-morning", "sms", "wedding", "0d", "08:30"),
    ("day-plan", "info", "wedding", "0d", "09:00"),
    ("arrivals", "sms", "wedding", "0d", "11:00"),
    ("ceremony", "sms", "wedding", "0d", "14:00"),
    ("evening", "info", "wedding", "0d", "18:00"),
    ("thanks", "email", "wedding", "+2d", "10:00"),
    ("gallery", "info", "wedding", "+7d", "10:00"),
    ("review", "review", "wedding", "+9d", "10:00"),
    ("referral", "referral", "wedding", "+21d", "12:00"),
)
"""Id, module type, what it is counted from, by how much, and the local time."""


class Cohort(NamedTuple):
    """Couples with the same dates; ``weight`` is how many they are, against others."""

    couple: Couple
    weight: float
    region: str = Region.UNKNOWN.value


@lru_cache(maxsize=1)
def usual_journey() -> Journey:
    """The journey that synthetic couples go on unless others are given."""
    names = ("id", "module", "anchor", "offset", "at")
    steps: list[dict[str, Any]] = [dict(zip(names, step, strict=True)) for step in _STEPS]
    return Journey.model_validate({"id": "usual", "steps": steps})


def couples(first: date, last: date, calendar: Calendar) -> Iterator[Cohort]:
    """Couples who marry from one day to another: mostly on Saturdays, and in the season by its multipliers."""
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        weight = wedding_weight(day, calendar) / len(_LEADS)
        for lead in _LEADS:
            yield Cohort(_couple(day, day - timedelta(days=lead + number % 30), calendar.zone), weight)


def wedding_weight(day: date, calendar: Calendar) -> float:
    """How many weddings there are on a day, against other days."""
    by_season = {
        Season.PEAK: calendar.peak_multiplier,
        Season.MID: calendar.mid_multiplier,
        Season.OFF: calendar.off_multiplier,
    }
    return by_season[season_on(day, calendar)] * _WEEKDAYS[day.weekday()]


def _couple(wedding_on: date, booked_on: date, zone: ZoneInfo) -> Couple:
    return Couple("", "", "", wedding_on, booked_on, zone, {})


def season_of(year: int, calendar: Calendar) -> tuple[date, date]:
    """The first and the last day of the peak season that begins in a year; without one, the year's."""
    months = calendar.peak_months
    begins = [month for month in sorted(months) if (month - 2) % 12 + 1 not in months]
    if not begins:
        return date(year, 1, 1), date(year, 12, 31)
    first = date(year, begins[0], 1)
    last = first
    while last.month in months:
        last = (last.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first, last - timedelta(days=1)


def peak_saturday(year: int, calendar: Calendar) -> date:
    """A Saturday in the middle of the peak season that begins in a year."""
    first, last = season_of(year, calendar)
    middle = first + (last - first) / 2
    return middle + timedelta(days=(5 - middle.weekday()) % 7)
