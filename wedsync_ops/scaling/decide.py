"""How many slots are wanted now. Pure: the moment, a situation and a policy come in, a decision and its reason go out.

demand → recommendation (a band of loads in which nothing changes) → stabilised over windows of recommendations →
cooldowns and bounded steps → what somebody has pinned → bounds. Growing is quick, giving back is slow, and the load at
which slots are given back is so far below the one at which they are added that a steady load settles.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wedsync_ops.instants import MINUTE
from wedsync_ops.scaling.model import (
    LEAST_URGENT,
    Decision,
    Limit,
    Past,
    Pin,
    Policy,
    Reason,
    Seen,
    Situation,
    Waiting,
    up,
)

_UP_FACTOR, _UP_STEP = 2, 4
"""One decision at most doubles the slots, or adds four where that is more."""
_DOWN_SHARE, _DOWN_STEP = 0.25, 2
"""One decision gives back at most a quarter of the slots, or two where that is more."""
_SATURATED = 0.8
"""Only when so large a share of the slots is at work does a long wait call for more of them."""

_GAP_US = MINUTE
"""Recommendations that follow one another within this, or half the long window, have missed nothing."""


class _Call(NamedTuple):
    """So many slots are called for, for a reason."""

    slots: int
    reason: Reason


class _Step(NamedTuple):
    """A number of slots on its way through the limits, and those that have held it."""

    slots: int
    limits: tuple[Limit, ...] = ()

    def to(self, slots: int, limit: Limit) -> "_Step":
        """The same held by a limit, where that changes anything."""
        return self if slots == self.slots else _Step(slots, (*self.limits, limit))


def decide(now: int, situation: Situation, policy: Policy) -> Decision:
    """How many slots are wanted from ``now`` on; always within the situation's bounds."""
    demand, reason = demand_of(situation, policy)
    call = _recommend(situation, policy, demand, reason)
    demanded = _stabilised(call, now, situation, policy)
    week = _week(situation, policy)
    if week > max(demanded, situation.slots):
        call, demanded = _Call(max(week, call.slots), Reason.WEDDING_WEEK), week
    at_once = week > situation.slots and situation.is_weekend
    step = _limited(_Step(call.slots), demanded, now, situation, policy, at_once=at_once)
    pinned = _pinned(situation.pins, now, step.slots)
    if pinned is not None:
        call, step = pinned, _Step(pinned.slots)
    else:
        step = _held(step, situation, policy)
    step = _bounded(step, situation)
    if step.slots != situation.slots and not _leads_to(call, step, situation):
        call = call._replace(reason=Reason.BOUNDS)
    capacity = situation.capacity
    return Decision(
        wanted=step.slots,
        reason=call.reason,
        limits=step.limits,
        recommended=call.slots,
        demanded=demanded,
        demand=demand,
        load=demand / capacity if capacity else None,
        said=_said(call, step, demand, situation),
    )


def remember(decision: Decision, now: int, situation: Situation, policy: Policy) -> Past:
    """What the next decision must know of this one and of those before."""
    past, seen = situation.past, Seen(now, decision.recommended)
    if decision.reason in (Reason.PINNED, Reason.EMERGENCY):  # what it would have been is not known from these
        seen = Seen(now, decision.demanded)
    highs = [one for one in _within(past.highs, now, policy.down_window_us) if one.slots > seen.slots]
    lows = [one for one in _within(past.lows, now, policy.up_window_us) if one.slots < seen.slots]
    return Past(
        since=past.since if _is_followed(past, now, policy) else now,
        highs=(*highs, seen),
        lows=(*lows, seen),
        raised_at=now if decision.wanted > situation.slots else past.raised_at,
        lowered_at=now if decision.wanted < situation.slots else past.lowered_at,
    )


def demand_of(situation: Situation, policy: Policy) -> tuple[float, Reason]:
    """The slots that the work of this moment keeps busy, fixed workers' included, and what most of it comes from.

    By Little's law as many as the seconds of work that arrive in a second; beside those so many that what waits has
    started in time, the urgent part of it sooner; never more of these than jobs wait.
    """
    flow = max(situation.offered, min(situation.busy, float(situation.capacity)))
    urgent = [one for one in situation.waiting if one.priority >= LEAST_URGENT]
    queued = flow + max(_to_start(urgent, policy.urgent_drain_s), _to_start(situation.waiting, policy.drain_s))
    late = 0.0
    if situation.jobs_waiting and flow >= _SATURATED * situation.capacity:
        late = situation.capacity * min(situation.oldest_wait_s / policy.wait_s, float(_UP_FACTOR))
    if late > max(queued, flow):
        return late, Reason.WAIT
    return queued, Reason.LOAD if queued <= 1.1 * flow else Reason.QUEUE


def _to_start(waiting: Iterable[Waiting], within_s: float) -> float:
    """The slots that start what waits within so many seconds."""
    jobs = work_s = 0.0
    for one in waiting:
        jobs, work_s = jobs + one.jobs, work_s + one.work_s
    return min(jobs, work_s / within_s)


def replicas(demanded: int, size: int) -> int:
    """How many workers of one size hold so many slots; one at least, so that somebody is there."""
    return max(1, math.ceil(demanded / max(1, size)))


def _recommend(situation: Situation, policy: Policy, demand: float, reason: Reason) -> _Call:
    """What the moment alone calls for, without any bound."""
    slots, capacity = situation.slots, situation.capacity
    aim = max(0, up(demand / policy.target_load) - situation.fixed)
    call = _Call(slots, Reason.STEADY)
    if demand > policy.up_load * capacity and aim > slots:
        call = _Call(aim, reason)
    elif demand < policy.down_load * capacity and aim < slots:
        call = _Call(aim, Reason.IDLE)
    if abs(call.slots - slots) <= policy.tolerance * slots:
        call = _Call(slots, Reason.STEADY)
    foreseen = max(0, up((situation.expected or 0.0) / policy.target_load) - situation.fixed)
    if foreseen > call.slots:
        call = _Call(foreseen, Reason.EXPECTED if foreseen >= slots else call.reason)
    return call


def _week(situation: Situation, policy: Policy) -> int:
    """The slots that wedding-week jobs alone call for, of which they get their share at once; 0 when nobody asks."""
    if situation.week_busy is None:
        return 0
    return max(0, up(situation.week_busy / policy.target_load) - situation.fixed)


def _stabilised(call: _Call, now: int, situation: Situation, policy: Policy) -> int:
    """Up only as far as every recommendation of the short window went, down only as far as any of the long one."""
    slots, past = situation.slots, situation.past
    if call.slots > slots:
        return max(slots, min((call.slots, *(one.slots for one in _within(past.lows, now, policy.up_window_us)))))
    if call.slots < slots:
        if policy.down_window_us and not (_is_followed(past, now, policy) and _is_whole(past, now, policy)):
            return slots
        highest = max((one.slots for one in _within(past.highs, now, policy.down_window_us)), default=0)
        return min(slots, max(call.slots, highest))
    return call.slots


def _within(seen: Iterable[Seen], now: int, window_us: int) -> Iterator[Seen]:
    """What was recommended in a window; a clock that was put back has left what lies ahead, which says nothing."""
    return (one for one in seen if now - window_us <= one.at <= now)


def _is_followed(past: Past, now: int, policy: Policy) -> bool:
    """Whether the recommendations have gone on until now, so that the windows hold what there was to see."""
    return (
        past.since is not None
        and bool(past.highs)
        and 0 <= now - past.highs[-1].at <= max(policy.down_window_us // 2, _GAP_US)
    )


def _is_whole(past: Past, now: int, policy: Policy) -> bool:
    """Whether the long window has been seen from its beginning."""
    return past.since is not None and now - past.since >= policy.down_window_us


def _limited(step: _Step, demanded: int, now: int, situation: Situation, policy: Policy, *, at_once: bool) -> _Step:
    """Held by the windows, the cooldowns and the size of a step; a weekend's wedding-week load by none of these."""
    slots = situation.slots
    step = step.to(slots, Limit.STABILISING) if demanded == slots else _Step(demanded)
    if at_once:
        return step
    if step.slots > slots:
        return step.to(min(step.slots, max(_UP_FACTOR * slots, slots + _UP_STEP)), Limit.STEP)
    if step.slots < slots:
        if _is_within(now, policy.down_pause_us, situation.past.raised_at, situation.past.lowered_at):
            return step.to(slots, Limit.COOLDOWN)
        least = slots - max(math.floor(_DOWN_SHARE * slots), _DOWN_STEP)
        return step.to(max(step.slots, least), Limit.STEP)
    return step


def _is_within(now: int, pause_us: int, *moments: int | None) -> bool:
    return any(at is not None and 0 <= now - at < pause_us for at in moments)


def _held(step: _Step, situation: Situation, policy: Policy) -> _Step:
    """More slots are of no use where the memory is promised already or the cores are all at work."""
    slots = situation.slots
    if step.slots > slots and situation.memory_slots is not None:
        step = step.to(min(step.slots, max(slots, situation.memory_slots)), Limit.MEMORY)
    is_hot = situation.cpu_percent is not None and situation.cpu_percent > policy.cpu_percent
    return step.to(slots, Limit.CPU) if step.slots > slots and is_hot else step


def _pinned(pins: tuple[Pin, ...], now: int, otherwise: int) -> _Call | None:
    """What somebody has said: the last exact number, raised by every "at least"; ``None`` when that changes nothing."""
    valid = [pin for pin in pins if pin.until is None or pin.until > now]
    exact = [pin for pin in valid if not pin.at_least]
    call = _Call(exact[-1].slots, Reason.PINNED) if exact else None
    floor = max((pin.slots for pin in valid if pin.at_least), default=None)
    if floor is not None and floor > (otherwise if call is None else call.slots):
        return _Call(floor, Reason.EMERGENCY)
    return call


def _bounded(step: _Step, situation: Situation) -> _Step:
    step = step.to(min(step.slots, situation.most), Limit.MOST)
    return step.to(max(step.slots, situation.least), Limit.LEAST)


def _leads_to(call: _Call, step: _Step, situation: Situation) -> bool:
    """Whether the slots move the way that was called for, rather than into their bounds."""
    return (call.slots - situation.slots) * (step.slots - situation.slots) > 0


_WHY = {
    Reason.STEADY: "{demand:.1f} of {capacity} slots are needed, which is neither too much nor too little",
    Reason.LOAD: "{demand:.1f} of {capacity} slots are at work",
    Reason.QUEUE: "{jobs:,} jobs wait, and {demand:.1f} slots are needed to start them in time",
    Reason.WAIT: "a job has been waiting for {wait:.0f} s",
    Reason.EXPECTED: "the {expected_by} expects work for {expected:.1f} slots in the next minutes",
    Reason.WEDDING_WEEK: "wedding-week jobs keep {week:.1f} of {capacity} slots busy",
    Reason.IDLE: "only {demand:.1f} of {capacity} slots are needed",
    Reason.PINNED: "{pin}",
    Reason.EMERGENCY: "{pin}",
    Reason.BOUNDS: "the slots lie outside {least} to {most}",
}
_HELD = {
    Limit.STABILISING: "waiting to see whether that lasts",
    Limit.COOLDOWN: "too soon after the last change",
    Limit.STEP: "in steps",
    Limit.LEAST: "{least} is the least",
    Limit.MOST: "{most} is the most",
    Limit.MEMORY: "the memory holds {memory}",
    Limit.CPU: "the cores are {cpu:.0f} % busy",
}


def _said(call: _Call, step: _Step, demand: float, situation: Situation) -> str:
    words = {
        "demand": demand,
        "capacity": situation.capacity,
        "jobs": situation.jobs_waiting,
        "wait": situation.oldest_wait_s,
        "expected": situation.expected or 0.0,
        "expected_by": situation.expected_by,
        "week": situation.week_busy or 0.0,
        "pin": next((pin.said for pin in reversed(situation.pins) if pin.slots == call.slots), ""),
        "least": situation.least,
        "most": situation.most,
        "memory": situation.memory_slots,
        "cpu": situation.cpu_percent or 0.0,
    }
    held = "".join("; " + _HELD[limit].format(**words) for limit in step.limits)
    return _WHY[call.reason].format(**words) + held
