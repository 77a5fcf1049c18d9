"""Which hour or day is reported on. Pure."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from wedsync_ops.instants import HOUR, MINUTE, from_datetime, local_midnight, to_datetime
from wedsync_ops.operations.report.model import Period

HOURLY, DAILY = "hourly", "daily"
KINDS = (HOURLY, DAILY)


def period(kind: str, at: int, zone: ZoneInfo) -> Period:
    """The last whole hour or day of a zone that had ended by an instant; a day may have 23 or 25 hours."""
    if kind == DAILY:
        today = to_datetime(at, zone).date()
        start = local_midnight(today - timedelta(days=1), zone)
        return Period(DAILY, start, local_midnight(today, zone), HOUR, zone.key)
    # Zones differ from UTC by halves and quarters of hours, too, so the hour is the zone's own.
    local = to_datetime(at, zone)
    offset = from_datetime(local.replace(tzinfo=ZoneInfo("UTC"))) - at
    end = (at + offset) // HOUR * HOUR - offset
    return Period(HOURLY, end - HOUR, end, 2 * MINUTE, zone.key)


def name(over: Period) -> str:
    """The name of a period: ``daily-2027-06-19``, ``hourly-2027-06-19T1400+0100``."""
    local = to_datetime(over.from_at, ZoneInfo(over.zone))
    return f"{DAILY}-{local:%Y-%m-%d}" if over.kind == DAILY else f"{HOURLY}-{local:%Y-%m-%dT%H%M%z}"


def words(over: Period) -> str:
    """A period in words."""
    zone = ZoneInfo(over.zone)
    start, end = to_datetime(over.from_at, zone), to_datetime(over.to_at, zone)
    if over.kind == DAILY:
        return f"{start:%A, %-d %B %Y}"
    return f"{start:%A, %-d %B %Y, %H:%M} to {end:%H:%M}"


def label(over: Period, at: int) -> str:
    """The time of the day of an instant in the period."""
    return f"{to_datetime(at, ZoneInfo(over.zone)):%H:%M}"
