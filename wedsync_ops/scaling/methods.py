"""The ways to foretell the hours of the next days from what was known at the start of a day. Pure.

Each gives one value for every hour of the days asked for, or nothing when the history does not reach back far enough.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from wedsync_ops.instants import DAY
from wedsync_ops.scaling import daily
from wedsync_ops.scaling.daily import YEAR_DAYS, Design
from wedsync_ops.scaling.forecast_model import Method
from wedsync_ops.scaling.history import History, Week
from wedsync_ops.scaling.profile import Profile, profile_of, spread
from wedsync_ops.weddings.model import Calendar
from wedsync_ops.weddings.season import load_multiplier

FEWEST_DAYS = 14
"""With fewer days of history the season's multipliers say more than any regression."""
_WEEK_DAYS = 7


@dataclass(frozen=True, slots=True)
class World:
    """What all module types have in common: the calendar, the zone's week, when people work, the days as columns."""

    calendar: Calendar
    week: Week
    prior: Profile
    design: Design

    @classmethod
    def of(cls, calendar: Calendar, prior: Profile, first: int, end: int, holidays: Collection[date] = ()) -> "World":
        """For the days of a range."""
        return cls(calendar, Week(calendar.zone), prior, Design(first, end, calendar, holidays))


class Foretell(Protocol):
    """A way to foretell the hours of ``days`` days after a history."""

    def __call__(self, history: History, days: int, world: World, /, *, seasonal: bool) -> Sequence[float] | None:
        """Executions of each hour; ``None`` when the history is too short."""
        ...


def by_ridge(history: History, days: int, world: World, /, *, seasonal: bool) -> Sequence[float] | None:
    """The regression of days, spread over the hours as in the last weeks."""
    if len(history.days) < FEWEST_DAYS:
        return None
    model = daily.fit(history, world.design, seasonal=seasonal)
    return _spread(model.predict(history.end, history.end + days), history, world)


def by_last_week(history: History, days: int, world: World, /, *, seasonal: bool) -> Sequence[float] | None:  # noqa: ARG001
    """The same hour of the same weekday in the last week that is known."""
    found: list[float] = []
    for ahead in range(days):
        hours = history.hours_of(history.end + ahead % _WEEK_DAYS - _WEEK_DAYS)
        if hours is None:
            return None
        found.extend(hours)
    return found


def by_last_year(history: History, days: int, world: World, /, *, seasonal: bool) -> Sequence[float] | None:  # noqa: ARG001
    """What came 364 days before: its hours, or where these are gone its day, spread as in the last weeks."""
    found: list[float] = []
    for day in range(history.end, history.end + days):
        hours, total = history.hours_of(day - YEAR_DAYS), history.day(day - YEAR_DAYS)
        if total is None:
            return None
        found.extend(hours or spread(total, world.week.of(day), profile_of(history, world.week, world.prior)))
    return found


def by_season(history: History, days: int, world: World, /, *, seasonal: bool) -> Sequence[float] | None:
    """What ran so far, carried on by the multipliers of season and weekend and the hours of work."""
    known = range(history.first_day, history.end)
    if not known:
        return None
    base = sum(history.days) / sum(_multiplier(day, world, seasonal=seasonal) for day in known)
    ahead = range(history.end, history.end + days)
    return _spread([base * _multiplier(day, world, seasonal=seasonal) for day in ahead], history, world)


def _multiplier(day: int, world: World, *, seasonal: bool) -> float:
    return load_multiplier(day * DAY + DAY // 2, world.calendar) if seasonal else 1.0


def _spread(totals: Sequence[float], history: History, world: World) -> list[float]:
    profile = profile_of(history, world.week, world.prior)
    found: list[float] = []
    for ahead, total in enumerate(totals):
        found.extend(spread(total, world.week.of(history.end + ahead), profile))
    return found


METHODS: dict[Method, Foretell] = {
    Method.RIDGE: by_ridge,
    Method.LAST_WEEK: by_last_week,
    Method.LAST_YEAR: by_last_year,
    Method.SEASON: by_season,
}
"""Those that a backtest chooses from."""
