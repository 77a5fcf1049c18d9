"""Admission at a worker: what its jobs need, by what was measured, and whether that must be minded."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from zoneinfo import ZoneInfo

from wedsync_ops.instants import SECOND, local_date
from wedsync_ops.jobs.admission import (
    LENT_US,
    UNLIMITED_KB,
    WEEK,
    Machine,
    Need,
    load_of,
    promised,
)
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.conclude import wedding_days
from wedsync_ops.jobs.model import Claimed, Lane
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.squeeze import Squeeze, keeps_off
from wedsync_ops.jobs.throttle import Week
from wedsync_ops.jobs.turns import Turns
from wedsync_ops.modules.model import Resources
from wedsync_ops.vendors import profile_of

PATIENCE_US = 5 * SECOND
"""How long smaller jobs may go past one that waits for memory, in microseconds."""
_UTC = ZoneInfo("UTC")


class Admitting:
    """Knows the memory of this worker's machine, and who has been waiting for some."""

    def __init__(self, memory_kb: int = UNLIMITED_KB) -> None:
        self._memory_kb = memory_kb
        self._rules: Rules | None = None
        self._needs: dict[str, Need] = {}
        self._most: dict[str, int] = {}
        self._worst_kb = 0
        self._waiting: dict[Lane, int] = {}

    def look(
        self,
        rules: Rules,
        available: Mapping[Lane, int],
        turns: Turns,
        leased: Callable[[], Collection[Claimed]],
        *,
        slots: int,
        now: int,
    ) -> Squeeze | None:
        """What must be minded when lanes are claimed; ``None`` when there is enough of everything."""
        self._learn(rules)
        machine = Machine(slots, self._memory_kb)
        lanes = [lane for lane, count in available.items() if count > 0]
        has_long = keeps_off(machine, (self._need(lane.module_type) for lane in lanes))
        if not lanes or (not has_long and slots * self._worst_kb <= self._memory_kb):
            return None
        jobs = leased()
        types = {lane.module_type for lane in lanes} | {job.module_type for job in jobs}
        if not has_long and slots * max(map(self._most_kb, types)) <= self._memory_kb:
            return None
        load = load_of(need_of(self._need(job.module_type), rules, job, now) for job in jobs)
        order = turns.order(lanes)
        return Squeeze(
            {lane: available[lane] for lane in order},
            {lane: self._need(lane.module_type) for lane in order},
            load,
            machine,
            max(self._most_kb(lane.module_type) for lane in order),
        )

    def counts(self, squeeze: Squeeze, *, room: int, now: int) -> dict[Lane, int]:
        """How many of each lane may be claimed; who waits for memory is remembered."""
        overdue = {lane for lane, since in self._waiting.items() if now - since >= PATIENCE_US}
        counts = squeeze.counts(room, overdue)
        lacking = [lane for lane in squeeze.lacking() if not counts[lane]]
        self._waiting = {lane: self._waiting.get(lane, now) for lane in lacking}
        return counts

    def too_many(self, squeeze: Squeeze, rules: Rules, jobs: Iterable[Claimed], now: int) -> list[Claimed]:
        """Those of the jobs that were claimed that have no memory; the most urgent have it first."""
        ordered = sorted(jobs, key=lambda job: (-job.priority, job.rank, job.id))
        needs = [need_of(self._need(job.module_type), rules, job, now) for job in ordered]
        return [job for job, lacks in zip(ordered, squeeze.too_many(needs), strict=True) if lacks]

    def _learn(self, rules: Rules) -> None:
        if rules is not self._rules:
            self._rules = rules
            self._needs.clear()
            self._most.clear()
            self._worst_kb = max(map(self._most_kb, rules.registry.pointers), default=0)

    def _most_kb(self, module_type: str) -> int:
        """The most that a job of a type promises, whatever its vendor type."""
        known = self._most.get(module_type)
        if known is None:
            need = self._need(module_type)
            if self._rules is None:
                return need.memory_kb
            factor = max(each.profile.memory_factor for each in self._rules.settings.vendors.values())
            known = promised(need, factor, limit_kb(self._rules, module_type)).memory_kb
            self._most[module_type] = known
        return known

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
        memory_kb = limit_kb(rules, module_type)
    return Need(memory_kb, is_short=usual.p95_us <= LENT_US)


def need_of(usual: Need, rules: Rules, job: Claimed, now: int) -> Need:
    """What this job needs."""
    need = promised_by(usual, rules, job.module_type, job.vendor_type)
    is_in_week = wedding_days(rules, job.wedding_on, job.timezone, now) in WEEK
    return need._replace(is_wedding_week=True) if is_in_week else need


def promised_by(usual: Need, rules: Rules, module_type: str, vendor_type: str | None) -> Need:
    """What a running job of a vendor type promises for itself."""
    factor = profile_of(vendor_type, rules.settings.vendors).memory_factor
    return usual if factor == 1 else promised(usual, factor, limit_kb(rules, module_type))


def limit_kb(rules: Rules, module_type: str) -> int:
    """The ``memory_limit`` of a module type, in KB."""
    if module_type not in rules.registry.pointers:  # registered after these rules were read
        return Resources().memory_limit * 1024
    return rules.registry.current(module_type).definition.resource_requirements.memory_limit * 1024


def week_at(rules: Rules, now: int) -> Week:
    """The wedding week of this moment, in each wedding's own zone; no zone is more than a day away from UTC."""
    today = local_date(now, _UTC)
    days = (today - timedelta(days=1), today + timedelta(days=len(WEEK)))
    return Week(days, lambda on, zone: wedding_days(rules, on, zone, now) in WEEK)
