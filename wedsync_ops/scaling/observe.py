"""Looks at the platform: the situation of every scope, read at one moment, as decisions want it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.jobs.admitting import usual_need
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.model import Lane
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import control, durations, lanes, requests, workers
from wedsync_ops.jobs.store.requests import EVERY, Kind, Request
from wedsync_ops.metrics.store import present
from wedsync_ops.scaling.fleet import Fleet, fleets, members
from wedsync_ops.scaling.foresight import Hour, busiest, by_calendar
from wedsync_ops.scaling.model import Past, Pin, Situation, Waiting
from wedsync_ops.scaling.share import Member
from wedsync_ops.scaling.store import work
from wedsync_ops.weddings.season import is_weekend

FLOW_ROUNDS = 2
"""Over how many decisions' time finished work is averaged."""
LONG_S = 0.05
"""What usually takes longer is not claimed before it can start, so that a lease of it is a busy slot."""
_MOST_AHEAD = 1_000
_UNKNOWN_S = 2.0

Foresee = Callable[[Connection, int, int], Iterable[Hour]]
"""Tells what is expected in the hours that begin from an instant on, and before another."""


def nothing(_connection: Connection, _since: int, _until: int) -> Iterable[Hour]:
    """For a platform without forecasts."""
    return ()


@dataclass(frozen=True, slots=True)
class Observed:
    """A scope at a moment: its workers, those that are sized with their bounds, and the situation."""

    fleet: Fleet
    members: tuple[Member, ...]
    situation: Situation


@dataclass(frozen=True, slots=True)
class _Platform:
    """What is read once for all scopes."""

    now: int
    rules: Rules
    living: Sequence[workers.Worker]
    counts: Sequence[lanes.LaneCount]
    running: Sequence[work.Running]
    flows: Mapping[str, float]
    hours: Sequence[Hour]
    asked: Sequence[Request]
    closed: frozenset[str]
    cpu_percent: float | None

    def work_s(self, module_type: str) -> float:
        """The seconds of work that a job of a module type is, as far as is known."""
        pointers = self.rules.registry.pointers
        if module_type not in pointers:
            return _UNKNOWN_S
        return expected_of(self.rules.expected, self.rules.registry.current(module_type)).p50_us / SECOND


def observe(
    connection: Connection, rules: Rules, now: int, pasts: Mapping[str, Past], foresee: Foresee = nothing
) -> list[Observed]:
    """The situation of every scope. Raises DatabaseError."""
    platform = _platform(connection, rules, now, foresee)
    found = fleets(platform.living, now, round(rules.settings.lease_s * SECOND))
    capacity = sum(worker.slots for fleet in found for worker in fleet.workers)
    seen = []
    for fleet in found:
        part = sum(worker.slots for worker in fleet.workers) / capacity if capacity else 1 / len(found)
        seen.append(_observed(connection, platform, fleet, part, pasts.get(fleet.scope, Past())))
    return seen


def _platform(connection: Connection, rules: Rules, now: int, foresee: Foresee) -> _Platform:
    rules = replace(rules, expected=durations.read(connection))
    counts = lanes.read(connection)
    types = sorted({count.lane.module_type for count in counts})
    pauses = control.closed(connection, now)
    everything = any(pause.scope == "all" for pause in pauses)
    lead_us = round(rules.settings.scale_lead_s * SECOND)
    since = now - round(FLOW_ROUNDS * rules.settings.autoscale_every_s * SECOND)
    return _Platform(
        now=now,
        rules=rules,
        living=workers.living(connection),
        counts=counts,
        running=work.running(connection),
        flows={name: work.slots_kept_busy(connection, name, since, now) for name in types},
        hours=tuple(foresee(connection, now - now % HOUR, now + lead_us)),
        asked=requests.in_force(connection, now),
        closed=frozenset(types) if everything else frozenset(one.name for one in pauses if one.scope == "module"),
        cpu_percent=present.host_load(connection, now - MINUTE, now).cpu_percent,
    )


def _observed(connection: Connection, platform: _Platform, fleet: Fleet, part: float, past: Past) -> Observed:
    settings, now = platform.rules.settings, platform.now
    open_lanes = _open_lanes(connection, platform, fleet)
    taken = [one for one in platform.running if one.worker_id in {worker.id for worker in fleet.workers}]
    flow = math.fsum(slots for name, slots in platform.flows.items() if fleet.takes(name))
    need_kb = _need_kb(platform, open_lanes, taken)
    sized = members(fleet, platform.living, need_kb, is_own_memory=settings.memory_mb is not None)
    most = sum(one.most for one in sized) if sized else settings.max_slots
    fits = sum(one.fits for one in sized)
    expected, expected_by = _expected(platform, fleet, flow)
    week = [one.slots for one in _of(platform.asked, fleet.scope, part) if one.kind is Kind.BUSY]
    situation = Situation(
        slots=fleet.slots,
        least=sum(one.least for one in sized) if sized else settings.min_slots,
        most=most,
        memory_slots=fits if sized and fits < most else None,
        fixed=sum(worker.slots for worker in fleet.fixed),
        busy=_busy(platform, fleet, taken),
        offered=flow,
        waiting=_waiting(platform, open_lanes),
        oldest_wait_s=_oldest_wait_s(connection, open_lanes, now),
        expected=expected,
        expected_by=expected_by,
        week_busy=max(week, default=None),
        cpu_percent=platform.cpu_percent,
        is_weekend=is_weekend(now, platform.rules.calendar),
        pins=_pins(_of(platform.asked, fleet.scope, part)),
        past=past,
    )
    return Observed(fleet, tuple(sized), situation)


def _open_lanes(connection: Connection, platform: _Platform, fleet: Fleet) -> Mapping[Lane, int]:
    """How many jobs of each lane could start now, of those that the scope's workers take."""
    counts = platform.counts
    if fleet.region is not None:
        counts = lanes.within(connection, fleet.region, _MOST_AHEAD)
    return {
        count.lane: count.available
        for count in counts
        if count.available > 0 and fleet.takes(count.lane.module_type) and count.lane.module_type not in platform.closed
    }


def _waiting(platform: _Platform, open_lanes: Mapping[Lane, int]) -> tuple[Waiting, ...]:
    jobs: Counter[int] = Counter()
    work_s: defaultdict[int, float] = defaultdict(float)
    for lane, many in open_lanes.items():
        jobs[int(lane.priority)] += many
        work_s[int(lane.priority)] += many * platform.work_s(lane.module_type)
    return tuple(Waiting(priority, jobs[priority], work_s[priority]) for priority in sorted(jobs, reverse=True))


def _oldest_wait_s(connection: Connection, open_lanes: Mapping[Lane, int], now: int) -> float:
    found = (work.oldest_due(connection, lane) for lane in open_lanes)
    return max(0, now - min((due for due in found if due is not None), default=now)) / SECOND


def _busy(platform: _Platform, fleet: Fleet, taken: Iterable[work.Running]) -> float:
    """How many slots are at work with what takes long; the rest shows in the work that was done."""
    long: Counter[str] = Counter()
    for one in taken:
        if platform.work_s(one.module_type) > LONG_S:
            long[one.worker_id] += one.many
    return float(sum(min(worker.slots, long[worker.id]) for worker in fleet.workers))


def _need_kb(platform: _Platform, open_lanes: Mapping[Lane, int], taken: Iterable[work.Running]) -> float | None:
    """What a job of those that wait and run takes at its peak, by how much work they are; ``None`` without any."""
    weights: defaultdict[str, float] = defaultdict(float)
    for lane, many in open_lanes.items():
        weights[lane.module_type] += many * platform.work_s(lane.module_type)
    for one in taken:
        weights[one.module_type] += one.many * platform.work_s(one.module_type)
    total = sum(weights.values())
    if total <= 0:
        return None
    return sum(usual_need(platform.rules, name).memory_kb * weight for name, weight in weights.items()) / total


def _expected(platform: _Platform, fleet: Fleet, flow: float) -> tuple[float | None, str]:
    found = busiest(platform.hours, lambda name: platform.work_s(name) if fleet.takes(name) else 0.0)
    if found is not None:
        return found, "forecast"
    lead_us = round(platform.rules.settings.scale_lead_s * SECOND)
    return by_calendar(flow, platform.now, lead_us, platform.rules.calendar), "calendar"


def _of(asked: Iterable[Request], scope: str, part: float) -> list[Request]:
    """What is asked of a scope; of what is asked of all of them, its part."""
    return [
        one if one.scope != EVERY else one._replace(slots=one.slots * part)
        for one in asked
        if one.scope in (scope, EVERY)
    ]


def _pins(asked: Iterable[Request]) -> tuple[Pin, ...]:
    kinds = (Kind.EXACTLY, Kind.AT_LEAST)
    return tuple(
        Pin(math.ceil(one.slots), one.kind is Kind.AT_LEAST, one.until, one.said) for one in asked if one.kind in kinds
    )
