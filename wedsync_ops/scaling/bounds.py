"""How far what comes lies from what was expected: the bounds of a forecast, from how it erred before. Pure.

Errors are taken as differences of logarithms, and apart for hours of different size: three executions where one was
expected say nothing of an hour in which a thousand are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import expm1, log, log1p, sqrt

LOW, HIGH = 0.1, 0.9
"""The shares of hours that come under the lower and under the upper bound."""
_SMALLEST = 0.5
_FACTOR = 4.0
_ENOUGH = 60


def size_of(value: float) -> int:
    """The class of hours that an expected value is of: each is four times as wide as the one before."""
    return 0 if value < _SMALLEST else 1 + int(log(value / _SMALLEST) / log(_FACTOR))


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a method (what came against what was expected, as logarithms) by the size of the hour, sorted."""

    by_size: Sequence[Sequence[float]]

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> "Errors":
        """From pairs of what was expected and what came."""
        found: list[list[float]] = []
        for expected, came in pairs:
            size = size_of(expected)
            while len(found) <= size:
                found.append([])
            found[size].append(log1p(came) - log1p(expected))
        return cls([sorted(some) for some in found])

    def bounds(self, expected: float) -> tuple[float, float]:
        """Between what an hour comes eight times in ten."""
        some = self._like(size_of(expected))
        if not some:
            return unknown_bounds(expected)
        low, high = (some[min(int(share * len(some)), len(some) - 1)] for share in (LOW, HIGH))
        base = log1p(expected)
        return min(max(expm1(base + low), 0.0), expected), max(expm1(base + high), expected)

    def _like(self, size: int) -> Sequence[float]:
        """The errors of hours of a size, with those of the next sizes as long as they are few."""
        last = len(self.by_size) - 1
        size = min(size, last)
        if size < 0:
            return ()
        some = self.by_size[size]
        for reach in range(1, last + 1):
            if len(some) >= _ENOUGH:
                break
            near = [at for at in (size - reach, size + reach) if 0 <= at <= last]
            some = sorted([*some, *(error for at in near for error in self.by_size[at])])
        return some


def unknown_bounds(expected: float) -> tuple[float, float]:
    """Bounds where nothing is known of errors: half and twice as much, and what chance alone adds."""
    return max(0.0, expected / 2 - sqrt(expected)), 2 * expected + 1.3 * sqrt(expected)
