"""How executions went over a range: counts in parts of equal length. Pure."""

from collections.abc import Mapping

from wedsync_ops.instants import DAY, HOUR
from wedsync_ops.metrics.levels import WIDTHS, Kept, Level, start_of
from wedsync_ops.metrics.model import Range

PARTS = 24
"""The most parts of a range."""
_LONGEST = {Level.MINUTE: 2 * HOUR, Level.HOUR: 4 * DAY}
"""The longest range that is divided by buckets of a width."""


def level_for(over: Range, kept: Kept) -> Level:
    """The width of the buckets that a range is divided by: one that is fine enough and still kept."""
    length = over.to_at - over.from_at
    return next(
        (level for level in _LONGEST if length <= _LONGEST[level] and over.from_at >= kept.floor(level)), Level.DAY
    )


def divided(counts: Mapping[int, int], over: Range, level: Level) -> list[int]:
    """Counts by the start of a bucket as counts of at most ``PARTS`` equal parts; the first bucket is taken whole."""
    width, first = WIDTHS[level], start_of(level, over.from_at)
    many = max(1, -(-(over.to_at - first) // width))
    per_part = -(-many // PARTS)
    found = [0] * -(-many // per_part)
    for start, count in counts.items():
        place = (start - first) // width // per_part
        if 0 <= place < len(found):
            found[place] += count
    return found
