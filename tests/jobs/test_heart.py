"""The heart goes on beating whatever happens, and tells its worker when it may have been taken for dead."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.stores.rows import NOW, worker
from wedsync_ops.clock import Clock, OffsetClock, SystemClock
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.heart import Heart
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.settings import Settings

WAIT_S = 20
Load = Callable[[], tuple[int, int]]


class Patient:
    """A worker with a heart, and what it hears of it."""

    def __init__(self, database: Database, *, lease_s: float, load: Load, clock: Clock) -> None:
        self.database = database
        self.fenced = threading.Event()
        self.row = worker(heartbeat_at=NOW)
        url = database.writer.url.render_as_string(hide_password=False)
        settings = replace(Settings(home=Path("/")), db=url, lease_s=lease_s, heartbeat_s=0.01)
        with database.transaction() as connection:
            workers.register(connection, self.row)
        self.heart = Heart(settings, clock, self.row, load, self.fenced.set)
        self.heart.start()

    def seen(self) -> Worker:
        """The worker as others see it."""
        with self.database.reading() as connection:
            (found,) = workers.living(connection)
        return found

    def execute(self, statement: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(text(statement))


class Beats:
    """The load of a worker; knows how often it was asked, which is once a beat."""

    def __init__(self, failing: int = 0) -> None:
        self.failing = failing
        self.asked = 0
        self._more = threading.Condition()

    def __call__(self) -> tuple[int, int]:
        with self._more:
            self.asked += 1
            self._more.notify_all()
        if self.asked <= self.failing:
            raise RuntimeError("nobody knows")
        return 7, 3

    def wait(self, more: int) -> None:
        """Let so many more beats begin, and all but the last of them end."""
        with self._more:
            until = self.asked + more
            assert self._more.wait_for(lambda: self.asked >= until, WAIT_S)


Make = Callable[..., Patient]


@pytest.fixture
def patient(database: Database) -> Iterator[Make]:
    made: list[Patient] = []

    def make(load: Load, *, lease_s: float = 600, clock: Clock | None = None) -> Patient:
        made.append(Patient(database, lease_s=lease_s, load=load, clock=clock or SystemClock()))
        return made[-1]

    yield make
    for one in made:
        one.heart.stop()


def test_says_that_the_worker_lives_and_how_busy_it_is(patient: Make) -> None:
    beats = Beats()
    one = patient(beats)
    beats.wait(2)
    assert (one.seen().slots, one.seen().busy) == (7, 3)
    assert one.seen().heartbeat_at > SECOND
    assert not one.fenced.is_set()


def test_an_unforeseen_error_does_not_end_it(patient: Make, caplog: pytest.LogCaptureFixture) -> None:
    beats = Beats(failing=3)
    one = patient(beats)
    beats.wait(5)
    assert one.seen().busy == 3
    assert not one.fenced.is_set()
    assert "nobody knows" in caplog.text


def test_a_database_that_fails_for_less_than_the_lease_is_outlived(patient: Make) -> None:
    beats = Beats()
    one = patient(beats)
    one.execute("ALTER TABLE workers RENAME TO elsewhere")
    beats.wait(3)
    one.execute("UPDATE elsewhere SET busy = 0")
    one.execute("ALTER TABLE elsewhere RENAME TO workers")
    beats.wait(2)
    assert one.seen().busy == 3
    assert not one.fenced.is_set()


def test_no_beat_for_longer_than_the_lease_is_told_to_the_worker(patient: Make) -> None:
    one = patient(Beats(), lease_s=0.2)
    one.execute("ALTER TABLE workers RENAME TO elsewhere")
    assert one.fenced.wait(WAIT_S)


def test_a_worker_that_was_declared_dead_is_told(patient: Make) -> None:
    beats = Beats()
    one = patient(beats)
    one.execute("UPDATE workers SET stopped_at = 1")
    assert one.fenced.wait(WAIT_S)
    asked = beats.asked
    one.heart.stop()
    assert beats.asked == asked


def test_keeps_the_clock_to_the_server_s(patient: Make, database: Database) -> None:
    """As after a suspension, through which the monotonic clock stands still."""
    clock = database.server_clock()
    late = OffsetClock(clock.now() - 3600 * SECOND) if isinstance(clock, OffsetClock) else clock
    beats = Beats()
    one = patient(beats, clock=late)
    beats.wait(2)
    assert abs(late.now() - clock.now()) < 60 * SECOND
    assert abs(one.seen().heartbeat_at - clock.now()) < 60 * SECOND
