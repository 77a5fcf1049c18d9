"""Tells people what happened to alerts: one sender in the whole platform, in a thread that keeps nobody waiting.

plan (events → pages, in one transaction with the place among the events) → begin (a message for each free channel) →
send (one thread a channel) → settle (taken, put off, given up). Everything is a row, so that a restart neither loses
nor repeats: what was not begun is pending, what was begun and not settled is tried again under the same message id.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from wedsync_ops.alerts.aside import aside
from wedsync_ops.alerts.channels.contract import Sender
from wedsync_ops.alerts.model import EventKind
from wedsync_ops.alerts.notify import GIVE_UP_US, LONGEST_WAIT_US, decide, retry_us
from wedsync_ops.alerts.notify_model import Kind, Message, Outcome, Plan
from wedsync_ops.alerts.store import alerts, deliveries
from wedsync_ops.alerts.store.deliveries import Delivery
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.store import terms
from wedsync_ops.jobs.store.terms import Term

_LOG = logging.getLogger(__name__)

TERM = "notify"
"""The name of the term of whoever sends."""
TERM_S = 15.0
"""After how long another takes over from a sender that died, in seconds."""
PATIENCE_S = 1.0
"""How long a round waits for its channels, in seconds; the rest is settled by a later one."""
ATTEMPT_US = 150 * SECOND
"""How long an attempt takes at most, in microseconds: the longest timeout, twice, and the writing of its outcome."""
MOST_TOGETHER = 50
"""The most alerts in one message."""
_EVENTS = 20
"""How many events one transaction decides on: it holds the write lock, and must be short."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to. ``more`` is whether another would find something to do at once."""

    planned: int = 0
    sent: int = 0
    failed: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Attempt:
    pages: tuple[Delivery, ...]
    future: "Future[Outcome]"


class Notifier:
    """Plans and sends, round by round, as long as the term is its own. For one thread."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        plan: Plan,
        senders: Mapping[str, Sender],
        holder: str,
        rand: random.Random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._plan = plan
        self._senders = senders
        self._holder = holder
        self._rand = rand
        self._leader = Leader(database, clock, TERM_S)
        self._term: Term | None = None
        self._asked_at: float | None = None
        self._under_way: dict[str, _Attempt] = {}

    @property
    def leads(self) -> bool:
        """Whether the term is this one's, as of the last round."""
        return self._term is not None

    def round(self, patience_s: float = PATIENCE_S) -> Round:
        """Do what there is to do now. Raises DatabaseError; the term then ends by itself."""
        try:
            self._renew()
            if self._term is None:
                return Round()
            before = self._settle()
            planned = self._look(self._term)
            begun = self._begin(self._term)
            wait([attempt.future for attempt in self._under_way.values()], timeout=patience_s)
            after = self._settle()
        except TermOver:  # this one stood still for so long that another has taken over
            self._term = None
            return Round()
        more = begun + after.sent + after.failed > 0  # a channel that is free again may have another message
        return Round(planned, before.sent + after.sent, before.failed + after.failed, more)

    def close(self, patience_s: float = 0.0) -> None:
        """Settle what ends within so many seconds, and let another take over at once. Raises DatabaseError."""
        try:
            if self._under_way:
                wait([attempt.future for attempt in self._under_way.values()], timeout=patience_s)
            if self._term is not None:
                self._settle()
                with self._database.transaction() as connection:
                    terms.vacate(connection, self._holder)
        except TermOver:
            pass
        finally:
            self._term = None

    def _renew(self) -> None:
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= TERM_S / (3 if self._term else 6):
            self._asked_at = now
            self._term = self._leader.lead(TERM, self._holder)
            if self._term is not None:
                self._bring_back(self._term)

    def _bring_back(self, term: Term) -> None:
        """Let no page wait for the time that the clock was set back by."""
        now = self._clock.now()
        last = now + max(ATTEMPT_US, LONGEST_WAIT_US)
        with self._database.reading() as connection:
            if not deliveries.are_ahead(connection, now, last):
                return
        with self._leader.writing(term) as connection:
            count = deliveries.bring_back(connection, now, last)
        _LOG.warning("the clock was set back; %d pages go as if it had not been", count)

    # -- plan --------------------------------------------------------------------------------------------------------

    def _look(self, term: Term) -> int:
        """Decide what follows from the events that nobody has looked at; returns how many pages were planned."""
        planned = 0
        while True:
            with self._database.reading() as connection:
                after = deliveries.cursor(connection)
                if after is not None and not alerts.read_events(connection, after, 1):
                    return planned
            with self._leader.writing(term) as connection:
                more, count = self._decide(connection)
            planned += count
            if not more:
                return planned

    def _decide(self, connection: Connection) -> tuple[bool, int]:
        after = deliveries.cursor(connection)
        after = deliveries.begin_now(connection) if after is None else after
        found = alerts.read_events(connection, after, _EVENTS)
        now, count = self._clock.now(), 0
        for event in found:
            decision = decide(event, self._plan, deliveries.told(connection, event.alert_id), now)
            if decision.calls_off:
                deliveries.call_off(connection, event.alert_id, now)
            deliveries.plan(connection, event.id, event.alert_id, decision.planned, now)
            count += len(decision.planned)
        deliveries.move(connection, found[-1].id if found else after)
        return len(found) == _EVENTS, count

    # -- send --------------------------------------------------------------------------------------------------------

    def _begin(self, term: Term) -> int:
        """Begin one message on each free channel; returns how many."""
        now = self._clock.now()
        with self._database.reading() as connection:
            waiting = deliveries.waiting(connection, now)
            free = [name for name in waiting if name in self._senders and name not in self._under_way]
            due = {name: deliveries.come(connection, name, now) for name in free}
        unknown = [name for name in waiting if name not in self._senders]
        if not free and not unknown:
            return 0
        begun = []
        with self._leader.writing(term) as connection:
            for name in unknown:
                deliveries.forsake(connection, name, "there is no such channel any more", now)
            for pages in due.values():
                ids = _together(pages)
                begun.append(deliveries.begin(connection, ids, f"ntf_{ids[0]}", now + ATTEMPT_US))
        for pages in begun:
            self._send(term, tuple(pages))
        return len(begun)

    def _send(self, term: Term, pages: tuple[Delivery, ...]) -> None:
        """Send pages that were begun, as one message; there are none when all were called off meanwhile."""
        with self._database.reading() as connection:
            told = {page.alert_id: alerts.get(connection, page.alert_id) for page in pages}
        found = tuple(alert for alert in told.values() if alert is not None)
        if found:
            first = pages[0]
            message = Message(first.message_id or "", first.kind, first.planned_at, found)
            future = aside(f"notify {first.channel}", partial(self._senders[first.channel].send, message))
            self._under_way[first.channel] = _Attempt(pages, future)
        elif pages:
            with self._leader.writing(term) as connection:
                ids = [page.id for page in pages]
                deliveries.give_up(connection, ids, "the alert is not known any more", self._clock.now())

    # -- settle ------------------------------------------------------------------------------------------------------

    def _settle(self) -> Round:
        """Write down what has become of attempts that have ended."""
        ended = {name: attempt for name, attempt in self._under_way.items() if attempt.future.done()}
        if not ended or self._term is None:
            return Round()
        sent = failed = 0
        with self._leader.writing(self._term) as connection:
            alerts.lock(connection)
            for name, attempt in ended.items():
                outcome = _outcome(attempt.future)
                if outcome.error is None:
                    self._taken(connection, attempt.pages)
                    sent += 1
                else:
                    self._failed(connection, name, attempt.pages, outcome)
                    failed += 1
        for name in ended:
            del self._under_way[name]
        return Round(sent=sent, failed=failed)

    def _taken(self, connection: Connection, pages: tuple[Delivery, ...]) -> None:
        now = self._clock.now()
        done = deliveries.sent(connection, [page.id for page in pages], now)
        deliveries.repeat(connection, done, now)
        for page in done:
            alert = alerts.get(connection, page.alert_id) if page.kind is Kind.ESCALATED else None
            if alert is not None:
                alerts.record(connection, alert, EventKind.ESCALATED, now, note=f"told {page.channel}")

    def _failed(self, connection: Connection, name: str, pages: tuple[Delivery, ...], outcome: Outcome) -> None:
        now, ids, error = self._clock.now(), [page.id for page in pages], str(outcome.error)
        first = pages[0]
        if outcome.final or now - first.planned_at >= GIVE_UP_US:
            deliveries.give_up(connection, ids, error, now)
            _LOG.error("a page over the channel %s was given up: %s", name, error)
            return
        delay = retry_us(first.attempts, self._rand.random(), outcome.retry_after_s)
        deliveries.put_off(connection, ids, error, now + delay)
        _LOG.warning("the channel %s failed: %s; the next attempt is in %.0f s", name, error, delay / SECOND)


def _together(due: Sequence[Delivery]) -> list[int]:
    """The first of the pages that are due, and those that go with it: as before, else of its group."""
    first = due[0]
    if first.message_id is not None:
        return [one.id for one in due if one.message_id == first.message_id]
    if first.group_key is None:
        return [first.id]
    return [one.id for one in due if one.message_id is None and one.group_key == first.group_key][:MOST_TOGETHER]


def _outcome(future: "Future[Outcome]") -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A fault of ours; the message of the error might hold a secret.
    return Outcome(f"it failed unexpectedly: {type(error).__name__}")
