"""What becomes of the fires that are due: which run, which were missed, which are one with a later one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs.recurrence import Timing, next_after, spread

CATCH_UP = 100
"""The most fires of a schedule that one transaction decides."""


class FireOutcome(StrEnum):
    """What a fire came to."""

    QUEUED = "queued"
    MISSED = "missed"
    COALESCED = "coalesced"
    SKIPPED = "skipped"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How a schedule recurs, and what it does about fires that come late. ``jitter_s`` and ``grace_s`` are seconds."""

    name: str
    timing: Timing
    jitter_s: int
    grace_s: int
    coalesce: bool

    def next_fire(self, after: int) -> "NextFire":
        """The first fire later than an instant."""
        found = next_after(self.timing, after)
        return NOTHING_AHEAD if found is None else NextFire(found.at, self.due_at(found.at))

    def due_at(self, fire_at: int) -> int:
        """When a fire is due: its time and its share of the jitter."""
        return fire_at + spread(self.name, fire_at, self.jitter_s)


class NextFire(NamedTuple):
    """The fire that comes next and when it is due; both ``None`` when there is none."""

    fire_at: int | None
    due_at: int | None


NOTHING_AHEAD = NextFire(None, None)


class Verdict(NamedTuple):
    """What is decided of a fire, and why; without an outcome it is to run."""

    fire_at: int
    due_at: int
    outcome: FireOutcome | None
    reason: str | None


class Plan(NamedTuple):
    """The fires that are due, oldest first, and the one that comes next."""

    verdicts: Sequence[Verdict]
    ahead: NextFire


def plan(recurrence: Recurrence, fire_at: int, now: int) -> Plan:
    """Decide the fires from ``fire_at`` on that are due by ``now``, at most 100.

    One that is later than the grace is missed. Of several that are not, coalescing runs only the last. Of more than 100
    that were missed the rest are one: nobody reads ten thousand lines about one night.
    """
    fires: list[tuple[int, int]] = []
    ahead = NextFire(fire_at, recurrence.due_at(fire_at))
    while _is_due(ahead, now) and len(fires) < CATCH_UP:
        fires.append((ahead.fire_at or 0, ahead.due_at or 0))
        ahead = recurrence.next_fire(fires[-1][0])
    grace_us = recurrence.grace_s * SECOND
    follows = _is_due(ahead, now) and now - (ahead.due_at or 0) <= grace_us
    last = None if follows else max((at for at, due_at in fires if now - due_at <= grace_us), default=None)
    verdicts = [_verdict(recurrence, fire, now, last) for fire in fires]
    if _is_due(ahead, now) and not follows:
        resumed = recurrence.next_fire(now - grace_us - recurrence.jitter_s * SECOND - 1)
        until = "the schedule's end" if resumed.fire_at is None else iso(resumed.fire_at)
        reason = f"missed, as was every fire from here to {until}: each was later than the grace allows"
        verdicts.append(Verdict(ahead.fire_at or 0, ahead.due_at or 0, FireOutcome.MISSED, reason))
        ahead = max(resumed, recurrence.next_fire(ahead.fire_at or 0), key=_order)
    return Plan(tuple(verdicts), ahead)


def _is_due(ahead: NextFire, now: int) -> bool:
    return ahead.due_at is not None and ahead.due_at <= now


def _order(ahead: NextFire) -> float:
    return float("inf") if ahead.fire_at is None else ahead.fire_at


def _verdict(recurrence: Recurrence, fire: tuple[int, int], now: int, last: int | None) -> Verdict:
    """Of one fire; ``last`` is the one that runs for all when they are coalesced, ``None`` for one still to come."""
    fire_at, due_at = fire
    late_s = (now - due_at) / SECOND
    if late_s > recurrence.grace_s:
        reason = f"{late_s:,.0f} s late, and the grace is {recurrence.grace_s:,} s"
        return Verdict(fire_at, due_at, FireOutcome.MISSED, reason)
    if recurrence.coalesce and fire_at != last:
        into = "a later fire" if last is None else f"the fire of {iso(last)}"
        return Verdict(fire_at, due_at, FireOutcome.COALESCED, f"one with {into}")
    return Verdict(fire_at, due_at, None, None)
