"""The dead man's signal: sent while alerts are evaluated, and at no other time."""

import logging
import time
from pathlib import Path

import pytest

from tests.jobs.receivers import Receiver
from wedsync_ops.alerts.beat import Beat
from wedsync_ops.alerts.notify_model import Heartbeat, Secret
from wedsync_ops.alerts.store import points
from wedsync_ops.alerts.store.deliveries import EVALUATED
from wedsync_ops.db import Database
from wedsync_ops.errors import SettingError
from wedsync_ops.instants import MINUTE
from wedsync_ops.testing.clock import FakeClock


def evaluated(database: Database, at: int) -> None:
    with database.transaction() as connection:
        points.set_mark(connection, EVALUATED, at)


def beat_of(hook: Receiver, clock: FakeClock) -> Beat:
    return Beat(Heartbeat(Secret(plain=hook.url), MINUTE), clock)


def settled(beat: Beat, database: Database) -> None:
    """Wait until the post that is under way has been answered, and its outcome was looked at."""
    until = time.monotonic() + 10
    while beat._under_way is not None:
        assert time.monotonic() < until
        beat._tell_failure()


def test_the_mark_is_that_of_evaluation() -> None:
    from wedsync_ops.alerts import alerter

    assert alerter.EVALUATED == EVALUATED


def test_it_beats_every_so_often(database: Database, clock: FakeClock, hook: Receiver) -> None:
    beat = beat_of(hook, clock)
    evaluated(database, clock.now())
    assert beat.keep(database)
    settled(beat, database)
    assert not beat.keep(database)
    clock.advance("59s")
    assert not beat.keep(database)
    clock.advance("1s")
    assert beat.keep(database)
    settled(beat, database)
    assert [post.document["at"] for post in hook.posts] == [
        "2027-06-14T09:00:00.000000Z",
        "2027-06-14T09:01:00.000000Z",
    ]


def test_it_falls_silent_when_nobody_evaluates(
    database: Database, clock: FakeClock, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    beat = beat_of(hook, clock)
    with caplog.at_level(logging.ERROR):
        assert not beat.keep(database)
        assert "have not been evaluated since ever" in caplog.text
        evaluated(database, clock.now())
        clock.advance("5m")
        assert beat.keep(database)
        settled(beat, database)
        clock.advance("1m")
        assert not beat.keep(database)
        assert "have not been evaluated since 2027-06-14T09:00:00" in caplog.text
    evaluated(database, clock.now())
    clock.advance("1m")
    assert beat.keep(database)
    settled(beat, database)
    assert len(hook.posts) == 2


def test_a_receiver_that_is_down_is_told_of_and_tried_again(
    database: Database, clock: FakeClock, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = ["500"]
    beat = beat_of(hook, clock)
    evaluated(database, clock.now())
    beat.keep(database)
    settled(beat, database)
    assert "the heartbeat was not taken: it answered 500" in caplog.text
    assert "hidden" not in caplog.text
    clock.advance("1m")
    assert beat.keep(database)
    settled(beat, database)
    assert len(hook.taken) == 1


def test_an_address_that_is_none_is_refused(clock: FakeClock, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("hush-no-url\n")
    with pytest.raises(SettingError, match="the URL of the heartbeat must be such as") as caught:
        Beat(Heartbeat(Secret(file=str(tmp_path / "url")), MINUTE), clock)
    assert "hush" not in str(caught.value)
