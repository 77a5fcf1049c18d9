"""The simulated autoscaler: it observes what a real one would, and the real decision decides. Pure."""

from collections.abc import Mapping, Sequence

from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.planning.simulate.model import Demand, Scaled, Setup
from wedsync_ops.planning.simulate.queue import Queue
from wedsync_ops.planning.simulate.worker import Worker
from wedsync_ops.scaling.decide import decide, remember
from wedsync_ops.scaling.foresight import busiest, by_calendar
from wedsync_ops.scaling.model import Past, Situation, Waiting
from wedsync_ops.scaling.share import Member, share
from wedsync_ops.weddings.season import is_weekend

_FLOW_TICKS = 2


class Sizing:
    """Decides how many slots every worker has; ``scaled`` holds what has changed anything."""

    def __init__(self, setup: Setup, demand: Demand) -> None:
        self._setup = setup
        self._demand = demand
        self._work_s = {name: kind.expected.p50_us / SECOND for name, kind in setup.kinds.items()}
        self._past = Past()
        self._busy_us = [0] * _FLOW_TICKS
        self._foreseen: tuple[int, float | None] = (-1, None)
        self.scaled: list[Scaled] = []
        self.rests = False
        """Whether nothing is done, with as few slots as may be: until a job comes, each decision is the same."""

    def decide(
        self, now: int, workers: Mapping[str, Worker], queue: Queue, busy_us: int, week_busy: float | None
    ) -> None:
        """Decide once. ``busy_us`` is how long slots have been at work altogether since the beginning."""
        situation = self._situation(now, [*workers.values()], queue, busy_us, week_busy)
        decision = decide(now, situation, self._setup.policy)
        self.rests = (
            decision.wanted == situation.slots == situation.least
            and decision.recommended <= situation.least
            and not situation.busy
            and not situation.offered
            and not situation.waiting
        )
        self._past = remember(decision, now, situation, self._setup.policy)
        if decision.wanted == situation.slots or not workers:
            return
        self.scaled.append(Scaled(now, situation.slots, decision))
        members = [Member(name, self._setup.least, self._setup.most) for name in workers]
        for name, slots in share(decision.wanted, members).items():
            workers[name].slots = slots

    def _situation(
        self, now: int, workers: Sequence[Worker], queue: Queue, busy_us: int, week_busy: float | None
    ) -> Situation:
        setup = self._setup
        flow = (busy_us - self._busy_us[0]) / (_FLOW_TICKS * setup.every_us)
        self._busy_us = [*self._busy_us[1:], busy_us]
        oldest = queue.oldest_due()
        foreseen = self._expected(now)
        by_season = by_calendar(flow, now, setup.lead_us, setup.calendar) if foreseen is None else None
        return Situation(
            slots=sum(worker.slots for worker in workers),
            least=setup.least * len(workers),
            most=setup.most * len(workers),
            busy=float(sum(len(worker.running) for worker in workers)),
            offered=flow,
            waiting=self._waiting(queue),
            oldest_wait_s=0.0 if oldest is None else (now - oldest) / SECOND,
            expected=by_season if foreseen is None else foreseen,
            expected_by="calendar" if foreseen is None else "forecast",
            week_busy=week_busy,
            is_weekend=is_weekend(now, setup.calendar),
            past=self._past,
        )

    def _waiting(self, queue: Queue) -> tuple[Waiting, ...]:
        found: dict[int, tuple[int, float]] = {}
        for lane, many in queue.available.items():
            jobs, work_s = found.get(lane.priority, (0, 0.0))
            found[int(lane.priority)] = (jobs + many, work_s + many * self._work_s[lane.module_type])
        return tuple(Waiting(step, *found[step]) for step in sorted(found, reverse=True))

    def _expected(self, now: int) -> float | None:
        """What the busiest hour keeps busy that begins before the lead is over; the same for as long as it is."""
        since, last = now - now % HOUR, (now + self._setup.lead_us) // HOUR
        key = since // HOUR * 2 + (last > since // HOUR)
        if self._foreseen[0] != key:
            hours = self._demand.foreseen(since, now + self._setup.lead_us)
            self._foreseen = key, busiest(hours, self._work_s.__getitem__)
        return self._foreseen[1]
