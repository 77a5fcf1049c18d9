"""Looks at what jobs take while they run: memory and cores of a slot with everything that it started.

Only jobs that run for a while are looked at, and never for more than a small part of the time: short ones cost nothing.
"""

from collections.abc import Iterable
from time import monotonic

from wedsync_ops.jobs import footprint, kernel
from wedsync_ops.jobs.cores import spread
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.process_slot import ProcessSlot, Sentence

LOOK_S = 0.1
"""How long a job may run before it is looked at, and the shortest time between two looks, in seconds."""
_SHARE = 20
"""One part in so many of the time is spent on looking, at most."""


class Overseer:
    """Confines slots to their cores, and names those whose job takes too much memory."""

    def __init__(self) -> None:
        self._all = kernel.usable_cores()
        self._may_confine = True
        self._confined: set[ProcessSlot] = set()
        self.next_look = 0.0
        """The monotonic second of the next look."""

    def look(self, busy: Iterable[ProcessSlot]) -> list[tuple[ProcessSlot, Sentence]]:
        """Look at every slot whose job has been running for a while; returns whom to kill, and why."""
        began = monotonic()
        found = []
        for slot in [slot for slot in busy if slot.alive and slot.sentence is None and slot.began <= began - LOOK_S]:
            sentence = self._look_at(slot)
            if sentence is not None:
                found.append((slot, sentence))
        ended = monotonic()
        self.next_look = ended + max(LOOK_S, (ended - began) * _SHARE)
        return found

    def rests(self, slot: ProcessSlot) -> None:
        """A slot's job is over: the next one may use every core again."""
        if slot in self._confined:
            self._confined.discard(slot)
            self._widen(slot)

    def forget(self, slot: ProcessSlot) -> None:
        """A slot is gone."""
        self._confined.discard(slot)

    def _look_at(self, slot: ProcessSlot) -> Sentence | None:
        order = slot.order
        if order is None:
            return None
        most_kb = slot.base_kb + order.memory_mb * 1024
        tree = footprint.tree_of(slot.pid, most_kb)
        self._confine(slot, order.cpu_limit, tree.pids)
        if tree.whole_kb is None:
            return None
        slot.peak_kb = max(slot.peak_kb or 0, tree.whole_kb)
        if tree.whole_kb <= most_kb:
            return None
        others = f", children included ({len(tree.pids) - 1})," if len(tree.pids) > 1 else ""
        words = f"the attempt took {tree.whole_kb // 1024} MB{others} over its limit of {order.memory_mb} MB"
        return Sentence(Result.OOM, f"{words}, and was killed")

    def _confine(self, slot: ProcessSlot, limit: float, pids: tuple[int, ...]) -> None:
        if slot.cores is None and self._may_confine:
            taken = [
                (other.cores, other.order.core_share)
                for other in self._confined
                if other.cores is not None and other.order is not None
            ]
            slot.cores = spread(self._all, taken, limit)
        if slot.cores is None:
            return
        self._confined.add(slot)
        if not kernel.confine((slot.pid,), slot.cores):  # a container that forbids it: from here on nobody is confined
            self._may_confine = False
            for each in tuple(self._confined):
                self.rests(each)
            return
        kernel.confine(pids, slot.cores)  # what cannot be is another user's by now, and goes where it likes

    def _widen(self, slot: ProcessSlot) -> None:
        slot.cores = None
        kernel.widen(slot.pid, self._all)
