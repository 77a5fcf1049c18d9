"""Draining a scope: no new job is accepted, what is under way runs to its end, and then nothing of it starts."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wedsync_ops import db
from wedsync_ops.errors import InvalidInput, WaitTimedOut, WrongState
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.store import control, drains, stops
from wedsync_ops.jobs.store.drains import Later, Left
from wedsync_ops.settings import operator

_CHUNK = 500
_NOTHING = Left(0, 0)
_SOONEST_S = 0.05
_TIMES = 6000
"""How often a drain tries to begin, each time for 50 ms and as long a pause: ten minutes."""
_LATEST_S = 1.0
_SHARE = 10
"""A look that takes so long is followed by a pause of at least so many times that."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a drain has come."""

    drain: Drain
    left: Left

    @property
    def is_over(self) -> bool:
        """Whether nothing of the scope runs, or will until it is resumed."""
        return self.drain.drained_at is not None and not self.left.running


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for a drain, in seconds: at most, and until what is left is cancelled; ``None`` for ever."""

    timeout_s: float | None = None
    cancel_after_s: float | None = None


def planned(queue: Queue, scope: str, name: str, *, reason: str | None = None, until: int | None = None) -> Drain:
    """A drain of a scope (all, module or supplier) that is not yet begun. Raises UnknownModule, InvalidInput."""
    if scope == "module":
        queue.rules.registry.pointer(name)
    now = queue.clock.now()
    if until is not None and until <= now:
        raise InvalidInput("--until lies in the past")
    return Drain(scope, name, reason, operator(), now, until)


def begin(
    queue: Queue,
    scope: str,
    name: str,
    *,
    reason: str | None = None,
    until: int | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Drain:
    """Accept no new job of a scope. One that is being drained goes on, and keeps what is not given. Raises as above.

    On PostgreSQL it begins once whoever is queueing has ended, and lets others queue until then. Raises
    DatabaseConflict when that takes minutes.
    """
    drain = planned(queue, scope, name, reason=reason, until=until)

    def written() -> Drain:
        with queue.database.transaction() as connection:
            return drains.begin(connection, drain)

    return db.repeated(written, times=_TIMES, between=lambda: pause(_SOONEST_S))


def look(queue: Queue, drain: Drain) -> tuple[Progress, Later]:
    """How far a drain has come, and what of its scope is scheduled for later. Nothing is changed."""
    with queue.database.reading() as connection:
        now = queue.clock.now()
        return Progress(drain, drains.left(connection, drain, now)), drains.later(connection, drain, now)


def wait(
    queue: Queue,
    drain: Drain,
    wanted: Wait,
    *,
    pause: Callable[[float], object],
    told: Callable[[Progress], object],
) -> tuple[Progress, int]:
    """Wait until nothing of a scope waits that is due, or runs, and see that nothing starts from then on.

    ``told`` hears of every change. Returns the end, and how many jobs were cancelled or told to stop. Raises
    WaitTimedOut, and WrongState when the drain was ended meanwhile.
    """
    began = queue.clock.monotonic()
    cancelled: set[int] = set()
    before: Progress | None = None
    while True:
        looked = queue.clock.monotonic()
        seen = advance(queue, drain)
        if seen != before:
            told(seen)
            before = seen
        if seen.is_over:
            return seen, len(cancelled)
        elapsed = queue.clock.monotonic() - began
        if wanted.cancel_after_s is not None and elapsed >= wanted.cancel_after_s:
            # At every look: a job may come back from a dead worker, or be asked for by one that is still running.
            is_first = not cancelled
            cancelled |= cancel(queue, seen.drain)
            if is_first and cancelled:
                continue
        if wanted.timeout_s is not None and elapsed >= wanted.timeout_s:
            raise _timed_out(seen, wanted.timeout_s)
        longest = min(_LATEST_S, max(_SOONEST_S, elapsed / _SHARE))
        pause(max(longest, (queue.clock.monotonic() - looked) * _SHARE))


def advance(queue: Queue, drain: Drain) -> Progress:
    """Look at a drain, and note it when nothing of its scope is under way. Raises WrongState when it has ended.

    What dead workers were running waits again: nobody else may be there to notice. What waits is looked at before the
    transaction that notes the end, which holds nobody up; what falls due in between is held, as whatever does later.
    """
    found = _seen(queue, drain)
    if found.left.running and rescue(queue.database, queue.rules, queue.clock.now()):
        found = _seen(queue, drain)
    if found.drain.drained_at is not None or found.left != _NOTHING:
        return found
    seen = found.drain
    with queue.database.transaction() as connection:
        now = queue.clock.now()
        if drains.is_quiet(connection, seen, now) and drains.mark_drained(connection, seen, now):
            wakeup.notify(connection)
    queue.ring()
    # Looked at anew: something scheduled may have started while that was noted.
    return _seen(queue, drain)


def advance_all(queue: Queue) -> int:
    """Note which drains have come to their end; returns how many have just now."""
    with queue.database.reading() as connection:
        going = [drain for drain in drains.read(connection, queue.clock.now()) if drain.drained_at is None]
    over = 0
    for drain in going:
        with contextlib.suppress(WrongState):
            over += advance(queue, drain).drain.drained_at is not None
    return over


def cancel(queue: Queue, drain: Drain) -> set[int]:
    """Cancel what of a scope waits and is due, and have what runs broken off; the ids of those jobs."""
    told: set[int] = set()
    after = 0
    while True:
        with queue.database.transaction() as connection:
            now = queue.clock.now()
            ids = drains.under_way(connection, drain, now, after=after, most=_CHUNK)
            done = control.cancel(connection, ids, now)
            stops.ask(connection, [job_id for job_id in ids if job_id not in done], by=operator(), now=now)
            wakeup.notify(connection)
        queue.ring()
        told.update(ids)
        if len(ids) < _CHUNK:
            return told
        after = ids[-1]


def _seen(queue: Queue, drain: Drain) -> Progress:
    """The drain as it stands, and what of it is under way."""
    with queue.database.reading() as connection:
        now = queue.clock.now()
        known = _current(drains.read(connection, now), drain)
        return Progress(known, drains.left(connection, known, now))


def _current(known: Iterable[Drain], drain: Drain) -> Drain:
    """The drain as it stands."""
    found = next((one for one in known if (one.scope, one.name) == (drain.scope, drain.name)), None)
    if found is None:
        raise WrongState(f"the drain of {drain.words} has been ended", hint="new jobs are accepted again")
    return found


def _timed_out(seen: Progress, timeout_s: float) -> WaitTimedOut:
    left = seen.left
    return WaitTimedOut(
        f"{seen.drain.words} is not drained after {timeout_s:g} s: {left.waiting:,} jobs wait and {left.running:,} run",
        hint="it goes on draining; see 'queue status'",
    )
