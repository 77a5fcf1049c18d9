"""How many executions a day brings: a regression of their logarithm on what is known of the day beforehand. Pure.

Weekday, season, trend, the year's course once a year is known, and public holidays. Coefficients that the history says
little about stay near what the calendar believes: a season's multiplier holds until a year has shown otherwise. Two
corrections follow: by the ratio of what came to what was fitted lately, and by what was left over a year before.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from math import cos, exp, expm1, log, log1p, pi, sin
from statistics import median

from wedsync_ops.scaling import ridge
from wedsync_ops.scaling.history import History, date_of
from wedsync_ops.weddings.model import Calendar, Season
from wedsync_ops.weddings.season import season_on, weekend_on

YEAR_DAYS = 364
"""A year of whole weeks: the same weekday."""
FULL_YEAR = 380
"""Days of history from which on the year's course is learnt, rather than taken from the season's multipliers."""
_HALF_LIFE_DAYS = 700.0
_TROPICAL_DAYS = 365.2425
_SLOWED_YEARS = 0.5
"""Growth comes to so much more of a year's, however far ahead."""
_HARMONICS = 4
_GRADUAL_DAYS = 28
_LEAST = 1e-3
_MAD_TO_SIGMA = 1.4826
_FAR_SIGMAS, _FAR_LEAST = 3.0, 0.3
_LEVEL_DAYS = 28
_LEVEL_HALF_LIFE = 10.0
_LEVEL_TRUST = 20.0
_OUTAGE = 20.0
"""A day without an execution, of which so many were to be expected, was an outage."""
_MOST_CARRIED = 0.9
# How firmly each kind of coefficient is held to what was believed of it, in days that say the same.
_HOLD = {"level": 1e-3, "trend": 20.0, "season": 20.0, "weekday": 0.5, "weekend": 10.0, "year": 1.0, "holiday": 1.0}


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that is known of every day: its values, how firmly it is held, and whether it is the season's."""

    values: Sequence[float]
    hold: float
    is_season: bool = False
    of_year: bool = False
    is_trend: bool = False


class Design:
    """What is known of each day of a range beforehand, as columns; shared by all module types."""

    def __init__(self, first: int, end: int, calendar: Calendar, holidays: Collection[date] = ()) -> None:
        self.first = first
        dates = [date_of(day) for day in range(first, end)]
        self._columns = list(_columns(range(first, end), dates, calendar, frozenset(holidays)))
        self._grams: dict[tuple[int, int], list[list[float]]] = {}

    def trend_of(self, day: int) -> float:
        """The trend's value of a day, in years."""
        return (day - self.first) / _TROPICAL_DAYS

    def picked(self, days: int) -> Sequence[Column]:
        """The columns to use with so many days of history."""
        return [column for column in self._columns if days >= FULL_YEAR or not column.of_year]

    def rows(self, columns: Sequence[Column], first: int, end: int) -> ridge.Columns:
        """The values of the days of a range."""
        return [column.values[first - self.first : end - self.first] for column in columns]

    def gram(self, rows: ridge.Columns, first: int, end: int, weights: Sequence[float]) -> list[list[float]]:
        """The lower half of X'WX: the same for all module types that have as much history."""
        key = (first, end)
        if key not in self._grams:
            self._grams[key] = ridge.gram(rows, weights)
        return self._grams[key]


def _columns(
    days: Sequence[int], dates: Sequence[date], calendar: Calendar, holidays: Collection[date]
) -> "list[Column]":
    multipliers = {
        Season.PEAK: calendar.peak_multiplier,
        Season.MID: calendar.mid_multiplier,
        Season.OFF: calendar.off_multiplier,
    }
    season = _gradual(days, multipliers, calendar)
    weekend = [1.0 if weekend_on(day) else 0.0 for day in dates]
    found = [
        Column([1.0] * len(dates), _HOLD["level"]),
        Column([(day - days[0]) / _TROPICAL_DAYS for day in days], _HOLD["trend"], is_trend=True),
        Column(season, _HOLD["season"], is_season=True),
        Column([a * b for a, b in zip(season, weekend, strict=True)], _HOLD["weekend"]),
    ]
    found += [
        Column([1.0 if day.weekday() == weekday else 0.0 for day in dates], _HOLD["weekday"]) for weekday in range(7)
    ]
    angles = [2 * pi * day / _TROPICAL_DAYS for day in days]
    for k in range(1, _HARMONICS + 1):
        for wave in (sin, cos):
            values = [wave(k * angle) for angle in angles]
            found.append(Column(values, _HOLD["year"] * k * k, of_year=True))
            if k == 1:
                product = [a * b for a, b in zip(values, weekend, strict=True)]
                found.append(Column(product, _HOLD["weekend"], of_year=True))
    if holidays:
        ordinals = {day.toordinal() for day in holidays}
        for shift in (0, 1, -1):
            near = [1.0 if day.toordinal() + shift in ordinals else 0.0 for day in dates]
            found.append(Column(near, _HOLD["holiday"]))
    return found


def _gradual(days: Sequence[int], multipliers: Mapping[Season, float], calendar: Calendar) -> list[float]:
    """The logarithm of each day's season, averaged over the weeks around it: no season begins overnight."""
    around = range(days[0] - _GRADUAL_DAYS, days[-1] + _GRADUAL_DAYS + 1)
    steps = [log(max(multipliers[season_on(date_of(day), calendar)], _LEAST)) for day in around]
    sums = list(accumulate(steps, initial=0.0))
    width = 2 * _GRADUAL_DAYS + 1
    return [(sums[place + width] - sums[place]) / width for place in range(len(days))]


@dataclass(frozen=True, slots=True)
class Daily:
    """A fitted model of the executions of a day."""

    design: Design
    columns: Sequence[Column]
    coefficients: Sequence[float]
    level: float
    """What fitted values are multiplied by: the last weeks' ratio."""
    carried: float
    """The share of what was left over a year before that comes again."""
    residuals: Sequence[float]
    first: int

    def predict(self, first: int, end: int) -> list[float]:
        """What each day of a range brings."""
        logs = ridge.fitted(self._rows(first, end), self.coefficients)
        found = []
        for day, value in zip(range(first, end), logs, strict=True):
            again = self.carried * self._left_over(day - YEAR_DAYS)
            found.append(max(0.0, expm1(min(value + again, 40.0)) * self.level))
        return found

    def _rows(self, first: int, end: int) -> ridge.Columns:
        """What is known of the days, growth slowing down beyond the history: none goes on for ever."""
        now = self.design.trend_of(self.first + len(self.residuals))
        return [
            [min(value, now + _SLOWED_YEARS * (1 - exp(-max(0.0, value - now) / _SLOWED_YEARS))) for value in values]
            if column.is_trend
            else values
            for column, values in zip(self.columns, self.design.rows(self.columns, first, end), strict=True)
        ]

    def _left_over(self, day: int) -> float:
        place = day - self.first
        return self.residuals[place] if 0 <= place < len(self.residuals) else 0.0


def fit(history: History, design: Design, *, seasonal: bool = True) -> Daily:
    """Fit to all days of a history. Without ``seasonal`` the season is not believed to change anything."""
    first, end, many = history.first_day, history.end, len(history.days)
    columns = design.picked(many)
    rows = design.rows(columns, first, end)
    weights = [0.5 ** ((many - 1 - place) / _HALF_LIFE_DAYS) for place in range(many)]
    logs = [log1p(count) for count in history.days]
    beliefs = [1.0 if column.is_season and seasonal else 0.0 for column in columns]
    half = design.gram(rows, first, end, weights)
    holds = [column.hold for column in columns]
    coefficients = ridge.solve(half, ridge.moments(rows, weights, logs), holds, beliefs)
    tamed = _tamed(logs, ridge.fitted(rows, coefficients))
    coefficients = ridge.solve(half, ridge.moments(rows, weights, tamed), holds, beliefs)
    fits = ridge.fitted(rows, coefficients)
    residuals = [value - fit for value, fit in zip(tamed, fits, strict=True)]
    carried = _carried(residuals)
    again = [carried * residuals[i - YEAR_DAYS] if i >= YEAR_DAYS else 0.0 for i in range(many)]
    level = _level(history.days, [fit + more for fit, more in zip(fits, again, strict=True)])
    return Daily(design, columns, coefficients, level, carried, residuals, first)


def _tamed(logs: Sequence[float], fits: Sequence[float]) -> list[float]:
    """The logarithms, those far from what was fitted brought nearer: an outage is no sign of what a day brings."""
    spread = _MAD_TO_SIGMA * median(abs(value - fit) for value, fit in zip(logs, fits, strict=True))
    most = max(_FAR_SIGMAS * spread, _FAR_LEAST)
    return [min(max(value, fit - most), fit + most) for value, fit in zip(logs, fits, strict=True)]


def _carried(residuals: Sequence[float]) -> float:
    """How much of what was left over came again a year later; 0 with less than two years."""
    if len(residuals) < 2 * YEAR_DAYS:
        return 0.0
    later, before = residuals[-YEAR_DAYS:], residuals[-2 * YEAR_DAYS : -YEAR_DAYS]
    both = sum(a * b for a, b in zip(later, before, strict=True))
    return min(max(both / (sum(b * b for b in before) + 1e-9), 0.0), _MOST_CARRIED)


def _level(counts: Sequence[int], logs: Sequence[float]) -> float:
    """The ratio of what came to what was fitted, over the last weeks; near 1 where little came."""
    came = fitted = 0.0
    for age, (count, value) in enumerate(zip(reversed(counts), reversed(logs), strict=True)):
        if age >= _LEVEL_DAYS:
            break
        usual = max(0.0, expm1(value))
        if not count and usual >= _OUTAGE:
            continue  # nothing ran because nothing could
        weight = 0.5 ** (age / _LEVEL_HALF_LIFE)
        came += weight * count
        fitted += weight * usual
    if came <= 0 or fitted <= 0:
        return 1.0 if came == fitted else _LEVEL_TRUST / (_LEVEL_TRUST + fitted)
    return exp(log(came / fitted) * came / (came + _LEVEL_TRUST))
