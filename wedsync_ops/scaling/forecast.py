"""What is expected, hour by hour: history and bookings together. Pure.

History says how many executions an hour usually brings; bookings, that is jobs that wait for their time and steps that
couples are promised, say how many are certain. Where more is booked than history knows of, the bookings hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops.instants import DAY, HOUR
from wedsync_ops.scaling.backtest import Score, backtest
from wedsync_ops.scaling.bounds import Errors, unknown_bounds
from wedsync_ops.scaling.forecast_model import Expected, Method, Quality
from wedsync_ops.scaling.history import HOURS_A_DAY, History
from wedsync_ops.scaling.methods import FEWEST_DAYS, METHODS, World

FAR_DAYS = 28
"""Further ahead nothing was tried: the regression is used, and bounds are not taken from errors."""
Booked = Mapping[int, int]
"""Jobs by the hour in which they are due."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a module type: ``duration_us`` is the mean length of its executions.

    ``seasonal`` says whether its load goes with the season.
    """

    module_type: str
    history: History | None
    booked: Booked
    duration_us: int | None = None
    seasonal: bool = True


@dataclass(frozen=True, slots=True)
class Foretold:
    """What is expected of a module type, by which method, and how every method did on the weeks before."""

    quality: Quality
    hours: tuple[Expected, ...]
    scores: tuple[Score, ...]


def _nothing() -> None:
    pass


def foretell(
    known: Known, world: World, since: int, until: int, *, between: Callable[[], object] = _nothing
) -> Foretold:
    """What is expected in the hours that begin from ``since`` on and before ``until``.

    The method is the one that did best on the weeks before; ``between`` is called after each step of trying.
    """
    history = known.history
    if history is None or not history.days:
        quality = Quality(known.module_type, Method.BOOKED, 0, known.duration_us, None, None, None)
        return Foretold(quality, tuple(_hours(known, {}, Errors(()), since, until)), ())
    tried = backtest(history, world, seasonal=known.seasonal, between=between)
    days = max(0, -(-until // DAY) - history.end)
    method, values = _near(known, history, world, tried.best, min(days, FAR_DAYS))
    if days > FAR_DAYS:
        values = [*values, *_by(_carrying(history), known, history, world, days)[FAR_DAYS * HOURS_A_DAY :]]
    first, far = history.end * HOURS_A_DAY, (history.end + FAR_DAYS) * DAY
    found = {(first + place) * HOUR: value for place, value in enumerate(values)}
    score = tried.scores.get(method)
    quality = Quality(
        known.module_type,
        method,
        len(history.days),
        known.duration_us,
        *((None, None, None) if score is None else (score.wape, score.mase, score.inside)),
    )
    errors = tried.errors if method is tried.best else Errors(())
    near = _hours(known, found, errors, since, min(until, far))
    beyond = _hours(known, found, Errors(()), max(since, far), until)
    return Foretold(quality, (*near, *beyond), tuple(tried.scores.values()))


def _near(
    known: Known, history: History, world: World, best: Method | None, days: int
) -> tuple[Method, Sequence[float]]:
    """By the best method, or where none was tried by what carries a history on."""
    method = best or _carrying(history)
    return method, _by(method, known, history, world, days)


def _carrying(history: History) -> Method:
    """The method that reaches as far ahead as is wanted."""
    return Method.RIDGE if len(history.days) >= FEWEST_DAYS else Method.SEASON


def _by(method: Method, known: Known, history: History, world: World, days: int) -> Sequence[float]:
    return METHODS[method](history, days, world, seasonal=known.seasonal) or ()


def _hours(known: Known, values: Mapping[int, float], errors: Errors, since: int, until: int) -> Iterator[Expected]:
    for hour in range(-(-since // HOUR) * HOUR, until, HOUR):
        value, booked = values.get(hour), known.booked.get(hour, 0)
        if value is not None or booked:
            yield together(known.module_type, hour, value, booked, errors)


def together(module_type: str, hour: int, value: float | None, booked: int, errors: Errors) -> Expected:
    """An hour: what history expects of it (``None``: nothing is known) and what is booked, whichever is more."""
    if value is None:
        return Expected(hour, module_type, float(booked), float(booked), unknown_bounds(booked)[1], booked)
    low, high = errors.bounds(value)
    expected = max(value, float(booked))
    return Expected(hour, module_type, expected, max(low, float(booked)), high + expected - value, booked)


def with_booked(known: Sequence[Known], more: Mapping[tuple[int, str], int]) -> list[Known]:
    """The same with further jobs booked, by hour and module type; of types that are not among them, too."""
    names = {one.module_type for one in known}
    strangers = sorted({name for _, name in more} - names)
    every = [*known, *(Known(name, None, {}) for name in strangers)]
    return [
        _added(one, {hour: many for (hour, name), many in more.items() if name == one.module_type}) for one in every
    ]


def _added(known: Known, more: Booked) -> Known:
    hours = known.booked.keys() | more.keys()
    booked = {hour: known.booked.get(hour, 0) + more.get(hour, 0) for hour in hours}
    return Known(known.module_type, known.history, booked, known.duration_us, known.seasonal)
