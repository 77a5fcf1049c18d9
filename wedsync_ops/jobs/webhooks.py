"""Posts the feed to the configured webhook: every event, in order, at least once.

One at a time delivers, whoever holds the lease on the cursor. A receiver that fails holds the cursor where it is:
nothing is skipped, the same event is tried again, ever more rarely. A worker does this in a thread of its own with a
connection of its own, so that a slow receiver keeps no job waiting; ``maintenance run webhooks`` does it from cron.
"""

import asyncio
import logging
import random
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from wedsync_ops import codec, db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import Refused, WedsyncError
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.beside import beside
from wedsync_ops.jobs.events import Event, document, headers, message_id, signing_key, wait_us
from wedsync_ops.jobs.run import one_line
from wedsync_ops.jobs.store import events
from wedsync_ops.jobs.store.events import Cursor
from wedsync_ops.settings import Settings

if TYPE_CHECKING:
    from httpx2 import AsyncClient

_LOG = logging.getLogger(__name__)

POLL_S = 0.5
"""Seconds between two looks for new events."""
SAVE_S = 1.0
"""The longest that progress waits to be written, in seconds: what a death makes the receiver get again."""
COMMIT_S = 5.0
"""What a lease allows for writing the progress down, in seconds."""
LAST_S = 5.0
"""How long a worker that ends goes on telling what has finished, in seconds."""
_CHUNK = 20
_MOST_ANSWER = 64 * 1024


class Answer(NamedTuple):
    """What the receiver said to one event: a status, or why there is none; ``error`` is ``None`` when it took it."""

    status: int | None
    error: str | None


class Round(NamedTuple):
    """What one round came to: events delivered, and what the receiver failed with."""

    delivered: int
    error: str | None


class Receiver:
    """The other side, over one connection that is kept open. Its certificate is verified; no redirect is followed."""

    def __init__(self, url: str, secret: str, timeout_s: float) -> None:
        self._url = url
        self._secret = signing_key(secret)
        self._timeout_s = timeout_s
        self._runner = asyncio.Runner()
        self._client: AsyncClient | None = None

    def post(self, event: Event, now: int) -> Answer:
        """Post one event; the timeout is that of the whole exchange, however slowly its parts arrive."""
        import httpx2

        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=self._timeout_s, follow_redirects=False, trust_env=False)
        try:
            status = self._runner.run(self._exchange(self._client, event, now))
        except TimeoutError:
            return Answer(None, f"no answer within {self._timeout_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return Answer(None, one_line(f"{type(error).__name__}: {error}"))
        return Answer(status, None if 200 <= status < 300 else f"it answered {status}")

    async def _exchange(self, client: "AsyncClient", event: Event, now: int) -> int:
        body = codec.dumps(document(event))
        signed = headers(self._secret, message_id(event), now, body)
        async with (
            asyncio.timeout(self._timeout_s),
            client.stream("POST", self._url, content=body, headers=signed) as response,
        ):
            length = 0
            async for part in response.aiter_raw():  # read to its end, so that the connection can be used again
                length += len(part)
                if length > _MOST_ANSWER:
                    break
            return response.status_code

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()


class Delivery:
    """Takes the webhook's cursor along the feed, round by round."""

    def __init__(self, database: Database, clock: Clock, receiver: Receiver, timeout_s: float) -> None:
        self._database = database
        self._clock = clock
        self._receiver = receiver
        # Posting goes on for SAVE_S, then ends the post that is under way, then a commit renews the lease.
        self._lease_us = round((SAVE_S + 2 * timeout_s + COMMIT_S) * SECOND)

    def round(self, go_on: Callable[[], bool] = lambda: True) -> Round:
        """Deliver what there is until nothing is left, the receiver fails, or ``go_on`` says no.

        Raises DatabaseError; the lease then ends by itself.
        """
        held = self._lease()
        delivered = 0
        while held is not None:
            with self._database.reading() as connection:
                found = events.read(connection, held.after_id, _CHUNK)
            after, answer = self._post(found, held.after_id, go_on)
            count = next((n for n, e in enumerate(found, 1) if e.id == after), 0)
            delivered += count
            if answer is not None:
                return Round(delivered, self._failed(held, after, answer))
            more = count > 0 and go_on()
            held = self._move(held, Cursor(after, 0, self._until() if more else self._clock.now(), None))
            if not more:
                break
        return Round(delivered, None)

    def _lease(self) -> Cursor | None:
        now = self._clock.now()
        with self._database.reading() as connection:
            known = events.cursor(connection) or Cursor(0, 0, 0, None)
            if known.next_at > now or not events.read(connection, known.after_id, 1):
                return None
        with self._database.transaction() as connection:
            return events.lease(connection, now=now, until=self._until())

    def _post(self, found: list[Event], after: int, go_on: Callable[[], bool]) -> tuple[int, Answer | None]:
        """Post events until one fails, or it is time to write the progress down: the last one taken, the failure."""
        started = self._clock.monotonic()
        for event in found:
            if self._clock.monotonic() - started >= SAVE_S or not go_on():
                break
            answer = self._receiver.post(event, self._clock.now())
            if answer.error is not None:
                return after, answer
            after = event.id
        return after, None

    def _failed(self, held: Cursor, after: int, answer: Answer) -> str:
        failures = held.failures + 1 if after == held.after_id else 1
        now = self._clock.now()
        wait = wait_us(failures, answer.status, random.random())  # noqa: S311 - jitter, no secret
        self._move(held, Cursor(after, failures, now + wait, answer.error))
        _LOG.warning(
            "the webhook's receiver failed after event %d: %s; the next attempt is in %.0f s",
            after,
            answer.error,
            wait / SECOND,
        )
        return str(answer.error)

    def _move(self, held: Cursor, to: Cursor) -> Cursor | None:
        with self._database.transaction() as connection:
            return to if events.move(connection, held, to) else None

    def _until(self) -> int:
        return self._clock.now() + self._lease_us


def deliver(database: Database, clock: Clock, settings: Settings) -> Round:
    """Deliver what there is, once; nothing without a webhook. Raises DatabaseError."""
    if settings.webhook_url is None:
        return Round(0, None)
    receiver = Receiver(settings.webhook_url, settings.webhook_secret or "", settings.webhook_timeout_s)
    try:
        return Delivery(database, clock, receiver, settings.webhook_timeout_s).round()
    finally:
        receiver.close()


def skip(database: Database, clock: Clock, event_id: int, *, dry_run: bool = False) -> Event:
    """Leave out the event that a failing webhook is held up by, and go on after it at once; returns the event.

    With ``dry_run`` nothing changes. Raises Refused when another event holds it up, or none; DatabaseError.
    """
    with database.transaction() as connection:
        held = events.cursor(connection)
        found = [] if held is None else events.read(connection, held.after_id, 1)
        if held is None or not held.failures or not found:
            raise Refused("the webhook is not held up by any event", hint="see 'wedsync-ops events --json'")
        (event,) = found
        if event.id != event_id:
            raise Refused(f"the webhook is held up by event {event.id}, not by {event_id}")
        if not dry_run and not events.move(connection, held, Cursor(event.id, 0, clock.now(), None)):
            raise Refused("the webhook moved on meanwhile", hint="look again")
    return event


@contextmanager
def delivering(settings: Settings, clock: Clock) -> Iterator[None]:
    """Deliver in a thread for as long as the context is open, and then a little longer what is still to be told."""
    if settings.webhook_url is None:
        yield
        return
    with beside("webhook", _Rounds(settings, clock).run, LAST_S + 2 * settings.webhook_timeout_s):
        yield


class _Rounds:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._ends_at: float | None = None

    def run(self, stopped: threading.Event) -> None:
        timeout_s = self._settings.webhook_timeout_s
        database = db.connect(self._settings)
        receiver = Receiver(self._settings.webhook_url or "", self._settings.webhook_secret or "", timeout_s)
        delivery = Delivery(database, self._clock, receiver, timeout_s)
        try:
            last = False
            while not last:
                last = stopped.wait(POLL_S)  # the round after the stop tells what finished just before it
                self._round(delivery, stopped)
        finally:
            receiver.close()
            database.close()

    def _round(self, delivery: Delivery, stopped: threading.Event) -> None:
        try:
            delivery.round(lambda: self._may_go_on(stopped))
        except WedsyncError as error:
            _LOG.warning("the webhook could not be served: %s", error)
        except Exception as error:  # noqa: BLE001 - delivery goes on; the message might hold the URL
            at = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.error("the webhook could not be served: %s in %s:%s", type(error).__name__, at.filename, at.lineno)

    def _may_go_on(self, stopped: threading.Event) -> bool:
        if not stopped.is_set():
            return True
        now = self._clock.monotonic()
        self._ends_at = now + LAST_S if self._ends_at is None else self._ends_at
        return now < self._ends_at
