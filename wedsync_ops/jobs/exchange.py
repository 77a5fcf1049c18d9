"""A worker's one transaction: what has finished goes in, what is to run next comes out.

All of it commits, or nothing has happened: then the outcomes are kept for the next time.
"""

import logging
import random
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, StorageFull, WedsyncError
from wedsync_ops.handlers import outbox
from wedsync_ops.jobs import further, throttle, wakeup
from wedsync_ops.jobs.conclude import Conclusion, conclude, refused
from wedsync_ops.jobs.dispatch import UNABLE_US, Claim, Dispatcher
from wedsync_ops.jobs.fingerprint import fingerprint
from wedsync_ops.jobs.housekeeping import House
from wedsync_ops.jobs.model import Claimed, Outcome, Result, State
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.slots import Slots
from wedsync_ops.jobs.store import claim, control, finish, limits, stops
from wedsync_ops.jobs.store.stops import Stop
from wedsync_ops.jobs.watch import Watch
from wedsync_ops.journal import tell

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a committed transaction means for the loop: jobs that others may want, and whether to take jobs back."""

    has_further: bool
    recall: bool
    stops: Sequence[Stop] = ()
    """Jobs that run here and are to be broken off."""


class Exchange:
    """Knows what runs and what has ended, and writes it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        house: House,
        dispatch: Dispatcher,
        watch: Watch,
        rand: random.Random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._house = house
        self._dispatch = dispatch
        self._watch = watch
        self._rand = rand
        self._marked: set[int] = set()
        self._stopped: set[int] = set()
        self._in_doubt = False
        self.running: dict[int, Claimed] = {}
        self.outcomes: list[Outcome] = []

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Keep what has ended until it is written."""
        for outcome in outcomes:
            self.outcomes.append(outcome)
            job = self.running[outcome.job_id]
            if outcome.is_beyond_this_worker:
                words = "this worker has not got the handler of a job"
                tell(_LOG, logging.WARNING, "handler_missing", words, job_id=job.id, module_type=job.module_type)
                self._dispatch.avoid(job, self._clock.now() + UNABLE_US)
            else:
                self._dispatch.learn(job, outcome.duration_us)

    def run(self, worker_id: str, slots: Slots, room: int | None) -> Exchanged:
        """Write what has ended and claim for so much room; ``None`` when nothing more may start.

        Raises NotFound for a module version that this process has not read yet, DatabaseError and StorageFull.
        """
        batch = self.outcomes
        rules = self._house.refresh() if any(outcome.enqueue for outcome in batch) else self._house.rules
        self._settle_outbox(rules, batch)
        try:
            concluded = [self._conclude(rules, worker_id, outcome) for outcome in batch]
            # A claim alone may be lost with the power: then the job waits again, and whoever had claimed it is gone.
            with self._database.transaction(durable=bool(batch)) as connection:
                limits.lock(connection, limited=bool(rules.settings.limits))
                self._watch.mark(connection)
                concluded = self._settle(connection, rules, worker_id, concluded)
                if self._in_doubt:
                    self._dispatch.return_unknown(connection, worker_id, self.running, self._clock.now())
                applied = finish.apply(connection, [c.finish for c in concluded])
                ended = [self.running[outcome.job_id] for outcome in batch]
                known, provider = rules.settings.limits, rules.registry.provider
                throttle.freed(connection, known, ended, self._clock.now(), provider=provider)
                finish.mark_started(connection, self._long_running(slots))
                asked, dropped = self._stop(connection, worker_id)
                taken = self._claim(connection, worker_id, slots, room, batch)
        except (DatabaseError, StorageFull):
            self._in_doubt = True
            raise
        self._in_doubt = False
        _tell_of(concluded, applied)
        for outcome in batch:
            del self.running[outcome.job_id]
            self._marked.discard(outcome.job_id)
            self._stopped.discard(outcome.job_id)
        self.outcomes = []
        self._dispatch.keep(replace(taken, dropped=taken.dropped | dropped))
        self._stopped.update(stop.job_id for stop in asked)
        return Exchanged(any(c.further for c in concluded), taken.recall, asked)

    def _stop(self, connection: Connection, worker_id: str) -> tuple[Sequence[Stop], frozenset[int]]:
        """Whom to stop here, and which claimed jobs were cancelled before they started."""
        found = stops.find(connection)
        if not found:
            return (), frozenset()
        wanted = {stop.job_id for stop in found}
        unstarted = [job for job in self._dispatch.here() if job.id in wanted]
        now = self._clock.now()
        claim.release(connection, unstarted, now=now)
        dropped = frozenset(job.id for job in unstarted)
        mine = [stop for stop in found if stop.leased_by == worker_id and stop.job_id not in dropped]
        others = [stop.job_id for stop in found if stop.leased_by is None or stop.job_id in dropped]
        control.cancel(connection, others, now)
        stops.forget(connection, others)
        return [stop for stop in mine if stop.job_id not in self._stopped], dropped

    @staticmethod
    def _settle_outbox(rules: Rules, batch: Sequence[Outcome]) -> None:
        """What the jobs have delivered must be durable before it is committed that they have ended."""
        names = [name for outcome in batch for name in outcome.delivered]
        if names:
            try:
                outbox.settle(rules.site.outbox, names)
            except OSError as error:
                raise StorageFull(f"the outbox {rules.site.outbox} cannot be written: {error.strerror}") from error

    def _conclude(self, rules: Rules, worker_id: str, outcome: Outcome) -> Conclusion:
        return conclude(rules, worker_id, self.running[outcome.job_id], outcome, rand=self._rand.random())

    def _settle(
        self, connection: Connection, rules: Rules, worker_id: str, concluded: list[Conclusion]
    ) -> list[Conclusion]:
        def refuse(one: Conclusion, error: WedsyncError) -> Conclusion:
            return self._conclude(rules, worker_id, refused(one.outcome, error))

        if not any(c.further for c in concluded):
            return concluded
        wakeup.notify(connection)
        return further.settle(connection, rules, concluded, now=self._clock.now(), refuse=refuse)

    def _claim(
        self, connection: Connection, worker_id: str, slots: Slots, room: int | None, ended: Sequence[Outcome]
    ) -> Claim:
        def running() -> list[Claimed]:
            over = {outcome.job_id for outcome in ended}
            return [job for job_id, job in self.running.items() if job_id not in over]

        if room is None:
            return self._dispatch.nothing()
        now = self._clock.now()
        rules = self._house.rules
        taken = self._dispatch.claim(
            connection, rules, worker_id=worker_id, now=now, slots=slots.size, room=room, running=running
        )
        for job in taken.jobs:
            rules.registry.version(job.module_type, job.module_version)
        return taken

    def _long_running(self, slots: Slots) -> list[tuple[int, int, int]]:
        started = [
            (job_id, self.running[job_id].token, at)
            for job_id, at in slots.running.items()
            if job_id not in self._marked and job_id in self.running
        ]
        self._marked.update(job_id for job_id, _, _ in started)
        return started


def _tell_of(concluded: Sequence[Conclusion], applied: Container[int]) -> None:
    """Log the executions that were recorded: those that went well only for who debugs, since they are many."""
    everything = _LOG.isEnabledFor(logging.DEBUG)
    for one in concluded:
        well = one.outcome.result is Result.OK
        if (well and not everything) or one.outcome.job_id not in applied:
            continue
        execution, state = one.finish.execution, one.finish.transition.state
        bad = logging.WARNING if state is State.DISCARDED else logging.INFO
        tell(
            _LOG,
            logging.DEBUG if well else bad,
            "execution_ended",
            "an execution has ended",
            job_id=execution.job_id,
            attempt=execution.attempt,
            module_type=execution.module_type,
            outcome=str(execution.outcome),
            state=str(state),
            duration_ms=None if execution.duration_us is None else execution.duration_us / 1000,
            error_fingerprint=None if execution.error is None else fingerprint(execution.error),
        )
