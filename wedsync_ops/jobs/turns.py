"""Whose turn it is: priority first, then the lane served least so far. Pure apart from its own memory."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from wedsync_ops.jobs.model import Lane, Priority


class Turns:
    """Shares a claim among the lanes, and remembers how many jobs each has been given.

    A lane that was empty for a while starts level with the least served one, so that it can't make up for the time in
    which it had nothing to do.
    """

    def __init__(self) -> None:
        self._served: Counter[Lane] = Counter()
        self._active: dict[Priority, frozenset[Lane]] = defaultdict(frozenset)

    def shares(self, available: Mapping[Lane, int], wanted: int) -> list[tuple[Lane, int]]:
        """How many of ``wanted`` jobs to take from each lane, the most urgent first."""
        result: list[tuple[Lane, int]] = []
        for priority in sorted({lane.priority for lane in available}, reverse=True):
            lanes = {lane: count for lane, count in available.items() if lane.priority == priority and count > 0}
            if not lanes or wanted <= 0:
                continue
            self._level(priority, lanes)
            taken = self._share(lanes, wanted)
            wanted -= sum(taken.values())
            result.extend(taken.items())
        return result

    def order(self, lanes: Iterable[Lane]) -> list[Lane]:
        """Lanes in the order in which they are served: the most urgent first, then the one served least so far."""
        return sorted(lanes, key=lambda lane: (-lane.priority, self._served[lane], lane.module_type))

    def serve(self, lane: Lane) -> int:
        """Count one job given to a lane; returns its turn, by which claimed jobs of one priority are ordered."""
        self._served[lane] += 1
        return self._served[lane]

    def _level(self, priority: Priority, lanes: Iterable[Lane]) -> None:
        before = self._active[priority]
        floor = min((self._served[lane] for lane in lanes if lane in before), default=None)
        if floor is None:
            floor = max((self._served[lane] for lane in before), default=0)
        for lane in lanes:
            if lane not in before:
                self._served[lane] = max(self._served[lane], floor)
        self._active[priority] = frozenset(lanes)

    def _share(self, lanes: Mapping[Lane, int], wanted: int) -> dict[Lane, int]:
        if len(lanes) == 1:
            return {lane: min(wanted, count) for lane, count in lanes.items()}
        taken: dict[Lane, int] = defaultdict(int)
        queue = [(self._served[lane], lane.module_type, lane) for lane in lanes]
        heapq.heapify(queue)
        while queue and wanted > 0:
            served, name, lane = heapq.heappop(queue)
            taken[lane] += 1
            wanted -= 1
            if taken[lane] < lanes[lane]:
                heapq.heappush(queue, (served + 1, name, lane))
        return taken
