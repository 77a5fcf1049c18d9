"""Which worker gets how many of the slots that are wanted together. Pure."""

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """A worker that is sized: its bounds, and how many jobs the memory that it may use holds (``None``: not known)."""

    worker_id: str
    least: int
    most: int
    memory_slots: int | None = None

    @property
    def fits(self) -> int:
        """The most slots that its memory has a use for."""
        return self.most if self.memory_slots is None else min(self.most, max(self.least, self.memory_slots))


def share(wanted: int, members: Sequence[Member]) -> Mapping[str, int]:
    """Every worker's slots: as even as its bounds allow; beyond what the memories hold only where all are full.

    Together they are ``wanted``, or as near to it as the bounds allow. The same workers always get the same.
    """
    slots = {member.worker_id: member.least for member in members}
    left = wanted - sum(slots.values())
    for most in ({one.worker_id: one.fits for one in members}, {one.worker_id: one.most for one in members}):
        left = _fill(slots, most, left)
    return slots


def _fill(slots: dict[str, int], most: Mapping[str, int], left: int) -> int:
    """Give one slot after the other to whoever has the fewest; returns what is left over."""
    queue = [(many, name) for name, many in slots.items() if many < most[name]]
    heapq.heapify(queue)
    while left > 0 and queue:
        many, name = heapq.heappop(queue)
        slots[name], left = many + 1, left - 1
        if many + 1 < most[name]:
            heapq.heappush(queue, (many + 1, name))
    return left
