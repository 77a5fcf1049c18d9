"""How the executions of a day spread over its hours. Pure.

A day's executions are divided by what each hour of the week usually has, which is known from the last weeks and, where
these say little, from the hours of similar days; before anything ran, from when vendors are at work.
"""

from collections.abc import Callable, Sequence

from wedsync_ops.scaling.history import HOURS_A_DAY, SLOTS, History, Week

_WEEKS = 8
_HALF_LIFE_DAYS = 28.0
_TRUST = 40.0
"""Executions of a weekday after which its own hours count as much as those of all similar days."""
_LEAST = 1e-6
_AT_WORK = range(8, 19)
_NIGHT = 0.1

Profile = Sequence[float]
"""What each hour of the week has, in any unit."""


def usual_hours(factor: Callable[[int], float] = lambda _: 1.0) -> Profile:
    """The profile of a day of which nothing is known: working hours, and ``factor`` times as much by the local hour."""
    day = [(1.0 if hour in _AT_WORK else _NIGHT) * factor(hour) for hour in range(HOURS_A_DAY)]
    return day * (SLOTS // HOURS_A_DAY)


def profile_of(history: History, week: Week, prior: Profile) -> Profile:
    """What each hour of the week has had over the last weeks, later ones counting for more."""
    counts = _counted(history, week)
    found = [0.0] * SLOTS
    for kind in (range(5), range(5, 6), range(6, 7)):
        together = _share([sum(counts[day * HOURS_A_DAY + hour] for day in kind) for hour in range(HOURS_A_DAY)], prior)
        for day in kind:
            first = day * HOURS_A_DAY
            own = counts[first : first + HOURS_A_DAY]
            many = sum(own)
            for hour in range(HOURS_A_DAY):
                share = (own[hour] + _TRUST * together[hour]) / (many + _TRUST)
                found[first + hour] = share * (many + _LEAST)
    return found


def _counted(history: History, week: Week) -> list[float]:
    counts = [0.0] * SLOTS
    for day in range(max(history.first_hour_day, history.end - 7 * _WEEKS), history.end):
        weight = 0.5 ** ((history.end - 1 - day) / _HALF_LIFE_DAYS)
        for slot, many in zip(week.of(day), history.hours_of(day) or (), strict=False):
            counts[slot] += weight * many
    return counts


def _share(counts: Sequence[float], prior: Profile) -> list[float]:
    """The share of each hour, leaning on the prior as long as there is little."""
    whole = sum(prior[:HOURS_A_DAY])
    many = sum(counts) + _TRUST
    return [(count + _TRUST * prior[hour] / whole) / many for hour, count in enumerate(counts)]


def spread(total: float, slots: Sequence[int], profile: Profile) -> list[float]:
    """A day's executions over its hours."""
    weights = [profile[slot] for slot in slots]
    whole = sum(weights)
    return [total * weight / whole for weight in weights] if whole > 0 else [total / len(slots)] * len(slots)
