"""The worker: one process, one loop, no locks.

wait (slots, wake-up, timers) → collect outcomes → one transaction {apply outcomes; promote what is due; claim} → hand
the most urgent jobs to the free slots → again. Claimed jobs that have not started wait in a heap; before any of them is
handed out the loop asks whether anybody else has committed, and if so claims again from the top, so that an urgent
arrival overtakes them.
"""

import contextlib
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

from sqlalchemy import Connection

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, NotFound, StorageFull, WedsyncError
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import enlist, intake, wakeup
from wedsync_ops.jobs.conclude import conclude
from wedsync_ops.jobs.dispatch import AHEAD_MAX, Dispatcher
from wedsync_ops.jobs.enlist import Enlisted
from wedsync_ops.jobs.model import Claimed, Options, Order, Outcome, Result
from wedsync_ops.jobs.pool import Pool
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import claim, durations, finish
from wedsync_ops.jobs.watch import watch

_LOG = logging.getLogger(__name__)

NET_S = 0.25
"""Seconds after which an idle worker looks by itself."""
FLUSH_S = 0.05
"""The longest that an outcome waits to be written, in seconds."""
MEASURE_S = 30.0
"""Seconds between two measurements of the expected durations."""
FAULT_WAIT_S = 0.5
"""Seconds to wait after the database failed, before trying again."""


class End(Enum):
    """Why a worker's loop ended."""

    DONE = "done"
    ABORTED = "aborted"
    RECYCLE = "recycle"


class Worker:
    """Runs the loop until it is drained, stopped or aborted. ``stop`` may be called from a signal handler."""

    def __init__(
        self, database: Database, clock: Clock, load_rules: Callable[[], Rules], options: Options, rand: random.Random
    ) -> None:
        self._database = database
        self._clock = clock
        self._load_rules = load_rules
        self._rules = load_rules()
        self._options = options
        self._rand = rand
        self._dispatch = Dispatcher(options.modules)
        self._running: dict[int, Claimed] = {}
        self._outcomes: list[Outcome] = []
        self._marked: set[int] = set()
        self._watch = watch(database)
        self._stops = 0
        self._fenced = False
        self._handed = 0
        self._synced_at = clock.monotonic()
        self._rescued_at = self._measured_at = clock.monotonic()
        self._fault_until = 0.0
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def stop(self, *_: Any) -> None:
        """Ask for a stop: the first time running jobs are finished, the second time they are broken off."""
        self._stops += 1
        self._wake()

    def run(self) -> End:
        """Work until there is a reason to end."""
        self._rescue()
        with self._enlisted() as me, self._pool() as pool:
            self._me, self._slots = me, pool
            try:
                return self._loop()
            finally:
                self._give_back()
                self._close()

    def _loop(self) -> End:
        self._sync()
        while True:
            self._hand_out()
            if self._stops > 1:
                return self._abort()
            if self._ended():
                return End.RECYCLE if self._slots.needs_recycle and not self._stops else End.DONE
            outcomes, ready = self._slots.wait(self._pause(), self._descriptors())
            self._collect(outcomes)
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 64)
            if self._fenced:
                self._start_anew()
            if self._me.bell.drain() or self._must_sync():
                self._sync()
            self._keep_house()

    # -- what is going on --------------------------------------------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        exhausted = self._options.max_jobs is not None and self._handed >= self._options.max_jobs
        return self._stops > 0 or exhausted or self._slots.needs_recycle

    @property
    def _room(self) -> int:
        """How many jobs may be handed out now."""
        room = 0 if self._stopping else self._slots.free
        return room if self._options.max_jobs is None else min(room, self._options.max_jobs - self._handed)

    def _ended(self) -> bool:
        if self._running or self._outcomes:
            return False
        if self._stopping:
            return True
        if not self._options.drain or len(self._dispatch) or self._dispatch.more or self._is_due():
            return False
        if self._fault_until > self._clock.monotonic():
            return False
        # Before a drain ends: dead workers' jobs, and whatever others have queued meanwhile.
        if self._rescue() or self._watch.changed():
            self._sync()
            return False
        self._measure()
        return True

    def _is_due(self) -> bool:
        return not self._stopping and self._dispatch.is_due(self._clock.now())

    def _must_sync(self) -> bool:
        elapsed = self._clock.monotonic() - self._synced_at
        if self._outcomes and (elapsed >= FLUSH_S or len(self._outcomes) >= AHEAD_MAX):
            return True
        if len(self._dispatch) >= max(self._room, 1):
            return False
        starving = self._room > 0 and self._dispatch.more
        return bool(self._outcomes) or starving or self._is_due() or (elapsed >= NET_S and self._watch.changed())

    def _pause(self) -> float:
        now = self._clock.monotonic()
        if self._fault_until > now:
            return self._fault_until - now
        if self._room > 0 and self._dispatch.more:
            return 0.0
        longest = FLUSH_S if self._outcomes else NET_S
        if self._dispatch.next_due is not None and not self._stopping:
            longest = min(longest, max(0.0, (self._dispatch.next_due - self._clock.now()) / SECOND))
        return longest

    def _descriptors(self) -> list[int]:
        extra = self._watch.fileno()
        own = [self._wake_read, self._me.bell.fileno()]
        return own if extra is None else [*own, extra]

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _collect(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._outcomes.append(outcome)
            self._dispatch.learn(outcome.duration_us)

    def _hand_out(self) -> None:
        while self._room > 0 and len(self._dispatch):
            if self._watch.changed() or self._dispatch.is_outranked:
                self._sync()
                if self._fault_until > self._clock.monotonic() or not len(self._dispatch):
                    return
            while self._room > 0 and len(self._dispatch) and not self._dispatch.is_outranked:
                job = self._dispatch.pop()
                self._running[job.id] = job
                self._handed += 1
                self._slots.start(self._order(job))
        if self._stopping and len(self._dispatch):
            self._give_back()

    def _sync(self) -> None:
        """One transaction: what has finished, what has fallen due, what to run next."""
        if self._fault_until > self._clock.monotonic():
            return
        batch = self._outcomes
        try:
            rules = self._fresh_rules() if any(outcome.enqueue for outcome in batch) else self._rules
            concluded = [
                conclude(rules, self._me.id, self._running[o.job_id], o, rand=self._rand.random()) for o in batch
            ]
            with self._database.transaction() as connection:
                self._watch.mark(connection)
                applied = finish.apply(connection, [c.finish for c in concluded])
                further = [p for c in concluded if c.finish.execution.job_id in applied for p in c.further]
                self._queue_further(connection, rules, further)
                finish.mark_started(connection, self._long_running())
                claimed = self._claim(connection)
        except NotFound:
            # A job of a module version that was registered after this worker had read the registry.
            self._rules = self._load_rules()
            return
        except (DatabaseError, StorageFull) as error:
            self._fault(error)
            return
        for outcome in batch:
            del self._running[outcome.job_id]
            self._marked.discard(outcome.job_id)
        self._outcomes = []
        self._synced_at = self._clock.monotonic()
        self._dispatch.push(claimed)
        if further:
            wakeup.ring(self._database, self._rules.settings.home)

    def _claim(self, connection: Connection) -> list[Claimed]:
        if self._stopping:
            self._dispatch.more = False
            return []
        claimed = self._dispatch.claim(
            connection,
            self._rules,
            worker_id=self._me.id,
            now=self._clock.now(),
            slots=self._slots.size,
            room=self._room,
        )
        for job in claimed:
            self._rules.registry.version(job.module_type, job.module_version)
        return claimed

    def _order(self, job: Claimed) -> Order:
        definition = self._rules.registry.version(job.module_type, job.module_version).definition
        limits = definition.resource_requirements
        return Order(
            job_id=job.id,
            token=job.token,
            attempt=job.attempt,
            handler=definition.handler,
            config=job.config,
            context=job.context,
            idempotency_key=job.key or str(job.id),
            timeout_s=limits.execution_timeout,
            memory_mb=limits.memory_limit,
            cpu_s=limits.cpu_limit * limits.execution_timeout,
            in_thread=definition.isolation == "thread",
        )

    def _queue_further(self, connection: Connection, rules: Rules, further: Sequence[Prepared]) -> None:
        if not further:
            return
        for answer in intake.place(connection, rules, further, now=self._clock.now(), bounded=False):
            if isinstance(answer, WedsyncError):
                _LOG.warning("a further job was not queued: %s", answer)
        wakeup.notify(connection)

    def _long_running(self) -> list[tuple[int, int, int]]:
        started = [
            (job_id, self._running[job_id].token, at)
            for job_id, at in self._slots.running.items()
            if job_id not in self._marked and job_id in self._running
        ]
        self._marked.update(job_id for job_id, _, _ in started)
        return started

    # -- housekeeping ------------------------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        now = self._clock.monotonic()
        if now - self._rescued_at >= self._rules.settings.heartbeat and self._rescue():
            self._dispatch.more = True
        if now - self._measured_at >= MEASURE_S:
            self._measure()
            self._rules = self._fresh_rules()

    def _rescue(self) -> int:
        self._rescued_at = self._clock.monotonic()
        try:
            return rescue(self._database, self._rules, self._clock.now())
        except (DatabaseError, StorageFull) as error:
            self._fault(error)
            return 0

    def _measure(self) -> None:
        self._measured_at = self._clock.monotonic()
        try:
            with self._database.transaction() as connection:
                durations.measure(connection, self._clock.now())
        except (DatabaseError, StorageFull) as error:
            self._fault(error)

    def _fresh_rules(self) -> Rules:
        try:
            return self._load_rules()
        except DatabaseError as error:
            self._fault(error)
            return self._rules

    def _fault(self, error: WedsyncError) -> None:
        """Keep everything and try again soon: outcomes wait in memory, leases are held by the heartbeat."""
        _LOG.error("%s", error)
        self._fault_until = self._clock.monotonic() + FAULT_WAIT_S

    # -- start and end -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _enlisted(self) -> Iterator[Enlisted]:
        me = self._enlist()
        try:
            yield me
        finally:
            self._me.retire(self._database, self._clock.now())

    def _enlist(self) -> Enlisted:
        return enlist.enlist(
            self._database,
            self._clock,
            self._rules.settings,
            self._options,
            load=lambda: (self._slots.size, len(self._running)),
            on_fenced=self._declared_dead,
        )

    def _pool(self) -> Pool:
        settings = self._rules.settings
        registry = self._rules.registry
        preload = sorted(
            {registry.current(name).definition.handler for name in registry.pointers if registry.is_usable(name)}
        )
        return Pool(
            size=self._options.slots,
            site=self._rules.site,
            clock=self._clock,
            preload=preload,
            recycle_jobs=settings.recycle_jobs,
            recycle_mb=settings.recycle_mb,
        )

    def _declared_dead(self) -> None:
        self._fenced = True
        self._wake()

    def _start_anew(self) -> None:
        """Others took this worker for dead and its jobs over: break off what runs, and begin under a new id."""
        _LOG.warning("this worker was declared dead while it was stopped or cut off; it starts anew")
        self._slots.abort()
        self._dispatch.clear()
        self._running.clear()
        self._outcomes = []
        self._marked.clear()
        self._fenced = False
        self._me.retire(self._database, self._clock.now())
        self._me = self._enlist()
        self._dispatch.more = True

    def _abort(self) -> End:
        """Break off what runs and give it back; the attempts are not counted."""
        now = self._clock.now()
        for job_id, started_at in dict(self._slots.running).items():
            job = self._running[job_id]
            outcome = Outcome(
                job_id,
                job.token,
                job.attempt,
                Result.LOST,
                started_at,
                max(0, now - started_at),
                error="interrupted: its worker was stopped",
            )
            self._outcomes.append(outcome)
        self._slots.abort()
        self._fault_until = 0.0
        self._sync()
        return End.ABORTED

    def _give_back(self) -> None:
        jobs = self._dispatch.clear()
        if jobs:
            with self._database.transaction() as connection:
                claim.release(connection, jobs, now=self._clock.now())

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it has ended
            os.write(self._wake_write, b"\x01")

    def _close(self) -> None:
        self._watch.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
