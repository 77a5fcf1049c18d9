"""How near a wedding is, in calendar days of the wedding's own time zone. Pure."""

from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from wedsync_ops.instants import local_date, local_midnight
from wedsync_ops.weddings.model import Wedding

WEDDING_WEEK_DAYS = 7
"""Wedding week runs from this many days before the wedding to the wedding day itself."""
_BOUNDARY_DAYS = (30, 7, 1, -1)


def days_until(wedding: Wedding, instant: int) -> int:
    """Calendar days from an instant (microseconds) to the wedding; 0 on the day itself, negative after it."""
    return (wedding.on - local_date(instant, wedding.zone)).days


def in_wedding_week(days: int | None) -> bool:
    """Whether that many days before a wedding is wedding week; ``None`` means that there is no wedding."""
    return days is not None and 0 <= days <= WEDDING_WEEK_DAYS


def next_boundary(wedding: Wedding, instant: int) -> int | None:
    """The first instant after ``instant`` at which 30, 7 or 1 days are left or the wedding day is over, if any."""
    for boundary in _boundaries(wedding.on, wedding.zone):
        if boundary > instant:
            return boundary
    return None


@lru_cache(maxsize=16_384)
def _boundaries(on: date, zone: ZoneInfo) -> tuple[int, ...]:
    return tuple(local_midnight(on - timedelta(days=days), zone) for days in _BOUNDARY_DAYS)
