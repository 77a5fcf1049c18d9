"""What to run next: promotes and claims inside the loop's transaction, and keeps what is claimed but not started."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import ahead, ripen
from wedsync_ops.jobs.admission import UNLIMITED_KB
from wedsync_ops.jobs.admitting import Admitting, week_at
from wedsync_ops.jobs.heap import Heap
from wedsync_ops.jobs.model import Claimed, Lane, Priority
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.scope import covers
from wedsync_ops.jobs.squeeze import Squeeze
from wedsync_ops.jobs.store import claim, control, lanes, measures, workers
from wedsync_ops.jobs.store.measures import NOTHING, Tempo
from wedsync_ops.jobs.throttle import Throttle, Week
from wedsync_ops.jobs.turns import Turns

QUICK_US = 10_000
"""What usually takes no longer may be given to a busy slot ahead of its turn, in microseconds."""
UNABLE_US = 60_000_000
"""So long a worker leaves a module type alone whose handler it has not got, in microseconds."""
_LOOK_AGAIN_US = SECOND
_PLACE = attrgetter("rank", "id")


@dataclass(frozen=True, slots=True)
class Claim:
    """What one transaction took from the queue, to be kept once it is committed."""

    jobs: Sequence[Claimed]
    more: bool
    next_due: int | None
    best_left: Priority | None
    dropped: frozenset[int] = frozenset()
    recall: bool = False
    """Whether something that was given ahead may not start any more."""
    limited_until: int | None = None
    """When a limit that holds jobs is looked at next."""
    next_fire: int | None = None
    """When a recurring schedule is due next; ``None`` for never."""
    kept_back_until: int | None = None
    """When what waits for memory or a slot is looked at again, even if no job ends; ``None`` when nothing does."""
    tempo: Tempo = NOTHING
    """What an emergency has put in force, as the claim found it."""


class Dispatcher:
    """Claims from the top of the order, lane by lane, and hands the most urgent job out first."""

    def __init__(self, modules: Sequence[str] | None, region: str | None = None, memory_kb: int = UNLIMITED_KB) -> None:
        self._admitting = Admitting(memory_kb)
        self._region = region
        self._modules = None if modules is None else frozenset(modules)
        self._heap: Heap[Claimed] = Heap()
        self._turns = Turns()
        self._usual_us: dict[str, float] = {}
        self._unable: dict[str, int] = {}
        self._last = Claim((), more=True, next_due=0, best_left=None)

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def more(self) -> bool:
        """Whether the last claim left jobs that could start now."""
        return self._last.more

    @property
    def next_due(self) -> int | None:
        """When time will move a job or fire a schedule next, as of the last claim; ``None`` for never."""
        moments = (self._last.next_due, self._last.next_fire, self._last.kept_back_until)
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def keeps_back(self) -> bool:
        """Whether the last claim left jobs that wait for memory, or for a slot that is not kept for others."""
        return self._last.kept_back_until is not None

    @property
    def limited_until(self) -> int | None:
        """When a limit that holds jobs is looked at next, as of the last claim; ``None`` when none does."""
        return self._last.limited_until

    @property
    def tempo(self) -> Tempo:
        """What an emergency has put in force, as of the last claim."""
        return self._last.tempo

    @property
    def is_outranked(self) -> bool:
        """Whether an unclaimed job comes before the most urgent claimed one: time to claim again."""
        best = self._last.best_left
        return best is not None and len(self._heap) > 0 and best > self._heap.top.priority

    @property
    def is_overtaken(self) -> bool:
        """Whether a claimed job comes before one that was given ahead: time to take those back."""
        return self._heap.is_overtaken

    def is_quick(self) -> bool:
        """Whether the most urgent claimed job usually takes so little that it may be given ahead."""
        return len(self._heap) > 0 and self._usual_us.get(self._heap.top.module_type, QUICK_US + 1) <= QUICK_US

    def pop(self) -> Claimed:
        """The most urgent claimed job, to be started."""
        return self._heap.pop()

    def lend(self) -> Claimed:
        """The most urgent claimed job, to be given ahead."""
        return self._heap.lend()

    def take_back(self, job_ids: Iterable[int]) -> None:
        """Keep jobs that were given ahead and have not started."""
        self._heap.take_back(job_ids)

    def here(self) -> list[Claimed]:
        """Every claimed job that is here."""
        return self._heap.here()

    def clear(self) -> None:
        """Forget every claimed job."""
        self._heap.clear()

    def nothing(self) -> Claim:
        """Claim nothing, because nothing more is to start."""
        return replace(self._last, jobs=(), more=False, best_left=None, dropped=frozenset(), recall=False)

    def look_again(self) -> None:
        """Expect jobs that the last claim did not see."""
        self._last = replace(self._last, jobs=(), more=True, next_due=0, dropped=frozenset(), recall=False)

    def learn(self, job: Claimed, duration_us: int) -> None:
        """A job has ended: take its length into account for how far ahead to claim."""
        self._heap.ended(job.id)
        self._usual_us[job.module_type] = ahead.smoothed(self._usual_us.get(job.module_type), duration_us)

    def avoid(self, job: Claimed, until: int) -> None:
        """Claim nothing of a job's module type before an instant: this worker has not got its handler."""
        self._heap.ended(job.id)
        self._unable[job.module_type] = until

    @property
    def lacking(self) -> frozenset[str]:
        """The module types that this worker does not claim, because it has not got their handlers."""
        return frozenset(self._unable)

    def is_due(self, now: int) -> bool:
        """Whether time has moved a job or made a schedule due since the last claim."""
        return self.next_due is not None and self.next_due <= now

    def must_fire(self, now: int) -> bool:
        """Whether a schedule has fallen due since the last claim."""
        return self._last.next_fire is not None and self._last.next_fire <= now

    def claim(
        self,
        connection: Connection,
        rules: Rules,
        *,
        worker_id: str,
        now: int,
        slots: int,
        room: int,
        running: Callable[[], Collection[Claimed]] = tuple,
    ) -> Claim:
        """Promote what has fallen due and lease the next jobs; ``room`` is how many could start at once.

        ``running`` tells the jobs that have a slot, or wait with one.
        What has expired or was paused while it waited here is given back. Nothing is kept until ``keep``.
        """
        if self.is_due(now):
            ripen.promote(connection, rules, now)
            ripen.reconsider(connection, rules, now)
        pauses, tempo = control.closed(connection, now), measures.tempo(connection, now)
        self._unable = {name: until for name, until in self._unable.items() if until > now}
        dropped = self._drop(connection, pauses, now)
        known, provider = rules.settings.limits, rules.registry.provider
        throttle = Throttle(connection, known, pauses, now, provider=provider, region=self._region)
        throttle.wake()
        available = self._open_lanes(connection, pauses, slots)
        if tempo.probes:
            _hold_to_probes(available, tempo.probes, measures.running(connection))
        room = self._room(available, room, slots)
        waiting = sum(available.values())
        squeeze = self._squeeze(rules, available, running, dropped, slots=slots, now=now)
        rows: list[Row[Any]] = []
        if squeeze is not None:
            rows = self._lease_in_week(throttle, worker_id, squeeze, room, week_at(rules, now))
            room -= len(rows)
            available = self._admitting.counts(squeeze, room=room, now=now)
        counts = self._counts(available, room, slots)
        rows += self._lease(throttle, worker_id, available, counts, room)
        throttle.save()
        next_due = claim.next_due(connection)
        best_left = max((lane.priority for lane, count in available.items() if count > 0), default=None)
        jobs = claim.load(connection, rows)
        kept = self._kept(connection, rules, jobs, squeeze, now)
        recall = any(_has_expired(job, now) or _is_paused(job, pauses) for job in self._heap.lent())
        # A job that ends lets others in, and is met by a claim; the clock is for what nobody says.
        keeps_back = squeeze is not None and waiting > len(kept)
        again = now + _LOOK_AGAIN_US if keeps_back else None
        due = min((at for at in (next_due.at, *self._unable.values()) if at is not None), default=None)
        limited, fire = next_due.limited_at, next_due.fire_at
        return Claim(kept, best_left is not None, due, best_left, dropped, recall, limited, fire, again, tempo)

    def _kept(
        self, connection: Connection, rules: Rules, jobs: Sequence[Claimed], squeeze: Squeeze | None, now: int
    ) -> Sequence[Claimed]:
        """What may be kept of the jobs that were claimed; the others are given back."""
        expired = {job.id for job in jobs if _has_expired(job, now)}
        if expired:
            claim.release(connection, [job for job in jobs if job.id in expired], now=now, expired=True)
            jobs = [job for job in jobs if job.id not in expired]
        over = [] if squeeze is None else self._admitting.too_many(squeeze, rules, jobs, now)
        if over:
            claim.release(connection, over, now=now)
            beyond = {job.id for job in over}
            jobs = [job for job in jobs if job.id not in beyond]
        return jobs

    def keep(self, taken: Claim) -> None:
        """Keep what a committed transaction has claimed."""
        if taken.dropped:
            self._heap.remove(taken.dropped)
        for job in sorted(taken.jobs, key=_PLACE):  # a database returns what it has leased in any order
            self._heap.push(job, self._turns.serve(Lane(job.module_type, job.priority)))
        self._last = taken

    def return_unknown(self, connection: Connection, worker_id: str, running: Collection[int], now: int) -> None:
        """Give back what is leased to this worker without its knowledge: a commit was done, and its answer was lost."""
        known = {*running, *(job.id for job in self._heap.here())}
        leased = workers.orphans(connection, worker_id, 2**31 - 1)
        claim.release(connection, [job for job in leased if job.id not in known], now=now)

    def _squeeze(
        self,
        rules: Rules,
        available: Mapping[Lane, int],
        running: Callable[[], Collection[Claimed]],
        dropped: Collection[int],
        *,
        slots: int,
        now: int,
    ) -> Squeeze | None:
        def leased() -> list[Claimed]:
            return [*running(), *(job for job in self._heap.here() if job.id not in dropped)]

        return self._admitting.look(rules, available, self._turns, leased, slots=slots, now=now)

    @staticmethod
    def _lease_in_week(throttle: Throttle, worker_id: str, squeeze: Squeeze, room: int, week: Week) -> list[Row[Any]]:
        """Lease wedding-week jobs out of lanes whose others must leave the kept slots alone."""
        rows: list[Row[Any]] = []
        for lane, count in squeeze.in_week(room).items():
            leased, _ = throttle.lease(lane, count, worker_id, week)
            squeeze.take_in_week(lane, len(leased))
            rows += leased
        return rows

    def _drop(self, connection: Connection, pauses: Sequence[control.Pause], now: int) -> frozenset[int]:
        """Give back what may not start any more."""
        here = self._heap.here()
        expired = [job for job in here if _has_expired(job, now)]
        barred = [job for job in here if job.module_type in self._unable or _is_paused(job, pauses)]
        if expired:
            claim.release(connection, expired, now=now, expired=True)
        if barred:
            claim.release(connection, barred, now=now)
        return frozenset(job.id for job in (*expired, *barred))

    def _lease(
        self, throttle: Throttle, worker_id: str, available: dict[Lane, int], counts: Mapping[Lane, int], missing: int
    ) -> list[Row[Any]]:
        """Lease so many of each lane, and go on until at least ``missing`` are leased or nothing is left."""
        rows: list[Row[Any]] = []
        while counts:
            for lane, count in counts.items():
                taken, has_more = throttle.lease(lane, count, worker_id)
                # Fewer than the counter promised: the rest is held back, or belongs to other workers by now.
                available[lane] = max(available[lane] - count, int(len(taken) < count)) if has_more else 0
                rows += taken
            if throttle.is_full:
                break
            counts = dict(self._turns.shares(available, missing - len(rows)))
        return rows

    def _counts(self, available: Mapping[Lane, int], room: int, slots: int) -> dict[Lane, int]:
        unstarted = [job.module_type for job in (*self._heap.here(), *self._heap.lent())]
        return ahead.counts(self._turns, available, room, slots=slots, unstarted=unstarted, usual_us=self._usual_us)

    def _room(self, available: Mapping[Lane, int], room: int, slots: int) -> int:
        """The room that there is. A job that comes before one that was given ahead can have that one's slot."""
        lowest = min((job.priority for job in self._heap.lent()), default=None)
        best = max((lane.priority for lane, count in available.items() if count > 0), default=None)
        return max(room, slots) if lowest is not None and best is not None and best > lowest else room

    def _open_lanes(self, connection: Connection, pauses: Sequence[control.Pause], slots: int) -> dict[Lane, int]:
        if any(pause.scope == "all" for pause in pauses):
            return {}
        closed = {pause.name for pause in pauses if pause.scope == "module"}
        closed |= self.lacking
        held = {pause.name for pause in pauses if pause.scope == "priority"}
        if self._region is None:
            counts = lanes.read(connection)
        else:  # more than can be claimed at once, so that what is left over shows
            counts = lanes.within(connection, self._region, 2 * max(slots, ahead.AHEAD_MAX))
        return {
            count.lane: count.available
            for count in counts
            if count.available > 0
            and count.lane.module_type not in closed
            and (not held or count.lane.priority.word not in held)
            and (self._modules is None or count.lane.module_type in self._modules)
        }


def _hold_to_probes(available: dict[Lane, int], probes: Mapping[str, int], running: Mapping[str, int]) -> None:
    """Of a module type that is being tried out only so many jobs at once, the most urgent first."""
    left = {name: max(0, most - running.get(name, 0)) for name, most in probes.items()}
    for lane in sorted(available, key=lambda lane: -lane.priority):
        if lane.module_type in left:
            available[lane] = min(available[lane], left[lane.module_type])
            left[lane.module_type] -= available[lane]


def _has_expired(job: Claimed, now: int) -> bool:
    return job.expires_at is not None and job.expires_at <= now


def _is_paused(job: Claimed, pauses: Sequence[control.Pause]) -> bool:
    step = job.priority.word
    return any(covers(pause.scope, pause.name, job.module_type, job.supplier_id, step) for pause in pauses)
