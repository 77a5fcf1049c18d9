"""The feed of finished jobs: one event for each finish, in an order that a reader can rely on."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tests.stores.rows import NOW, add, add_many, ending, take
from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.jobs.events import Event
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import claim, control, events, finish
from wedsync_ops.jobs.store.claim import Change
from wedsync_ops.jobs.store.events import Cursor
from wedsync_ops.jobs.store.retention import CHUNK
from wedsync_ops.settings import Settings


def feed(database: Database, after: int = 0, limit: int = 100) -> list[Event]:
    with database.reading() as connection:
        return events.read(connection, after, limit)


def told(database: Database) -> list[tuple[int, str, int]]:
    return [(event.job_id, event.state, event.at) for event in feed(database)]


@pytest.mark.parametrize("state", [State.COMPLETED, State.DISCARDED])
def test_an_execution_that_finishes_a_job_is_told(database: Database, state: State) -> None:
    with database.transaction() as connection:
        job_id = add(connection, client_id="c7", key=f"k-{state}", context='{"journey_instance_id":"j7"}')
        (job,) = take(connection)
        outcome = Result.OK if state is State.COMPLETED else Result.ERROR
        finish.apply(connection, [ending(job, state, outcome=outcome, error="no" if outcome is Result.ERROR else None)])
    (event,) = feed(database)
    assert event == Event(
        id=event.id,
        job_id=job_id,
        state=state,
        at=NOW + 1000,
        module_type="email",
        client_id="c7",
        supplier_id="s1",
        key=f"k-{state}",
        attempt=1,
        error=None if state is State.COMPLETED else "no",
        context={"journey_instance_id": "j7"},
        result_data={"a": 1} if state is State.COMPLETED else None,
    )


def test_what_does_not_finish_a_job_is_not_told(database: Database) -> None:
    with database.transaction() as connection:
        add_many(connection, [{}] * 3)
        first, second, third = take(connection)
        finish.apply(connection, [ending(first, State.RETRYABLE, outcome=Result.ERROR, due_at=NOW)])
        finish.apply(connection, [ending(second, State.AVAILABLE, outcome=Result.LOST, attempt=0)])
        finish.apply(connection, [ending(third._replace(token=third.token + 1), State.COMPLETED)])
        claim.release(connection, [third], now=NOW)
    assert feed(database) == []


def test_cancelled_and_expired_jobs_are_told(database: Database) -> None:
    with database.transaction() as connection:
        cancelled = add(connection)
        for _ in range(2):
            control.cancel(connection, [cancelled, cancelled + 1000], NOW + 1)
        waiting = add(connection, state=State.SCHEDULED, expires_at=NOW)
        (ripe,) = claim.due(connection, NOW)
        changes = [Change(ripe, State.EXPIRED, ripe.priority, None, None)]
        assert [claim.change(connection, changes, NOW + 2), claim.change(connection, changes, NOW + 3)] == [1, 0]
        claimed = add(connection)
        claim.release(connection, take(connection), now=NOW + 4, expired=True)
    assert told(database) == [
        (cancelled, "cancelled", NOW + 1),
        (waiting, "expired", NOW + 2),
        (claimed, "expired", NOW + 4),
    ]
    assert [event.error for event in feed(database)] == [None, *["expired before it could start"] * 2]


def test_an_event_is_undone_with_the_finish_that_it_tells(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
    with database.writer.connect() as connection:
        control.cancel(connection, [job_id], NOW)
        connection.rollback()
    assert feed(database) == []


def test_a_second_finish_is_a_second_event_and_the_first_keeps_its_own_error(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        (job,) = take(connection)
        finish.apply(connection, [ending(job, State.DISCARDED, outcome=Result.ERROR, error="first")])
    with database.transaction() as connection:
        control.retry(connection, control.retryable(connection, [job_id]), NOW + 5000)
        (ripe,) = claim.due(connection, NOW + 5000)
        claim.change(connection, [Change(ripe, State.AVAILABLE, ripe.priority, NOW, None)], NOW + 5000)
        (job,) = take(connection)
        finish.apply(connection, [ending(job._replace(attempt=1), State.COMPLETED, at=NOW + 6000)])
    first, second = feed(database)
    assert (first.state, first.error, first.attempt, first.result_data) == (State.DISCARDED, "first", 1, None)
    assert (second.state, second.error, second.attempt, second.result_data) == (State.COMPLETED, None, 1, {"a": 1})


def test_reading_goes_on_after_an_event(database: Database) -> None:
    with database.transaction() as connection:
        ids = add_many(connection, [{}] * 5)
        for job_id in ids:
            control.cancel(connection, [job_id], NOW)
    whole = feed(database)
    assert [event.job_id for event in whole] == ids
    assert feed(database, whole[1].id, 2) == whole[2:4]
    assert feed(database, whole[-1].id) == []
    assert feed(database, whole[-1].id + 1000) == []


def test_an_event_outlives_its_job(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        control.cancel(connection, [job_id], NOW)
        for table, column in (("payloads", "job_id"), ("jobs", "id")):
            connection.execute(text(f"DELETE FROM {table} WHERE {column} = :id"), {"id": job_id})
    (event,) = feed(database)
    assert (event.job_id, event.state, event.at) == (job_id, State.CANCELLED, NOW)
    assert (event.module_type, event.client_id, event.context, event.attempt) == (None, None, None, None)


class TestTransactionsThatOverlap:
    """On PostgreSQL ids are drawn before the commit: what commits later may carry the lower id."""

    @pytest.fixture
    def postgres(self, postgres_url: str, tmp_path: Path) -> Iterator[Database]:
        opened = db.connect(Settings(home=tmp_path, db=postgres_url))
        migrate.ensure(opened)
        yield opened
        opened.close()

    @pytest.fixture
    def open_transactions(self, postgres: Database) -> Iterator[tuple[Connection, Connection]]:
        with ExitStack() as stack:
            early, late = (stack.enter_context(postgres.writer.connect()) for _ in range(2))
            yield early, late

    def test_the_lower_id_that_commits_later_is_not_missed(
        self, postgres: Database, open_transactions: tuple[Connection, Connection]
    ) -> None:
        early, late = open_transactions
        events.record(early, [(1, "completed", NOW)])
        events.record(late, [(2, "completed", NOW)])
        late.commit()
        with postgres.reading() as connection:
            naive = connection.execute(text("SELECT job_id FROM events ORDER BY id")).scalars().all()
        assert naive == [2]  # whoever went on from its id would never see the other
        assert feed(postgres) == []
        early.commit()
        assert [event.job_id for event in feed(postgres)] == [1, 2]

    def test_a_lower_id_of_a_younger_transaction_is_not_missed(
        self, postgres: Database, open_transactions: tuple[Connection, Connection]
    ) -> None:
        """Holding back what is younger than a running transaction is not enough: ids must not be the order either."""
        old, young = open_transactions
        old.execute(text("SELECT pg_current_xact_id()"))
        events.record(young, [(1, "completed", NOW)])
        events.record(old, [(2, "completed", NOW)])
        old.commit()
        (seen,) = feed(postgres)
        young.commit()
        (missed_by_ids,) = feed(postgres, seen.id)
        assert (seen.job_id, missed_by_ids.job_id) == (2, 1)
        assert missed_by_ids.id < seen.id
        assert feed(postgres, missed_by_ids.id) == []

    def test_a_reader_in_the_middle_of_many_sees_each_once(self, postgres: Database) -> None:
        seen: list[int] = []
        after = 0
        with ExitStack() as stack:
            writers = [stack.enter_context(postgres.writer.connect()) for _ in range(4)]
            for number in range(40):
                writer = writers[number * 7 % 4]
                events.record(writer, [(number, "completed", NOW)])
                if number % 3 == 2:
                    writers[number % 4].commit()
                for event in feed(postgres, after):
                    seen.append(event.job_id)
                    after = event.id
            for writer in writers:
                writer.commit()
        seen += [event.job_id for event in feed(postgres, after)]
        assert sorted(seen) == list(range(40))
        assert [event.job_id for event in feed(postgres)] == seen


def add_events(database: Database, *instants: int) -> list[int]:
    with database.transaction() as connection:
        for at in instants:
            events.record(connection, [(at, "completed", at)])
    return [event.id for event in feed(database, limit=10 * CHUNK)]


def test_old_events_are_dropped_in_chunks(database: Database) -> None:
    with database.transaction() as connection:
        events.record(connection, [(1, "completed", 1)] * (CHUNK + 2))
        events.record(connection, [(2, "completed", 9)])
    counts = []
    for _ in range(3):
        with database.transaction() as connection:
            counts.append(events.drop(connection, 9, webhook=False))
    assert counts == [CHUNK, 2, 0]
    assert [event.job_id for event in feed(database)] == [2]


def test_a_reader_whose_last_event_was_dropped_goes_on_with_what_follows(database: Database) -> None:
    ids = add_events(database, 1, 2, 3)
    with database.transaction() as connection:
        assert events.drop(connection, 3, webhook=False) == 2
    assert [event.id for event in feed(database, ids[1])] == ids[2:]
    assert [event.id for event in feed(database, ids[0])] == ids[2:]


def test_what_the_webhook_has_not_taken_is_kept(database: Database) -> None:
    ids = add_events(database, 1, 2, 3)
    with database.transaction() as connection:
        assert events.drop(connection, 9, webhook=True) == 0
        held = events.lease(connection, now=NOW, until=NOW + 5)
        assert held is not None
        assert events.move(connection, held._replace(next_at=NOW + 5), Cursor(ids[1], 0, NOW, None))
        assert events.drop(connection, 9, webhook=True) == 1
    assert [event.id for event in feed(database)] == ids[1:]


def test_one_at_a_time_holds_the_cursor(database: Database) -> None:
    with database.transaction() as connection:
        assert events.cursor(connection) is None
        first = events.lease(connection, now=NOW, until=NOW + 10)
        assert first == Cursor(0, 0, NOW + 10, None)
        assert events.lease(connection, now=NOW + 9, until=NOW + 20) is None
        second = events.lease(connection, now=NOW + 10, until=NOW + 20)
        assert second == Cursor(0, 0, NOW + 20, None)
        assert not events.move(connection, first, Cursor(1, 0, NOW, None))
        assert events.move(connection, second, Cursor(5, 2, NOW + 30, "no"))
        assert events.cursor(connection) == Cursor(5, 2, NOW + 30, "no")
