"""Cron expressions of five fields, read by cron's rules and told in APScheduler's. Pure.

APScheduler counts days of the week from Monday and wants both the day of the month and the day of the week to fit.
Cron counts them from Sunday, and when both are given either one will do.
"""

import re
from dataclasses import dataclass

from wedsync_ops.errors import InvalidInput, quoted

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_DIGITS = re.compile(r"[0-9*/,-]+", re.ASCII)
_WORDS = re.compile(r"[0-9a-z*/,-]+", re.ASCII)
_ITEM = re.compile(r"(?:\*|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?", re.ASCII)
_HINT = "write five fields, such as 30 9 * * mon-fri; 0 and 7 are Sunday"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in APScheduler's words; it fires where any of the ``days`` fits.

    ``days`` are pairs of day of the month and day of the week.
    """

    minute: str
    hour: str
    month: str
    days: tuple[tuple[str, str], ...]

    @property
    def is_every_hour(self) -> bool:
        """Whether the hour is left open: then it follows elapsed time through a change of the clocks."""
        return self.hour == "*"


def parse_cron(text: str) -> Cron:
    """Read ``minute hour day-of-month month day-of-week``. Raises InvalidInput that names the field.

    Numbers that are out of range are left to whoever builds the trigger.
    """
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise InvalidInput(f"{quoted(text)} has {len(fields)} fields", hint=_HINT)
    minute, hour, day, month, weekday = fields
    for name, field in zip(_FIELDS, fields, strict=True):
        allowed = _WORDS if name in _FIELDS[3:] or field == "last" else _DIGITS
        if not allowed.fullmatch(field) or (field == "last" and name != _FIELDS[2]):
            raise InvalidInput(f"the {name} cannot be {quoted(field)}", hint=_HINT)
    named = ",".join(_DAYS[number] for number in sorted(_weekdays(weekday)))
    # As in every cron: a field that starts with a star restricts nothing as far as the other one is concerned.
    if day.startswith("*") or weekday.startswith("*"):
        return Cron(minute, hour, month, ((day, "*" if weekday == "*" else named),))
    return Cron(minute, hour, month, ((day, "*"), ("*", named)))


def _weekdays(field: str) -> set[int]:
    """The days of the week that a field names, Sunday as 0."""
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise InvalidInput(f"the day of the week cannot be {quoted(field)}", hint=_HINT)
        first, last, step = match.groups()
        low = 0 if first is None else _weekday(first)
        high = 6 if first is None else low if last is None else _weekday(last)
        if last == "sun":
            high = 7
        if last is None and first is not None and step is not None:
            high = 6
        if low > high or step in {"0", "00"}:
            raise InvalidInput(f"the days of the week {quoted(item)} are none", hint=_HINT)
        found |= {number % 7 for number in range(low, high + 1, int(step or 1))}
    return found


def _weekday(word: str) -> int:
    if word in _DAYS:
        return _DAYS.index(word)
    if word.isdigit() and int(word) <= 7:
        return int(word)
    raise InvalidInput(f"there is no day of the week {quoted(word)}", hint=_HINT)
