"""The history as lines, on both databases: in the order of time, filtered, and followed without loss or repetition."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.stores import databases
from tests.stores.rows import NOW, add, ending, take, worker
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import control, finish, workers
from wedsync_ops.operations.trail import Follower, Line, Query, follow, latest


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("trail")
    yield from databases.opened(request.param, request, home, f"trail_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    return databases.emptied(shared)


def end(database: Database, state: State = State.COMPLETED, at: int = NOW, module: str = "email", **values: Any) -> int:
    """Run a job to an end; its id."""
    with database.transaction() as connection:
        add(connection, module_type=module)
        (job,) = take(connection, 1, module_type=module)
        finish.apply(connection, [ending(job, state, at=at, **values)])
    return job.id


def read(database: Database, query: Query | None = None) -> list[Line]:
    with database.reading() as connection:
        return latest(connection, query or Query())


def told(lines: list[Line]) -> list[tuple[str, str]]:
    return [(line.level, line.event) for line in lines]


def fail(database: Database, at: int = NOW) -> int:
    return end(database, State.DISCARDED, at, outcome=Result.ERROR, error="ValueError: no", log="one\n\n  two\n")


def test_lines_are_in_the_order_of_time(database: Database) -> None:
    second = end(database, at=NOW + SECOND)
    first = end(database, at=NOW)
    assert [line.job_id for line in read(database)] == [first, second]


def test_what_an_execution_tells(database: Database) -> None:
    job_id = fail(database)
    lines = read(database)
    assert told(lines) == [
        ("debug", "handler_said"),
        ("debug", "handler_said"),
        ("warning", "execution_ended"),
        ("error", "job_discarded"),
    ]
    assert [line.message for line in lines] == ["one", "  two", "error: ValueError: no", "discarded: ValueError: no"]
    ended = lines[2]
    assert (ended.job_id, ended.attempt, ended.worker_id, ended.outcome) == (job_id, 1, "w1", "error")
    assert (ended.at, ended.duration_ms) == (NOW + 1000, 1.0)


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("info", ["execution_ended", "execution_ended", "job_discarded", "job_cancelled"]),
        ("warning", ["execution_ended", "job_discarded"]),
        ("error", ["job_discarded"]),
    ],
)
def test_levels(database: Database, level: str, events: list[str]) -> None:
    end(database)
    fail(database)
    with database.transaction() as connection:
        control.cancel(connection, [add(connection)], NOW + SECOND)
    assert [line.event for line in read(database, Query(level=level))] == events


def test_one_job_one_module_a_time_and_the_latest(database: Database) -> None:
    other = end(database, at=NOW, module="sms")
    ids = [end(database, at=NOW + n * SECOND) for n in range(3)]
    assert [line.job_id for line in read(database, Query(job=ids[1]))] == [ids[1]]
    assert [line.job_id for line in read(database, Query(module="sms"))] == [other]
    assert [line.job_id for line in read(database, Query(since=NOW + SECOND))] == ids[1:]
    assert [line.job_id for line in read(database, Query(most=2))] == ids[1:]
    assert len(read(database, Query(most=0))) == 4


def test_workers_start_stop_and_die(database: Database) -> None:
    with database.transaction() as connection:
        workers.register(connection, worker(id="a", started_at=NOW, stopped_at=NOW + SECOND))
        workers.register(connection, worker(id="b", started_at=NOW + 2, stopped_at=NOW + 3, died=True))
    found = [(line.worker_id, line.event) for line in read(database)]
    assert found == [("a", "worker_started"), ("b", "worker_started"), ("b", "worker_died"), ("a", "worker_stopped")]
    assert read(database, Query(module="email")) == []


def test_following_yields_what_is_there_and_then_what_is_new_once(database: Database) -> None:
    first = end(database)
    looks = follow(database, Query())
    assert [line.job_id for line in next(looks)] == [first]
    assert next(looks) == []
    second, third = end(database), fail(database)
    with database.transaction() as connection:
        workers.register(connection, worker(id="a", started_at=NOW))
    found = next(looks)
    assert {line.job_id for line in found} == {None, second, third}
    assert len(found) == 6
    assert next(looks) == []


def test_following_a_filter(database: Database) -> None:
    looks = follow(database, Query(level="warning", module="sms"))
    assert next(looks) == []
    end(database)
    fail(database)
    end(database, module="sms")
    assert next(looks) == []
    late = end(database, State.RETRYABLE, module="sms", outcome=Result.TIMEOUT, due_at=NOW)
    assert [line.job_id for line in next(looks)] == [late]


def test_a_transaction_that_commits_behind_a_later_one_is_not_missed(database: Database) -> None:
    """On PostgreSQL ids become visible out of order; SQLite has one writer."""
    if database.is_sqlite:
        return
    insert = text(
        "INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome,"
        " started_at, finished_at, in_peak) VALUES (77, 1, 'email', 1, 'w1', 1, 'ok', 1, 1, 0)"
    )
    slow = create_engine(database.writer.url)
    with slow.connect() as late, database.reading() as reading:
        late.execute(insert)
        follower = Follower(reading, Query())
        early = end(database)
        assert [line.job_id for line in follower.look(reading)] == [early]
        late.commit()
        assert [line.job_id for line in follower.look(reading)] == [77]
        assert follower.look(reading) == []
    slow.dispose()
