"""How many slots a worker starts with. Pure."""

from wedsync_ops.weddings.model import Calendar, Season
from wedsync_ops.weddings.season import season_at

_PEAK_FACTOR = 2.5


def slots_at_start(calendar: Calendar, now: int, cores: int, *, least: int, most: int) -> int:
    """How many slots a worker starts with: 2 per core, × 2.5 in the peak season, within bounds (platform.md §3)."""
    slots = max(2, 2 * cores)
    if season_at(now, calendar) is Season.PEAK:
        slots = round(slots * _PEAK_FACTOR)
    return min(max(slots, least), most)
