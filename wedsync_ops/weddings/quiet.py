"""Quiet hours: the span of a recipient's day in which no text reaches them. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from wedsync_ops.instants import from_datetime, to_datetime
from wedsync_ops.weddings.model import Wedding
from wedsync_ops.weddings.proximity import days_until


def quiet_until(at: int, span: tuple[time, time], zone: ZoneInfo, wedding: Wedding | None) -> int | None:
    """The end, in microseconds, of the quiet hours that an instant lies in; ``None`` outside of them.

    ``span`` is their start and their end on the recipient's clock, in ``zone``. On the wedding day and the day before
    there are none.
    """
    start, end = span
    local = to_datetime(at, zone)
    clock = local.time()
    is_quiet = start <= clock < end if start < end else clock >= start or clock < end
    if not is_quiet or (wedding is not None and days_until(wedding, at) in (0, 1)):
        return None
    ends = datetime.combine(local.date() + timedelta(days=clock >= end), end, tzinfo=zone)
    until = from_datetime(ends)
    if until <= at:  # the clock went back in between, and shows the end a second time
        until = from_datetime(ends.replace(fold=1))
    return until


def in_words(span: tuple[time, time], zone: ZoneInfo) -> str:
    """Quiet hours as reasons name them."""
    start, end = span
    return f"the recipient's quiet hours ({start:%H:%M}-{end:%H:%M}, {zone.key})"
