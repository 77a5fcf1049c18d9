"""The wedding season and the weekend, asked in the platform's time zone. Pure."""

from datetime import date

from wedsync_ops.instants import local_date
from wedsync_ops.weddings.model import Calendar, Season

_SATURDAY = 5


def season_on(day: date, calendar: Calendar) -> Season:
    """The season that a calendar day lies in."""
    if day.month in calendar.peak_months:
        return Season.PEAK
    return Season.MID if day.month in calendar.mid_months else Season.OFF


def weekend_on(day: date) -> bool:
    """Whether a calendar day is a Saturday or a Sunday."""
    return day.weekday() >= _SATURDAY


def season_at(instant: int, calendar: Calendar) -> Season:
    """The season at an instant (microseconds), in the calendar's zone."""
    return season_on(local_date(instant, calendar.zone), calendar)


def is_weekend(instant: int, calendar: Calendar) -> bool:
    """Whether an instant (microseconds) lies on a Saturday or a Sunday in the calendar's zone."""
    return weekend_on(local_date(instant, calendar.zone))


def load_multiplier(instant: int, calendar: Calendar) -> float:
    """How many times the load of an off-season weekday is expected at an instant: season times weekend."""
    day = local_date(instant, calendar.zone)
    by_season = {
        Season.PEAK: calendar.peak_multiplier,
        Season.MID: calendar.mid_multiplier,
        Season.OFF: calendar.off_multiplier,
    }[season_on(day, calendar)]
    return by_season * calendar.weekend_multiplier if weekend_on(day) else by_season
