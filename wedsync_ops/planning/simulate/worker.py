"""A simulated worker: what it claims and hands out, by the very parts that decide it in a real one."""

from collections.abc import Mapping

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import ahead
from wedsync_ops.jobs.admission import UNLIMITED_KB, Machine, Need, load_of
from wedsync_ops.jobs.heap import Heap
from wedsync_ops.jobs.model import Lane, Priority
from wedsync_ops.jobs.squeeze import Squeeze, keeps_off
from wedsync_ops.jobs.turns import Turns
from wedsync_ops.planning.simulate.model import Kind
from wedsync_ops.planning.simulate.queue import Job, Queue, in_week

_FLUSH_US = round(ahead.FLUSH_S * SECOND)


class Worker:
    """Slots that take jobs from the queue. ``changed`` says that others have committed since it claimed."""

    def __init__(self, kinds: Mapping[str, Kind], slots: int) -> None:
        self._needs = {name: kind.need for name, kind in kinds.items()}
        self._has_long = any(not need.is_short for need in self._needs.values())
        self._turns = Turns()
        self._heap: Heap[Job] = Heap()
        self._usual_us: dict[str, float] = {}
        self._best_left: Priority | None = None
        self.running: dict[int, Job] = {}
        self.slots = slots
        self.changed = True
        self.flush_at = 0
        """When what has ended is written at the latest, and more claimed with it."""
        self._has_outcomes = False

    @property
    def must_flush(self) -> bool:
        """Whether what has ended is still to be written, and jobs are there that could be claimed with it."""
        return self._has_outcomes and self._best_left is not None

    @property
    def room(self) -> int:
        """How many slots are free."""
        return max(0, self.slots - len(self.running))

    @property
    def size(self) -> int:
        """The slots that there are: those that are to go stay until they are free."""
        return max(self.slots, len(self.running))

    @property
    def has_claimed(self) -> bool:
        """Whether it has jobs that have not started."""
        return len(self._heap) > 0

    def hand_out(self, queue: Queue, now: int) -> list[Job]:
        """Start what can start: claimed before unless something else has come, and claim ahead."""
        started: list[Job] = []
        heap, running, slots = self._heap, self.running, self.slots
        if self._has_outcomes and len(heap) and now >= self.flush_at:
            self._claim(queue, now)
        while len(running) < slots and (len(heap) or queue.available):
            if (self.changed or not len(heap) or self._is_outranked) and not self._claim(queue, now):
                break
            job = heap.pop()
            heap.ended(job.id)
            running[job.id] = job
            started.append(job)
        return started

    def flush(self, queue: Queue, now: int) -> None:
        """Write what has ended, and claim with it, for slots that are free and ahead of those that are not."""
        if self._has_outcomes:
            self._claim(queue, now)

    def end(self, job: Job, duration_us: int) -> None:
        """An execution has ended."""
        del self.running[job.id]
        self._has_outcomes = True
        name = job.module_type
        self._usual_us[name] = ahead.smoothed(self._usual_us.get(name), duration_us)

    def die(self) -> list[Job]:
        """The jobs that were leased to it, in the order of their ids."""
        leased = [*self.running.values(), *self._heap.here()]
        self.running = {}
        self._heap.clear()
        return sorted(leased, key=lambda job: job.id)

    @property
    def _is_outranked(self) -> bool:
        best = self._best_left
        return best is not None and len(self._heap) > 0 and best > self._heap.top.priority

    def _claim(self, queue: Queue, now: int) -> bool:
        """Claim from the top of the order; whether there is anything to start."""
        self.changed = self._has_outcomes = False
        self.flush_at = now + _FLUSH_US
        queue.ripen(now)
        available, room = dict(queue.available), self.room
        claimed: list[Job] = []
        if self._has_long and available:
            available, room = self._squeezed(queue, available, room, claimed, now)
        if available:
            unstarted = [job.module_type for job in self._heap.here()]
            counts = ahead.counts(
                self._turns, available, room, slots=self.slots, unstarted=unstarted, usual_us=self._usual_us
            )
            for lane, count in counts.items():
                claimed += queue.take(lane, count)
                available[lane] -= count
        if len(claimed) > 1:
            claimed.sort(key=lambda job: (job.rank, job.id))
        for job in claimed:
            self._heap.push(job, self._turns.serve(Lane(job.module_type, job.priority)))
        self._best_left = max((lane.priority for lane, count in available.items() if count > 0), default=None)
        return len(self._heap) > 0

    def _squeezed(
        self, queue: Queue, available: dict[Lane, int], room: int, claimed: list[Job], now: int
    ) -> tuple[dict[Lane, int], int]:
        """What may be claimed where slots are kept for wedding-week jobs; those are claimed first."""
        machine = Machine(self.slots, UNLIMITED_KB)
        if not keeps_off(machine, (self._needs[lane.module_type] for lane in available)):
            return available, room
        load = load_of(self._need(job, now) for job in (*self.running.values(), *self._heap.here()))
        order = self._turns.order(available)
        needs = {lane: self._needs[lane.module_type] for lane in order}
        squeeze = Squeeze({lane: available[lane] for lane in order}, needs, load, machine, largest_kb=0)
        for lane, many in squeeze.in_week(room).items():
            jobs = queue.take_in_week(lane, many)
            squeeze.take_in_week(lane, len(jobs))
            claimed += jobs
        room -= len(claimed)
        return squeeze.counts(room, ()), room

    def _need(self, job: Job, now: int) -> Need:
        need = self._needs[job.module_type]
        return need if need.is_short else need._replace(is_wedding_week=in_week(job, now))
