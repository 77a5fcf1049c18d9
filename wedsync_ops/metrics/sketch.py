"""A sketch of durations: how often each of many narrow bins was hit, so that unions have percentiles, too. Pure.

Bins grow by a constant factor (as in DDSketch, Masson, Rim and Lee 2019), so that every value is known to within
``ERROR`` of itself, be it a microsecond or a day. Count, sum, smallest and largest value are exact. Two sketches
merge by adding their bins: nothing is lost, in whatever order. A sketch of n values has at most n bins, and takes
one or two bytes for each.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from wedsync_ops.metrics.packing import Packed, pack, pack_few, unpack, unpack_one

ERROR = 0.009
"""How far a value of a sketch may be from the one that was added, at most, as a share of it.

With the 0.05 % of times that come grouped to four digits, a percentile is within 1 %."""

_GROWTH = (1 + ERROR) / (1 - ERROR)
_PER_LOG = 1 / math.log(_GROWTH)
_MIDDLE = 2 / (1 + _GROWTH)
_ZERO = -1


def bin_of(value: int) -> int:
    """The number of the bin that holds a value of 0 or more."""
    return math.ceil(math.log(value) * _PER_LOG) if value else _ZERO


def middle_of(number: int) -> float:
    """The value that stands for a bin: no value in it is further away than ``ERROR``."""
    return 0.0 if number == _ZERO else _MIDDLE * math.exp(number / _PER_LOG)


class Sketch:
    """Durations of 0 or more, in any unit that is whole; ``low`` and ``high`` are ``None`` while it is empty."""

    __slots__ = ("bins", "count", "high", "low", "total")

    def __init__(self) -> None:
        self.bins: Counter[int] = Counter()
        self.count = 0
        self.total = 0
        self.low: int | None = None
        self.high: int | None = None

    @classmethod
    def of(cls, values: Sequence[int]) -> "Sketch":
        """A sketch of these values; one below 0 is taken for 0."""
        made = cls()
        made.add(values)
        return made

    def add(self, values: Sequence[int]) -> None:
        """Add values; one below 0, which only a clock that was set back makes, is taken for 0."""
        if not values:
            return
        low = min(values)
        if low < 0:
            self.add([max(0, value) for value in values])
            return
        log, ceil = math.log, math.ceil
        self.bins.update([ceil(log(value) * _PER_LOG) if value else _ZERO for value in values])
        self._widen(low, max(values), len(values), sum(values))

    def add_counted(self, counted: Iterable[tuple[int, int]], total: int) -> None:
        """Add values that come with how often each occurs; ``total`` is their exact sum, where they are rounded."""
        pairs = [(max(0, value), many) for value, many in counted if many > 0]
        if not pairs:
            return
        for value, many in pairs:
            self.bins[bin_of(value)] += many
        values = [value for value, _ in pairs]
        self._widen(min(values), max(values), sum(many for _, many in pairs), total)

    def merge(self, other: "Sketch") -> None:
        """Add all that another sketch holds."""
        if other.low is None or other.high is None:
            return
        bins = self.bins
        for number, many in other.bins.items():
            bins[number] += many
        self._widen(other.low, other.high, other.count, other.total)

    def _widen(self, low: int, high: int, count: int, total: int) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        self.count += count
        self.total += total

    def ascending(self) -> tuple[list[float], list[int]]:
        """The values that stand for the bins, in ascending order and within low and high, and how often each."""
        if self.low is None or self.high is None:
            return [], []
        numbers = sorted(self.bins)
        low, high = self.low, self.high
        return [min(max(middle_of(n), low), high) for n in numbers], [self.bins[n] for n in numbers]

    def percentile(self, percent: int) -> float | None:
        """The nearest-rank percentile (1 to 100), within ``ERROR``; ``None`` while the sketch is empty."""
        rank, reached = -(-percent * self.count // 100), 0
        for value, many in zip(*self.ascending(), strict=True):
            reached += many
            if reached >= rank:
                return value
        return None

    def at_most(self, limit: int) -> int:
        """How many values are not over a limit; those within ``ERROR`` of it may be counted on its other side."""
        last = bin_of(limit)
        return sum(many for number, many in self.bins.items() if number <= last)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._parts() == other._parts()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _parts(self) -> tuple[Mapping[int, int], int, int, int | None, int | None]:
        return self.bins, self.count, self.total, self.low, self.high

    # -- as bytes ----------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """The sketch as bytes; an empty one as none."""
        if self.low is None or self.high is None:
            return b""
        return pack(self.total, self.low, self.high, {number - _ZERO: many for number, many in self.bins.items()})

    def merge_encoded(self, encoded: bytes) -> None:
        """Add all that an encoded sketch holds. Raises ValueError for what is none."""
        self._add_packed(unpack_one(encoded))

    def merge_all(self, several: Iterable[bytes]) -> None:
        """Add all that many encoded sketches hold, much faster than one by one. Raises ValueError for what is none."""
        self._add_packed(unpack(several))

    def _add_packed(self, packed: Packed | None) -> None:
        if packed is None:
            return
        bins, count = self.bins, 0
        for place, many in packed.counts:
            bins[place + _ZERO] += many
            count += many
        self._widen(packed.low, packed.high, count, packed.total)

    @classmethod
    def decode(cls, encoded: bytes) -> "Sketch":
        """The sketch that was encoded. Raises ValueError for what is none."""
        made = cls()
        made.merge_encoded(encoded)
        return made


def encode_few(values: Sequence[int]) -> bytes:
    """A sketch of a few values of 0 or more as bytes, without making one."""
    return pack_few(sum(values), min(values), max(values), [bin_of(value) - _ZERO for value in values])
