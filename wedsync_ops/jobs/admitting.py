"""Admission at a worker: what its jobs need, by what was measured, and what of its lanes may be claimed for that."""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wedsync_ops.instants import SECOND, local_date
from wedsync_ops.jobs.admission import LENT_US, WEEK, Candidate, Load, Machine, Need, admit, lacks_memory, load_of
from wedsync_ops.jobs.conclude import wedding_days
from wedsync_ops.jobs.intake import expected_of
from wedsync_ops.jobs.model import Claimed, Lane
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.throttle import Week
from wedsync_ops.jobs.turns import Turns
from wedsync_ops.modules.model import Resources

PATIENCE_US = 5 * SECOND
"""How long smaller jobs may go past one that waits for memory, in microseconds."""
_UTC = ZoneInfo("UTC")
UNLIMITED_KB = 2**62
"""More memory than any machine has, in KB."""


class Admitted(NamedTuple):
    """What may be claimed of each lane; ``in_week`` lanes have long jobs, of which wedding-week ones may go on."""

    counts: dict[Lane, int]
    in_week: Mapping[Lane, int]


class Admitting:
    """Knows the memory of this worker's machine, and who has been waiting for some."""

    def __init__(self, memory_kb: int = UNLIMITED_KB) -> None:
        self._memory_kb = memory_kb
        self._rules: Rules | None = None
        self._needs: dict[str, Need] = {}
        self._worst_kb = 0
        self._waiting: dict[Lane, int] = {}

    def look(
        self,
        rules: Rules,
        available: Mapping[Lane, int],
        turns: Turns,
        running: Callable[[], Collection[Claimed]],
        machine_slots: int,
        *,
        room: int,
        now: int,
    ) -> Admitted | None:
        """What may be claimed of the lanes for so much room; ``None`` when nothing needs to be kept back."""
        self._learn(rules)
        machine = Machine(machine_slots, self._memory_kb)
        lanes = [lane for lane, count in available.items() if count > 0]
        long = [lane for lane in lanes if not self._need(lane.module_type).is_short] if machine.kept else []
        may_lack = machine.slots * self._worst_kb > self._memory_kb
        if not lanes or (not long and not may_lack):
            return None
        jobs = running()
        types = {lane.module_type for lane in lanes} | {job.module_type for job in jobs}
        may_lack = machine.slots * max(self._need(name).memory_kb for name in types) > self._memory_kb
        if not long and not may_lack:
            return None
        load = load_of(need_of(self._need(job.module_type), rules, job, now) for job in jobs)
        return self._share(available, turns.order(lanes), load, machine, room=room, now=now, may_lack=may_lack)

    def _share(
        self,
        available: Mapping[Lane, int],
        lanes: list[Lane],
        load: Load,
        machine: Machine,
        *,
        room: int,
        now: int,
        may_lack: bool,
    ) -> Admitted:
        overdue = {lane for lane, since in self._waiting.items() if now - since >= PATIENCE_US}
        needs = {lane: self._need(lane.module_type) for lane in lanes}
        candidates = [Candidate(lane.priority, needs[lane], available[lane], lane in overdue) for lane in lanes]
        counts = dict(zip(lanes, admit(candidates, load, machine, room), strict=True))
        self._waiting = {
            lane: self._waiting.get(lane, now)
            for lane in lanes
            if not counts[lane] and lacks_memory(needs[lane], load, machine)
        }
        in_week = {
            lane: available[lane] - counts[lane]
            for lane in lanes
            if machine.kept
            and not needs[lane].is_short
            and lane not in self._waiting
            and available[lane] > counts[lane]
        }
        if may_lack:
            return Admitted(counts, in_week)
        # Memory is no matter, and short ones may have every slot: they may also be claimed ahead, as ever.
        return Admitted({lane: available[lane] if needs[lane].is_short else counts[lane] for lane in lanes}, in_week)

    def _learn(self, rules: Rules) -> None:
        if rules is not self._rules:
            self._rules = rules
            self._needs.clear()
            self._worst_kb = max((self._need(name).memory_kb for name in rules.registry.pointers), default=0)

    def _need(self, module_type: str) -> Need:
        known = self._needs.get(module_type)
        if known is None and self._rules is not None:
            known = self._needs[module_type] = usual_need(self._rules, module_type)
        return known or Need(0, is_short=True)


def usual_need(rules: Rules, module_type: str) -> Need:
    """What a job of a type needs: as measured; else its ``memory_limit``, for as long as its ``max_execution_time``."""
    if module_type not in rules.registry.pointers:  # registered after these rules were read
        return Need(Resources().memory_limit * 1024, is_short=False)
    module = rules.registry.current(module_type)
    usual = expected_of(rules.expected, module)
    memory_kb = usual.memory_kb
    if memory_kb is None:
        memory_kb = module.definition.resource_requirements.memory_limit * 1024
    return Need(memory_kb, is_short=usual.p95_us <= LENT_US)


def need_of(usual: Need, rules: Rules, job: Claimed, now: int) -> Need:
    """What this job needs."""
    is_in_week = wedding_days(rules, job.wedding_on, job.timezone, now) in WEEK
    return usual._replace(is_wedding_week=True) if is_in_week else usual


def week_at(rules: Rules, now: int) -> Week:
    """The wedding week of this moment, in each wedding's own zone; no zone is more than a day away from UTC."""
    today = local_date(now, _UTC)
    days = (today - timedelta(days=1), today + timedelta(days=len(WEEK)))
    return Week(days, lambda on, zone: wedding_days(rules, on, zone, now) in WEEK)
