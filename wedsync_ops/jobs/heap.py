"""The jobs that a worker has claimed and not yet started, the most urgent on top."""

import heapq

from wedsync_ops.jobs.model import Claimed


class Heap:
    """A priority queue of claimed jobs: priority, then the lane's turn, then rank, then id."""

    def __init__(self) -> None:
        self._items: list[tuple[int, int, int, int, Claimed]] = []

    def __len__(self) -> int:
        return len(self._items)

    def push(self, job: Claimed, turn: int) -> None:
        """Add a job that was claimed in its lane's given turn."""
        heapq.heappush(self._items, (-job.priority, turn, job.rank, job.id, job))

    @property
    def top(self) -> Claimed:
        """The most urgent job, which stays."""
        return self._items[0][-1]

    def pop(self) -> Claimed:
        """Take the most urgent job."""
        return heapq.heappop(self._items)[-1]

    def clear(self) -> list[Claimed]:
        """Take every job."""
        jobs = [item[-1] for item in self._items]
        self._items.clear()
        return jobs
