"""The webhook: every event in order, at least once, signed; a receiver that fails holds it up and loses nothing."""

import base64
import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.jobs.receivers import SECRET, Receiver, eventually, receiving
from tests.stores.queues import NOW
from tests.stores.rows import add
from wedsync_ops import db, migrate
from wedsync_ops.clock import SystemClock
from wedsync_ops.db import Database
from wedsync_ops.errors import Refused
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.events import document
from wedsync_ops.jobs.store import events
from wedsync_ops.jobs.store.events import Cursor
from wedsync_ops.jobs.webhooks import Round, deliver, delivering, skip
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def site(receiver: Receiver, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, webhook_url=receiver.url, webhook_secret=SECRET, webhook_timeout_s=5.0)


def finish(database: Database, *job_ids: int) -> None:
    with database.transaction() as connection:
        events.record(connection, [(job_id, "completed", NOW) for job_id in job_ids])


def cursor(database: Database) -> Cursor:
    with database.reading() as connection:
        found = events.cursor(connection)
    assert found is not None
    return found


def jobs(receiver: Receiver) -> list[int]:
    return [post.document["job_id"] for post in receiver.taken]


def test_every_event_is_posted_once_in_order_and_signed(
    database: Database, clock: FakeClock, site: Settings, receiver: Receiver
) -> None:
    finish(database, *range(1, 48))
    assert deliver(database, clock, site) == Round(47, None)
    assert deliver(database, clock, site) == Round(0, None)
    finish(database, 48)
    assert deliver(database, clock, site) == Round(1, None)
    assert jobs(receiver) == list(range(1, 49))
    with database.reading() as connection:
        assert [post.document for post in receiver.posts] == [document(e) for e in events.read(connection, 0, 99)]
    for post in receiver.posts:
        signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.body
        mac = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert post.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 48


@pytest.mark.parametrize("answer", ["500", "429", "301", "404", "410", "cut"])
def test_a_failure_stops_at_its_event_and_goes_on_there(
    database: Database, clock: FakeClock, site: Settings, receiver: Receiver, answer: str
) -> None:
    finish(database, 1, 2, 3)
    receiver.answers = ["200", answer]
    failed = deliver(database, clock, site)
    assert (failed.delivered, failed.error is None) == (1, False)
    assert "hidden" not in str(failed.error)
    held = cursor(database)
    assert (held.failures, held.error) == (1, failed.error)
    assert held.next_at > NOW
    assert deliver(database, clock, site) == Round(0, None)
    assert len(receiver.posts) == 2  # it is left alone until then
    clock.set(held.next_at)
    assert deliver(database, clock, site) == Round(2, None)
    assert jobs(receiver) == [1, 2, 3]
    assert receiver.posts[1].headers["webhook-id"] == receiver.posts[2].headers["webhook-id"]
    assert cursor(database)[1:] == (0, clock.now(), None)


@pytest.mark.parametrize("answer", ["slow", "drip"])
def test_a_receiver_that_is_too_slow_has_failed(
    database: Database, clock: FakeClock, site: Settings, receiver: Receiver, answer: str
) -> None:
    finish(database, 1)
    receiver.answers = [answer]
    hurried = replace(site, webhook_timeout_s=0.3)
    assert deliver(database, clock, hurried) == Round(0, "no answer within 0.3 s")
    clock.set(cursor(database).next_at)
    assert deliver(database, clock, site) == Round(1, None)
    assert jobs(receiver) == [1]


def test_nobody_listens(database: Database, clock: FakeClock, site: Settings, caplog: pytest.LogCaptureFixture) -> None:
    finish(database, 1)
    nowhere = replace(site, webhook_url="http://127.0.0.1:1/hook?token=hidden")
    waits = []
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            assert deliver(database, clock, nowhere).error is not None
            waits.append(cursor(database).next_at - clock.now())
            clock.set(clock.now() + waits[-1])
    for number, wait in enumerate(waits):
        assert SECOND * 2**number / 2 <= wait <= SECOND * 2**number
    assert cursor(database).failures == 4
    assert len(caplog.records) == 4
    assert "hidden" not in caplog.text


def test_while_somebody_delivers_nobody_else_does(
    database: Database, clock: FakeClock, site: Settings, receiver: Receiver
) -> None:
    finish(database, 1)
    with database.transaction() as connection:
        assert events.lease(connection, now=NOW, until=NOW + 20 * SECOND) is not None
    assert deliver(database, clock, site) == Round(0, None)
    clock.set(clock.now() + 20 * SECOND)  # it has died in the middle
    assert deliver(database, clock, site) == Round(1, None)
    assert jobs(receiver) == [1]


def test_whoever_lost_the_lease_stops(database: Database, clock: FakeClock, site: Settings, receiver: Receiver) -> None:
    finish(database, *range(1, 100))

    def overtake() -> None:
        with database.transaction() as connection:
            connection.execute(text("UPDATE webhook_cursors SET next_at = 1"))

    receiver.meanwhile[5] = overtake
    assert deliver(database, clock, site).error is None
    assert len(receiver.posts) == 20  # what it had read before it could notice
    assert deliver(database, clock, site).error is None
    assert sorted(set(jobs(receiver))) == list(range(1, 100))


def test_two_deliverers_with_a_short_timeout_repeat_nothing(
    database: Database, site: Settings, receiver: Receiver
) -> None:
    """Each post takes a while; a round of them takes longer than two timeouts."""
    finish(database, *range(1, 26))
    hurried = replace(site, webhook_timeout_s=0.3)
    receiver.takes_s = 0.08

    def deliver_in_turns() -> None:
        while len(receiver.posts) < 25:
            deliver(database, SystemClock(), hurried)
            receiver.done.wait(0.02)

    threads = [threading.Thread(target=deliver_in_turns) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert jobs(receiver) == list(range(1, 26))


def test_whatever_goes_wrong_the_delivery_goes_on(
    tmp_path: Path, receiver: Receiver, site: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    database = db.connect(site)
    migrate.ensure(database)
    with database.transaction() as connection:
        job_id = add(connection)
        connection.execute(text("UPDATE payloads SET context = 'not json'"))
    finish(database, job_id)
    with caplog.at_level(logging.ERROR), delivering(site, SystemClock()):
        until = time.monotonic() + 30
        while "JSONDecodeError" not in caplog.text:
            assert time.monotonic() < until
            receiver.done.wait(0.02)
        with database.transaction() as connection:
            connection.execute(text("UPDATE payloads SET context = '{}'"))
        eventually(receiver, 1)
    database.close()
    assert jobs(receiver) == [job_id]


def test_the_event_that_is_never_taken_can_be_skipped(
    database: Database, clock: FakeClock, site: Settings, receiver: Receiver
) -> None:
    finish(database, 1, 2, 3)
    with pytest.raises(Refused, match="not held up"):
        skip(database, clock, 1)
    receiver.answers = ["200", "422"]
    assert deliver(database, clock, site).error is not None
    with database.reading() as connection:
        first, second, third = (event.id for event in events.read(connection, 0, 9))
    for other in (first, third):
        with pytest.raises(Refused, match=f"held up by event {second}, not by {other}"):
            skip(database, clock, other)
    assert skip(database, clock, second, dry_run=True).job_id == 2
    assert cursor(database).after_id == first
    assert skip(database, clock, second).job_id == 2
    assert deliver(database, clock, site) == Round(1, None)
    assert jobs(receiver) == [1, 3]
    with pytest.raises(Refused, match="not held up"):
        skip(database, clock, third)


def test_without_a_webhook_nothing_happens(database: Database, clock: FakeClock, tmp_path: Path) -> None:
    finish(database, 1)
    assert deliver(database, clock, Settings(home=tmp_path)) == Round(0, None)
    with database.reading() as connection:
        assert events.cursor(connection) is None


@pytest.mark.parametrize("secret", [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_the_documented_verification_accepts_a_post_and_nothing_else(
    sqlite_database: Database, site: Settings, receiver: Receiver, secret: str
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-webhooks.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    documented: dict[str, Any] = {}
    exec(program, documented)  # noqa: S102 - the page's own lines
    is_genuine = documented["is_genuine"]
    finish(sqlite_database, 1)
    assert deliver(sqlite_database, SystemClock(), replace(site, webhook_secret=secret)) == Round(1, None)
    (post,) = receiver.posts
    assert is_genuine(secret, post.headers, post.body)
    assert is_genuine(
        secret, {**post.headers, "webhook-signature": "v1,AA== " + post.headers["webhook-signature"]}, post.body
    )
    assert not is_genuine(secret, post.headers, post.body + b" ")
    assert not is_genuine("another secret of mine", post.headers, post.body)
    assert not is_genuine(secret, {**post.headers, "webhook-id": "evt_2_1"}, post.body)
    assert not is_genuine(secret, {**post.headers, "webhook-timestamp": "1700000000"}, post.body)
