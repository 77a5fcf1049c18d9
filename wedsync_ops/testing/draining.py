"""Draining a test's queue: the worker's own loop, once for every moment at which something falls due."""

import gc
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from wedsync_ops.app import App
from wedsync_ops.clock import Clock
from wedsync_ops.instants import to_datetime
from wedsync_ops.jobs.equip import handlers_of
from wedsync_ops.jobs.model import Options, Result
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.slots import Slots
from wedsync_ops.jobs.store import view
from wedsync_ops.jobs.worker import End, Worker
from wedsync_ops.testing.clock import FakeClock, shown
from wedsync_ops.testing.jobs import Execution
from wedsync_ops.testing.outbox import Outbox
from wedsync_ops.testing.slots import Ended, InlineSlots, KeptPool

Mode = Literal["inline", "slots"]
MOST = 100_000
"""The most executions of one drain; jobs that queue each other for ever end there."""
MOST_OF_ONE = 1_000
"""The most executions of one job in a drain; a job that puts itself off for ever ends there."""


class HandlerFailed(Exception):
    """A handler failed in a slot; the message holds its traceback, which is all that comes out of a slot."""


class EndlessDrain(Exception):
    """A drain came to no end."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain has run, in order."""

    executions: Sequence[Execution]

    def __len__(self) -> int:
        return len(self.executions)

    @property
    def failures(self) -> Sequence[Execution]:
        """The executions that failed, those that asked for a retry included."""
        return [one for one in self.executions if one.outcome not in (Result.OK, Result.CANCELLED)]


class Draining:
    """Runs workers over one database and keeps their slots from one to the next."""

    def __init__(self, app: App, clock: FakeClock, outbox: Outbox, *, mode: Mode, slots: int, seed: int) -> None:
        self._app = app
        self._clock = clock
        self._outbox = outbox
        self._mode = mode
        self._options = Options(slots=slots, name="test", drain=True)
        self._rand = random.Random(seed)  # noqa: S311 - spreads retries, the same in every run of a test
        self._pool: KeptPool | None = None
        self._worker: Worker | None = None
        self._ended: list[Ended] = []
        self._times: Counter[int] = Counter()
        self._raising = True

    def run(self, until: int, *, raising: bool) -> Drained:
        """Run what is due by an instant, moving the clock from due time to due time, and leave it there."""
        __tracebackhide__ = True  # pytest shows the handler, not how it was called
        if self._worker is not None:
            raise RuntimeError("a handler cannot drain the queue that it is run from")
        self._raising = raising
        self._ended, self._times = [], Counter()
        due, seen = self._work(), None
        while due is not None and due <= until and due != seen:
            self._clock.set(max(due, self._clock.now()))
            due, seen = self._work(), due  # what is due as before is held back: looking again would not end
        self._clock.set(max(until, self._clock.now()))
        return Drained(self._executions())

    def close(self) -> None:
        """End the slots."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _work(self) -> int | None:
        """Do everything that is due at this moment, and tell when something is due next.

        Raises what a handler raised, HandlerFailed or EndlessDrain.
        """
        __tracebackhide__ = True  # pytest shows the handler, not how it was called
        while True:
            worker = Worker(
                self._app.database, self._app.clock, self._app.rules, self._options, self._rand, self._slots
            )
            gc.freeze()  # a worker's own first collection would walk through all that tests have imported
            with self._working(worker):
                end = worker.run()
            self._judge()
            if end is not End.RECYCLE:
                return worker.next_due
            self.close()

    @contextmanager
    def _working(self, worker: Worker) -> Iterator[None]:
        self._worker = worker
        try:
            yield
        finally:
            self._worker = None

    def _slots(self, rules: Rules, options: Options, _clock: Clock) -> Slots:
        if self._mode == "inline":
            return InlineSlots(rules.site, self._clock, self._on_end)
        if self._pool is None:
            self._pool = KeptPool(
                size=options.slots,
                site=rules.site,
                clock=self._clock,
                preload=handlers_of(rules),
                on_end=self._on_end,
            )
        return self._pool

    def _on_end(self, ended: Ended) -> None:
        self._ended.append(ended)
        self._outbox.note(ended.order.idempotency_key)
        self._times[ended.order.job_id] += 1
        if self._worker is not None and (self._is_endless(ended) or self._is_for_the_test(ended)):
            self._worker.stop()

    def _is_endless(self, ended: Ended) -> bool:
        return len(self._ended) >= MOST or self._times[ended.order.job_id] >= MOST_OF_ONE

    def _is_for_the_test(self, ended: Ended) -> bool:
        return ended.must_stop or (self._raising and ended.has_failed)

    def _judge(self) -> None:
        __tracebackhide__ = True  # pytest shows the handler, not how it was called
        for ended in self._ended:
            if not self._is_for_the_test(ended):
                continue
            where = f"attempt {ended.order.attempt} at job {ended.order.job_id}, by {ended.order.handler}"
            if ended.raised is not None:
                ended.raised.add_note(f"in {where}")
                raise ended.raised
            outcome = ended.outcome
            raise HandlerFailed(f"{where}: {outcome.result}: {outcome.error}\n{outcome.traceback or ''}".rstrip())
        endless = next((ended.order for ended in self._ended if self._is_endless(ended)), None)
        if endless is not None:
            times = self._times[endless.job_id]
            raise EndlessDrain(
                f"{len(self._ended):,} executions and no end at {shown(self._clock.now())}; job {endless.job_id}, by"
                f" {endless.handler}, has run {'once' if times == 1 else f'{times:,} times'}"
            )

    def _executions(self) -> list[Execution]:
        with self._app.database.reading() as connection:
            jobs = view.list_jobs(connection, view.Filter(limit=0))
        types = {job.job_id: job.module_type for job in jobs}
        return [
            Execution(
                order.job_id,
                types.get(order.job_id, ""),
                order.attempt,
                outcome.result,
                to_datetime(outcome.started_at),
                outcome.error,
                outcome.traceback,
                outcome.log,
            )
            for order, outcome, _ in self._ended
        ]
