"""Which method foretells best: each is tried on the weeks before, from what was known then, and its errors kept. Pure.

The origin rolls: from the start of one day after another, a week apart, the days that follow are foretold and compared
with what came.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops.scaling.bounds import Errors
from wedsync_ops.scaling.forecast_model import Method
from wedsync_ops.scaling.history import HOURS_A_DAY, History
from wedsync_ops.scaling.methods import FEWEST_DAYS, METHODS, World

ORIGINS = 8
"""The most weeks that are tried."""
STEP_DAYS = 7
_LONG_DAYS = 14
_ALL = tuple(METHODS)

Pairs = Sequence[tuple[float, float]]
"""What was expected of hours and what came, in order."""


@dataclass(frozen=True, slots=True)
class Score:
    """How a method did: ``wape`` is the sum of its errors over the sum of what came, ``mase`` its errors over those of
    last week's hours, ``inside`` the share of hours within bounds made from the other origins' errors.
    """

    method: Method
    wape: float | None
    mase: float | None
    inside: float | None
    origins: int
    hours: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What a backtest of one module type came to: every method's score, the best, and the errors of that."""

    scores: Mapping[Method, Score]
    best: Method | None
    errors: Errors


def origins(history: History) -> Sequence[int]:
    """The days from which to foretell, the latest first."""
    days = horizon(history)
    earliest = max(history.first_day, history.first_hour_day) + FEWEST_DAYS
    found = range(history.end - days, earliest - 1, -STEP_DAYS)
    return found[:ORIGINS]


def horizon(history: History) -> int:
    """How many days are foretold from each origin: two weeks, one while the history is short."""
    known = history.end - max(history.first_day, history.first_hour_day)
    return _LONG_DAYS if known >= FEWEST_DAYS + 2 * _LONG_DAYS else STEP_DAYS


def _nothing() -> None:
    pass


def backtest(
    history: History,
    world: World,
    *,
    seasonal: bool = True,
    methods: Sequence[Method] = _ALL,
    between: Callable[[], object] = _nothing,
) -> Tried:
    """Try methods on a history. ``between`` is called after each: a thread that is not alone lets others work then."""
    found: dict[Method, list[Pairs]] = {}
    starts = origins(history)
    for method in methods:
        pairs = []
        for origin in starts:
            one = _pairs(history, origin, method, world, seasonal=seasonal)
            between()
            if one is None:
                break
            pairs.append(one)
        if pairs and len(pairs) == len(starts):
            found[method] = pairs
    naive = _absolute(found.get(Method.LAST_WEEK, ()))
    scores = {method: _score(method, pairs, naive) for method, pairs in found.items()}
    best = min(scores, key=lambda method: _absolute(found[method]), default=None)
    return Tried(scores, best, Errors.of(_flat(found[best])) if best is not None else Errors(()))


def _pairs(history: History, origin: int, method: Method, world: World, *, seasonal: bool) -> Pairs | None:
    days = horizon(history)
    expected = METHODS[method](history.until(origin), days, world, seasonal=seasonal)
    if expected is None:
        return None
    place = (origin - history.first_hour_day) * HOURS_A_DAY
    return list(zip(expected, history.hours[place : place + days * HOURS_A_DAY], strict=True))


def _score(method: Method, pairs: Sequence[Pairs], naive: float) -> Score:
    came, error = sum(b for _, b in _flat(pairs)), _absolute(pairs)
    return Score(
        method,
        wape=error / came if came else None,
        mase=error / naive if naive else None,
        inside=_inside(pairs),
        origins=len(pairs),
        hours=sum(map(len, pairs)),
    )


def _inside(pairs: Sequence[Pairs]) -> float | None:
    """Each origin against bounds from the others; ``None`` with fewer than three."""
    if len(pairs) < 3:
        return None
    inside = many = 0
    for place, own in enumerate(pairs):
        errors = Errors.of(pair for other, some in enumerate(pairs) if other != place for pair in some)
        for expected, came in own:
            low, high = errors.bounds(expected)
            inside += low - 1 < came < high + 1  # executions are whole
            many += 1
    return inside / many


def _flat(pairs: Sequence[Pairs]) -> Iterator[tuple[float, float]]:
    return (pair for some in pairs for pair in some)


def _absolute(pairs: Sequence[Pairs]) -> float:
    return sum(abs(expected - came) for expected, came in _flat(pairs))
