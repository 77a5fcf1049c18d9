"""The counters of the lanes equal a count of the jobs, whatever happens to them and in whatever order."""

import random
import subprocess
import sys
import threading
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from tests.stores import databases
from tests.stores.rows import NOW, add, add_many, counted, ending, number_of, take
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Claimed, Lane, Priority, Result, State
from wedsync_ops.jobs.store import claim, control, finish, lanes, retention, workers
from wedsync_ops.jobs.store.claim import Change
from wedsync_ops.jobs.store.lanes import LaneCount, LaneError, Moves
from wedsync_ops.operations.maintenance import sweep

MODULES = st.sampled_from(["email", "info"])
PRIORITIES = st.sampled_from([0, 1, 3])
HOW_MANY = st.integers(1, 4)
ENDS = st.sampled_from(
    [
        (State.COMPLETED, Result.OK),
        (State.RETRYABLE, Result.ERROR),
        (State.DISCARDED, Result.TIMEOUT),
        (State.CANCELLED, Result.CANCELLED),
        (State.AVAILABLE, Result.LOST),
        (State.DISCARDED, Result.LOST),
    ]
)


def shown(connection: Any) -> dict[tuple[str, int], tuple[int, int]]:
    """The counters, lanes at nought left out."""
    return {
        (c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting)
        for c in lanes.read(connection)
        if c.available or c.waiting
    }


class Life(RuleBasedStateMachine):
    """Everything that the stores can do to jobs, in any order, by three workers."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.held: list[Claimed] = []
        self.time = NOW

    @initialize()
    def start(self) -> None:
        databases.emptied(self.database)

    @rule(
        module_type=MODULES,
        priority=PRIORITIES,
        state=st.sampled_from([State.AVAILABLE, State.SCHEDULED]),
        count=HOW_MANY,
        expires=st.booleans(),
    )
    def enqueue(self, module_type: str, priority: int, state: State, count: int, *, expires: bool) -> None:
        with self.database.transaction() as connection:
            job = {
                "module_type": module_type,
                "priority": priority,
                "state": state,
                "rank": self.time if state is State.AVAILABLE else None,
                "due_at": self.time,
                "next_change_at": self.time + 2,
                "expires_at": self.time + 3 if expires else None,
            }
            add_many(connection, [job] * count)

    @rule(priority=PRIORITIES, reconsider=st.booleans(), step=st.integers(0, 3), chunk=HOW_MANY)
    def ripen(self, priority: int, step: int, chunk: int, *, reconsider: bool) -> None:
        self.time += step
        with self.database.transaction() as connection:
            jobs = (claim.changing if reconsider else claim.due)(connection, self.time, chunk)
            changes = [
                Change(job, State.EXPIRED, job.priority, job.rank, None)
                if job.expires_at is not None and job.expires_at <= self.time
                else Change(job, State.AVAILABLE, Priority(priority), job.rank or self.time, self.time + 2)
                for job in jobs
            ]
            assert claim.change(connection, changes, self.time) == len(jobs)

    @rule(module_type=MODULES, priority=PRIORITIES, count=HOW_MANY, worker=st.sampled_from(["w1", "w2", "w3"]))
    def claim(self, module_type: str, priority: int, count: int, worker: str) -> None:
        with self.database.transaction() as connection:
            before = shown(connection).get((module_type, priority), (0, 0))[0]
            jobs = take(connection, count, worker=worker, module_type=module_type, priority=priority)
            assert len(jobs) == min(count, before)
        self.held += jobs

    @rule(count=HOW_MANY, expired=st.booleans(), keep=st.booleans())
    def release(self, count: int, *, expired: bool, keep: bool) -> None:
        """Give leases back; ``keep`` remembers them, so that later ends of theirs are stale."""
        jobs = self.held[:count]
        with self.database.transaction() as connection:
            claim.release(connection, jobs, now=self.time, expired=expired)
        if not keep:
            self.held = self.held[count:]

    @rule(end=ENDS, count=HOW_MANY, keep=st.booleans(), last=st.booleans())
    def finish(self, end: tuple[State, Result], count: int, *, keep: bool, last: bool) -> None:
        state, outcome = end
        jobs = self.held[-count:] if last else self.held[:count]
        attempts = {"attempt": 0} if outcome is Result.LOST else {}
        with self.database.transaction() as connection:
            batch = [
                ending(job, state, outcome=outcome, at=self.time, due_at=self.time + 1, **attempts) for job in jobs
            ]
            before = number_of(connection, "executions")
            applied = finish.apply(connection, batch)
            assert number_of(connection, "executions") == before + len(applied)
        if not keep:
            self.held = [job for job in self.held if job not in jobs]

    @rule(worker=st.sampled_from(["w1", "w2", "w3"]))
    def bury(self, worker: str) -> None:
        """A worker dies; what it held is available again. It may still try to finish it later."""
        with self.database.transaction() as connection:
            orphans = {orphan.id: orphan for orphan in workers.orphans(connection, worker, 500)}
            lost = [
                ending(job, State.AVAILABLE, outcome=Result.LOST, attempt=0)
                for job in self.held
                if job.id in orphans and orphans[job.id].token == job.token
            ]
            finish.apply(connection, lost)

    @rule(place=st.integers(0, 30), count=HOW_MANY)
    def cancel(self, place: int, count: int) -> None:
        with self.database.transaction() as connection:
            ids = [*connection.execute(text("SELECT id FROM jobs ORDER BY id")).scalars()][place : place + count]
            control.cancel(connection, [*ids, *ids[:1], 10**12], self.time)

    @rule(count=HOW_MANY)
    def retry(self, count: int) -> None:
        with self.database.transaction() as connection:
            ids = connection.execute(text("SELECT id FROM jobs WHERE finished_at IS NOT NULL ORDER BY id")).scalars()
            control.retry(connection, control.retryable(connection, [*ids][-count:]), self.time)

    @rule()
    def forget(self) -> None:
        sweep(self.database, retention.dead_jobs(self.time))
        sweep(self.database, retention.executions("email", self.time))

    @invariant()
    def counters_are_true(self) -> None:
        with self.database.reading() as connection:
            assert shown(connection) == counted(connection)

    def teardown(self) -> None:
        with self.database.reading() as connection:
            assert lanes.errors(connection) == []


def test_counters_equal_a_count_after_anything(shared_database: Database) -> None:
    run_state_machine_as_test(
        lambda: Life(shared_database),  # type: ignore[arg-type]
        settings=settings(
            max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_counters_hold_while_many_write_at_once(database: Database) -> None:
    """Enqueuers, workers, cancellers and a maintenance that recounts, each in transactions of their own."""
    failures: list[BaseException] = []

    def live(seed: int) -> None:
        rand = random.Random(seed)
        try:
            for _ in range(12):
                with database.transaction() as connection:
                    step(connection, rand, f"w{seed}")
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    threads = [threading.Thread(target=live, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.transaction() as connection:
        assert shown(connection) == counted(connection)
        assert lanes.errors(connection) == []


def step(connection: Any, rand: random.Random, worker: str) -> None:
    """What a worker's loop and others do in one transaction."""
    priority = rand.choice([0, 1, 3])
    module_type = rand.choice(["email", "info"])
    add_many(connection, [{"module_type": module_type, "priority": priority} for _ in range(rand.randint(1, 5))])
    jobs = take(connection, 3, worker=worker, module_type=module_type, priority=rand.choice([0, 1, 3]))
    done = [job for job in jobs if rand.random() < 0.6]
    finish.apply(connection, [ending(job, State.COMPLETED) for job in done])
    claim.release(connection, [job for job in jobs if job not in done], now=NOW)
    if rand.random() < 0.3:
        assert lanes.errors(connection) == []


def test_transactions_that_save_lanes_in_different_orders_do_not_deadlock(database: Database) -> None:
    first_saved, second_saved = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def save(connection: Any, module_type: str) -> None:
        moves = Moves()
        moves.enter(module_type, 1, State.AVAILABLE)
        moves.save(connection)

    def second() -> None:
        try:
            first_saved.wait(10)
            with database.transaction() as connection:
                save(connection, "info")
                second_saved.set()
                save(connection, "email")
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    with database.transaction() as connection:
        save(connection, "email")
        first_saved.set()
        second_saved.wait(0.2)
        save(connection, "info")
    thread.join()
    assert failures == []
    with database.reading() as connection:
        assert shown(connection) == {("email", 1): (2, 2), ("info", 1): (2, 2)}


OTHER = """
import sys
from pathlib import Path
from tests.stores.rows import take
from wedsync_ops import db
from wedsync_ops.settings import Settings
database = db.connect(Settings(home=Path("/"), db=sys.argv[1]))
with database.transaction() as connection:
    print(len(take(connection, 2)))
database.close()
"""


def test_processes_count_in_shards_of_their_own(database: Database) -> None:
    with database.transaction() as connection:
        add_many(connection, [{}] * 5)
    url = database.writer.url.render_as_string(hide_password=False)
    for _ in range(2):
        child = subprocess.run([sys.executable, "-c", OTHER, url], capture_output=True, text=True, check=True)
        assert child.stdout == "2\n"
    with database.reading() as connection:
        assert lanes.read(connection) == [LaneCount(Lane("email", Priority.NORMAL), 1, 1)]
        assert counted(connection) == shown(connection)


def spoil(connection: Any) -> None:
    """Jobs of three lanes, and counters that are off in three: too high, missing, and of a lane without jobs."""
    add(connection)
    add(connection, module_type="info", state=State.SCHEDULED)
    add(connection, module_type="sms")
    connection.execute(text("UPDATE lane_counts SET available = 7, waiting = -3 WHERE module_type = 'email'"))
    connection.execute(text("DELETE FROM lane_counts WHERE module_type = 'info'"))
    lost = Moves()
    lost.enter("gone", 2, State.AVAILABLE, 9)
    lost.save(connection)


def found_errors(database: Database) -> list[LaneError]:
    with database.reading() as connection:
        return lanes.errors(connection)


def correct(database: Database, errors: list[LaneError]) -> int:
    with database.transaction() as connection:
        return lanes.correct(connection, errors)


class TestCorrection:
    def test_repairs_what_is_off(self, database: Database) -> None:
        with database.transaction() as connection:
            spoil(connection)
        assert correct(database, found_errors(database)) == 3
        assert found_errors(database) == []
        with database.reading() as connection:
            assert shown(connection) == counted(connection)
            assert shown(connection) == {("email", 1): (1, 1), ("info", 1): (0, 1), ("sms", 1): (1, 1)}

    def test_is_right_though_jobs_move_after_the_look(self, database: Database) -> None:
        with database.transaction() as connection:
            spoil(connection)
        errors = found_errors(database)
        with database.transaction() as connection:
            add_many(connection, [{}] * 3 + [{"module_type": "info"}] * 2)
            finish.apply(connection, [ending(job, State.COMPLETED) for job in take(connection, 2)])
        assert correct(database, errors) == 3
        with database.reading() as connection:
            assert shown(connection) == counted(connection)

    def test_of_two_that_found_the_same_only_one_corrects(self, database: Database) -> None:
        with database.transaction() as connection:
            spoil(connection)
        first, second = found_errors(database), found_errors(database)
        assert (correct(database, first), correct(database, second)) == (3, 0)
        with database.reading() as connection:
            assert shown(connection) == counted(connection)

    def test_of_two_at_once_only_one_corrects(self, database: Database) -> None:
        """The second waits for the first, and then sees that it has been done."""
        with database.transaction() as connection:
            spoil(connection)
        errors = found_errors(database)
        counts: list[int] = []
        thread = threading.Thread(target=lambda: counts.append(correct(database, errors)))
        with database.transaction() as connection:
            assert lanes.correct(connection, errors) == 3
            thread.start()
            thread.join(0.1)
        thread.join()
        assert counts == [0]
        with database.reading() as connection:
            assert shown(connection) == counted(connection)

    def test_corrects_again_where_another_error_came_later(self, database: Database) -> None:
        for _ in range(2):
            with database.transaction() as connection:
                spoil(connection)
            assert correct(database, found_errors(database)) == 3
        with database.reading() as connection:
            assert shown(connection) == counted(connection)


def test_waiting_is_summed_up_by_module() -> None:
    counts = [
        LaneCount(Lane("email", Priority.LOW), 1, 2),
        LaneCount(Lane("email", Priority.HIGH), 0, 3),
        LaneCount(Lane("info", Priority.LOW), 4, 4),
    ]
    assert lanes.waiting_by_module(counts) == {"email": 5, "info": 4}


def test_finished_and_running_jobs_are_not_counted() -> None:
    moves = Moves()
    for state in (State.RUNNING, State.COMPLETED, State.DISCARDED, State.CANCELLED, State.EXPIRED):
        moves.enter("email", 1, state)
    assert not moves.available
    assert not moves.waiting
