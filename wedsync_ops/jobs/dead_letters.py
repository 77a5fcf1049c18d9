"""What is done with dead letters: look at them by what went wrong, retry them at a rate, discard them for good.

Looking reads page by page, writing goes in chunks of 200, so that a hundred thousand hold nobody up. A letter is known
by its id and the instant at which it was discarded: whoever comes second finds it changed and leaves it alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.errors import UnknownJob, WedsyncError, WrongState
from wedsync_ops.instants import MINUTE, local_date
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.drain import covering
from wedsync_ops.jobs.fingerprint import fingerprint
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import control, dead, drains, events, retention, unique
from wedsync_ops.jobs.store.dead import Letter

CHUNK = 200
"""The most letters that one transaction moves."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which dead letters are meant; ``None`` is any. ``since`` and ``until`` are instants of discarding."""

    module: str | None = None
    supplier: str | None = None
    error: str | None = None
    fingerprint: str | None = None
    since: int | None = None
    until: int | None = None

    def fits(self, letter: Letter) -> bool:
        """Whether a letter is meant. Errors are compared in either case of letters."""
        return (
            self.module in (None, letter.module_type)
            and self.supplier in (None, letter.supplier_id)
            and (self.error is None or self.error.casefold() in (letter.error or "").casefold())
            and (self.fingerprint is None or self.fingerprint == fingerprint(letter.error))
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """The dead letters of a module type that went wrong in the same way; instants, and the latest error."""

    module_type: str
    fingerprint: str
    count: int
    first_seen: int
    last_seen: int
    soonest_wedding: date | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Discarded:
    """How many letters were discarded, and how many are kept because the webhook has yet to be told of them."""

    count: int
    untold: int


def find(queue: Queue, wanted: Wanted) -> Iterator[Letter]:
    """The dead letters that are meant, the first discarded first. Raises UnknownModule."""
    if wanted.module is not None:
        queue.rules.registry.pointer(wanted.module)
    until = dead.NEVER if wanted.until is None else wanted.until
    after: tuple[int, int] | None = (-1 if wanted.since is None else wanted.since - 1, dead.NEVER)
    while after is not None:
        with queue.database.reading() as connection:
            letters, after = dead.page(connection, after=after, until=until)
        yield from filter(wanted.fits, letters)


def failures(queue: Queue, wanted: Wanted) -> list[Failure]:
    """Dead letters by module type and fingerprint: the soonest wedding first, then the most letters."""
    return _grouped(queue, find(queue, wanted), queue.clock.now())


def _grouped(queue: Queue, letters: Iterable[Letter], now: int) -> list[Failure]:
    groups: dict[tuple[str, str], Failure] = {}
    for letter in letters:
        key = (letter.module_type, fingerprint(letter.error))
        before, wedding = groups.get(key), _coming(queue, letter, now)
        groups[key] = Failure(
            *key,
            count=1 if before is None else before.count + 1,
            first_seen=letter.finished_at if before is None else before.first_seen,
            last_seen=letter.finished_at,
            soonest_wedding=_sooner(wedding, None if before is None else before.soonest_wedding),
            error=letter.error,
        )
    return sorted(
        groups.values(), key=lambda one: (one.soonest_wedding or date.max, -one.count, one.module_type, one.fingerprint)
    )


@dataclass(frozen=True, slots=True)
class Retried:
    """How many letters were queued again, and how many were left.

    ``taken``: other jobs have their unique keys; ``draining``: they belong to what is being drained.
    """

    count: int
    taken: int
    draining: int


def retry(queue: Queue, wanted: Wanted, *, per_minute: float | None = None) -> Retried:
    """Queue the letters again, the most urgent wedding first, with all their attempts; the first of a unique key only.

    ``per_minute`` spreads their due times so that so many a minute fall due, the first now. What is being
    drained stays.
    """
    now = queue.clock.now()
    step_us = 0.0 if per_minute is None else MINUTE / per_minute
    done = Retried(0, 0, 0)
    for chunk in _chunks(_urgent_first(queue, wanted, now)):
        found = [(letter.id, letter.finished_at) for letter in chunk]
        revive = partial(_revived, found=found, now=now, due_at=partial(_due_at, now, done.count, step_us))
        one = _committed(queue, revive)
        done = Retried(done.count + one.count, done.taken + one.taken, done.draining + one.draining)
        queue.ring()
    return done


def rehearse(queue: Queue, wanted: Wanted) -> tuple[Retried, list[Failure]]:
    """What ``retry`` would do now, and the letters that would be queued again as ``failures``. Nothing is changed."""
    now = queue.clock.now()
    letters = _urgent_first(queue, wanted, now)
    with queue.database.reading() as connection:
        going = drains.read(connection, now)
    accepted = [one for one in letters if covering(going, one.module_type, one.supplier_id) is None]
    holders: dict[str, int] = {}
    revived: list[Letter] = []
    for chunk in _chunks(accepted):
        keys = {one.id: one.unique_key for one in chunk if one.unique_key is not None}
        with queue.database.reading() as connection:
            taken = unique.would_meet(connection, keys, holders, now)
        revived += [one for one in chunk if one.id not in taken]
    done = Retried(len(revived), len(accepted) - len(revived), len(letters) - len(accepted))
    return done, _grouped(queue, sorted(revived, key=lambda one: (one.finished_at, one.id)), now)


def _urgent_first(queue: Queue, wanted: Wanted, now: int) -> list[Letter]:
    return sorted(find(queue, wanted), key=lambda one: (_urgency(queue, one, now), one.finished_at, one.id))


def _due_at(now: int, first: int, step_us: float, place: int) -> int:
    """When the job at a place of a chunk is due, which comes after ``first`` others."""
    return now + math.floor((first + place) * step_us)


def _revived(
    connection: Connection, *, found: Sequence[tuple[int, int]], now: int, due_at: Callable[[int], int]
) -> Retried:
    """Queue those of the letters again that are still dead and may."""
    going = drains.read(connection, now, entering=True)
    letters = dead.still_dead(connection, found)
    dead_ones = [letters[job_id] for job_id, _ in found if job_id in letters]
    known = [job for job in dead_ones if covering(going, job.module_type, job.supplier_id) is None]
    keys = {job.id: job.unique_key for job in known if job.unique_key is not None}
    taken = unique.taken(connection, keys, now)
    jobs = [job for job in known if job.id not in taken]
    control.retry(connection, jobs, now, [due_at(place) for place in range(len(jobs))])
    wakeup.notify(connection)
    return Retried(len(jobs), len(taken), len(dead_ones) - len(known))


def discard(queue: Queue, wanted: Wanted) -> Discarded:
    """Forget config and context of the letters, so that nobody can retry them; the jobs stay, ``discarded``."""
    count = total = 0
    held = _held(queue)
    for chunk in _chunks([(letter.id, letter.finished_at) for letter in find(queue, wanted)]):
        done, still = _discarded(queue, chunk, held)
        count += len(done)
        total += still
    return Discarded(count, total - count)


def discard_each(queue: Queue, ids: Sequence[int]) -> list[WedsyncError | None]:
    """Discard dead letters by their ids; for each ``None``, or why not."""
    with queue.database.reading() as connection:
        states = control.states(connection, ids)
        found = dead.standing(connection, ids)
    done: set[int] = set()
    held = _held(queue)
    for chunk in _chunks([(job_id, finished_at) for job_id, finished_at in found.items()]):
        done |= _discarded(queue, chunk, held)[0]
    return [None if job_id in done else _refusal(job_id, states.get(job_id), stood=job_id in found) for job_id in ids]


def _held(queue: Queue) -> retention.Held:
    """Since when the webhook has yet to be told of jobs."""
    if queue.rules.settings.webhook_url is None:
        return retention.nothing_held
    with queue.database.reading() as connection:
        return events.Untold(connection)


def _discarded(queue: Queue, found: Sequence[tuple[int, int]], held: retention.Held) -> tuple[set[int], int]:
    """Discard what is still dead; the ids, and how many were still dead."""

    def strip(connection: Connection) -> tuple[set[int], int]:
        still = dead.still_dead(connection, found)
        before = held(connection)
        told = [(job_id,) for job_id, finished_at in found if job_id in still and finished_at < before]
        retention.dead_payloads(dead.NEVER, held).forget(connection, told)
        return {job_id for (job_id,) in told}, len(still)

    return _committed(queue, strip)


def _committed(queue: Queue, work: Callable[[Connection], _T]) -> _T:
    """A transaction, repeated when another got in its way: whoever retries at the same time passes."""

    def once() -> _T:
        with queue.database.transaction() as connection:
            return work(connection)

    return db.repeated(once)


def _urgency(queue: Queue, letter: Letter, now: int) -> tuple[int, int]:
    """What sorts letters: weddings to come by their day, then those without one, then past ones."""
    coming = _coming(queue, letter, now)
    if coming is not None:
        return 0, coming.toordinal()
    return (1, 0) if letter.wedding_on is None else (2, 0)


def _coming(queue: Queue, letter: Letter, now: int) -> date | None:
    """The day of a letter's wedding that is still to come, where it is; else ``None``."""
    if letter.wedding_on is None:
        return None
    day = date.fromisoformat(letter.wedding_on)
    return day if day >= local_date(now, queue.rules.zone(letter.timezone)) else None


def _sooner(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def _chunks(items: Sequence[_T]) -> Iterator[list[_T]]:
    left = iter(items)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _refusal(job_id: int, state: State | None, *, stood: bool) -> WedsyncError:
    if state is None:
        return UnknownJob(f"there is no job {job_id}")
    if state is not State.DISCARDED:
        return WrongState(f"job {job_id} is {state}, and so no dead letter")
    if stood:
        return WrongState(f"job {job_id} was retried meanwhile, or the webhook has yet to be told of it")
    return WrongState(f"job {job_id} has no config and context any more")
