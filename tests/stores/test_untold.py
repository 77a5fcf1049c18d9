"""What the webhook has yet to be told keeps its payload, for as long as its job is kept."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.stores.queues import queue_on
from tests.stores.rows import NOW, add_many, ending, take
from tests.stores.test_retention import ended, policy, with_payload
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import control, events, finish, retention
from wedsync_ops.jobs.store.events import Cursor, Untold
from wedsync_ops.jobs.store.retention import CHUNK
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import sweep


def untold(database: Database) -> Untold:
    with database.reading() as connection:
        return Untold(connection)


def take_events(database: Database, number: int) -> None:
    """The webhook takes the first events of the feed."""
    with database.reading() as connection:
        last = events.read(connection, 0, number)[-1]
    with database.transaction() as connection:
        held = events.lease(connection, now=NOW, until=NOW + 1)
        assert held is not None
        assert events.move(connection, held, Cursor(last.id, 0, NOW, None))


def forget(database: Database, held: Untold, **values: int) -> dict[str, int]:
    """All of retention with a webhook; what it forgot, by name."""
    total: dict[str, int] = {}
    for one in retention.sweeps(policy(**values), ["email"], held):
        for name, count in sweep(database, one).items():
            total[name] = total.get(name, 0) + count
    return {name: count for name, count in total.items() if count}


class TestPayloads:
    def test_of_completed_jobs_stay_until_the_webhook_has_been_told(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = ended(connection, State.COMPLETED, [NOW + 1, NOW + 2, NOW + 3])
        assert forget(database, untold(database), keep_completed=0) == {}
        take_events(database, 2)
        assert forget(database, untold(database), keep_completed=0) == {"completed_stripped": 2}
        assert with_payload(database) == {ids[2]}
        take_events(database, 3)
        assert forget(database, untold(database), keep_completed=0) == {"completed_stripped": 1}

    def test_of_dead_jobs_stay_too(self, database: Database) -> None:
        with database.transaction() as connection:
            _, new = ended(connection, State.DISCARDED, [NOW - 2, NOW - 1], outcome=Result.ERROR)
        take_events(database, 1)
        assert forget(database, untold(database), dead=NOW) == {"dead_letters_stripped": 1}
        assert with_payload(database) == {new}

    def test_stay_of_a_job_whose_earlier_finish_is_untold(self, database: Database) -> None:
        """It was discarded, retried and completed: the second event is not taken before the first."""
        with database.transaction() as connection:
            (job_id,) = ended(connection, State.DISCARDED, [NOW], outcome=Result.ERROR)
            control.retry(connection, control.retryable(connection, [job_id]), NOW + 5)
        with database.transaction() as connection:
            # `retry` leaves it to the worker to promote the job; here it is taken as soon as it is available.
            connection.exec_driver_sql("UPDATE jobs SET state = 'available', rank = 1")
            (job,) = take(connection)
            finish.apply(connection, [ending(job, State.COMPLETED, at=NOW + 9)])
        assert forget(database, untold(database), keep_completed=0) == {}
        take_events(database, 1)
        assert forget(database, untold(database), keep_completed=0) == {}
        assert with_payload(database) == {job_id}

    def test_stay_of_jobs_that_finish_while_retention_runs(self, database: Database) -> None:
        """However long their outcomes had waited to be written."""
        with database.transaction() as connection:
            told = ended(connection, State.COMPLETED, [NOW])
        take_events(database, 1)
        held = untold(database)
        assert held.count == 0
        one = retention.completed_payloads(0, held)
        with database.transaction() as connection:
            late = ended(connection, State.COMPLETED, [NOW - 100])
        with database.reading() as connection:
            found, _ = one.look(connection, ())
        assert found == []
        with database.transaction() as connection:
            assert one.forget(connection, [(NOW - 100, late[0]), (NOW - 200, told[0])]) == {"completed_stripped": 1}
        assert with_payload(database) == set(late)


class TestTheBound:
    def test_a_webhook_that_is_never_told_holds_nothing_for_longer_than_the_rows_are_kept(
        self, database: Database
    ) -> None:
        with database.transaction() as connection:
            ended(connection, State.COMPLETED, [NOW - 9, NOW - 1])
            ended(connection, State.DISCARDED, [NOW - 8, NOW - 2], outcome=Result.ERROR)
        forgotten = forget(database, untold(database), old=NOW - 5, dead=NOW - 5, keep_completed=0)
        assert forgotten == {"executions_dropped": 2, "jobs_dropped": 2, "untold_dropped": 2}
        assert len(with_payload(database)) == 2

    def test_what_was_told_is_not_counted(self, database: Database) -> None:
        with database.transaction() as connection:
            ended(connection, State.COMPLETED, [NOW - 9, NOW - 8, NOW - 1])
        take_events(database, 1)
        forgotten = forget(database, untold(database), old=NOW - 5, dead=NOW - 5)
        assert forgotten == {"executions_dropped": 2, "jobs_dropped": 2, "untold_dropped": 1}


@pytest.mark.parametrize(("webhook", "stripped", "waiting"), [(None, 2, 0), ("https://hooks.example/h", 0, 2)])
def test_maintenance_asks_the_webhook(
    database: Database, tmp_path: Path, webhook: str | None, stripped: int, waiting: int
) -> None:
    secret = None if webhook is None else "a secret of sixteen"
    queue = queue_on(database, tmp_path, webhook_url=webhook, webhook_secret=secret, keep_completed=0)
    with database.transaction() as connection:
        ended(connection, State.COMPLETED, [queue.clock.now() - 1] * 2)
    (done,) = maintenance.run(maintenance.Site(database, queue.clock, queue.rules), ["retention"])
    counts = done.counts
    assert (counts["completed_stripped"], counts["events_untold"], counts["untold_dropped"]) == (stripped, waiting, 0)


def test_without_a_webhook_nothing_waits(database: Database) -> None:
    with database.transaction() as connection:
        ended(connection, State.COMPLETED, [NOW])
    assert sweep(database, retention.completed_payloads(0)) == {"completed_stripped": 1}


def test_all_that_the_webhook_has_not_taken_is_counted(database: Database) -> None:
    with database.transaction() as connection:
        for job_id in add_many(connection, [{}] * (CHUNK + 3)):
            control.cancel(connection, [job_id], NOW)
    assert untold(database).count == CHUNK + 3
    take_events(database, 3)
    assert untold(database).count == CHUNK


@pytest.mark.parametrize("late", [[NOW - 50], [NOW - 50, NOW + 50]])
def test_what_commits_later_under_a_lower_id_is_seen(database: Database, late: Sequence[int]) -> None:
    """On PostgreSQL; SQLite's writers take turns."""
    if database.is_sqlite:
        return
    with database.writer.connect() as early:
        events.record(early, [(1, State.CANCELLED, late[0])])
        with database.transaction() as connection:
            events.record(connection, [(2, State.CANCELLED, at) for at in late[1:]])
        held = untold(database)
        early.commit()
    with database.reading() as connection:
        assert held(connection) == NOW - 50
