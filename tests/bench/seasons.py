"""Wedding demand as it might have been: seeded years of it, hour by hour, for several module types.

A weekly cycle that is steeper in the season, a year that rises and falls as weddings do, growth, days that are busier
than others for no reason (and are followed by such), public holidays, a lasting change of level some weeks before the
end, single bursts, and chance. None of it is made by the functions that the forecast fits.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import exp, log

from wedsync_ops.scaling.history import HOURS_A_DAY, History, date_of

MODULES = {
    "email": (900.0, 0.25, (9, 17)),
    "sms": (260.0, 0.35, (10, 18)),
    "form": (150.0, 0.15, (9, 17)),
    "info": (90.0, 0.4, (8, 16)),
    "meeting": (60.0, -0.1, (8, 16)),
    "review": (35.0, 0.2, (11, 19)),
    "referral": (12.0, 0.6, (12, 17)),
}
"""Executions of an off-season weekday in the first year, yearly growth (of the logarithm), the busiest hours."""
_MONTHS = (0.9, 1.1, 1.3, 1.9, 3.1, 4.9, 4.2, 4.4, 4.7, 2.6, 1.1, 0.8)
_WEEKDAYS = (1.0, 0.95, 1.05, 1.2, 1.7, 2.6, 1.9)
_STEADY, _DAILY_NOISE, _SHIFT = 0.6, 0.13, 0.35
_BURST_CHANCE, _BURST = 0.006, 1.8


@dataclass(frozen=True)
class Shape:
    """What a generated history is like."""

    end: date = date(2027, 6, 7)
    years: float = 3.0
    hour_days: int = 1096
    scale: float = 1.0
    shift_before_end: int = 75


def histories(seed: int, shape: Shape) -> list[History]:
    """One history for each module type."""
    return [history(random.Random(f"{seed} {name}"), name, shape) for name in MODULES]


def history(rand: random.Random, name: str, shape: Shape) -> History:
    """A module type's history."""
    base, growth, peaks = MODULES[name]
    end = shape.end.toordinal() - date(1970, 1, 1).toordinal()
    first = end - round(shape.years * 365.25)
    hours: list[int] = []
    for day, level in zip(range(first, end), _levels(rand, first, end, shape), strict=True):
        trend = exp(growth * (day - first) / 365.25)
        hours += _hours(rand, base * shape.scale * trend * level, date_of(day), peaks)
    days = [sum(hours[at : at + HOURS_A_DAY]) for at in range(0, len(hours), HOURS_A_DAY)]
    kept = min(shape.hour_days, end - first)
    return History(name, first, days, end - kept, hours[-kept * HOURS_A_DAY :])


def _levels(rand: random.Random, first: int, end: int, shape: Shape) -> Iterator[float]:
    noise, shift = 0.0, rand.choice((-1, 1)) * _SHIFT
    for day in range(first, end):
        on = date_of(day)
        noise = _STEADY * noise + rand.gauss(0, _DAILY_NOISE)
        season = _season(on)
        level = season * _WEEKDAYS[on.weekday()] ** (0.7 + 0.15 * season / 2) * exp(noise)
        if day >= end - shape.shift_before_end:
            level *= exp(shift)
        if rand.random() < _BURST_CHANCE:
            level *= _BURST
        yield level * (0.35 if _is_holiday(on) else 1.0)


def _season(on: date) -> float:
    """Between the middles of months along the line of logarithms."""
    place = (on.month - 1) + (on.day - 15) / 30.5
    months = [(at, _MONTHS[at % 12]) for at in range(-1, 13)]
    for (a, low), (b, high) in pairwise(months):
        if a <= place <= b:
            return exp(log(low) + (place - a) / (b - a) * (log(high) - log(low)))
    raise AssertionError(on)


def _is_holiday(on: date) -> bool:
    fixed = {(1, 1), (7, 4), (12, 24), (12, 25), (12, 31)}
    thanksgiving = on.month == 11 and on.weekday() == 3 and 22 <= on.day <= 28
    memorial = on.month == 5 and on.weekday() == 0 and on.day >= 25
    labor = on.month == 9 and on.weekday() == 0 and on.day <= 7
    return (on.month, on.day) in fixed or thanksgiving or memorial or labor


def _hours(rand: random.Random, total: float, on: date, peaks: tuple[int, int]) -> list[int]:
    weights = [_weight(hour, on, peaks) for hour in range(HOURS_A_DAY)]
    whole = sum(weights)
    return [_poisson(rand, total * weight / whole * exp(rand.gauss(0, 0.1))) for weight in weights]


def _weight(hour: int, on: date, peaks: tuple[int, int]) -> float:
    later = 2 if on.weekday() >= 5 else 0
    return 0.03 + sum(exp(-(((hour - peak - later) / 2.2) ** 2)) for peak in peaks) + (0.25 if 7 <= hour <= 21 else 0)


def _poisson(rand: random.Random, mean: float) -> int:
    if mean > 200:
        return max(0, round(rand.gauss(mean, mean**0.5)))
    limit, many, product = exp(-mean), 0, rand.random()
    while product > limit:
        product *= rand.random()
        many += 1
    return many
