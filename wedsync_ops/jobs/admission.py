"""Which jobs may start beside those that run: memory, and the slots kept for wedding-week jobs. Pure; memory in KB.

A job is admitted by its expected peak. Of five slots or more a fifth, rounded down, is kept for jobs 0 to 7 days before
their wedding; others that take long never fill more than the rest. What ends soon may use every slot, so that a
wedding-week job waits no longer than that for one.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from wedsync_ops.instants import SECOND

LENT_US = SECOND
"""The longest that nineteen of twenty executions may take, in microseconds, for a kept slot to be lent to them."""
UNLIMITED_KB = 2**62
"""More memory than any machine has, in KB."""
WEEK = range(8)
"""How many days before its wedding a job is a wedding-week job."""
_FROM, _PART = 5, 5


class Need(NamedTuple):
    """What is expected of a job: its peak of memory, whether it ends soon, and whether its wedding is in a week."""

    memory_kb: int
    is_short: bool
    is_wedding_week: bool = False

    @property
    def is_free_to_wait(self) -> bool:
        """Whether it may take no slot that is kept: it takes long, and its wedding is not in a week."""
        return not self.is_short and not self.is_wedding_week


class Machine(NamedTuple):
    """What a worker has: slots and memory."""

    slots: int
    memory_kb: int

    @property
    def kept(self) -> int:
        """How many slots are kept for wedding-week jobs."""
        return self.slots // _PART if self.slots >= _FROM else 0


class Load(NamedTuple):
    """What runs, or is about to: how many jobs, their memory, and how many of them take long outside a wedding week.

    It is always added up anew from the leased jobs themselves, so that nothing can be left over.
    """

    jobs: int = 0
    memory_kb: int = 0
    long: int = 0

    def plus(self, need: Need) -> "Load":
        """The load with one more job."""
        return Load(self.jobs + 1, self.memory_kb + need.memory_kb, self.long + need.is_free_to_wait)


class Candidate(NamedTuple):
    """So many alike jobs that could start. One that is ``overdue`` has been passed over for memory long enough."""

    priority: int
    need: Need
    many: int
    is_overdue: bool = False


def promised(need: Need, factor: float, limit_kb: int) -> Need:
    """What a job promises for itself once it runs: its expected peak ``factor`` times, up to what it may take at all.

    A factor of 1 changes nothing.
    """
    if factor == 1:
        return need
    return need._replace(memory_kb=max(need.memory_kb, min(round(need.memory_kb * factor), limit_kb)))


def load_of(needs: Iterable[Need]) -> Load:
    """What these jobs are together."""
    load = Load()
    for need in needs:
        load = load.plus(need)
    return load


def lacks_memory(need: Need, load: Load, machine: Machine) -> bool:
    """Whether a job must wait for memory. One that needs more than there is at all runs when nothing else does."""
    return load.jobs > 0 and load.memory_kb + need.memory_kb > machine.memory_kb


def must_keep_off(need: Need, load: Load, machine: Machine) -> bool:
    """Whether a job must wait because the slots that are left are kept for wedding-week jobs."""
    return machine.kept > 0 and need.is_free_to_wait and load.long >= machine.slots - machine.kept


def refusal(need: Need, load: Load, machine: Machine) -> str | None:
    """Why a job may not start although a slot is free, ``None`` when it may."""
    if lacks_memory(need, load, machine):
        taken, most = load.memory_kb // 1024, machine.memory_kb // 1024
        return f"it needs about {need.memory_kb // 1024:,} MB, and {taken:,} of {most:,} MB are promised to what runs"
    if must_keep_off(need, load, machine):
        words = (
            f"{machine.kept} of {machine.slots} slots are kept for wedding-week jobs and for what ends within a second"
        )
        return f"{words}; long ones have the others"
    return None


def admit(candidates: Sequence[Candidate], load: Load, machine: Machine, room: int) -> list[int]:
    """How many of each may start in ``room`` free slots; candidates of one priority, given together, take turns.

    What does not fit is passed over, unless it is overdue: then nothing that comes after it starts before it does.
    """
    given = [0] * len(candidates)
    for _, group in groupby(range(len(candidates)), key=lambda at: candidates[at].priority):
        turns = sorted(group, key=lambda at: not candidates[at].is_overdue)
        while turns and room > 0:
            going = []
            for at in turns:
                one = candidates[at]
                if given[at] >= one.many or room <= 0 or must_keep_off(one.need, load, machine):
                    continue
                if lacks_memory(one.need, load, machine):
                    if one.is_overdue and not given[at]:
                        return given
                    continue
                given[at] += 1
                load, room = load.plus(one.need), room - 1
                going.append(at)
            turns = going
    return given
