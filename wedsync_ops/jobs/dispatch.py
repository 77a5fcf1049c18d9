"""What to run next: promotes and claims inside the loop's transaction, and keeps what is claimed but not started."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from wedsync_ops.jobs import ripen
from wedsync_ops.jobs.heap import Heap
from wedsync_ops.jobs.model import Claimed, Lane, Priority
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import claim, control, lanes
from wedsync_ops.jobs.turns import Turns

AHEAD_US = 50_000
"""The most measured work that a worker claims ahead, in microseconds (architecture.md §3)."""
AHEAD_MAX = 128
"""The most jobs that a worker claims ahead."""
_SMOOTHING = 0.1


class Dispatcher:
    """Claims from the top of the order, lane by lane, and hands the most urgent job out first."""

    def __init__(self, modules: Sequence[str] | None) -> None:
        self._modules = None if modules is None else frozenset(modules)
        self._heap = Heap()
        self._turns = Turns()
        self._work_us = 0.0
        self.more = True
        """Whether the last claim left jobs that could start now."""
        self._unseen = False
        self._best_left: Priority | None = None
        self.next_due: int | None = 0
        """When time will move a job next, as of the last claim; ``None`` for never."""

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def is_outranked(self) -> bool:
        """Whether an unclaimed job may come before the most urgent claimed one: time to claim again."""
        if not len(self._heap):
            return False
        return self._unseen or (self._best_left is not None and self._best_left > self._heap.top.priority)

    def pop(self) -> Claimed:
        """The most urgent claimed job."""
        return self._heap.pop()

    def clear(self) -> list[Claimed]:
        """Every claimed job, to be given back."""
        return self._heap.clear()

    def push(self, jobs: Sequence[Claimed]) -> None:
        """Keep jobs whose claim has been committed."""
        for job in jobs:
            self._heap.push(job, self._turns.serve(Lane(job.module_type, job.priority)))

    def learn(self, duration_us: int) -> None:
        """Take an execution's length into account for how far ahead to claim."""
        self._work_us += (duration_us - self._work_us) * (_SMOOTHING if self._work_us else 1.0)

    def is_due(self, now: int) -> bool:
        """Whether time has moved a job since the last claim."""
        return self.next_due is not None and self.next_due <= now

    def claim(
        self, connection: Connection, rules: Rules, *, worker_id: str, now: int, slots: int, room: int
    ) -> list[Claimed]:
        """Promote what has fallen due and lease the next jobs; ``room`` is how many could start at once.

        Those that expired while they waited become so here and are not returned.
        """
        if self.is_due(now):
            ripen.promote(connection, rules, now)
            ripen.reconsider(connection, rules, now)
        self.next_due = claim.next_due_at(connection)
        pauses = control.pauses(connection, now)
        available = self._open_lanes(connection, pauses)
        suppliers = [pause.name for pause in pauses if pause.scope == "supplier"]
        rows: list[Row[Any]] = []
        for lane, count in self._turns.shares(available, max(room, self._ahead(slots) - len(self._heap))):
            taken = claim.claim(connection, lane, count, worker_id=worker_id, paused_suppliers=suppliers)
            # Fewer than the counter promised: the rest belongs to paused suppliers, or to other workers by now.
            available[lane] = available[lane] - count if len(taken) == count else 0
            rows += taken
        self._unseen = room == 0
        self._best_left = max((lane.priority for lane, count in available.items() if count > 0), default=None)
        self.more = bool(rows) and self._best_left is not None
        jobs = claim.load(connection, rows)
        expired = [job for job in jobs if job.expires_at is not None and job.expires_at <= now]
        if not expired:
            return jobs
        claim.release(connection, expired, now=now, expired=True)
        gone = {job.id for job in expired}
        return [job for job in jobs if job.id not in gone]

    def _open_lanes(self, connection: Connection, pauses: Sequence[control.Pause]) -> dict[Lane, int]:
        if any(pause.scope == "all" for pause in pauses):
            return {}
        closed = {pause.name for pause in pauses if pause.scope == "module"}
        return {
            count.lane: count.available
            for count in lanes.read(connection)
            if count.available > 0
            and count.lane.module_type not in closed
            and (self._modules is None or count.lane.module_type in self._modules)
        }

    def _ahead(self, slots: int) -> int:
        if self._work_us <= 0:
            return slots
        return min(AHEAD_MAX, max(slots, round(AHEAD_US * slots / self._work_us)))
