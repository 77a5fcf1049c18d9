"""The sender: what is planned is sent once, whoever dies, whoever else wants to, whatever a channel does."""

import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.alerts.notify.telling import WEEK, Incident, Mailbox, configured, hooked, pages, site
from tests.jobs.receivers import Receiver
from wedsync_ops.alerts.model import AlertType
from wedsync_ops.alerts.notifier import ATTEMPT_US, TERM_S, Notifier, Round
from wedsync_ops.alerts.notify_model import DeliveryState
from wedsync_ops.alerts.notifying import holder, load
from wedsync_ops.alerts.store import deliveries
from wedsync_ops.alerts.store.deliveries import Delivery
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.testing.clock import FakeClock

ROUTES = """\
  - {name: critical, match: {severity: critical}, channels: [pager, hook]}
  - {name: rest, channels: hook, repeat_min: 60}
"""


@pytest.fixture
def file(pager: Receiver, hook: Receiver, mailbox: tuple[Mailbox, int], tmp_path: Path) -> Path:
    return configured(tmp_path, ROUTES, pager.url, hook.url, mailbox[1])


@pytest.fixture
def notifier(database: Database, clock: FakeClock, file: Path) -> Iterator[Notifier]:
    made = sender(database, clock, file)
    yield made
    made.close()


def sender(database: Database, clock: FakeClock, file: Path) -> Notifier:
    setup = load(file, site(file.parent), clock)
    return Notifier(database, clock, setup.plan, setup.senders, holder(), random.Random(1))


def run(notifier: Notifier) -> Round:
    planned = sent = failed = 0
    more = True
    while more:
        told = notifier.round(10)
        planned, sent, failed, more = planned + told.planned, sent + told.sent, failed + told.failed, told.more
    return Round(planned, sent, failed)


def rows(database: Database) -> list[Delivery]:
    with database.reading() as connection:
        return sorted(deliveries.show(connection, [], None, None, 1000))


def until_posted(receiver: Receiver) -> None:
    until = time.monotonic() + 30
    while not receiver.posts:
        assert time.monotonic() < until
        receiver.done.wait(0.01)


def test_what_is_told_is_told_once(notifier: Notifier, incident: Incident, pager: Receiver, hook: Receiver) -> None:
    alert = incident.open(WEEK)
    assert run(notifier) == Round(2, 2, 0)
    assert run(notifier) == Round(0, 0, 0)
    assert pages(pager.posts) == [("trigger", f"ops.example-alert-{alert}")]
    assert hooked(hook) == [("opened", [alert])]


def test_a_row_tells_what_became_of_a_page(
    database: Database, notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver
) -> None:
    hook.answers = ["500"]
    incident.open(WEEK)
    run(notifier)
    pager_row, hook_row = sorted(rows(database), key=lambda row: row.channel, reverse=True)
    assert (pager_row.state, pager_row.attempts, pager_row.error) == (DeliveryState.SENT, 1, None)
    assert (hook_row.state, hook_row.attempts, hook_row.error) == (DeliveryState.PENDING, 1, "it answered 500")
    assert SECOND / 2 <= hook_row.next_at - clock.now() <= SECOND
    clock.set(hook_row.next_at)
    run(notifier)
    assert [(row.state, row.error) for row in rows(database)] == [(DeliveryState.SENT, None)] * 2


def test_alerts_of_half_a_minute_go_together_and_repeat_together(
    notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver
) -> None:
    first = incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    clock.advance("20s")
    second = incident.open(AlertType.ANOMALY)
    run(notifier)
    assert hooked(hook) == []
    clock.advance("10s")
    run(notifier)
    assert hooked(hook) == [("opened", [first, second])]
    clock.advance("55m")
    third = incident.open(AlertType.LOW_THROUGHPUT)
    run(notifier)
    clock.advance("30s")
    run(notifier)
    clock.advance("10m")
    run(notifier)
    assert hooked(hook)[1:] == [("opened", [third]), ("repeated", [first, second])]


def test_a_group_that_failed_is_tried_again_as_it_was(
    notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver
) -> None:
    hook.answers = ["503"]
    first = incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    clock.advance("30s")
    run(notifier)
    second = incident.open(AlertType.ANOMALY)
    run(notifier)
    clock.advance("30s")
    run(notifier)
    assert hooked(hook) == [("opened", [first]), ("opened", [second])]
    failed, again, other = hook.posts
    assert failed.headers["webhook-id"] == again.headers["webhook-id"] != other.headers["webhook-id"]


@pytest.mark.parametrize("end", ["acknowledge", "silence", "resolve"])
def test_what_nobody_was_told_of_is_called_off_without_a_word(
    database: Database, notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver, end: str
) -> None:
    alert = incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    getattr(incident, end)(alert)
    clock.advance("1m")
    run(notifier)
    assert hook.posts == []
    assert [row.state for row in rows(database)] == [DeliveryState.CANCELLED]


def test_who_may_have_been_told_hears_of_the_end(
    notifier: Notifier, incident: Incident, clock: FakeClock, pager: Receiver
) -> None:
    """An answer that was lost: the pager may have the incident, and must not keep it."""
    pager.answers = ["cut"]
    alert = incident.open(WEEK)
    run(notifier)
    incident.resolve(alert)
    clock.advance("1m")
    run(notifier)
    assert [action for action, _ in pages(pager.posts)] == ["trigger", "resolve"]


def test_a_warning_that_becomes_critical_takes_the_other_route(
    notifier: Notifier, incident: Incident, clock: FakeClock, pager: Receiver, hook: Receiver
) -> None:
    alert = incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    incident.worsen(alert)
    run(notifier)
    assert pages(pager.posts) == [("trigger", f"ops.example-alert-{alert}")]
    clock.advance("1m")
    run(notifier)
    assert hooked(hook) == [("worsened", [alert])]


def test_only_one_sends(
    database: Database, clock: FakeClock, file: Path, notifier: Notifier, incident: Incident, hook: Receiver
) -> None:
    other = sender(database, clock, file)
    run(notifier)
    alert = incident.open(WEEK)
    assert other.round() == Round()
    assert not other.leads
    run(notifier)
    notifier.close()
    clock.advance("5s")
    incident.resolve(alert)
    assert run(other).sent == 2  # it takes over at once, and repeats nothing
    other.close()
    assert hooked(hook) == [("opened", [alert]), ("resolved", [alert])]


def test_who_stood_still_and_was_replaced_changes_nothing(
    database: Database, clock: FakeClock, file: Path, notifier: Notifier, incident: Incident, hook: Receiver
) -> None:
    run(notifier)
    clock.advance(f"{TERM_S:.0f}s")
    other = sender(database, clock, file)
    assert run(other) == Round(0, 0, 0)
    incident.open(WEEK)
    notifier._asked_at = clock.monotonic()  # it does not know yet
    assert run(notifier) == Round(0, 0, 0)
    assert not notifier.leads
    assert hook.posts == []
    assert run(other).sent == 2
    other.close()


def test_a_sender_that_dies_in_an_attempt_is_followed_by_one_that_tries_it_again(
    database: Database, clock: FakeClock, file: Path, incident: Incident, hook: Receiver, pager: Receiver
) -> None:
    hook.takes_s = 0.2
    alert = incident.open(WEEK)
    dead = sender(database, clock, file)
    dead.round(0)
    until_posted(hook)
    clock.advance(f"{TERM_S:.0f}s")
    heir = sender(database, clock, file)
    run(heir)
    assert len(hook.posts) == 1  # nobody knows yet that the first attempt is over
    clock.set(clock.now() + ATTEMPT_US)
    hook.takes_s = 0.0
    run(heir)
    heir.close()
    assert hooked(hook) == [("opened", [alert])] * 2
    assert len({post.headers["webhook-id"] for post in hook.posts}) == 1
    assert len({key for _, key in pages(pager.posts)}) == 1
    assert {row.state for row in rows(database)} == {DeliveryState.SENT}


def test_a_slow_channel_keeps_no_other_waiting(
    database: Database, clock: FakeClock, file: Path, incident: Incident, hook: Receiver, pager: Receiver
) -> None:
    hook.takes_s = 5.0
    notifier = sender(database, clock, file)
    began = time.monotonic()
    incident.open(WEEK)
    notifier.round(0.2)
    incident.open(AlertType.CAPACITY)
    while len(pager.taken) < 2:
        assert time.monotonic() - began < 4
        notifier.round(0.2)
    assert len(hook.posts) == 1
    hook.done.set()
    run(notifier)
    notifier.close()
    assert len(hook.taken) == 2


@pytest.mark.parametrize(("status", "is_final"), [("400", True), ("413", True), ("429", False), ("404", False)])
def test_what_will_never_be_taken_is_given_up(
    database: Database, notifier: Notifier, incident: Incident, hook: Receiver, status: str, is_final: bool
) -> None:
    hook.answers = [status]
    incident.open(WEEK)
    run(notifier)
    (row,) = (row for row in rows(database) if row.channel == "hook")
    assert row.state is (DeliveryState.FAILED if is_final else DeliveryState.PENDING)
    assert row.error == f"it answered {status}"


def test_after_a_day_a_page_is_given_up(
    database: Database,
    notifier: Notifier,
    incident: Incident,
    clock: FakeClock,
    hook: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    incident.open(WEEK)
    hook.answers = ["500"] * 2
    run(notifier)
    clock.advance("24h")
    with caplog.at_level(logging.ERROR):
        run(notifier)
    (row,) = (row for row in rows(database) if row.channel == "hook")
    assert (row.state, row.attempts) == (DeliveryState.FAILED, 2)
    assert "a page over the channel hook was given up: it answered 500" in caplog.text


def test_a_channel_that_is_gone_holds_nobody_up(
    database: Database, clock: FakeClock, incident: Incident, file: Path, hook: Receiver
) -> None:
    notifier = sender(database, clock, file)
    incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    notifier.close()
    file.write_text("schema_version: 1\nchannels: {screen: {type: console}}\nroutes: [{channels: screen}]\n")
    clock.advance("1m")
    notifier = sender(database, clock, file)
    run(notifier)
    notifier.close()
    assert [(row.state, row.error) for row in rows(database)] == [
        (DeliveryState.FAILED, "there is no such channel any more")
    ]
    assert hook.posts == []


def test_it_begins_with_what_is_open(
    database: Database, clock: FakeClock, incident: Incident, file: Path, hook: Receiver
) -> None:
    """Notification is configured when alerts have been coming and going for long."""
    over, acknowledged, silenced = incident.open(WEEK, "a"), incident.open(WEEK, "b"), incident.open(WEEK, "c")
    open_ = incident.open(WEEK, "d")
    incident.resolve(over)
    incident.acknowledge(acknowledged)
    incident.silence(silenced)
    notifier = sender(database, clock, file)
    run(notifier)
    notifier.close()
    assert hooked(hook) == [("opened", [open_])]


def test_hundreds_of_alerts_at_once_come_in_few_messages(
    notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver
) -> None:
    ids = [incident.open(AlertType.QUEUE_LENGTH, f"m{number}") for number in range(230)]
    run(notifier)
    clock.advance("30s")
    run(notifier)
    assert [len(told) for _, told in hooked(hook)] == [50, 50, 50, 50, 30]
    assert [one for _, told in hooked(hook) for one in told] == ids


def test_what_is_old_is_forgotten_once_its_alert_is_over(
    database: Database, notifier: Notifier, incident: Incident, clock: FakeClock
) -> None:
    first, second = incident.open(WEEK, "a"), incident.open(WEEK, "b")
    run(notifier)
    incident.resolve(first)
    run(notifier)
    clock.advance("1d")
    with database.transaction() as connection:
        assert deliveries.drop(connection, clock.now() - MINUTE) == 4
        assert deliveries.drop(connection, clock.now() - MINUTE) == 0
    assert {row.alert_id for row in rows(database)} == {second}


def test_troubles_are_told_by_channel(
    database: Database, notifier: Notifier, incident: Incident, clock: FakeClock, hook: Receiver, pager: Receiver
) -> None:
    hook.answers, pager.answers = ["503"] * 3, ["400"]
    incident.open(WEEK)
    run(notifier)
    opened_at = clock.now()
    clock.advance("2m")
    with database.reading() as connection:
        found = deliveries.troubles(connection, late=clock.now() - MINUTE, failed_since=opened_at)
        assert found == [
            deliveries.Trouble("hook", 1, opened_at, 0, "it answered 503"),
            deliveries.Trouble("pager", 0, None, 1, "it answered 400"),
        ]
        assert deliveries.troubles(connection, late=opened_at - 1, failed_since=clock.now()) == []


def test_the_looks_use_their_indexes(sqlite_database: Database) -> None:
    statements = {
        "alert_deliveries_pending": "SELECT DISTINCT channel FROM alert_deliveries"
        " WHERE state = 'pending' AND next_at <= 5",
        "alert_deliveries_by_alert": "SELECT channel FROM alert_deliveries WHERE alert_id = 5",
    }
    with sqlite_database.reading() as connection:
        for index, statement in statements.items():
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
            assert any(index in str(row) for row in plan), plan


@pytest.mark.parametrize("back", [30 * SECOND, 3600 * SECOND])
def test_a_page_does_not_wait_for_the_time_that_the_clock_was_set_back_by(
    database: Database, clock: FakeClock, incident: Incident, notifier: Notifier, hook: Receiver, back: int
) -> None:
    incident.open(AlertType.QUEUE_LENGTH)
    assert run(notifier).planned == 1  # waits 30 s for its group
    clock.set(clock.now() - back)
    for _ in range(8):
        clock.advance("5s")
        run(notifier)
    assert len(hook.posts) == 1
    (page, *_) = rows(database)
    assert page.state is DeliveryState.SENT


def test_a_page_that_failed_is_tried_again_soon_after_the_clock_was_set_back(
    clock: FakeClock, incident: Incident, notifier: Notifier, hook: Receiver
) -> None:
    incident.open(AlertType.QUEUE_LENGTH)
    run(notifier)
    clock.advance("1h")
    hook.answers = ["500"]
    assert run(notifier).failed == 1
    clock.set(clock.now() - 1800 * SECOND)
    clock.advance("6s")
    assert run(notifier).sent == 1
