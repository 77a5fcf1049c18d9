"""Instants are whole microseconds since the Unix epoch, UTC, as plain ``int``.

Integers compare, sort, store and subtract the same in Python, SQLite and PostgreSQL. They become ISO 8601 text or a
local date only where a person or a calendar rule needs one.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wedsync_ops.errors import InvalidInput, InvalidTime, quoted

SECOND = 1_000_000
"""One second in microseconds, the unit of every instant and every ``_us`` length."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_YEAR = 9000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].+)?", re.ASCII)
_DATE_HINT = "write it as YYYY-MM-DD, such as 2027-06-19"
# Names that a machine may know and no other has to: its own zone, POSIX's rules, and clocks that count leap seconds.
_OF_THE_MACHINE = re.compile(r"localtime|posixrules|(?:posix|right)/.*", re.DOTALL)
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
        raise InvalidTime(f"{quoted(text)} is not a time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone or UTC)
    if not _is_in_range(moment):
        raise InvalidTime(f"the time {quoted(text)} is outside the years 1970 to {_LATEST_YEAR - 1}")
    return max(from_datetime(moment), 0)


def _printable(text: str) -> str:
    """The standard parser overlooks a NUL at the end, and takes any character between date and time."""
    if not text.isprintable():
        raise ValueError("not printable")
    return text


@lru_cache(maxsize=4096)
def parse_date(text: str, zone: ZoneInfo | None = None) -> date:
    """Read a calendar date, YYYY-MM-DD, or the day on which an ISO time lies.

    A time with an offset is an instant, and its day is the one in ``zone``; without an offset, or without a zone, it
    is the day that is written. Raises InvalidTime when there is none, or outside the years 1970 to 8999.
    """
    try:
        if not _DATE.fullmatch(text):
            raise ValueError("not YYYY-MM-DD")
        moment = datetime.fromisoformat(_printable(text))
    except ValueError as error:
        raise InvalidTime(f"{quoted(text)} is not a date", hint=_DATE_HINT) from error
    day = moment.date()
    if zone is not None and moment.tzinfo is not None and _is_in_range(day):
        day = moment.astimezone(zone).date()
    if not _is_in_range(day):
        outside = f"the date {quoted(text)} is outside the years 1970 to {_LATEST_YEAR - 1}"
        raise InvalidTime(outside, hint=_DATE_HINT)
    return day


def _is_in_range(day: date) -> bool:
    return 1970 <= day.year < _LATEST_YEAR


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
        if _OF_THE_MACHINE.fullmatch(name):
            raise ValueError("not a name of IANA's")
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{quoted(name)} is not a time zone", hint="use an IANA name, such as Europe/London"
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
