"""What people do with journeys: look at them, plan couples, move a wedding."""

import getpass
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.errors import InvalidTime, UnknownClient, UnknownJourney, WedsyncError, quoted
from wedsync_ops.instants import local_date
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.planning import frame
from wedsync_ops.planning.apply import CouplePlan, Outcome, Work, apply, lock
from wedsync_ops.planning.definitions import Journey, from_text
from wedsync_ops.planning.frame import Frame
from wedsync_ops.planning.model import CHANGING, Change
from wedsync_ops.planning.store import journeys as journey_store
from wedsync_ops.planning.store import plans
from wedsync_ops.planning.store.plans import Moved
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.store import Wanted

JOBS_AT_ONCE = 200
"""About how many jobs one transaction queues."""
_MOST_COUPLES = 200
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """A journey in force, how many of its steps have been planned for couples, and when it was registered."""

    journey: Journey
    version: int
    registered_at: int
    planned: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which couples to plan: those of these ids, those who marry within so many days, those who moved, or all."""

    client_ids: Sequence[str] = ()
    within_days: int | None = None
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A wedding that moved, and what became of the couple's jobs."""

    from_on: date
    to_on: date
    plan: CouplePlan
    moved_at: int


def list_journeys(queue: Queue) -> list[Listed]:
    """The journeys in force, by id."""
    with queue.database.reading() as connection:
        planned = plans.count_steps(connection)
        return [
            Listed(from_text(one.definition), one.version, one.registered_at, planned.get(one.id, 0))
            for one in journey_store.current(connection)
        ]


def show_journey(queue: Queue, journey_id: str) -> Listed:
    """One journey. Raises UnknownJourney."""
    with queue.database.reading() as connection:
        frame.load(connection, queue.rules, journey_id)
    return next(one for one in list_journeys(queue) if one.journey.id == journey_id)


def plan(
    queue: Queue, chosen: Chosen, *, journey_id: str | None = None, dry_run: bool = False
) -> Iterator[list[CouplePlan]]:
    """Plan couples, some hundred jobs at a time; what each transaction came to, as it is committed.

    Planned again, nothing is done twice. Raises UnknownJourney, UnknownClient, ExtraMissing, DatabaseError.
    """
    with queue.database.reading() as connection:
        found = frame.load(connection, queue.rules, journey_id)
    if not found.stored:
        raise UnknownJourney("no journey is registered", hint="register a file with journeys:")
    most = max([1, *(len(one.journey.steps) for one in found.current())])
    size = max(1, min(_MOST_COUPLES, JOBS_AT_ONCE // most))
    for ids in _pages(queue, found, chosen, size):
        yield _planned(queue, found, ids, dry_run=dry_run)


def move(queue: Queue, client_id: str, to: date, *, reason: str | None = None, dry_run: bool = False) -> Move:
    """Move a wedding to another day, and every waiting job of the couple with it, in one transaction.

    What was done stays done, and what runs is left alone. Raises UnknownClient, InvalidTime for a day that is over or
    past the year 8999.
    """
    with queue.database.reading() as connection:
        found = frame.load(connection, queue.rules)
        known = clients.find(connection, client_id)
    if known is None:
        raise UnknownClient(f"there is no client {quoted(client_id)}")
    today = local_date(queue.clock.now(), known.client.zone(queue.rules.calendar.zone))
    if to < today:
        raise InvalidTime(f"{to} is over; today is {today}", hint="a wedding is moved to a day that is to come")
    work = Work(found, move_to=to, always=True, queueing=dry_run)
    now = queue.clock.now()
    with queue.database.reading() as connection:
        seen = _move(connection, work, client_id, now=now, reason=reason)
    if dry_run:
        return seen
    writing = replace(work, write=True, queueing=True, stamp=queue.clock.now)

    def written() -> Move:
        with queue.database.transaction() as connection:
            done = _move(connection, writing, client_id, now=queue.clock.now(), reason=reason)
            wakeup.notify(connection)
        return done

    done = db.repeated(written)
    queue.ring()
    return done


def moves(queue: Queue, client_id: str | None, limit: int) -> list[Moved]:
    """The moves of weddings, the latest first, at most ``limit`` (0 = all)."""
    with queue.database.reading() as connection:
        return plans.moves(connection, client_id, limit)


def count_moved(queue: Queue) -> int:
    """How many couples are planned for another wedding day than they have."""
    with queue.database.reading() as connection:
        return plans.count_moved(connection)


def _pages(queue: Queue, found: Frame, chosen: Chosen, size: int) -> Iterator[list[str]]:
    """The ids of the couples to plan, page by page."""
    if chosen.client_ids:
        ids = list(dict.fromkeys(chosen.client_ids))
        with queue.database.reading() as connection:
            known = clients.find_many(connection, ids)
        unknown = next((name for name in ids if name not in known), None)
        if unknown is not None:
            raise UnknownClient(f"there is no client {quoted(unknown)}")
        yield from (ids[start : start + size] for start in range(0, len(ids), size))
    elif chosen.moved:
        yield from _moved_pages(queue, size)
    else:
        yield from _dated_pages(queue, found, chosen.within_days, size)


def _moved_pages(queue: Queue, size: int) -> Iterator[list[str]]:
    after = ""
    while True:
        with queue.database.reading() as connection:
            ids = plans.moved_clients(connection, after, size)
        if not ids:
            return
        yield ids
        after = ids[-1]


def _dated_pages(queue: Queue, found: Frame, within_days: int | None, size: int) -> Iterator[list[str]]:
    """Couples by their wedding day, without those whose wedding is so long ago that no step is to come."""
    today = local_date(queue.clock.now(), queue.rules.calendar.zone)
    first = today - timedelta(days=1 if within_days is not None else found.days_after())
    last = None if within_days is None else today + timedelta(days=within_days)
    wanted = Wanted(first=first, last=last, limit=size)
    while True:
        with queue.database.reading() as connection:
            page = [known.client for known in clients.list_clients(connection, wanted)]
        if page:
            yield [client.client_id for client in page]
        if len(page) < size:
            return
        wanted = replace(wanted, after=(page[-1].wedding_on, page[-1].client_id))


def _planned(queue: Queue, found: Frame, ids: Sequence[str], *, dry_run: bool) -> list[CouplePlan]:
    """Plan some couples: what their jobs take is prepared before the transaction, which is short."""
    work = Work(found, queueing=dry_run)
    with queue.database.reading() as connection:
        seen = apply(connection, work, ids, queue.clock.now())
    if dry_run or not any(map(_is_news, seen)):
        return seen
    writing = replace(work, write=True, queueing=True, stamp=queue.clock.now)

    def written() -> list[CouplePlan]:
        with queue.database.transaction() as connection:
            done = apply(connection, writing, ids, queue.clock.now())
            wakeup.notify(connection)
        return done

    done = db.repeated(written)
    queue.ring()
    return done


def _is_news(one: CouplePlan) -> bool:
    """Whether anything is to be written of a couple."""
    news = CHANGING | {Change.REFUSED}
    is_new = one.was is None and any(outcome.decided.change is not Change.UNDATED for outcome in one.steps)
    return one.redated or is_new or any(outcome.decided.change in news for outcome in one.steps)


def _move(connection: Connection, work: Work, client_id: str, *, now: int, reason: str | None) -> Move:
    if work.move_to is None:
        raise ValueError("a move needs a day")
    if work.write:
        lock(connection, work, [client_id], now)
    known = clients.find(connection, client_id)
    if known is None:
        raise UnknownClient(f"there is no client {quoted(client_id)}")
    before = known.client
    if work.write:
        clients.upsert(connection, [replace(before, wedding_on=work.move_to)], now)
    (plan,) = apply(connection, work, [client_id], now)
    if work.write:
        counts = {change.value: count for change, count in sorted(plan.counts.items())}
        why = None if reason is None else reason[:LONGEST_REASON]
        moved = Moved(0, client_id, before.wedding_on, work.move_to, why, getpass.getuser(), now, counts)
        plans.record_move(connection, moved)
    return Move(before.wedding_on, work.move_to, plan, now)


@dataclass(slots=True)
class Tally:
    """What planning came to, added up over many couples."""

    couples: int = 0
    moved: int = 0
    changes: Counter[Change] = field(default_factory=Counter)

    def add(self, done: Sequence[CouplePlan]) -> list[tuple[Outcome, WedsyncError]]:
        """Add what a transaction came to; the steps that were refused in it."""
        refused = []
        for one in done:
            self.couples += 1
            self.moved += one.redated
            self.changes.update(one.counts)
            refused += [(step, step.error) for step in one.steps if step.error is not None]
        return refused
