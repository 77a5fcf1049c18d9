"""The worker: one process, one loop, no locks.

wait (slots, wake-up, timers) → collect outcomes → one transaction {apply outcomes; promote what is due; claim} → hand
the most urgent jobs to the free slots → again. Claimed jobs that have not started wait in a heap; before any of them is
handed out the loop asks whether anybody else has committed, and if so claims again from the top, so that an urgent
arrival overtakes them. Very short jobs are given to busy slots ahead, and taken back when something comes before them.
"""

import logging
import random
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Any

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, NotFound, StorageFull
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import enlist, wakeup, webhooks
from wedsync_ops.jobs.ahead import AHEAD_MAX, FLUSH_S
from wedsync_ops.jobs.collector import for_a_long_run
from wedsync_ops.jobs.conclude import interrupted
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.enlist import Enlisted
from wedsync_ops.jobs.equip import order_for, pool_for
from wedsync_ops.jobs.exchange import Exchange
from wedsync_ops.jobs.housekeeping import House
from wedsync_ops.jobs.memory import machine_kb
from wedsync_ops.jobs.model import Claimed, Options, Order, Outcome
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.sizing import Sizing
from wedsync_ops.jobs.slots import Slots
from wedsync_ops.jobs.stopping import Phase, Stopping
from wedsync_ops.jobs.store import claim
from wedsync_ops.jobs.waker import Waker
from wedsync_ops.jobs.watch import watch

_LOG = logging.getLogger(__name__)

NET_S = 0.25
"""Seconds after which an idle worker looks by itself."""
LIMITED_S = 60.0
"""How long a drain waits at most for a limit to have room again, in seconds."""
GATHER_S = 0.0005
"""How long outcomes may gather while every slot has more to do, in seconds: one look then sees several."""
LOOK_S = 0.005
"""The shortest time between two looks at what idle slots could take from busy ones, in seconds."""
STUCK_S = 0.02
"""How long a job may run before those that were given to its slot ahead are taken back, in seconds."""
_NAMED = 20


SlotsFor = Callable[[Rules, Options, Clock], Slots]
"""What gives a worker the slots that it runs jobs in."""


class End(Enum):
    """Why a worker's loop ended."""

    DONE = "done"
    ABORTED = "aborted"
    RECYCLE = "recycle"


class Worker:
    """Runs the loop until it is drained, stopped or aborted. ``stop`` may be called from a signal handler."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        load_rules: Callable[[], Rules],
        options: Options,
        rand: random.Random,
        slots_for: SlotsFor = pool_for,
    ) -> None:
        self._slots_for = slots_for
        self._database = database
        self._clock = clock
        self._house = House(database, clock, load_rules)
        self._options = options
        memory_kb = machine_kb(self._house.rules.settings.memory_mb)
        self._dispatch = Dispatcher(options.modules, options.region, memory_kb)
        self._watch = watch(database)
        self._exchange = Exchange(database, clock, self._house, self._dispatch, self._watch, rand)
        settings = self._house.rules.settings
        self._stop = Stopping(settings.stop_grace_s, settings.stop_notice_s)
        self._has_asked = False
        self._fenced = False
        self._handed = self._filled = 0
        self._synced_at = self._looked_at = clock.monotonic()
        self._waker = Waker()
        self._sizing = Sizing(database, clock, is_sized=options.is_sized)

    def stop(self, *_: Any) -> None:
        """Ask for a stop: running jobs may end, are asked to, and then broken off; the second time at once."""
        self._stop.ask(self._clock.monotonic())
        self._waker.wake()

    def quiet(self, *_: Any) -> None:
        """Start nothing any more and give back what has not started, but stay until ``stop``."""
        self._stop.quiet()
        self._waker.wake()

    def run(self) -> End:
        """Work until there is a reason to end."""
        self._house.rescue()
        self._slots = self._slots_for(self._house.rules, self._options, self._clock)
        self._me = self._enlist()
        try:
            with for_a_long_run(), webhooks.delivering(self._house.rules.settings, self._clock), self._slots:
                try:
                    return self._loop()
                finally:
                    self._give_back()
                    self._close()
        finally:
            self._me.retire(self._database, self._clock.now())

    @property
    def next_due(self) -> int | None:
        """When time will make something of a waiting or held job next, as of the last claim; ``None`` for never."""
        moments = (self._dispatch.next_due, self._dispatch.limited_until)
        return min((moment for moment in moments if moment is not None), default=None)

    def _loop(self) -> End:
        self._sync()
        while True:
            self._hand_out()
            phase = self._stop.phase(self._clock.monotonic())
            if phase is Phase.BREAKING:
                return self._abort()
            self._house.attempt(partial(self._me.say, self._database, phase.word, self._dispatch.lacking))
            if phase is Phase.ASKING:
                self._ask_to_stop()
            if self._ended():
                return self._end()
            gather_s = GATHER_S if self._slots.ahead > self._low_water else 0.0
            outcomes, ready = self._slots.wait(self._pause(), self._descriptors(), gather_s)
            self._collect(outcomes)
            if self._waker.fileno() in ready:
                self._waker.quiet()
            if self._fenced:
                self._start_anew()
            told = self._me.bell.drain() or (self._watch.fileno() in ready and self._watch.changed())
            if told or self._must_sync():
                self._sync()
            if self._house.keep():
                self._dispatch.look_again()
            if self._sizing.is_due():
                self._house.attempt(partial(self._sizing.follow, self._me.id, self._slots))

    # -- what is going on --------------------------------------------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        return self._stop.is_asked or self._exhausted or self._must_recycle

    @property
    def _resting(self) -> bool:
        """Whether nothing may start: for good, or until this worker is known under a new id."""
        return self._stopping or self._stop.is_quiet or self._fenced

    @property
    def _exhausted(self) -> bool:
        return self._options.max_jobs is not None and self._handed >= self._options.max_jobs

    @property
    def _must_recycle(self) -> bool:
        # With a number of jobs to run this process must go on counting, whatever a thread has left behind.
        # A fresh process would not be quiet.
        return self._slots.needs_recycle and self._options.max_jobs is None and not self._stop.is_quiet

    @property
    def _room(self) -> int:
        """How many jobs may be handed out now."""
        room = 0 if self._resting else self._slots.free
        return room if self._options.max_jobs is None else min(room, self._options.max_jobs - self._handed)

    @property
    def _in_hand(self) -> int:
        """How many claimed jobs have not started."""
        return len(self._dispatch) + self._slots.ahead

    @property
    def _low_water(self) -> int:
        """How many unstarted jobs are so few that the next claim should be made, so that no slot runs dry meanwhile."""
        return self._filled // 2 if self._slots.ahead and self._dispatch.more else 0

    def _ended(self) -> bool:
        if self._exchange.running or self._exchange.outcomes or self._fenced:
            return False
        if self._stopping:
            return not len(self._dispatch)
        if not self._options.drain or self._stop.is_quiet or len(self._dispatch):
            return False
        is_more = self._dispatch.more or self._dispatch.keeps_back
        if is_more or self._is_due() or self._house.is_faulty or self._is_limited():
            return False
        # Before a drain ends: dead workers' jobs, and whatever others have queued meanwhile.
        if self._house.rescue() or self._watch.changed():
            self._sync()
            return False
        self._house.measure()
        return True

    def _end(self) -> End:
        return End.RECYCLE if self._must_recycle and not self._stop.is_asked else End.DONE

    def _is_due(self) -> bool:
        return not self._resting and self._dispatch.is_due(self._clock.now())

    def _is_limited(self) -> bool:
        """Whether a limit holds jobs that it will soon let go."""
        until = self._dispatch.limited_until
        return until is not None and until - self._clock.now() <= LIMITED_S * SECOND

    def _must_sync(self) -> bool:
        elapsed = self._clock.monotonic() - self._synced_at
        if self._exchange.outcomes and (elapsed >= FLUSH_S or len(self._exchange.outcomes) >= AHEAD_MAX):
            return True
        if self._is_due():
            return True
        starving = self._room > 0 and self._dispatch.more
        if self._in_hand <= self._low_water and (self._exchange.outcomes or starving):
            return True
        return elapsed >= NET_S and self._watch.changed()

    def _pause(self) -> float:
        """How long there may be nothing to do, in seconds; never 0 unless ``_must_sync`` then says so."""
        now = self._clock.monotonic()
        if self._house.fault_until > now:
            return self._house.fault_until - now
        if self._room > 0 and self._dispatch.more and not len(self._dispatch):
            return 0.0
        longest = max(0.0, self._synced_at + FLUSH_S - now) if self._exchange.outcomes else NET_S
        if self._slots.ahead:
            longest = min(longest, LOOK_S if self._slots.free else STUCK_S)
        if self._dispatch.next_due is not None and not self._resting:
            longest = min(longest, max(0.0, (self._dispatch.next_due - self._clock.now()) / SECOND))
        return longest

    def _descriptors(self) -> list[int]:
        extra = self._watch.fileno()
        return [self._waker.fileno(), self._me.bell.fileno(), *(() if extra is None else (extra,))]

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _collect(self, outcomes: Sequence[Outcome]) -> None:
        self._exchange.add(outcomes)
        now = self._clock.monotonic()
        idle = self._slots.free > 0 and not len(self._dispatch)
        if self._slots.ahead and now - self._looked_at >= (LOOK_S if idle else STUCK_S):
            self._looked_at = now
            self._take_back(-1.0 if idle else STUCK_S)
        elif not self._slots.ahead:
            self._take_back(STUCK_S)  # what a slot that died has left

    def _hand_out(self) -> None:
        if self._resting and self._in_hand:
            self._take_back()
            self._give_back()
            return
        while self._room > 0 and len(self._dispatch):
            if self._watch.changed() or self._dispatch.is_outranked:
                self._sync()
                if self._house.is_faulty or not len(self._dispatch):
                    return
            while self._room > 0 and len(self._dispatch) and not self._dispatch.is_outranked:
                self._slots.start(self._order(self._taken(self._dispatch.pop())))
        unlimited = self._options.max_jobs is None  # what may be taken back does not count towards a number of jobs
        while unlimited and self._dispatch.is_quick() and not self._resting and not self._dispatch.is_outranked:
            job = self._dispatch.lend()
            if not self._slots.start_ahead(self._order(job)):
                self._dispatch.take_back([job.id])
                return
            self._taken(job)

    def _order(self, job: Claimed) -> Order:
        return order_for(self._house.rules, job, self._dispatch.tempo.routes)

    def _taken(self, job: Claimed) -> Claimed:
        self._exchange.running[job.id] = job
        self._handed += 1
        return job

    def _take_back(self, longer_than_s: float = -1.0) -> None:
        """Have what was given ahead here again, in its place in the order."""
        jobs = self._slots.take_back(longer_than_s)
        for job_id in jobs:
            del self._exchange.running[job_id]
        self._handed -= len(jobs)
        self._dispatch.take_back(jobs)

    def _sync(self) -> None:
        """One transaction: what has finished, what has fallen due, what to run next; before it schedules fire."""
        if not self._resting and self._dispatch.must_fire(self._clock.now()):
            self._house.fire()
        if self._house.is_faulty:
            return
        try:
            exchanged = self._exchange.run(self._me.id, self._slots, None if self._resting else self._room)
        except NotFound:
            # A job of a module version that was registered after this worker had read the registry.
            self._house.refresh()
            return
        except (DatabaseError, StorageFull) as error:
            self._house.fault(error)
            return
        self._synced_at = self._clock.monotonic()
        self._filled = self._in_hand
        self._slots.recycle(self._dispatch.tempo.recycle_at)
        for stop in exchanged.stops:
            self._slots.cancel(stop.job_id, stop.reason)
        if exchanged.has_further:
            wakeup.ring(self._database, self._house.rules.settings.home)
        if self._dispatch.is_overtaken or exchanged.recall:
            self._take_back()
        if exchanged.recall:
            self._sync()

    # -- start and end -----------------------------------------------------------------------------------------------

    def _enlist(self) -> Enlisted:
        me = enlist.enlist(
            self._database,
            self._clock,
            self._house.rules.settings,
            self._options,
            load=lambda: (self._slots.size, self._slots.size - self._slots.free),
            on_fenced=self._declared_dead,
        )
        self._house.worker_id = me.id
        return me

    def _declared_dead(self) -> None:
        self._fenced = True
        self._waker.wake()

    def _start_anew(self) -> None:
        """Others may have taken this worker for dead and its jobs over: break off what runs, and begin under a new id.

        What has ended is written before, as far as the leases still hold. When the database fails the loop comes back.
        """
        self._break_off()
        self._sync()
        self._give_back()
        if self._house.is_faulty:
            return
        dead = self._me
        try:
            self._me = self._enlist()
            self._fenced = False
            dead.retire(self._database, self._clock.now())
        except (DatabaseError, StorageFull, OSError, RuntimeError) as error:  # the last: no thread to be had
            self._house.fault(error)
        self._dispatch.look_again()

    def _ask_to_stop(self) -> None:
        """The grace is over: let the handlers that still run know, once, how long they have."""
        if not self._has_asked:
            self._has_asked = True
            names = sorted(job.module_type for job in self._exchange.running.values())
            _LOG.warning("%d jobs still run and are asked to stop: %s", len(names), ", ".join(names[:_NAMED]))
            self._slots.ask_to_stop(self._stop.notice_s)

    def _abort(self) -> End:
        """Break off what runs and give it back; the attempts are not counted."""
        self._break_off()
        self._house.fault_until = 0.0
        self._sync()
        return End.ABORTED

    def _break_off(self) -> None:
        self._take_back()
        now = self._clock.now()
        running = self._exchange.running
        self._exchange.outcomes += [interrupted(running[job_id], at, now) for job_id, at in self._slots.running.items()]
        self._slots.abort()

    def _give_back(self) -> None:
        """Give unstarted jobs back; when the database fails they are kept, and the loop tries again."""
        jobs = self._dispatch.here()

        def write() -> None:
            with self._database.transaction() as connection:
                claim.release(connection, jobs, now=self._clock.now())

        if jobs and self._house.attempt(write):
            self._dispatch.clear()

    def _close(self) -> None:
        self._watch.close()
        self._waker.close()
