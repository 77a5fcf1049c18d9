"""Rolls executions up into buckets, past an id that only grows.

A step reads the next executions, adds what they come to to the buckets that are there, and writes these together with
the id that it reached. What is read, decoded and added up is so outside of the transaction that writes, which takes a
few milliseconds; it changes nothing when somebody else has moved on meanwhile. A step that is repeated, a process that
dies, and two that roll up at once therefore count nothing twice and leave nothing out.

Ids are given before a commit, so on PostgreSQL a lower one may appear after a higher. Only ids below which nothing can
appear any more are rolled up: those up to the highest there was at a moment whose transactions have all ended.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from secrets import token_hex
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver, WedsyncError
from wedsync_ops.instants import DAY
from wedsync_ops.jobs.beside import beside
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.store import terms
from wedsync_ops.metrics.adding import Spot, Sum, folded
from wedsync_ops.metrics.levels import WIDTHS, Kept, Level, start_of
from wedsync_ops.metrics.model import Kind
from wedsync_ops.metrics.store import buckets, executions
from wedsync_ops.metrics.store.buckets import Horizon, State, Top
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)

EVERY_S = 15.0
"""Seconds between two rounds of a worker."""
TERM = "rollup"
"""The name of the term under which one worker of the platform rolls up."""
TERM_S = 4 * EVERY_S
"""How long a worker's term lasts unless it is renewed, in seconds."""
SHARE = 0.1
"""The share of its time that a worker's thread is at work, at most: a backlog waits, jobs do not."""
CHUNK = 2_000
"""The most executions of a step."""
KINDS = (Kind.ALL, Kind.VENDOR_TYPE, Kind.PRIORITY, Kind.REGION)
"""What buckets are kept by; suppliers are too many for that."""
TRIES = 50
"""How often a round asks whether those transactions have ended."""
TRY_S = 0.01
"""Seconds between two of these questions."""
_DROPPED = 20

Writing = Callable[[], AbstractContextManager[Connection]]
"""What opens a transaction to write in."""


class Rolled(NamedTuple):
    """What a round came to: executions rolled up, buckets forgotten."""

    executions: int
    dropped: int


def floors(settings: Settings, now: int) -> Kept:
    """From when on what should be kept; whole days, so that what a range ends in is always there."""

    def since(days: int) -> int:
        return max(0, start_of(Level.DAY, now - days * DAY))

    return Kept(
        raw=0,  # executions go with retention's task, which raises this before
        minute=since(settings.minute_rollup_days),
        hour=since(settings.hour_rollup_days),
        day=since(settings.day_rollup_days),
    )


class Roller:
    """Rolls up round by round. ``writing`` opens the transactions, of this database, in which it writes.

    ``wait`` waits so many seconds, and tells whether to break off. It is used to be at work for no more than a
    ``share`` of the time.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        writing: Writing | None = None,
        wait: Callable[[float], bool] | None = None,
        share: float = 1.0,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._writing = writing or (lambda: database.transaction(durable=False))
        self._wait = wait or _slept
        self._rest = 1 / share - 1
        self._mark: Horizon | None = None

    def is_due(self) -> bool:
        """Whether there is anything that is not rolled up. Raises DatabaseError."""
        with self._database.snapshot() as connection:
            return buckets.horizon(connection).id > buckets.state(connection).up_to

    def round(self) -> Rolled:
        """Forget what is too old, and roll up all that can be. Raises DatabaseError, TermOver."""
        dropped = self._forget(floors(self._settings, self._clock.now()))
        total = 0
        bound = self._bound()
        while bound is not None:
            began = self._clock.monotonic()
            done = self._step(bound)
            total += done
            if done < CHUNK or self._wait(self._rest * (self._clock.monotonic() - began)):
                break
        return Rolled(total, dropped)

    def _bound(self) -> int | None:
        """The highest id up to which nothing can appear any more; ``None`` when that is not known yet."""
        if self._mark is None:
            with self._database.reading() as connection:
                self._mark = buckets.horizon(connection)
        for _ in range(TRIES):
            with self._database.reading() as connection:
                if buckets.is_settled(connection, self._mark):
                    bound, self._mark = self._mark.id, None
                    return bound
            if self._wait(TRY_S):
                break
        return None  # the mark stays: the next round asks for the same transactions

    def _step(self, bound: int) -> int:
        with self._database.snapshot() as connection:
            state = buckets.state(connection)
            top = buckets.top(connection, state.up_to, bound, CHUNK)
            if top is None:
                return 0
            added = self._added(connection, state, top)
            numbers = buckets.series(connection)
            places = {spot: (numbers[spot[0]], *spot[1:]) for spot in added if spot[0] in numbers}
            stored = buckets.at(connection, list(places.values()))
        for spot, place in places.items():
            if place in stored:
                added[spot].add_bucket(stored[place])
        ready = {spot: what.bucket() for spot, what in added.items()}
        with self._writing() as connection:
            if not buckets.advance(connection, state.up_to, top.id):
                return 0
            named = buckets.name(connection, {series for series, _, _ in ready})
            buckets.save(connection, {(named[spot[0]], *spot[1:]): bucket for spot, bucket in ready.items()})
        return top.size

    @staticmethod
    def _added(connection: Connection, state: State, top: Top) -> dict[Spot, Sum]:
        width = WIDTHS[Level.MINUTE if top.finished_at >= state.kept.minute else Level.HOUR]
        scope = executions.between(state.up_to, top.id)
        parts = (part for kind in KINDS for part in executions.parts(connection, scope, kind, width=width))
        return folded(parts, state.kept)

    def _forget(self, wanted: Kept) -> int:
        with self._database.reading() as connection:
            kept = buckets.state(connection).kept
            numbers = sorted(buckets.series(connection).values())
        raised = [level for level in WIDTHS if wanted.floor(level) > kept.floor(level)]
        if not raised:
            return 0
        with self._writing() as connection:
            buckets.keep(connection, wanted)  # readers look no further back from here on
        dropped = 0
        for level in raised:
            for first in range(0, len(numbers), _DROPPED):
                with self._writing() as connection:
                    some = numbers[first : first + _DROPPED]
                    dropped += buckets.drop(connection, some, level, wanted.floor(level))
        return dropped


@contextmanager
def rolling(settings: Settings, clock: Clock) -> Iterator[None]:
    """Roll up in a thread, with connections of its own, for as long as the context is open."""
    with beside("rollup", _Rounds(settings, clock).run, TERM_S):
        yield


class _Rounds:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"

    def run(self, stopped: threading.Event) -> None:
        database = db.connect(self._settings)
        leading = Leading(database, self._clock, self._holder)
        roller = Roller(database, self._clock, self._settings, leading.writing, stopped.wait, SHARE)
        try:
            while not stopped.wait(EVERY_S):
                self._round(roller, leading)
            leading.leave()
        except WedsyncError as error:
            _LOG.warning("the term of the rollup could not be given back: %s", error)
        finally:
            database.close()

    def _round(self, roller: Roller, leading: "Leading") -> None:
        try:
            if roller.is_due() and leading.lead():
                roller.round()
        except TermOver as error:
            _LOG.info("%s", error)
        except Exception as error:  # noqa: BLE001 - measurements wait in the executions; the next round begins anew
            unexpected = error if not isinstance(error, WedsyncError) else None
            _LOG.warning("executions could not be rolled up: %s", error, exc_info=unexpected)


class Leading:
    """The term of one process that rolls up, renewed as long as it writes."""

    def __init__(self, database: Database, clock: Clock, holder: str) -> None:
        self._database = database
        self._clock = clock
        self._holder = holder
        self._leader = Leader(database, clock, TERM_S)
        self._term: terms.Term | None = None
        self._led_at = 0.0

    def lead(self) -> bool:
        """Take or renew the term; whether it is this process's. Raises DatabaseError."""
        self._led_at = self._clock.monotonic()
        self._term = self._leader.lead(TERM, self._holder)
        return self._term is not None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes place only while nobody else has the term. Raises TermOver, DatabaseError.

        It need not reach the disk before others do: what is lost with power is rolled up again.
        """
        if self._clock.monotonic() - self._led_at > TERM_S / 3:
            self.lead()
        if self._term is None:
            raise TermOver("another process rolls up now")
        with self._database.transaction(durable=False) as connection:
            terms.fence(connection, self._term)
            yield connection

    def leave(self) -> None:
        """Let others take over at once."""
        if self._term is not None:
            with self._database.transaction() as connection:
                terms.vacate(connection, self._holder)


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return False
