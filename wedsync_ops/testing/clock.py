"""A clock for tests: it stands still until somebody moves it."""

import re
from datetime import datetime, timedelta

from wedsync_ops.errors import InvalidTime, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, from_datetime, parse_instant, to_datetime

START = "2027-01-13T12:00:00Z"
"""Where a clock stands unless told otherwise: a Wednesday at noon, far from every season and weekend."""

Moment = str | datetime | int
"""A point in time: ISO text (UTC without an offset), an aware datetime, or an instant in microseconds."""
Span = str | timedelta
"""A length of time: text such as ``90s``, ``3d`` or ``1h 30m``, or a timedelta."""

_UNITS = {"ms": 1000, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_PART = r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(ms|[smhdw])"
_SPAN = re.compile(rf"(?:{_PART})+\s*", re.ASCII)


class FakeClock:
    """A clock that a test sets. Both of its readings move together; ``monotonic`` never runs backwards."""

    def __init__(self, start: Moment = START) -> None:
        self._now = instant_of(start)
        self._monotonic_us = 0

    def __repr__(self) -> str:
        return f"FakeClock({shown(self._now)!r})"

    def now(self) -> int:
        """The instant, in microseconds since the epoch, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since this clock was made, as it was moved."""
        return self._monotonic_us / SECOND

    @property
    def moment(self) -> datetime:
        """The instant as a datetime in UTC."""
        return to_datetime(self._now)

    def set(self, moment: Moment) -> int:
        """Put the clock to a moment; the new instant. Forward time passes, backward the clock is only put back."""
        instant = instant_of(moment)
        self._monotonic_us += max(0, instant - self._now)
        self._now = instant
        return instant

    def advance(self, span: Span) -> int:
        """Let time pass; the new instant. Raises InvalidTime for what is no length of time, or a negative one."""
        return self.set(self._now + microseconds(span))


def instant_of(moment: Moment) -> int:
    """A moment in microseconds since the epoch. Raises InvalidTime, for a datetime without a time zone, too."""
    if isinstance(moment, str):
        return parse_instant(moment)
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is None:
        raise InvalidTime(f"{moment.isoformat()} has no time zone", hint="give the datetime a tzinfo, such as UTC")
    return from_datetime(moment)


def microseconds(span: Span) -> int:
    """A length of time in microseconds. Raises InvalidTime."""
    if isinstance(span, timedelta):
        if span < timedelta(0):
            raise InvalidTime(f"{span} is negative", hint="time passes forward; 'set' puts a clock back")
        return span // timedelta(microseconds=1)
    if not _SPAN.fullmatch(span):
        hint = "write numbers and ms, s, m, h, d or w, such as 90s, 3d or 1h 30m"
        raise InvalidTime(f"{quoted(span)} is not a length of time", hint=hint)
    return sum(round(float(number) * _UNITS[unit]) for number, unit in re.findall(_PART, span))


def shown(instant: int) -> str:
    """An instant as failure messages show it."""
    moment = to_datetime(instant)
    return moment.strftime("%Y-%m-%d %H:%M:%S" + (".%f" if moment.microsecond else "") + " UTC")


def length_shown(length_us: int) -> str:
    """A length as failure messages show it: its two largest units, ``3d 12h``."""
    rest, parts = abs(length_us), []
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return ("-" if length_us < 0 else "") + (" ".join(parts[:2]) or "0s")
