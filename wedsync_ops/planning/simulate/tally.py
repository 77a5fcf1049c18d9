"""What is counted while a simulation runs. Pure but for its own memory."""

from wedsync_ops.alerts.facts import Point, Sums
from wedsync_ops.instants import MINUTE
from wedsync_ops.jobs.model import Priority
from wedsync_ops.metrics.sketch import Sketch
from wedsync_ops.planning.simulate.model import Sample, Started
from wedsync_ops.planning.simulate.queue import Job

_BATCH = 8192


class Tally:
    """Counts; ``keep_starts`` keeps every start, for small traces."""

    def __init__(self, *, keep_starts: bool) -> None:
        self.arrived = self.week_arrived = self.done = self.failed = self.week_failed = 0
        self.executions = self.failed_executions = self.lost_executions = 0
        self.missed = self.missed_in_week = 0
        self.busy_us = 0
        self.most_running = 0
        self.starts: list[Started] = []
        self.samples: list[Sample] = []
        self._keeps_starts = keep_starts
        self._waits: dict[Priority, list[int]] = {step: [] for step in Priority}
        self._sketches = {step: Sketch() for step in Priority}
        self._free_waits: dict[Priority, list[int]] = {step: [] for step in Priority}
        self._free_sketches = {step: Sketch() for step in Priority}
        self._minute: dict[str, list[int]] = {}

    def came(self, job: Job) -> None:
        """A job has fallen due."""
        self.arrived += 1
        self.week_arrived += job.is_in_week

    def began(self, job: Job, now: int, *, was_held: bool = False) -> None:
        """An execution has begun; ``was_held``: a breaker held its job since it was due."""
        _add(self._waits[job.priority], self._sketches[job.priority], now - job.due_at)
        if not was_held:
            _add(self._free_waits[job.priority], self._free_sketches[job.priority], now - job.due_at)
        if self._keeps_starts:
            self.starts.append(Started(now, job.id, now - job.due_at, job.label))

    def ran(self, job: Job, duration_us: int, *, is_ok: bool) -> None:
        """An execution has ended by itself."""
        self.executions += 1
        self.busy_us += duration_us
        sums = self._minute.get(job.module_type)
        if sums is None:
            sums = self._minute[job.module_type] = [0] * len(Sums._fields)
        sums[0] += 1
        sums[5] += duration_us
        sums[6] = max(sums[6], duration_us)
        if job.is_in_week:
            sums[2] += 1
            sums[4] += duration_us
        if not is_ok:
            self.failed_executions += 1
            sums[1] += 1
            sums[3] += job.is_in_week

    def completed(self, job: Job, now: int) -> None:
        """A job is done."""
        self.done += 1
        if job.deadline_at is not None and now > job.deadline_at:
            self._miss(job)

    def gave_up(self, job: Job) -> None:
        """A job has failed for good."""
        self.failed += 1
        self.week_failed += job.is_in_week
        if job.deadline_at is not None:
            self._miss(job)

    def left_over(self, job: Job, now: int) -> None:
        """A job still waits when the simulation ends."""
        if job.deadline_at is not None and now > job.deadline_at:
            self._miss(job)

    def _miss(self, job: Job) -> None:
        self.missed += 1
        self.missed_in_week += job.is_in_week

    def minute(self, now: int) -> list[Point]:
        """The executions of the minute that ends now, which are forgotten."""
        points = [Point(name, now - MINUTE, Sums._make(sums)) for name, sums in self._minute.items()]
        self._minute = {}
        return points

    def waits(self) -> dict[Priority, Sketch]:
        """The waits by priority, the most urgent first."""
        return _all(self._waits, self._sketches)

    def free_waits(self) -> dict[Priority, Sketch]:
        """The same without those of jobs that a breaker held."""
        return _all(self._free_waits, self._free_sketches)


def _add(waits: list[int], sketch: Sketch, wait_us: int) -> None:
    waits.append(wait_us)
    if len(waits) == _BATCH:
        sketch.add(waits)
        waits.clear()


def _all(kept: dict[Priority, list[int]], sketches: dict[Priority, Sketch]) -> dict[Priority, Sketch]:
    for step, waits in kept.items():
        sketches[step].add(waits)
        waits.clear()
    return {step: sketches[step] for step in sorted(Priority, reverse=True)}
