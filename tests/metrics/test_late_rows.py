"""PostgreSQL gives ids before the commit: what appears late, below an id that is there, is counted all the same."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text

from tests.metrics import rows
from tests.metrics.test_rollup import SHORT, START, at
from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.instants import HOUR
from wedsync_ops.metrics import rollup
from wedsync_ops.metrics.actions import measure
from wedsync_ops.metrics.rollup import Roller
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    opened = db.connect(Settings(db=postgres_url))
    migrate.ensure(opened)
    yield opened
    opened.close()


def total(database: Database) -> int:
    return measure(database, ["email"], range_us=HOUR, now=START + 1).platform.counts.total


def begin_execution(connection: Connection) -> None:
    """As finishing a job does: the transaction writes, then it is given an id for the execution."""
    connection.execute(text("INSERT INTO lane_counts VALUES ('late', 1, 0, 0, 0)"))
    connection.execute(
        text(
            "INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome,"
            " started_at, finished_at, in_peak) VALUES (1, 1, 'email', 1, 'w', 1, 'ok', :at, :at, 0)"
        ),
        {"at": START},
    )


def test_a_row_that_is_committed_late_is_counted_once(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "TRY_S", 0)
    rolling = Roller(postgres, FakeClock(START), SHORT)
    with postgres.transaction() as late:
        begin_execution(late)
        rows.executions(postgres, [at(START)] * 2)
        assert rolling.round().executions == 0
        assert total(postgres) == 2
    assert total(postgres) == 3
    assert rolling.round().executions == 3
    assert total(postgres) == 3
    assert rolling.round().executions == 0


def test_one_that_is_undone_is_not_waited_for(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "TRY_S", 0)
    rolling = Roller(postgres, FakeClock(START), SHORT)
    with postgres.transaction() as undone:
        begin_execution(undone)
        rows.executions(postgres, [at(START)] * 2)
        assert rolling.round().executions == 0
        undone.rollback()
    assert rolling.round().executions == 2
    assert total(postgres) == 2


def test_many_writers_and_a_roller_at_the_same_time(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollup, "CHUNK", 20)
    stopped = threading.Event()
    seen: list[list[int]] = []

    def write() -> None:
        for size in range(1, 30):
            rows.executions(postgres, [at(START)] * size)

    def roll() -> None:
        counts: list[int] = []
        seen.append(counts)
        rolling = Roller(postgres, FakeClock(START), SHORT)
        while not stopped.is_set():
            rolling.round()
            counts.append(total(postgres))

    writers = [threading.Thread(target=write) for _ in range(3)]
    rollers = [threading.Thread(target=roll) for _ in range(2)]
    for thread in (*rollers, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    stopped.set()
    for thread in rollers:
        thread.join(60)
    Roller(postgres, FakeClock(START), SHORT).round()
    written = 3 * sum(range(1, 30))
    assert total(postgres) == written
    assert all(counts == sorted(counts) and counts[-1] <= written for counts in seen)
