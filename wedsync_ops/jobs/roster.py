"""Which slot has which job: what runs, what was given ahead, and what became of both."""

from wedsync_ops.jobs.model import Order, Outcome, Result
from wedsync_ops.jobs.process_slot import ProcessSlot, Sentence

_TAKEN = Sentence(Result.LOST, "its slot had taken the job before its turn, and ended")


class Roster:
    """The jobs that process slots have. ``outcomes`` and ``returned`` grow until somebody takes them.

    ``returned`` are jobs that were given ahead and that no slot has started.
    """

    def __init__(self) -> None:
        self.busy: set[ProcessSlot] = set()
        self.outcomes: list[Outcome] = []
        self.returned: list[int] = []
        self._jobs: dict[int, ProcessSlot] = {}

    @property
    def ahead(self) -> int:
        """How many jobs were given ahead and are not known to have started."""
        return len(self._jobs) - len(self.busy)

    def running(self) -> dict[int, int]:
        """The jobs under way, with the instants at which they started."""
        return {slot.order.job_id: slot.started_at for slot in self.busy if slot.order is not None}

    def slot_of(self, job_id: int) -> ProcessSlot | None:
        """Who has a job."""
        return self._jobs.get(job_id)

    def take_on(self, slot: ProcessSlot, order: Order) -> None:
        """A slot has an order to run now."""
        self._jobs[order.job_id] = slot
        self.busy.add(slot)

    def start_ahead(self, order: Order, now: int) -> bool:
        """Let an order wait in the channel of the busy slot that has the fewest; False when there is no room."""
        slot = min(self.busy, key=lambda busy: len(busy.ahead), default=None)
        if slot is None or not slot.give_ahead(order, now):
            return False
        self._jobs[order.job_id] = slot
        return True

    def collect(self, slot: ProcessSlot) -> None:
        """Take what a slot has reported."""
        for outcome in slot.outcomes:
            self._tell(slot, outcome)
        slot.outcomes.clear()
        if slot.order is None:
            self.busy.discard(slot)

    def give_back(self, slot: ProcessSlot) -> None:
        """Have the jobs returned that a slot was given ahead."""
        self._have_returned(slot)
        if slot.untouched:
            slot.give_again()

    def inherit(self, slot: ProcessSlot) -> Order | None:
        """Have the jobs returned that a dead slot was given ahead; its first order, when it died before taking that."""
        order = slot.order
        self._have_returned(slot)
        if order is None or not slot.untouched:
            return None
        slot.order = None
        self.busy.discard(slot)
        return None if self._jobs.pop(order.job_id, None) is None else order

    def withdraw(self, slot: ProcessSlot, job_id: int, sentence: Sentence) -> bool:
        """End a job that its slot was given ahead, and have the others returned; whether it was such a job."""
        order = next((order for order in slot.ahead if order.job_id == job_id), None)
        if order is None:
            return False
        self.give_back(slot)
        if job_id not in self.returned:
            return False
        self.returned.remove(job_id)
        self.outcomes.append(slot.unstarted(order, sentence))
        return True

    def end(self, slot: ProcessSlot, outcome: Outcome | None) -> None:
        """A slot's job is over, and so is the slot: what else it was given is returned."""
        self._have_returned(slot)
        if outcome is not None:
            self._tell(slot, outcome)
        for order in slot.ahead:
            self._tell(slot, slot.unstarted(order, _TAKEN))
        slot.ahead.clear()
        slot.order = None
        self.busy.discard(slot)

    def disown(self) -> list[int]:
        """Forget every job; returns them."""
        jobs = list(self._jobs)
        for slot in self.busy:
            slot.order = None
            slot.ahead.clear()
        self._jobs.clear()
        self.busy.clear()
        self.returned.clear()
        return jobs

    def _have_returned(self, slot: ProcessSlot) -> None:
        for order in slot.take_back():
            if self._jobs.pop(order.job_id, None) is not None:
                self.returned.append(order.job_id)

    def _tell(self, slot: ProcessSlot, outcome: Outcome) -> None:
        """Hand an outcome on, unless nobody waits for it any more."""
        if self._jobs.get(outcome.job_id) is slot:
            del self._jobs[outcome.job_id]
            self.outcomes.append(outcome)
