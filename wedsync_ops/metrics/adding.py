"""Adds up parts and buckets, in any order. Pure."""

from collections.abc import Iterable

from wedsync_ops.metrics.levels import Kept, Level, levels_of, start_of
from wedsync_ops.metrics.model import Bucket, Kind, Part, Series, Spread, Sums
from wedsync_ops.metrics.sketch import Sketch, encode_few

Spot = tuple[Series, Level, int]
"""Which bucket of a series: its level and its start."""
_FEW = 8
"""Sketches up to which merging them one by one is faster, and values up to which none need be made."""
_NOTHING = Sums()


class Lengths:
    """Durations: one by one as long as all of them came so, else in a sketch."""

    __slots__ = ("_sketch", "packed", "read")

    def __init__(self) -> None:
        self.read: list[Spread] = []
        self.packed: list[bytes] = []
        self._sketch: Sketch | None = None

    def add(self, spread: Spread) -> None:
        """Add durations that were read from executions."""
        if spread.values:
            self.read.append(spread)

    def add_encoded(self, encoded: bytes) -> None:
        """Add a sketch as a bucket keeps it."""
        if encoded:
            self.packed.append(encoded)

    def include(self, other: "Lengths") -> None:
        """Add all that another has, of which no sketch was made yet."""
        self.read += other.read
        self.packed += other.packed

    def sketch(self) -> Sketch:
        """All of them as a sketch."""
        made = self._sketch = self._sketch or Sketch()
        if len(self.packed) > _FEW:
            made.merge_all(self.packed)
        else:
            for encoded in self.packed:
                made.merge_encoded(encoded)
        self.packed.clear()
        # At once: what a sketch takes for a few values is mostly for the call.
        made.add([int(value) for spread in self.read if spread.counts is None for value in spread.values])
        for spread in self.read:
            if spread.counts is not None:
                pairs = zip((int(value) for value in spread.values), spread.counts, strict=True)
                made.add_counted(pairs, spread.total_us)
        self.read.clear()
        return made

    def encoded(self) -> bytes:
        """All of them as the bytes of a sketch."""
        if self._sketch is None and len(self.read) + len(self.packed) == 1:
            if self.packed:
                return self.packed[0]
            only = self.read[0]
            if only.counts is None and len(only.values) <= _FEW and only.values[0] >= 0:
                return encode_few([int(value) for value in only.values])
        return self.sketch().encode()

    def spreads(self) -> list[Spread]:
        """All of them as spreads, exact ones as long as no bucket was added."""
        if self._sketch is None and not self.packed:
            return self.read
        sketch = self.sketch()
        return [Spread(*sketch.ascending(), sketch.total)]


class Sum:
    """What several parts and buckets come to together."""

    __slots__ = ("durations", "sums", "waits")

    def __init__(self) -> None:
        self.sums = _NOTHING
        self.durations = Lengths()
        self.waits = Lengths()

    def add(self, part: Part) -> None:
        """Add what executions come to."""
        self.sums = part.sums if self.sums is _NOTHING else self.sums.plus(part.sums)
        self.durations.add(part.durations)
        self.waits.add(part.waits)

    def add_sums(self, sums: Sums) -> None:
        """Add what adds up, without durations."""
        self.sums = sums if self.sums is _NOTHING else self.sums.plus(sums)

    def add_bucket(self, bucket: Bucket) -> None:
        """Add a bucket."""
        self.sums = bucket.sums if self.sums is _NOTHING else self.sums.plus(bucket.sums)
        self.durations.add_encoded(bucket.durations)
        self.waits.add_encoded(bucket.waits)

    def include(self, other: "Sum") -> None:
        """Add another, of which no sketch was made yet."""
        self.add_sums(other.sums)
        self.durations.include(other.durations)
        self.waits.include(other.waits)

    def bucket(self) -> Bucket:
        """All of it as a bucket keeps it."""
        return Bucket(self.sums, self.durations.encoded(), self.waits.encoded())


def folded(parts: Iterable[Part], kept: Kept) -> dict[Spot, Sum]:
    """What parts add to the buckets of every level that is kept; of all times only to those of module types."""
    found: dict[Spot, Sum] = {}
    for part in parts:
        for level in levels_of(part.start, kept):
            if level is Level.EVER and part.series.kind is not Kind.ALL:
                continue
            spot = (part.series, level, start_of(level, part.start))
            there = found.get(spot)
            if there is None:
                there = found[spot] = Sum()
            there.add(part)
    return found
