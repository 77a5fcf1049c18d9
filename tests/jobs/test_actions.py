"""What callers do with the queue."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, later, queue_on, request
from tests.stores.rows import ending, number_of, row, take
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    DatabaseConflict,
    InvalidConfig,
    InvalidInput,
    KeyConflict,
    UnknownJob,
    UnknownModule,
    WaitTimedOut,
    WedsyncError,
    WrongState,
)
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Priority, Queued, Result, State
from wedsync_ops.jobs.store import finish, insert, retention
from wedsync_ops.operations.maintenance import sweep
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    """Both dialects in turn, without a row."""
    return databases.emptied(shared)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def discard(queue: Queue, *errors: str) -> list[int]:
    """Jobs that failed for good."""
    with queue.database.transaction() as connection:
        jobs = take(connection, len(errors))
        batch = [
            ending(job, State.DISCARDED, outcome=Result.ERROR, error=error)
            for job, error in zip(jobs, errors, strict=True)
        ]
        finish.apply(connection, batch)
    return [job.id for job in jobs]


def jobs_of(database: Database) -> int:
    with database.reading() as connection:
        return number_of(connection, "jobs")


class TestEnqueue:
    def test_queues_or_raises(self, queue: Queue) -> None:
        answer = actions.enqueue(queue, request(key="k"))
        assert actions.position(queue, answer.job_id or 0) == 1
        assert actions.enqueue(queue, request(key="k")) == answer._replace(duplicate=True, queued_as="duplicate")
        with pytest.raises(KeyConflict):
            actions.enqueue(queue, request(key="k", config={"n": 1}))
        with pytest.raises(InvalidConfig):
            actions.enqueue(queue, request(config={"m": 1}))
        assert jobs_of(queue.database) == 1

    def test_a_dry_run_answers_alike_and_writes_nothing(self, queue: Queue) -> None:
        dry = actions.enqueue(queue, request(key="k"), dry_run=True)
        assert jobs_of(queue.database) == 0
        real = actions.enqueue(queue, request(key="k"))
        assert real._replace(job_id=None) == dry
        assert actions.enqueue(queue, request(key="k"), dry_run=True) == real._replace(
            duplicate=True, queued_as="duplicate"
        )

    def test_one_key_from_many_at_once_gives_one_job(self, queue: Queue) -> None:
        answers: list[Queued] = []
        failures: list[BaseException] = []
        ready = threading.Barrier(6)

        def ask() -> None:
            try:
                ready.wait()
                answers.append(actions.enqueue(queue, request(key="k")))
            except BaseException as error:  # noqa: BLE001 - shown by the test's thread
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len({answer.job_id for answer in answers}) == jobs_of(queue.database) == 1
        assert sorted(answer.duplicate for answer in answers) == [False] + [True] * 5


class TestEnqueueMany:
    def test_good_ones_are_queued_and_bad_ones_reported_in_order(self, queue: Queue) -> None:
        unreadable = InvalidInput("line 2 is no JSON")
        answers = actions.enqueue_many(
            queue, [request(), unreadable, request(config={"m": 1}), request("nothing"), request(delay=1)]
        )
        assert [type(answer) for answer in answers] == [Queued, InvalidInput, InvalidConfig, UnknownModule, Queued]
        assert answers[1] is unreadable
        ids = [answer.job_id for answer in answers if isinstance(answer, Queued)]
        assert None not in ids
        assert jobs_of(queue.database) == 2

    @pytest.mark.parametrize(
        "wrong", [request(config={"m": 1}), InvalidInput("x"), request(delay=-1), request(key="k", config={"n": 2})]
    )
    def test_atomic_queues_all_or_nothing(self, queue: Queue, wrong: object) -> None:
        batch = [request(key="k"), wrong, request()]
        answers = actions.enqueue_many(queue, batch, atomic=True)  # type: ignore[arg-type]
        assert all(isinstance(answer, WedsyncError) for answer in answers)
        assert jobs_of(queue.database) == 0
        with queue.database.reading() as connection:
            assert number_of(connection, "lane_counts") == number_of(connection, "supplier_tags") == 0
        assert all(isinstance(a, Queued) for a in actions.enqueue_many(queue, [batch[0], request()], atomic=True))  # type: ignore[list-item]
        assert jobs_of(queue.database) == 2

    def test_a_dry_run_writes_nothing_and_names_no_job(self, queue: Queue) -> None:
        batch = [request(key="k"), request(config={"m": 1}), request(key="k"), request(key="k", config={"n": 1})]
        good, wrong, again, conflict = actions.enqueue_many(queue, batch, dry_run=True)
        assert isinstance(good, Queued)
        assert good.job_id is None
        assert isinstance(wrong, InvalidConfig)
        assert again == good._replace(duplicate=True, queued_as="duplicate")
        assert "taken by an earlier job of this batch" in str(conflict)
        assert jobs_of(queue.database) == 0

    def test_nothing_gives_nothing(self, queue: Queue) -> None:
        assert actions.enqueue_many(queue, []) == []


class TestEstimate:
    def test_is_known_once_measured(self, queue: Queue) -> None:
        assert actions.estimate_ms(queue, "email") is None
        with queue.database.transaction() as connection:
            connection.exec_driver_sql(
                "INSERT INTO durations (module_type, p50_us, p95_us, measured_at) VALUES ('email', 1500, 20, 1)"
            )
        assert actions.estimate_ms(queue, "email") == 1.5


class TestWait:
    def test_until_the_job_has_finished(self, queue: Queue) -> None:
        job_id = actions.enqueue(queue, request()).job_id or 0
        pauses: list[float] = []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                actions.cancel(queue, [job_id])

        found = actions.wait(queue, job_id, None, pause=pause)
        assert (found.state, len(pauses)) == (State.CANCELLED, 3)
        assert pauses == sorted(pauses)
        assert actions.wait(queue, job_id, 0, pause=pause).state is State.CANCELLED

    def test_no_longer_than_asked(self, queue: Queue) -> None:
        job_id = actions.enqueue(queue, request()).job_id or 0
        clock = queue.clock
        assert isinstance(clock, FakeClock)

        def pause(seconds: float) -> None:
            clock.set(clock.now() + round(seconds * SECOND))

        with pytest.raises(WaitTimedOut, match=f"job {job_id} is still available after 2 s"):
            actions.wait(queue, job_id, 2, pause=pause)
        with pytest.raises(UnknownJob):
            actions.wait(queue, 10**12, 2, pause=pause)


class TestCancelAndRetry:
    def test_answer_for_each_id(self, queue: Queue) -> None:
        one, two = (actions.enqueue(queue, request()).job_id or 0 for _ in range(2))
        with queue.database.transaction() as connection:
            take(connection, 1)
        running, done, unknown = actions.cancel(queue, [one, two, 10**12])
        assert isinstance(running, WrongState)
        assert "is running" in str(running)
        assert done is None
        assert isinstance(unknown, UnknownJob)
        (again,) = actions.cancel(queue, [two])
        assert isinstance(again, WrongState)

        wrong, right, missing = actions.retry(later(queue, 5), [one, two, 10**12])
        assert isinstance(wrong, WrongState)
        assert right is None
        assert isinstance(missing, UnknownJob)
        with queue.database.reading() as connection:
            assert (row(connection, two)["state"], row(connection, two)["due_at"]) == ("scheduled", NOW + 5)

    def test_a_job_without_its_payload_cannot_be_retried(self, queue: Queue) -> None:
        job_id = actions.enqueue(queue, request()).job_id or 0
        actions.cancel(queue, [job_id])
        sweep(queue.database, retention.dead_payloads(NOW + 1))
        (answer,) = actions.retry(queue, [job_id])
        assert isinstance(answer, WrongState)
        assert "no config and context any more" in str(answer)


class TestPauses:
    def test_come_and_go(self, queue: Queue) -> None:
        made = actions.pause(queue, "module", "email", reason="storm", until=NOW + 5)
        actions.pause(queue, "supplier", "s1")
        assert made in actions.status(queue).pauses
        assert len(actions.status(queue).pauses) == 2
        assert len(actions.status(later(queue, 5)).pauses) == 1
        assert actions.resume(queue, "supplier", "s1")
        assert not actions.resume(queue, "supplier", "s1")

    def test_of_nothing_known_or_over_already_are_refused(self, queue: Queue) -> None:
        with pytest.raises(UnknownModule):
            actions.pause(queue, "module", "emial")
        with pytest.raises(UnknownModule):
            actions.resume(queue, "module", "emial")
        with pytest.raises(InvalidInput):
            actions.pause(queue, "all", "", until=NOW)

    def test_do_not_refuse_new_jobs(self, queue: Queue) -> None:
        actions.pause(queue, "all", "")
        actions.enqueue(queue, request())
        (lane,) = actions.status(queue).lanes
        assert (lane.lane.priority, lane.available) == (Priority.NORMAL, 1)


class TestConflicts:
    """On PostgreSQL two transactions can block each other; one of them is undone, and repeated."""

    def test_queueing_is_repeated_when_it_meets_a_deadlock(self, queue: Queue) -> None:
        if queue.database.is_sqlite:  # its writers take turns
            return
        answers: list[Queued] = []
        thread = threading.Thread(target=lambda: answers.append(actions.enqueue(queue, request(key="k"))))
        with queue.database.transaction() as connection:
            # Ours holds a shard of the lanes and then wants the key; queueing holds the key and then wants the shard.
            connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))  # so that the other one is undone
            connection.execute(text("SELECT pg_advisory_xact_lock(7102830, shard) FROM generate_series(0, 7) AS shard"))
            thread.start()
            eventually(lambda: waits_for_a_lock(queue.database))
            insert.keyed(connection, ["k"])
        thread.join()
        assert [answer.duplicate for answer in answers] == [False]
        assert jobs_of(queue.database) == 1

    def test_what_is_met_time_and_again_is_said(self, queue: Queue) -> None:
        if queue.database.is_sqlite:
            return
        with queue.database.transaction() as connection:
            connection.execute(
                text(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$"
                )
            )
            connection.execute(
                text("CREATE TRIGGER refuse BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION refuse()")
            )
        try:
            with pytest.raises(DatabaseConflict):
                actions.enqueue(queue, request())
        finally:
            with queue.database.transaction() as connection:
                connection.execute(text("DROP TRIGGER refuse ON jobs"))
                connection.execute(text("DROP FUNCTION refuse"))
        assert jobs_of(queue.database) == 0


def waits_for_a_lock(database: Database) -> bool:
    with database.reading() as connection:
        waiting = text(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return bool(connection.execute(waiting).scalar_one())


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
