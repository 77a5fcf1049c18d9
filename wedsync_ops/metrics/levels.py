"""Which buckets a range is put together from, and what must be read from the executions themselves. Pure.

Executions are rolled up into buckets of several widths at once, and each width is kept for a time of its own. A range
is covered by the widest buckets that fit into it, then by narrower ones, and at its ends by single executions.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from wedsync_ops.instants import DAY, HOUR, MINUTE
from wedsync_ops.metrics.model import Range


class Level(IntEnum):
    """A width of buckets; the numbers stand in the database. EVER is one bucket for all times."""

    EVER = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3


WIDTHS = {Level.MINUTE: MINUTE, Level.HOUR: HOUR, Level.DAY: DAY}
"""In microseconds, the narrowest first; all of them divide a day."""
_NARROW_FIRST: Sequence[Level] = tuple(WIDTHS)


class Kept(NamedTuple):
    """From which instant on there is everything: executions that were rolled up, and buckets of each width.

    The floor of a width is the start of one of its buckets.
    """

    raw: int = 0
    minute: int = 0
    hour: int = 0
    day: int = 0

    def floor(self, level: Level) -> int:
        """The floor of a width; 0 for the one bucket of all times."""
        return 0 if level is Level.EVER else self[level]


class Piece(NamedTuple):
    """A stretch that is read in one way: from whole buckets of a level, from single executions when that is ``None``.

    ``from_at`` is included and ``to_at`` is not.
    """

    level: Level | None
    from_at: int
    to_at: int


def start_of(level: Level, instant: int) -> int:
    """The start of the bucket that an instant lies in; of all times it is 0."""
    return 0 if level is Level.EVER else instant - instant % WIDTHS[level]


def levels_of(finished_at: int, kept: Kept) -> Iterator[Level]:
    """The levels that still have a bucket for an execution that finished then."""
    return (level for level in Level if start_of(level, finished_at) >= kept.floor(level))


def answerable(over: Range, kept: Kept) -> Range:
    """The range that can be told exactly: it starts where the asked one does as long as there are executions.

    Before that it starts with the narrowest bucket that is kept, and never before all that is.
    """
    if over.from_at >= kept.raw:
        return over
    for level in _NARROW_FIRST:
        start = start_of(level, over.from_at)
        if start >= kept.floor(level):
            return Range(start, over.to_at)
    return Range(min(max(kept.day, over.from_at), over.to_at), over.to_at)


def pieces(over: Range, kept: Kept) -> list[Piece]:
    """The stretches that an answerable range is put together from, in order, each in the widest way that fits."""
    return list(_pieces(over.from_at, over.to_at, _NARROW_FIRST, kept))


def _pieces(start: int, end: int, levels: Sequence[Level], kept: Kept) -> Iterator[Piece]:
    if start >= end:
        return
    if not levels:
        yield Piece(None, start, end)
        return
    level, narrower = levels[-1], levels[:-1]
    width = WIDTHS[level]
    first, last = max(-(-start // width) * width, kept.floor(level)), end - end % width
    if first < last:
        yield from _pieces(start, first, narrower, kept)
        yield Piece(level, first, last)
        yield from _pieces(last, end, narrower, kept)
    else:
        yield from _pieces(start, end, narrower, kept)
