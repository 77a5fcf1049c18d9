"""When a job is due, with the reasons in words. Pure.

In order: the base (what --at or --delay asked for, else now; for a review the day after the wedding), then send_time,
then send_delay, then the recipient's quiet hours. Near the wedding the waits that a module's config asks for are cut;
the caller's own are not.
"""

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from wedsync_ops.errors import InvalidConfig, InvalidContext, InvalidTime, UsageError
from wedsync_ops.instants import MINUTE, from_datetime, to_datetime
from wedsync_ops.jobs.model import Due
from wedsync_ops.weddings.model import Wedding
from wedsync_ops.weddings.proximity import days_until, in_wedding_week
from wedsync_ops.weddings.quiet import in_words, quiet_until

_OPENS, _CLOSES = time(9), time(17)
_REVIEW_TIME = time(10)
_SATURDAY = 5
_LATEST = 221_845_392_000 * 1_000_000  # the start of the year 9000, the end of the instants that texts can name
_TOO_LATE = "the job would be due after the year 8999"
_LONGEST_DAYS = 4_000_000

SendTime = Literal["immediate", "business_hours", "custom"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked of a job's due time. ``at`` and ``send_at`` are instants, lengths named ``_min`` are minutes.

    ``zone`` is the recipient's; ``wedding_week_delay_min`` the longest wait 2 to 7 days before the wedding;
    ``after_wedding_days`` makes the job wait for that many days after the wedding (a review request). ``quiet`` is the
    span of the recipient's day in which nothing is sent, by its start and its end.
    """

    at: int | None = None
    delay_min: float | None = None
    send_time: SendTime = "immediate"
    send_at: int | None = None
    send_delay_min: float = 0.0
    zone: ZoneInfo
    wedding: Wedding | None = None
    wedding_week_delay_min: float = 30.0
    after_wedding_days: int | None = None
    quiet: tuple[time, time] | None = None


def decide(now: int, wish: Wish) -> Due:
    """The instant at which a job is due, never before ``now``, and why.

    Raises UsageError for ``at`` together with ``delay`` or a delay below 0, InvalidContext for a job after a wedding
    without a date, InvalidConfig for a custom send_time without send_at, InvalidTime past the year 8999.
    """
    reasons: list[str] = []
    base = _after_wedding(_asked_for(now, wish, reasons), wish, reasons)
    limit_us = _longest_wait(base, wish)
    sent = _sent(base, limit_us, wish, reasons)
    delayed = _delayed(sent, limit_us, wish, reasons)
    at = _undisturbed(delayed, wish, reasons)
    return Due(_in_range(at), tuple(reasons) or ("at once",), (delayed - sent) / MINUTE)


def _asked_for(now: int, wish: Wish, reasons: list[str]) -> int:
    if wish.at is not None and wish.delay_min is not None:
        raise UsageError("at and delay exclude each other", hint="give one of them")
    if wish.at is not None:
        if wish.at <= now:
            reasons.append("the time asked for is past: now")
            return now
        reasons.append("at the time asked for")
        return _in_range(wish.at)
    if wish.delay_min is None:
        return now
    if not wish.delay_min >= 0:
        raise UsageError("delay must be 0 or more minutes")
    if wish.delay_min:
        reasons.append(f"delayed by {_minutes(wish.delay_min)} as asked for")
    return _in_range(now + _microseconds(wish.delay_min))


def _after_wedding(base: int, wish: Wish, reasons: list[str]) -> int:
    """The base, or if that is earlier 10:00 of the day so many days after the wedding, in the wedding's zone."""
    days = wish.after_wedding_days
    if days is None:
        return base
    if wish.wedding is None:
        raise InvalidContext(
            "this module is sent after the wedding, and the context names none", hint="give context.wedding_date"
        )
    if not 0 <= days <= _LONGEST_DAYS:
        raise InvalidConfig(f"days_after_wedding cannot be {days}", hint="give 0 or more days")
    try:
        day = wish.wedding.on + timedelta(days=days)
        earliest = from_datetime(datetime.combine(day, _REVIEW_TIME, tzinfo=wish.wedding.zone))
    except OverflowError as error:
        raise InvalidTime(_TOO_LATE, hint="give an earlier time or a shorter delay") from error
    if earliest <= base:
        return base
    reasons.append(f"{days} days after the wedding ({wish.wedding.on}), at 10:00")
    return _in_range(earliest)


def _longest_wait(base: int, wish: Wish) -> int | None:
    """The longest wait in microseconds that the config may cause, judged at the base; ``None`` is without limit."""
    if wish.wedding is None:
        return None
    days = days_until(wish.wedding, base)
    if not in_wedding_week(days):
        return None
    return 0 if days <= 1 else _microseconds(wish.wedding_week_delay_min)


def _sent(base: int, limit_us: int | None, wish: Wish, reasons: list[str]) -> int:
    if wish.send_time == "custom":
        if wish.send_at is None:
            raise InvalidConfig(
                "send_time is custom, and send_at is missing", hint="give send_at, or another send_time"
            )
        if wish.send_at <= base:
            return base
        reasons.append("at send_at")
        return _in_range(wish.send_at)
    if wish.send_time == "immediate":
        return base
    opening = _next_opening(base, wish.zone)
    if opening == base:
        return base
    at, cut = _limited(base, opening - base, limit_us)
    reasons.append(f"the recipient's business hours (Mon-Fri 9-17, {wish.zone.key})" + _cut_in_words(cut, limit_us))
    return at


def _delayed(at: int, limit_us: int | None, wish: Wish, reasons: list[str]) -> int:
    if not wish.send_delay_min:
        return at
    if not wish.send_delay_min > 0:
        raise InvalidConfig("send_delay must be 0 or more minutes")
    due, cut = _limited(at, _microseconds(wish.send_delay_min), limit_us)
    reasons.append(f"send_delay of {_minutes(wish.send_delay_min)}" + _cut_in_words(cut, limit_us))
    return due


def _undisturbed(at: int, wish: Wish, reasons: list[str]) -> int:
    """The instant itself, or the end of the quiet hours that it lies in; on the last two days nothing waits."""
    if wish.quiet is None or at >= _LATEST:
        return at
    until = quiet_until(at, wish.quiet, wish.zone, wish.wedding)
    if until is None:
        return at
    reasons.append(in_words(wish.quiet, wish.zone))
    return until


def _limited(at: int, wait_us: int, limit_us: int | None) -> tuple[int, bool]:
    if limit_us is None or wait_us <= limit_us:
        return at + wait_us, False
    return at + limit_us, True


def _next_opening(instant: int, zone: ZoneInfo) -> int:
    """The instant itself within business hours, 9:00 included and 17:00 not, else the next 9:00 of a weekday."""
    local = to_datetime(instant, zone)
    if local.weekday() < _SATURDAY and _OPENS <= local.time() < _CLOSES:
        return instant
    day = local.date() if local.time() < _OPENS else local.date() + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return from_datetime(datetime.combine(day, _OPENS, tzinfo=zone))


def _in_range(instant: int) -> int:
    if instant >= _LATEST:
        raise InvalidTime(_TOO_LATE, hint="give an earlier time or a shorter delay")
    return instant


def _microseconds(minutes: float) -> int:
    return round(minutes * MINUTE) if math.isfinite(minutes) else _LATEST


def _minutes(minutes: float) -> str:
    return "1 minute" if minutes == 1 else f"{minutes:.15g} minutes"


def _cut_in_words(cut: bool, limit_us: int | None) -> str:  # noqa: FBT001 - a private wording helper
    if not cut or limit_us is None:
        return ""
    return f", cut to {_minutes(limit_us / MINUTE)} in wedding week"
