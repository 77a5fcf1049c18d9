"""The jobs that a worker has claimed and that have not started, the most urgent on top."""

import heapq
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from wedsync_ops.jobs.model import Priority


class Ranked(Protocol):
    """A job with what orders it among others."""

    @property
    def id(self) -> int:
        """Its id."""
        ...

    @property
    def priority(self) -> Priority:
        """How urgent it is."""
        ...

    @property
    def rank(self) -> int:
        """Its place in its lane."""
        ...


Job = TypeVar("Job", bound=Ranked)
_Item = tuple[int, int, int, int, Job]


class Heap(Generic[Job]):
    """A priority queue of claimed jobs: priority, then the lane's turn, then rank, then id.

    A job can be *lent*: it is out of the queue, but can come back to its place until it is known to have ended.
    """

    def __init__(self) -> None:
        self._items: list[_Item[Job]] = []
        self._lent: dict[int, _Item[Job]] = {}
        self._popped: dict[int, _Item[Job]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def push(self, job: Job, turn: int) -> None:
        """Add a job that was claimed in its lane's given turn."""
        heapq.heappush(self._items, (-job.priority, turn, job.rank, job.id, job))

    @property
    def top(self) -> Job:
        """The most urgent job, which stays."""
        return self._items[0][-1]

    def pop(self) -> Job:
        """Take the most urgent job, which starts now."""
        item = heapq.heappop(self._items)
        self._popped[item[-1].id] = item
        return item[-1]

    def lend(self) -> Job:
        """Take the most urgent job, which starts later."""
        item = heapq.heappop(self._items)
        self._lent[item[-1].id] = item
        return item[-1]

    def ended(self, job_id: int) -> None:
        """A job that was popped or lent has ended."""
        self._lent.pop(job_id, None)
        self._popped.pop(job_id, None)

    def take_back(self, job_ids: Iterable[int]) -> None:
        """Put jobs that have not started after all back in their places."""
        for job_id in job_ids:
            item = self._lent.pop(job_id, None) or self._popped.pop(job_id)
            heapq.heappush(self._items, item)

    @property
    def is_overtaken(self) -> bool:
        """Whether a job that is here comes before one that is lent."""
        return bool(self._items and self._lent) and self._items[0] < max(self._lent.values())

    def here(self) -> list[Job]:
        """The jobs that are not lent, in no order."""
        return [item[-1] for item in self._items]

    def lent(self) -> list[Job]:
        """The jobs that are lent, in no order."""
        return [item[-1] for item in self._lent.values()]

    def remove(self, job_ids: Iterable[int]) -> None:
        """Take jobs out, wherever they are in the queue."""
        gone = frozenset(job_ids)
        self._items = [item for item in self._items if item[-1].id not in gone]
        heapq.heapify(self._items)

    def clear(self) -> None:
        """Forget every job."""
        self._items.clear()
        self._lent.clear()
        self._popped.clear()
