"""What a worker may claim of its lanes where memory or slots are short. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from wedsync_ops.jobs.admission import Candidate, Load, Machine, Need, admit, lacks_memory
from wedsync_ops.jobs.model import Lane


def keeps_off(machine: Machine, needs: Iterable[Need]) -> bool:
    """Whether slots are kept that some of these jobs, which could start, must leave alone."""
    return machine.kept > 0 and any(not need.is_short for need in needs)


class Squeeze:
    """What may be claimed in one transaction where memory or slots are short. ``lanes`` stand in the order of turns."""

    def __init__(
        self, lanes: Mapping[Lane, int], needs: Mapping[Lane, Need], load: Load, machine: Machine, largest_kb: int
    ) -> None:
        self._left = dict(lanes)
        self._needs = needs
        self._load = self._before = load
        self._machine = machine
        self._largest_kb = largest_kb

    def in_week(self, room: int) -> Mapping[Lane, int]:
        """Where to look for wedding-week jobs before anything else is claimed: where others must leave slots alone."""
        long = {lane: need for lane, need in self._needs.items() if not need.is_short}
        if not self._machine.kept or self._machine.slots - self._machine.kept - self._load.long >= room:
            return {}
        alike = [
            Candidate(lane.priority, need._replace(is_wedding_week=True), self._left[lane])
            for lane, need in long.items()
        ]
        return {
            lane: many for lane, many in zip(long, admit(alike, self._load, self._machine, room), strict=True) if many
        }

    def take_in_week(self, lane: Lane, many: int) -> None:
        """So many wedding-week jobs of a lane were claimed."""
        self._left[lane] = max(0, self._left[lane] - many)
        for _ in range(many):
            self._load = self._load.plus(self._needs[lane]._replace(is_wedding_week=True))

    def counts(self, room: int, overdue: Collection[Lane]) -> dict[Lane, int]:
        """How many of each lane may be claimed; what ends soon also ahead, as long as memory is no matter."""
        alike = [
            Candidate(lane.priority, need, self._left[lane], lane in overdue) for lane, need in self._needs.items()
        ]
        given = dict(zip(self._needs, admit(alike, self._load, self._machine, room), strict=True))
        if self._may_lack:
            return given
        return {lane: self._left[lane] if self._needs[lane].is_short else many for lane, many in given.items()}

    def lacking(self) -> list[Lane]:
        """The lanes that wait for memory."""
        return [lane for lane, need in self._needs.items() if lacks_memory(need, self._load, self._machine)]

    def too_many(self, needs: Sequence[Need]) -> list[bool]:
        """Which of the jobs that were claimed, in their order, have no memory by what each promises for itself.

        A lane is admitted by what its jobs usually need; what kind of vendor a job is for is known once it is claimed.
        """
        if not self._may_lack:
            return [False] * len(needs)
        load, answers = self._before, []
        for need in needs:
            lacks = lacks_memory(need, load, self._machine)
            load = load if lacks else load.plus(need)
            answers.append(lacks)
        return answers

    @property
    def _may_lack(self) -> bool:
        return self._load.memory_kb + self._machine.slots * self._largest_kb > self._machine.memory_kb
