"""The simulation: events in the order of time, on a clock that jumps from one to the next. Pure.

Jobs fall due, are claimed, run and end; attempts fail and are tried again; workers die and come back; every few seconds
the number of slots is decided on, every minute the alerts. What is decided, the platform's own functions decide.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from wedsync_ops.instants import DAY, MINUTE, SECOND
from wedsync_ops.jobs import lifecycle
from wedsync_ops.jobs.model import Claimed, Outcome, Result, State
from wedsync_ops.jobs.priority import boost_for
from wedsync_ops.planning.simulate.alarms import Watch
from wedsync_ops.planning.simulate.model import Answer, Arrival, Chance, Demand, Guard, Loss, Sample, Setup, Turn
from wedsync_ops.planning.simulate.queue import Job, Queue
from wedsync_ops.planning.simulate.sizing import Sizing
from wedsync_ops.planning.simulate.tally import Tally
from wedsync_ops.planning.simulate.trouble import Trouble
from wedsync_ops.planning.simulate.worker import Worker
from wedsync_ops.scaling.start import slots_at_start

_END, _DUE, _BACK, _DIES, _STARTS, _FLUSH, _SIZE, _LOOK, _MINUTE = range(9)
"""What happens, in the order in which it does when it happens at the same instant."""
_NEVER = 2**63
_REST_US = MINUTE
"""So far apart are decisions on the slots while nothing happens."""
_AFTER_US = 2 * DAY
"""So long the simulation goes on after its last job has fallen due, if it has to."""
_FAILED = "the provider is down"

Progress = Callable[[int, int], None]
"""Hears the simulated instant and the number of jobs so far, every simulated hour."""


class _Event(NamedTuple):
    at: int
    code: int
    number: int
    worker: str
    job: Job | None
    duration_us: int = 0
    is_ok: bool = True


def simulate(
    setup: Setup,
    demand: Demand,
    chance: Chance,
    *,
    guard: Guard | None = None,
    keep_starts: bool = False,
    progress: Progress | None = None,
) -> Answer:
    """Run a demand through a platform until everything has ended, or for two days more."""
    return _Run(setup, demand, chance, guard, keep_starts=keep_starts).run(progress)


class _Run:
    def __init__(self, setup: Setup, demand: Demand, chance: Chance, guard: Guard | None, *, keep_starts: bool) -> None:
        self._guard = guard
        self._turns: list[Turn] = []
        self._look_at: int | None = None
        self._setup, self._demand, self._chance = setup, demand, chance
        self._queue = Queue(setup.calendar, setup.kinds, setup.ageing_us)
        self._tally = Tally(keep_starts=keep_starts)
        self._trouble = Trouble(setup.faults, setup.kinds)
        self._sizing = Sizing(setup, demand)
        self._watch = Watch(setup.rules, {name: kind.targets for name, kind in setup.kinds.items()})
        self._boosts: dict[tuple[str, str | None], int] = {}
        self._workers: dict[str, Worker] = {}
        self._events: list[_Event] = []
        self._number = 0
        self._running = self._born = self._slots = 0
        self._busy_since = demand.since
        self._size_at = 0
        self._rested_at: int | None = None
        self._busy_us = self._slots_us = self._minute_busy_us = 0
        self._alive = 0
        """Jobs that have arrived and neither are done nor have failed."""

    def run(self, progress: Progress | None) -> Answer:
        since, until = self._demand.since, self._demand.until
        starts_at = since if self._setup.starts_at is None else self._setup.starts_at
        for _ in range(self._setup.workers):
            self._push(starts_at, _STARTS)
        for loss in self._setup.faults.losses:
            self._push(loss.at, _DIES, duration_us=loss.away_us)
        if not self._setup.is_fixed:
            self._size_at = starts_at + self._setup.every_us
            self._push(self._size_at, _SIZE)
        self._push(since - since % MINUTE + MINUTE, _MINUTE)
        arrivals = self._demand.arrivals()
        coming = next(arrivals, None)
        told_at = since
        now = since
        while coming is not None or self._alive or now < until:
            event_at = self._events[0].at if self._events else _NEVER
            if coming is not None and coming.at <= event_at:
                now = coming.at
                if self._rested_at is not None:
                    self._rouse(now)
                while coming is not None and coming.at == now:
                    self._arrive(coming)
                    coming = next(arrivals, None)
                self._wake(now)
            elif coming is None and event_at > until + _AFTER_US:
                break
            else:
                event = heappop(self._events)
                now = event.at
                self._happen(event, now)
            if progress is not None and now - told_at >= 3600 * SECOND:
                told_at = now
                progress(now, self._tally.arrived)
        return self._answer(now)

    # -- what happens ------------------------------------------------------------------------------------------------

    def _happen(self, event: _Event, now: int) -> None:
        code, job = event.code, event.job
        if code == _END and job is not None:
            worker = self._workers.get(event.worker)
            if worker is not None:
                self._end(event, worker, job, now)
        elif code in (_DUE, _BACK) and job is not None:
            self._queue.enter(job, now)
            self._wake(now)
        elif code == _FLUSH:
            self._flush(event.worker, now)
        elif code == _DIES:
            self._die(Loss(now, event.duration_us))
        elif code == _STARTS:
            self._start_worker(now)
        elif code == _SIZE:
            self._size(now)
        elif code == _LOOK:
            self._look(now)
        else:
            self._pass_minute(now)

    def _arrive(self, arrival: Arrival) -> None:
        kind = self._setup.kinds[arrival.module_type]
        key = arrival.module_type, arrival.vendor_type
        boost = self._boosts.get(key)
        if boost is None:
            rules = kind.definition.wedding_optimizations
            boost = self._boosts[key] = boost_for(rules, arrival.vendor_type)
        self._tally.arrived += 1
        job = Job(self._tally.arrived, arrival, kind, boost)
        self._tally.week_arrived += job.is_in_week
        self._alive += 1
        self._queue.enter(job, arrival.at)

    def _wake(self, now: int) -> None:
        for name, worker in self._workers.items():
            worker.changed = True
            if len(worker.running) < worker.slots and self._queue.available:
                self._hand_out(name, worker, now)

    def _hand_out(self, name: str, worker: Worker, now: int) -> None:
        started = worker.hand_out(self._queue, now)
        if not started:
            return
        if len(self._workers) > 1:  # they see that somebody has committed
            for other in self._workers.values():
                other.changed = other.changed or other is not worker
        self._count_busy(now)
        self._running += len(started)
        self._tally.most_running = max(self._tally.most_running, self._running)
        for job in started:
            job.attempt += 1
            self._tally.began(job, now, was_held=bool(self._turns) and self._queue.held_us(job, now) > 0)
            takes_us = self._trouble.takes_us(job.module_type, job.duration_us, now)
            is_ok = job.fails < job.attempt and not self._trouble.is_down(job.module_type, now)
            self._number += 1
            ends_at = now + takes_us + self._setup.overhead_us
            heappush(self._events, _Event(ends_at, _END, self._number, name, job, takes_us, is_ok))

    def _end(self, event: _Event, worker: Worker, job: Job, now: int) -> None:
        self._count_busy(now)
        self._running -= 1
        worker.end(job, event.duration_us)
        self._queue.back(job)
        if self._guard is not None:
            self._guard.ended(job.module_type, now - event.duration_us, now, ok=event.is_ok)
            if not event.is_ok:
                self._watch_breakers(now)
        if len(worker.running) >= worker.slots:
            self._count_slots()
        self._tally.ran(job, event.duration_us, is_ok=event.is_ok)
        if event.is_ok:
            self._alive -= 1
            self._tally.completed(job, now)
        else:
            self._fail(job, event.duration_us, now)
        if self._queue.available or worker.has_claimed:
            self._hand_out(event.worker, worker, now)
            if worker.must_flush:
                self._push(max(now, worker.flush_at), _FLUSH, worker=event.worker)

    def _flush(self, name: str, now: int) -> None:
        worker = self._workers.get(name)
        if worker is not None and worker.must_flush and now >= worker.flush_at:
            worker.flush(self._queue, now)
            self._hand_out(name, worker, now)

    def _fail(self, job: Job, duration_us: int, now: int) -> None:
        outcome = Outcome(job.id, 1, job.attempt, Result.ERROR, now - duration_us, duration_us, error=_FAILED)
        change = lifecycle.resolve(
            _claimed(job),
            outcome,
            now=now,
            retry=job.kind.definition.retry,
            rand=self._chance.random(),
            kill_limit=self._setup.kill_limit,
            p95_us=job.kind.expected.p95_us,
        )
        if change.state is State.RETRYABLE and change.due_at is not None:
            job.due_at = change.due_at
            self._push(change.due_at, _DUE, job)
        else:
            self._alive -= 1
            self._tally.gave_up(job)

    def _die(self, loss: Loss) -> None:
        """A worker is gone; its jobs come back after the lease, those that ran without having used an attempt."""
        if not self._workers:
            return
        name = next(iter(self._workers))
        worker = self._workers.pop(name)
        self._count_busy(loss.at)
        self._running -= len(worker.running)
        running = frozenset(worker.running)
        for job in worker.die():
            self._queue.back(job)
            self._lose(job, loss.at, has_started=job.id in running)
        self._count_slots()
        self._push(loss.at + loss.away_us, _STARTS)

    def _lose(self, job: Job, now: int, *, has_started: bool) -> None:
        attempt = job.attempt if has_started else job.attempt + 1  # a claim alone counts one, and gives it back
        self._tally.lost_executions += has_started
        change = lifecycle.lose(attempt, job.losses, job.kills, now=now, loss_limit=self._setup.loss_limit)
        job.attempt, job.losses = change.attempt, change.losses
        if change.state is State.AVAILABLE:
            self._push(now + self._setup.lease_us, _BACK, job)
        else:
            self._alive -= 1
            self._tally.gave_up(job)

    def _start_worker(self, now: int) -> None:
        setup = self._setup
        slots = slots_at_start(setup.calendar, now, setup.cores, least=setup.least, most=setup.most)
        self._count_busy(now)
        self._born += 1
        name = f"w{self._born}"
        self._workers[name] = Worker(setup.kinds, slots)
        self._count_slots()
        self._hand_out(name, self._workers[name], now)

    def _size(self, now: int) -> None:
        if now != self._size_at:  # a job has come meanwhile, and with it an earlier decision
            return
        self._count_busy(now)
        self._sizing.decide(now, self._workers, self._queue, self._busy_us, self._watch.busy)
        self._count_slots()
        self._rested_at = now if self._sizing.rests else None
        ticks = max(1, _REST_US // self._setup.every_us) if self._sizing.rests else 1
        self._size_at = now + ticks * self._setup.every_us
        self._push(self._size_at, _SIZE)
        self._wake(now)

    def _watch_breakers(self, now: int) -> None:
        """Look at the breakers at the next time for it; while nothing fails and all are closed there is no need to."""
        if self._guard is not None and self._look_at is None:
            every_us = self._guard.every_us
            self._look_at = now - now % every_us + every_us
            self._push(self._look_at, _LOOK)

    def _look(self, now: int) -> None:
        self._look_at = None
        waiting = self._queue.by_module()
        for turn in () if self._guard is None else self._guard.look(now):
            self._turns.append(turn._replace(waiting=sum(waiting[name] for name in turn.module_types)))
            for name in turn.module_types:
                if turn.state == "closed":
                    self._queue.free(name, now)
                else:
                    self._queue.hold(name, now, is_probed=turn.state == "half_open")
        if self._queue.is_held:
            self._watch_breakers(now)
        self._wake(now)

    def _rouse(self, now: int) -> None:
        """The first job after a rest: decisions that were left out are made up for, as far as the next looks back."""
        rested_at, every_us = self._rested_at, self._setup.every_us
        self._rested_at = None
        if rested_at is None:
            return
        skipped = (now - rested_at) // every_us
        back = self._setup.policy.up_window_us // every_us + 1
        for number in range(max(1, skipped - back), skipped + 1):
            self._sizing.decide(rested_at + number * every_us, self._workers, self._queue, self._busy_us, None)
        self._size_at = rested_at + (skipped + 1) * every_us
        self._push(self._size_at, _SIZE)

    def _pass_minute(self, now: int) -> None:
        self._count_busy(now)
        waiting = self._queue.by_module()
        points = self._tally.minute(now)
        self._watch.look(now, points, waiting, len(self._workers), self._slots)
        busy = (self._busy_us - self._minute_busy_us) / MINUTE
        self._minute_busy_us = self._busy_us
        self._tally.samples.append(Sample(now, self._slots, busy, waiting.total()))
        self._push(now + MINUTE, _MINUTE)

    # -- keeping count -----------------------------------------------------------------------------------------------

    def _push(self, at: int, code: int, job: Job | None = None, *, duration_us: int = 0, worker: str = "") -> None:
        self._number += 1
        heappush(self._events, _Event(at, code, self._number, worker, job, duration_us))

    def _count_busy(self, now: int) -> None:
        """Count the time of the slots until now."""
        passed = now - self._busy_since
        self._busy_us += passed * self._running
        self._slots_us += passed * self._slots
        self._busy_since = now

    def _count_slots(self) -> None:
        self._slots = sum(worker.size for worker in self._workers.values())

    def _answer(self, now: int) -> Answer:
        self._count_busy(now)
        tally = self._tally
        for job in self._left_over():
            tally.left_over(job, now)
        setup = self._setup
        starts_at = self._demand.since if setup.starts_at is None else setup.starts_at
        at_start = slots_at_start(setup.calendar, starts_at, setup.cores, least=setup.least, most=setup.most)
        return Answer(
            since=self._demand.since,
            until=now,
            arrived=tally.arrived,
            done=tally.done,
            failed=tally.failed,
            waiting=self._alive,
            executions=tally.executions,
            failed_executions=tally.failed_executions,
            lost_executions=tally.lost_executions,
            missed=tally.missed,
            missed_in_week=tally.missed_in_week,
            week_arrived=tally.week_arrived,
            week_failed=tally.week_failed,
            waits=tally.waits(),
            free_waits=tally.free_waits(),
            turns=self._turns,
            samples=tally.samples,
            scaled=self._sizing.scaled,
            slots_at_start=at_start * setup.workers,
            most_running=tally.most_running,
            utilisation=self._busy_us / self._slots_us if self._slots_us else None,
            alarms=[*self._watch.alarms.values()],
            started=tally.starts,
        )

    def _left_over(self) -> list[Job]:
        """The jobs that have not ended: those that wait, those that will be tried again, those that run."""
        jobs = [event.job for event in self._events if event.job is not None and event.code in (_DUE, _BACK)]
        for worker in self._workers.values():
            jobs += worker.die()
        return [*jobs, *self._queue.jobs()]


def _claimed(job: Job) -> Claimed:
    """The job as the lifecycle wants it."""
    return Claimed(
        id=job.id,
        token=1,
        attempt=job.attempt,
        max_attempts=job.kind.definition.retry.attempts,
        module_type=job.module_type,
        module_version=1,
        priority=job.priority,
        rank=job.rank,
        due_at=job.due_at,
        expires_at=None,
        deadline_at=job.deadline_at,
        losses=job.losses,
        kills=job.kills,
        wedding_on=None,
        timezone=None,
        vendor_type=None,
        supplier_id=job.supplier_id,
        key=None,
        config=b"",
        context=b"",
    )
