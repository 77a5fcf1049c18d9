"""Taking up the jobs of dead workers."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import counted, ending, row, take, worker
from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.heart import Lock
from wedsync_ops.jobs.model import Claimed, State
from wedsync_ops.jobs.rescue import Condition, condition, is_dead, is_locked, rescue
from wedsync_ops.jobs.store import finish, lanes, workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.settings import Settings


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


HOST = socket.gethostname()
HOLDER = """
import sys
from pathlib import Path
from wedsync_ops.jobs.heart import Lock
lock = Lock(Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


def enlisted(queue: Queue, jobs: int, **values: object) -> tuple[Worker, list[Claimed]]:
    """A worker that has claimed some jobs."""
    one = worker(**values)
    actions.enqueue_many(queue, [request(wedding_date="2027-03-01")] * jobs)
    with queue.database.transaction() as connection:
        workers.register(connection, one)
        return one, take(connection, jobs, worker=one.id)


def connected(queue: Queue) -> Database:
    """The queue's database, by connections of its own."""
    url = queue.database.writer.url.render_as_string(hide_password=False)
    return db.connect(replace(queue.rules.settings, db=url))


class TestRescue:
    def test_makes_the_jobs_available_again_and_costs_no_attempt(self, queue: Queue) -> None:
        one, jobs = enlisted(queue, 2, host="elsewhere", heartbeat_at=NOW - 31 * SECOND)
        assert rescue(queue.database, queue.rules, NOW) == 2
        with queue.database.reading() as connection:
            found = row(connection, jobs[0].id)
            executions = connection.execute(text("SELECT * FROM executions")).mappings().all()
            assert workers.living(connection) == []
            assert counted(connection) == {("email", 1): (2, 2)}
        assert (found["state"], found["attempt"], found["losses"], found["token"]) == ("available", 0, 1, 1)
        assert (found["due_at"], found["rank"], found["error"]) == (jobs[0].due_at, jobs[0].rank, None)
        assert [(e["outcome"], e["worker_id"], e["error"]) for e in executions] == [
            ("lost", one.id, "its worker died")
        ] * 2
        assert {(e["wedding_days"], e["duration_us"]) for e in executions} == {(47, None)}
        assert rescue(queue.database, queue.rules, NOW) == 0

    def test_what_the_dead_finish_later_changes_nothing(self, queue: Queue) -> None:
        _, (job,) = enlisted(queue, 1, host="elsewhere", heartbeat_at=0)
        rescue(queue.database, queue.rules, NOW)
        with queue.database.transaction() as connection:
            assert finish.apply(connection, [ending(job, State.COMPLETED)]) == set()
            (again,) = take(connection, worker="w2")
            assert finish.apply(connection, [ending(job, State.COMPLETED)]) == set()
            assert finish.apply(connection, [ending(again, State.COMPLETED)]) == {job.id}

    def test_of_a_finish_and_a_rescue_at_once_one_counts(self, queue: Queue) -> None:
        """Several finishers and rescuers meet over the same jobs, each with connections of its own."""
        _, jobs = enlisted(queue, 120, stopped_at=NOW)
        both = Barrier(4)

        def go(which: int) -> int:
            with closing(connected(queue)) as own:
                both.wait(20)
                if which % 2:
                    return rescue(own, queue.rules, NOW)
                done = 0
                for job in jobs[which // 2 :: 2]:
                    with own.transaction() as connection:
                        done += len(finish.apply(connection, [ending(job, State.COMPLETED)]))
                return done

        with ThreadPoolExecutor(4) as threads:
            finished_or_rescued = sum(threads.map(go, range(4)))
        assert finished_or_rescued == len(jobs)
        with queue.database.reading() as connection:
            states = Counter(connection.execute(text("SELECT state FROM jobs")).scalars())
            outcomes = Counter(connection.execute(text("SELECT outcome FROM executions")).scalars())
            assert lanes.errors(connection) == []
        assert (states["completed"], states["available"]) == (outcomes["ok"], outcomes["lost"])
        assert outcomes.total() == len(jobs)

    def test_leaves_the_living_alone(self, queue: Queue) -> None:
        enlisted(queue, 1, host="elsewhere", heartbeat_at=NOW - 29 * SECOND)
        enlisted(queue, 1, host="elsewhere", heartbeat_at=0)
        assert rescue(queue.database, queue.rules, NOW) == 1

    def test_takes_up_what_stopped_and_unknown_workers_hold(self, queue: Queue) -> None:
        enlisted(queue, 1, stopped_at=NOW)
        actions.enqueue(queue, request())
        with queue.database.transaction() as connection:
            take(connection, worker="nobody")
        assert rescue(queue.database, queue.rules, NOW) == 2

    def test_quarantines_a_job_that_was_lost_too_often(self, queue: Queue) -> None:
        _, (job,) = enlisted(queue, 1, stopped_at=NOW)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET losses = 19"))
        assert rescue(queue.database, queue.rules, NOW) == 1
        with queue.database.reading() as connection:
            found = row(connection, job.id)
        assert (found["state"], found["losses"]) == ("discarded", 20)
        assert "its worker died 20 times" in found["error"]

    def test_takes_up_many_in_chunks(self, queue: Queue) -> None:
        enlisted(queue, 1003, stopped_at=NOW)
        assert rescue(queue.database, queue.rules, NOW) == 1003
        with queue.database.reading() as connection:
            assert counted(connection) == {("email", 1): (1003, 1003)}

    def test_by_a_worker_is_never_of_itself(self, queue: Queue) -> None:
        one, _ = enlisted(queue, 1, heartbeat_at=0)
        assert rescue(queue.database, queue.rules, NOW, by=one.id) == 0
        assert rescue(queue.database, queue.rules, NOW, by="another") == 1

    def test_takes_up_a_job_whose_time_zone_nobody_knows_any_more(self, queue: Queue) -> None:
        _, (job,) = enlisted(queue, 1, stopped_at=NOW)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET timezone = 'Atlantis/Capital'"))
        assert rescue(queue.database, queue.rules, NOW) == 1
        with queue.database.reading() as connection:
            assert row(connection, job.id)["state"] == "available"


class TestWhatADeadWorkerLeaves:
    """Its lock file and its socket."""

    @pytest.fixture
    def holder(self, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        """A process that has the lock and the socket of worker ``w`` in this home."""
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path / "workers" / "w.lock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        (tmp_path / "wake").mkdir(exist_ok=True)
        (tmp_path / "wake" / "w").touch()
        yield child
        child.kill()
        child.communicate()

    @staticmethod
    def bury(queue: Queue, home: Path, host: str = HOST, worker_id: str = "w") -> list[str]:
        """Declare the worker dead, whose lease is over; returns the names of what is left."""
        lock_file = str(home / "workers" / "w.lock")
        with queue.database.transaction() as connection:
            workers.register(connection, worker(id=worker_id, heartbeat_at=0, host=host, lock_file=lock_file))
        rescue(queue.database, queue.rules, NOW)
        with queue.database.reading() as connection:
            assert workers.living(connection) == []
        return sorted(str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir())

    def test_is_removed_with_it(self, queue: Queue, tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
        holder.kill()
        holder.wait()
        assert self.bury(queue, tmp_path) == []

    def test_stays_while_its_process_lives(self, queue: Queue, tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
        holder.send_signal(signal.SIGSTOP)
        assert self.bury(queue, tmp_path) == ["wake/w", "workers/w.lock"]
        assert is_locked(tmp_path / "workers" / "w.lock")

    def test_stays_on_another_host(self, queue: Queue, tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
        holder.kill()
        holder.wait()
        assert self.bury(queue, tmp_path, host="elsewhere") == ["wake/w", "workers/w.lock"]

    def test_is_only_what_bears_its_name(self, queue: Queue, tmp_path: Path, holder: subprocess.Popen[bytes]) -> None:
        holder.kill()
        holder.wait()
        assert self.bury(queue, tmp_path, worker_id="v") == ["wake/w", "workers/w.lock"]


class TestIsDead:
    def test_a_process_that_ends_frees_its_lock(self, tmp_path: Path) -> None:
        path = tmp_path / "workers" / "w.lock"
        child = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        one = worker(heartbeat_at=NOW, host=HOST, lock_file=str(path))
        assert is_locked(path)
        assert not is_dead(one, NOW, 30)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.communicate()
        assert not is_locked(path)
        assert is_dead(one, NOW, 30)

    def test_a_stopped_process_is_dead_when_its_lease_is_over(self, tmp_path: Path) -> None:
        lock = Lock(tmp_path / "w.lock")
        one = worker(heartbeat_at=NOW, host=HOST, lock_file=str(tmp_path / "w.lock"))
        assert not is_dead(one, NOW + 30 * SECOND, 30)
        assert is_dead(one, NOW + 30 * SECOND + 1, 30)
        lock.release()
        assert is_dead(one, NOW, 30)

    def test_on_another_host_only_the_heartbeat_tells(self, tmp_path: Path) -> None:
        one = worker(heartbeat_at=NOW, host="elsewhere", lock_file=str(tmp_path / "none"))
        assert not is_dead(one, NOW, 30)

    def test_in_a_home_that_cannot_be_seen_only_the_heartbeat_tells(self, tmp_path: Path) -> None:
        assert not is_dead(worker(heartbeat_at=NOW, host=HOST, lock_file=str(tmp_path / "none" / "w.lock")), NOW, 30)
        assert is_dead(worker(heartbeat_at=NOW, host=HOST, lock_file=str(tmp_path / "w.lock")), NOW, 30)
        (tmp_path / "file").touch()
        assert not is_dead(worker(heartbeat_at=NOW, host=HOST, lock_file=str(tmp_path / "file" / "w.lock")), NOW, 30)


class TestCondition:
    SETTINGS = Settings(lease_s=30, heartbeat_s=10)

    @pytest.mark.parametrize(
        ("silent_s", "expected"),
        [
            (-5, Condition.ALIVE),
            (20, Condition.ALIVE),
            (21, Condition.SILENT),
            (30, Condition.SILENT),
            (31, Condition.DEAD),
        ],
    )
    def test_follows_the_heartbeat(self, silent_s: int, expected: Condition) -> None:
        one = worker(host="elsewhere", heartbeat_at=NOW - silent_s * SECOND)
        assert condition(one, NOW, self.SETTINGS) is expected

    def test_is_dead_at_once_where_the_process_is_gone_from_this_host(self, tmp_path: Path) -> None:
        one = worker(host=HOST, heartbeat_at=NOW, lock_file=str(tmp_path / "w.lock"))
        assert condition(one, NOW, self.SETTINGS) is Condition.DEAD
        lock = Lock(tmp_path / "w.lock")
        assert condition(one, NOW, self.SETTINGS) is Condition.ALIVE
        lock.release()

    def test_stays_what_the_end_was(self, queue: Queue) -> None:
        enlisted(queue, 1, id="dead", heartbeat_at=0)
        enlisted(queue, 1, id="gone", stopped_at=NOW)
        rescue(queue.database, queue.rules, NOW)
        with queue.database.reading() as connection:
            found = {one.id: condition(one, NOW, self.SETTINGS) for one in workers.list_workers(connection, 0)}
        assert found == {"dead": Condition.DEAD, "gone": Condition.STOPPED}
