"""Instants are whole microseconds since the Unix epoch, UTC, as plain ``int``.

Integers compare, sort, store and subtract the same in Python, SQLite and PostgreSQL. They become ISO 8601 text or a
local date only where a person or a calendar rule needs one.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wedsync_ops.errors import InvalidInput, InvalidTime

SECOND = 1_000_000
"""One second in microseconds, the unit of every instant and every ``_us`` length."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_YEAR = 9000
_SPAN = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]) *- *([01]?[0-9]|2[0-3]):([0-5][0-9])")


def from_datetime(moment: datetime) -> int:
    """The instant of an aware datetime, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def to_datetime(instant: int, zone: ZoneInfo | None = None) -> datetime:
    """An instant as an aware datetime, in UTC unless a zone is given."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment if zone is None else moment.astimezone(zone)


def iso(instant: int | None) -> str | None:
    """ISO 8601 in UTC with microseconds, as the JSON contract wants it; ``None`` stays ``None``."""
    if instant is None:
        return None
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str, *, zone: ZoneInfo | None = None) -> int:
    """Read ISO 8601 text as an instant. Text without an offset is taken in ``zone``, UTC when none is given.

    Raises InvalidTime when the text is none, or lies outside the years 1970 to 8999.
    """
    try:
        moment = datetime.fromisoformat(_printable(text.strip()))
    except ValueError as error:
        raise InvalidTime(f"{text[:60]!r} is not a time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    if not 1970 <= moment.year < _LATEST_YEAR:
        raise InvalidTime(f"the time {text[:60]!r} is outside the years 1970 to {_LATEST_YEAR - 1}")
    return max(from_datetime(moment), 0)


def _printable(text: str) -> str:
    """The standard parser overlooks a NUL at the end, and takes any character between date and time."""
    if not text.isprintable():
        raise ValueError("not printable")
    return text


@lru_cache(maxsize=4096)
def parse_date(text: str) -> date:
    """Read a calendar date, YYYY-MM-DD, or the date part of an ISO time. Raises InvalidTime when there is none."""
    try:
        moment = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(_printable(text)).date()
    except ValueError as error:
        raise InvalidTime(f"{text[:60]!r} is not a date", hint="write it as YYYY-MM-DD, such as 2027-06-19") from error
    if not 1970 <= moment.year < _LATEST_YEAR:
        raise InvalidTime(f"the date {text[:60]!r} is outside the years 1970 to {_LATEST_YEAR - 1}")
    return moment


@lru_cache(maxsize=64)
def parse_span(text: str) -> tuple[time, time]:
    """Read a span of the day, such as ``21:00-08:00``; one that ends before it starts runs past midnight.

    Raises InvalidTime when the text is none, or the span is empty.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InvalidTime(f"{text[:60]!r} is not a span of the day", hint="write it as 21:00-08:00")
    hour, minute, last_hour, last_minute = map(int, found.groups())
    start, end = time(hour, minute), time(last_hour, last_minute)
    if start == end:
        raise InvalidTime(f"the span {text[:60]!r} is empty", hint="write it as 21:00-08:00")
    return start, end


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as ``Europe/London``. Raises InvalidInput for any other text."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{name[:60]!r} is not a time zone", hint="use an IANA name, such as Europe/London"
        ) from error


@lru_cache(maxsize=16_384)
def local_midnight(day: date, zone: ZoneInfo) -> int:
    """The instant at which a calendar day starts in a zone."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))


def local_date(instant: int, zone: ZoneInfo) -> date:
    """The calendar day of an instant in a zone."""
    return _date_in_second(instant // SECOND, zone)


@lru_cache(maxsize=16_384)
def _date_in_second(second: int, zone: ZoneInfo) -> date:
    """Days begin on whole seconds, and a batch of jobs asks for the same few over and over."""
    return to_datetime(second * SECOND, zone).date()
