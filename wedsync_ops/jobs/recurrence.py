"""When a schedule fires: the next instant after another, with a remark where the clocks change. Pure.

APScheduler's triggers compute wall-clock times; what a change of the clocks makes of them is decided here:

- A time that the change skips is taken with the offset from before it, so it falls as much later.
- A time that happens twice is its first occurrence.
- Where the hour is left open (``*/15 * * * *``) elapsed time counts: no time is moved, and both of two fire.
- An interval is elapsed time.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from wedsync_ops.errors import InvalidInput
from wedsync_ops.instants import DAY, HOUR, SECOND, from_datetime, to_datetime
from wedsync_ops.jobs.cron import Cron, parse_cron

_NEAR = 3 * HOUR
"""A change of the clocks and back lie further apart than this."""
_LOOKAHEAD = timedelta(days=28 * 366)
"""Every date comes round within so long, 29 February on a given day of the week included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What a schedule's fires are computed from: a cron expression or an interval in seconds, in a time zone.

    ``start`` and ``end`` are instants, both included. Intervals are counted from ``start``, else from 1970 in UTC.
    """

    cron: str | None = None
    interval_s: int | None = None
    zone: ZoneInfo
    start: int | None = None
    end: int | None = None


class Occurrence(NamedTuple):
    """An instant at which a schedule fires, and what the clocks have made of it."""

    at: int
    remark: str | None = None


def next_after(timing: Timing, after: int) -> Occurrence | None:
    """The first fire later than an instant; ``None`` when there is none, at least for 28 years.

    Raises InvalidInput for a cron expression that is none.
    """
    if timing.start is not None:
        after = max(after, timing.start - 1)
    if timing.interval_s is not None:
        found = Occurrence(_next_interval(timing.interval_s, timing.start or 0, after))
    else:
        cron = parse_cron(timing.cron or "")
        next_of = _next_elapsed if cron.is_every_hour else _next_wall
        maybe = next_of(cron, timing.zone, after)
        if maybe is None:
            return None
        found = maybe
    return None if timing.end is not None and found.at > timing.end else found


def upcoming(timing: Timing, after: int) -> Iterator[Occurrence]:
    """Every fire later than an instant, in order."""
    found = next_after(timing, after)
    while found is not None:
        yield found
        found = next_after(timing, found.at)


def spread(name: str, fire_at: int, jitter_s: int) -> int:
    """How much later than its time a schedule's fire is due, in microseconds: 0 to the jitter, the same everywhere."""
    if not jitter_s:
        return 0
    digest = hashlib.blake2b(f"{name} {fire_at}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (jitter_s * SECOND + 1)


def _next_interval(interval_s: int, start: int, after: int) -> int:
    # Whole seconds only: the trigger reckons with floating point, which has no microseconds to spare.
    anchor = to_datetime(-(-start // SECOND) * SECOND)
    trigger = IntervalTrigger(seconds=interval_s, start_date=anchor, timezone=UTC)
    return from_datetime(trigger.get_next_fire_time(None, to_datetime((after // SECOND + 1) * SECOND)))


def _next_wall(cron: Cron, zone: ZoneInfo, after: int) -> Occurrence | None:
    """The next fire of definite hours, each wall-clock time once."""
    # What a change of the last day has skipped may still lie ahead, as much later.
    skipped = max(timedelta(), _offset(after, zone) - _offset(after - DAY, zone))
    wall = _wall(after, zone) - skipped
    best: Occurrence | None = None
    while best is None or wall < _wall(best.at, zone):
        following = _next_match(cron, wall)
        if following is None:
            return best
        wall = following
        at = from_datetime(wall.replace(tzinfo=zone))
        if at > after and (best is None or at < best.at):
            best = Occurrence(at, _remark(wall, zone))
    return best


def _next_elapsed(cron: Cron, zone: ZoneInfo, after: int) -> Occurrence | None:
    """The next fire of an open hour: between two changes of the clocks one offset holds."""
    while True:
        offset = _offset(after + 1, zone)
        wall = _next_match(cron, to_datetime(after).replace(tzinfo=None) + offset)
        if wall is None:
            return None
        at = from_datetime((wall - offset).replace(tzinfo=UTC))
        changed = next((probe for probe in (min(at, after + _NEAR), at) if _offset(probe, zone) != offset), None)
        if changed is None:
            local = to_datetime(at, zone)
            return Occurrence(at, f"the second {local:%H:%M} of that day" if local.fold else None)
        after = _change(after + 1, changed, zone) - 1


def _change(before: int, after: int, zone: ZoneInfo) -> int:
    """The first instant of another offset than ``before`` has, where ``after`` has another one."""
    offset = _offset(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _remark(wall: datetime, zone: ZoneInfo) -> str | None:
    local = wall.replace(tzinfo=zone)
    real = to_datetime(from_datetime(local), zone)
    if real.replace(tzinfo=None) != wall:
        return f"{wall:%H:%M} does not exist that day, so it is {real:%H:%M}"
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        return f"{wall:%H:%M} happens twice that day; this is the first"
    return None


def _wall(instant: int, zone: ZoneInfo) -> datetime:
    return to_datetime(instant, zone).replace(tzinfo=None)


def _offset(instant: int, zone: ZoneInfo) -> timedelta:
    return to_datetime(instant, zone).utcoffset() or timedelta()


def _next_match(cron: Cron, wall: datetime) -> datetime | None:
    """The first wall-clock time later than another that an expression names."""
    start = wall.replace(microsecond=0, tzinfo=UTC) + timedelta(seconds=1)
    found = [trigger.get_next_fire_time(None, start) for trigger in _triggers(cron, start.year)]
    return min((at.replace(tzinfo=None) for at in found if at is not None), default=None)


@lru_cache(maxsize=256)
def _triggers(cron: Cron, year: int) -> tuple[CronTrigger, ...]:
    """APScheduler's triggers of an expression, which give up after 28 years. Their UTC is the wall clock."""
    last = datetime(min(year + 1, 9000), 1, 1, tzinfo=UTC) + _LOOKAHEAD
    try:
        return tuple(
            CronTrigger(
                minute=cron.minute,
                hour=cron.hour,
                day=day,
                month=cron.month,
                day_of_week=weekday,
                end_date=last,
                timezone=UTC,
            )
            for day, weekday in cron.days
        )
    except ValueError as error:
        raise InvalidInput(f"the cron expression cannot be read: {error}") from error
