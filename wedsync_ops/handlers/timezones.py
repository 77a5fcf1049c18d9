"""VTIMEZONE components (RFC 5545, 3.6.5): a time zone's offsets around a year, from the tz database.

icalendar's own generator puts the onset of summer time an hour late (in the new offset instead of the old one), so the
changes are found here: offsets are compared day by day, and the second of a change is found by halving.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from icalendar import TimezoneDaylight, TimezoneStandard

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@lru_cache(maxsize=256)
def vtimezone(zone: ZoneInfo, year: int) -> bytes:
    """The zone's VTIMEZONE as it is written, right from the start of the year before to the end of the year after."""
    from icalendar import Timezone

    first, last = datetime(year - 1, 1, 1, tzinfo=UTC), datetime(year + 2, 1, 1, tzinfo=UTC)
    component = Timezone()
    component.add("TZID", zone.key)
    component.add_component(_period(first.astimezone(zone), _offset(first, zone)))
    for change in _changes(zone, first, last):
        component.add_component(_period(change.astimezone(zone), _offset(change - _SECOND, zone)))
    written: bytes = component.to_ical(sorted=False)
    return written


def _period(onset: datetime, before: timedelta) -> "TimezoneDaylight | TimezoneStandard":
    """The component for what begins at this moment; its DTSTART is local time as it was counted before."""
    from icalendar import TimezoneDaylight, TimezoneStandard

    part = TimezoneDaylight() if onset.dst() else TimezoneStandard()
    part.add("DTSTART", onset.astimezone(UTC).replace(tzinfo=None) + before)
    part.add("TZOFFSETFROM", before)
    part.add("TZOFFSETTO", onset.utcoffset())
    part.add("TZNAME", onset.tzname() or "LMT")
    return part


def _changes(zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """The instants at which the zone's offset changes, in order."""
    day = first
    while day < last:
        following = day + _DAY
        if _offset(day, zone) != _offset(following, zone):
            yield _change_between(zone, day, following)
        day = following


def _change_between(zone: ZoneInfo, old: datetime, new: datetime) -> datetime:
    offset = _offset(old, zone)
    while new - old > _SECOND:
        middle = old + (new - old) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, zone) == offset:
            old = middle
        else:
            new = middle
    return new


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()
