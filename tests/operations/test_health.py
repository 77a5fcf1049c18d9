"""Health and its checks, on both databases: what is well is said to be, and each thing that is not is found."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import ending, take, worker
from wedsync_ops import db
from wedsync_ops.app import observe
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Queued, State
from wedsync_ops.jobs.store import control, finish, workers
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.operations import health
from wedsync_ops.operations.health import DatabaseBounds, DiskBounds, QueueBounds, WorkersBounds
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.operations.verdict import Bounds, Figure, Reason, Status, Verdict
from wedsync_ops.settings import Loaded, Settings, load
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("health")
    yield from databases.opened(request.param, request, home, f"health_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path, capacity=20)


def seen(queue: Queue, after_us: int = 0) -> Site:
    return Site(queue.database, FakeClock(NOW + after_us), queue.rules)


def add(queue: Queue, count: int = 1, **values: Any) -> list[int]:
    answers = actions.enqueue_many(queue, [request(**values)] * count)
    return [answer.job_id or 0 for answer in answers if isinstance(answer, Queued)]


def employ(queue: Queue, after_us: int = 0, **values: Any) -> str:
    """A worker whose heartbeat is fresh so long after."""
    row = worker(**{"host": "elsewhere", "started_at": NOW - 10 * MINUTE, "heartbeat_at": NOW + after_us, **values})
    with queue.database.transaction() as connection:
        workers.register(connection, row)
    return row.id


def codes(verdict: Verdict) -> list[tuple[str, str]]:
    return [(reason.status.word, reason.code) for reason in verdict.reasons]


class TestBounds:
    @pytest.mark.parametrize(("value", "status"), [(0, 0), (9.9, 0), (10, 1), (19.9, 1), (20, 2), (1e9, 2)])
    def test_reached_is_beyond(self, value: float, status: int) -> None:
        assert Bounds(10, 20).judge(value) == status

    @pytest.mark.parametrize(("value", "status"), [(11, 0), (10, 1), (5.1, 1), (5, 2), (0, 2)])
    def test_below(self, value: float, status: int) -> None:
        assert Bounds(10, 5, below=True).judge(value) == status

    def test_order(self) -> None:
        assert Bounds(1, 1).is_in_order
        assert not Bounds(2, 1).is_in_order
        assert not Bounds(1, 2, below=True).is_in_order

    def test_perfdata_is_as_plugins_write_it(self) -> None:
        assert Figure("late", 2.5, "s", Bounds(10, 20)).perfdata == "late=2.5s;10;20"
        assert Figure("free", 50, "%", Bounds(10, 5, below=True)).perfdata == "free=50%;10:;5:"
        assert Figure("busy", 3).perfdata == "busy=3"

    def test_the_worst_reason_decides_and_comes_first(self) -> None:
        verdict = Verdict("x", "fine", [Reason(Status.WARNING, "a", "meh"), Reason(Status.CRITICAL, "b", "bad")])
        assert (verdict.status, verdict.message) == (Status.CRITICAL, "bad; meh")
        assert (Verdict("x", "fine").status, Verdict("x", "fine").message) == (Status.OK, "fine")


class TestQueue:
    def test_an_empty_one_is_well(self, queue: Queue) -> None:
        verdict = health.check_queue(seen(queue))
        assert (verdict.status, verdict.message) == (Status.OK, "0 jobs wait, the next has been due for 0 s")

    def test_too_many(self, queue: Queue) -> None:
        add(queue, 3)
        bounds = QueueBounds(waiting=Bounds(3, 4))
        assert codes(health.check_queue(seen(queue), bounds)) == [("warning", "queue_length")]
        add(queue)
        assert codes(health.check_queue(seen(queue), bounds)) == [("critical", "queue_length")]

    def test_the_next_of_a_lane_is_late(self, queue: Queue) -> None:
        add(queue)
        assert health.check_queue(seen(queue, 299 * SECOND)).status is Status.OK
        assert codes(health.check_queue(seen(queue, 300 * SECOND))) == [("warning", "late")]
        assert codes(health.check_queue(seen(queue, 900 * SECOND))) == [("critical", "late")]

    def test_what_is_due_and_nobody_promotes_is_late_too(self, queue: Queue) -> None:
        add(queue, at="2027-01-13T12:01:00Z")
        assert health.check_queue(seen(queue)).status is Status.OK
        assert codes(health.check_queue(seen(queue, 10 * MINUTE))) == [("warning", "late")]

    def test_a_critical_job_has_a_minute(self, queue: Queue) -> None:
        (job_id,) = add(queue, priority="critical")
        assert health.check_queue(seen(queue, MINUTE)).status is Status.OK
        found = health.check_queue(seen(queue, 61 * SECOND))
        assert codes(found) == [("critical", "critical_late")]
        assert f"job {job_id} of email" in found.message

    @pytest.mark.parametrize(("scope", "name"), [("all", ""), ("module", "email"), ("supplier", "s1")])
    def test_what_is_paused_is_not_late(self, queue: Queue, scope: str, name: str) -> None:
        add(queue, priority="critical")
        with queue.database.transaction() as connection:
            control.pause(connection, Pause(scope, name, None, "me", NOW, None))
        assert health.check_queue(seen(queue, 20 * MINUTE)).status is Status.OK

    def test_a_full_module_type(self, queue: Queue) -> None:
        add(queue, 17)
        assert health.check_queue(seen(queue)).status is Status.OK
        add(queue, 1)
        assert codes(health.check_queue(seen(queue))) == [("warning", "capacity")]
        add(queue, 2, priority="critical")
        assert ("critical", "capacity") in codes(health.check_queue(seen(queue)))


class TestWorkers:
    def look(self, queue: Queue, after_us: int = 0, bounds: WorkersBounds | None = None) -> Verdict:
        pauses: list[float] = []
        return health.check_workers(seen(queue, after_us), bounds or WorkersBounds(), pauses.append)

    def test_none_lives(self, queue: Queue) -> None:
        assert codes(self.look(queue)) == [("critical", "too_few")]
        assert self.look(queue, bounds=WorkersBounds(least=0)).status is Status.OK

    def test_one_lives(self, queue: Queue) -> None:
        employ(queue, busy=1)
        verdict = self.look(queue)
        assert (verdict.status, verdict.message) == (Status.OK, "1 workers live, 1 of 2 slots are busy")

    def test_silent_and_dead(self, queue: Queue) -> None:
        employ(queue, -25 * SECOND, name="hoarse")
        employ(queue, -31 * SECOND, name="gone")
        verdict = self.look(queue)
        assert codes(verdict) == [("warning", "silent"), ("warning", "dead")]
        assert "hoarse" in verdict.message
        assert "gone died" in verdict.message

    def test_an_idle_one_that_leaves_a_due_job_is_stuck(self, queue: Queue) -> None:
        (job_id,) = add(queue)
        employ(queue, MINUTE, name="asleep")
        assert self.look(queue, MINUTE).status is Status.OK
        verdict = self.look(queue, MINUTE + 1)
        assert codes(verdict) == [("critical", "stuck")]
        assert f"asleep is stuck: 2 of its 2 slots are free, and it does not take job {job_id}, due" in verdict.message

    def test_one_that_leaves_a_scheduled_job_that_is_due_is_stuck(self, queue: Queue) -> None:
        add(queue, at="2027-01-13T12:01:00Z")
        employ(queue, 3 * MINUTE)
        assert codes(self.look(queue, 3 * MINUTE)) == [("critical", "stuck")]

    @pytest.mark.parametrize(
        "values",
        [
            {"busy": 2},
            {"phase": "quiet"},
            {"modules": "info,review"},
            {"region": "midwest", "modules": "info"},
            {"started_at": NOW + 9 * MINUTE},
            {"memory_kb": 1},
        ],
        ids=["busy", "quiet", "other modules", "other region", "just started", "no memory"],
    )
    def test_who_has_a_reason_is_not(self, queue: Queue, values: dict[str, Any]) -> None:
        add(queue, 2)
        own = employ(queue, 10 * MINUTE, **values)
        if "memory_kb" in values:  # the first job of a worker is always admitted
            with queue.database.transaction() as connection:
                take(connection, 1, worker=own)
        assert self.look(queue, 10 * MINUTE).status is Status.OK

    def test_one_of_a_region_that_leaves_its_own_behind_others(self, queue: Queue) -> None:
        add(queue, location="Boston, MA")
        (own,) = add(queue, location="Chicago, IL")
        employ(queue, 2 * MINUTE, region="west_coast", name="idle")
        assert self.look(queue, 2 * MINUTE).status is Status.OK
        employ(queue, 2 * MINUTE, region="midwest", name="asleep")
        verdict = self.look(queue, 2 * MINUTE)
        assert codes(verdict) == [("critical", "stuck")]
        assert f"worker asleep is stuck: 2 of its 2 slots are free, and it does not take job {own}" in verdict.message

    def test_a_pause_is_a_reason(self, queue: Queue) -> None:
        add(queue)
        employ(queue, 10 * MINUTE)
        with queue.database.transaction() as connection:
            control.pause(connection, Pause("module", "email", None, "me", NOW, None))
        assert self.look(queue, 10 * MINUTE).status is Status.OK

    def test_who_has_finished_something_is_not(self, queue: Queue) -> None:
        add(queue, 2)
        own = employ(queue, 10 * MINUTE)
        with queue.database.transaction() as connection:
            (job,) = take(connection, 1, worker=own)
            ended = ending(job, State.COMPLETED, at=NOW + 9 * MINUTE)
            finish.apply(connection, [ended._replace(execution=ended.execution._replace(worker_id=own))])
        assert self.look(queue, 10 * MINUTE).status is Status.OK
        assert codes(self.look(queue, 10 * MINUTE + SECOND)) == [("critical", "stuck")]

    def test_who_lets_a_job_overrun_is_stuck_however_busy(self, queue: Queue) -> None:
        (job_id,) = add(queue)
        own = employ(queue, 91 * SECOND, slots=1, busy=1)
        with queue.database.transaction() as connection:
            (job,) = take(connection, 1, worker=own)
            finish.mark_started(connection, [(job.id, job.token, NOW)])
        assert self.look(queue, 90 * SECOND).status is Status.OK  # its limit is 30 s
        verdict = self.look(queue, 91 * SECOND)
        assert codes(verdict) == [("critical", "stuck")]
        assert f"it lets job {job_id} run for 91 s, whose limit is 30 s" in verdict.message

    def test_it_is_looked_at_twice(self, queue: Queue) -> None:
        (job_id,) = add(queue)
        employ(queue, 2 * MINUTE)

        def taken(_: float) -> None:
            with queue.database.transaction() as connection:
                control.cancel(connection, [job_id], NOW)

        assert health.check_workers(seen(queue, 2 * MINUTE), WorkersBounds(), taken).status is Status.OK


class TestDatabase:
    def test_it_is_well(self, queue: Queue) -> None:
        verdict = health.check_database(queue.database, DatabaseBounds(answer_ms=Bounds(60_000, 60_000)))
        assert verdict.status is Status.OK
        labels = [figure.label for figure in verdict.figures]
        assert labels == ["answer", "wal" if queue.database.is_sqlite else "connections"]

    def test_it_is_slow(self, queue: Queue) -> None:
        verdict = health.check_database(queue.database, DatabaseBounds(answer_ms=Bounds(0, 60_000)))
        assert codes(verdict) == [("warning", "slow")]

    def test_nothing_is_written(self, queue: Queue) -> None:
        if queue.database.is_sqlite:
            with queue.database.reading() as connection:
                before = connection.exec_driver_sql("PRAGMA data_version").scalar()
                health.check_database(queue.database)
                assert connection.exec_driver_sql("PRAGMA data_version").scalar() == before

    def test_connections(self, queue: Queue) -> None:
        if not queue.database.is_sqlite:
            bounds = DatabaseBounds(answer_ms=Bounds(60_000, 60_000), connections=Bounds(0, 0.01))
            assert codes(health.check_database(queue.database, bounds)) == [("critical", "connections")]

    def test_a_write_ahead_log_that_grows(self, sqlite_database: Database) -> None:
        bounds = DatabaseBounds(answer_ms=Bounds(60_000, 60_000), wal_mb=Bounds(0.0001, 99))
        assert sqlite_database.file is not None
        with sqlite_database.transaction() as connection:
            connection.execute(text("DELETE FROM pauses WHERE name = 'x'"))
            connection.execute(text("INSERT INTO pauses VALUES ('all', '', NULL, 'me', 1, 2)"))
        assert codes(health.check_database(sqlite_database, bounds)) == [("warning", "wal")]

    def test_somebody_holds_the_lock(self, settings: Settings, sqlite_database: Database) -> None:
        hasty = db.connect(Settings(home=settings.home, busy_timeout_s=0.05))
        with closing(sqlite3.connect(settings.home / "wedsync-ops.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert codes(health.check_database(hasty)) == [("critical", "database_locked")]
        assert health.check_database(hasty).status is not Status.CRITICAL
        hasty.close()


class TestDisk:
    def test_a_device_is_told_once_and_a_folder_to_come_is_its_parent(self, tmp_path: Path) -> None:
        verdict = health.check_disk({"home": tmp_path / "not" / "yet", "outbox": tmp_path}, DiskBounds(Bounds(0, 0)))
        assert {figure.label.partition("_")[0] for figure in verdict.figures} == {"home"}
        assert not (tmp_path / "not").exists()

    def test_too_little(self, tmp_path: Path) -> None:
        bounds = DiskBounds(Bounds(100, 0, below=True))
        verdict = health.check_disk({"home": tmp_path}, bounds)
        assert ("warning", "space") in codes(verdict)
        assert "% of the space is free at" in verdict.message


@contextmanager
def opening(loaded: Loaded) -> Iterator[Site]:
    app = observe(loaded)
    try:
        yield Site(app.database, app.clock, app.rules())
    finally:
        app.close()


class TestHealth:
    def test_all_in_one(self, settings: Settings, sqlite_database: Database) -> None:
        loaded = load({"home": settings.home}, {})
        verdicts = health.health(lambda: opening(loaded), settings, 0)
        assert [verdict.name for verdict in verdicts] == [
            "database",
            "queue",
            "workers",
            "schedule",
            "alerts",
            "disk",
        ]
        assert [codes(verdict) for verdict in verdicts[1:5]] == [[], [], [], []]
        assert codes(health.health(lambda: opening(loaded), settings)[2]) == [("critical", "too_few")]

    def test_without_a_database_nothing_is_made(self, tmp_path: Path) -> None:
        loaded = load({"home": tmp_path / "nowhere"}, {})
        (first, disk) = health.health(lambda: opening(loaded), loaded.settings)
        assert (codes(first), disk.name) == ([("critical", "database_unreachable")], "disk")
        assert not (tmp_path / "nowhere").exists()

    def test_an_older_schema_is_left_as_it_is(self, settings: Settings, sqlite_database: Database) -> None:
        with sqlite_database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0009'"))
        loaded = load({"home": settings.home}, {})
        verdict = health.check_database_at(lambda: opening(loaded))
        assert codes(verdict) == [("critical", "database")]
        assert "db migrate" in verdict.message
