"""What is unusual: the figures of now against the same hour of the same weekday in the weeks before. Pure.

Median and median absolute deviation, because a single bad week must not become what is expected. Where few weeks are
known nothing is said; and what differs by little is no anomaly, however steady the weeks before were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from wedsync_ops.instants import HOUR, from_datetime, to_datetime

WEEKS = 6
"""How many weeks back are looked at."""
FEWEST_WEEKS = 3
"""With fewer weeks known nothing is expected."""
_MAD_TO_SIGMA = 1.4826
_LEAST_SHARE = 0.1
"""The spread is taken to be at least this share of the median."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is usual: the median, and how far values lie from it (as a standard deviation)."""

    median: float
    sigma: float

    def deviation(self, value: float) -> float:
        """How many standard deviations a value lies from what is usual; negative below it."""
        return (value - self.median) / self.sigma

    @property
    def low(self) -> float:
        """The least that is still usual (three standard deviations)."""
        return max(0.0, self.median - 3 * self.sigma)

    @property
    def high(self) -> float:
        """The most that is still usual."""
        return self.median + 3 * self.sigma


def expected(values: Sequence[float], least_sigma: float) -> Expected | None:
    """What is usual by the weeks before; ``None`` when there are too few. ``least_sigma`` is in the values' unit."""
    if len(values) < FEWEST_WEEKS:
        return None
    middle = median(values)
    spread = _MAD_TO_SIGMA * median(abs(value - middle) for value in values)
    return Expected(middle, max(spread, _LEAST_SHARE * middle, least_sigma))


def same_hours(now: int, zone: ZoneInfo) -> list[int]:
    """The instants at which the same hour of the same weekday began in the weeks before, by the clock of a zone."""
    local = to_datetime(now, zone).replace(minute=0, second=0, microsecond=0)
    naive = local.replace(tzinfo=None)
    return [_hour_of(naive - timedelta(weeks=weeks), zone) for weeks in range(1, WEEKS + 1)]


def _hour_of(wall: datetime, zone: ZoneInfo) -> int:
    """The hour (UTC) in which a wall clock's hour began: zones that differ by half hours share one."""
    return from_datetime(wall.replace(tzinfo=zone)) // HOUR * HOUR
