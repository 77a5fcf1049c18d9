"""Ends of executions: applied once, fenced by the token, with their rows."""

import pytest
from sqlalchemy import text

from tests.stores.rows import NOW, add, add_many, ending, number_of, row, take
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import claim, finish, view


def test_a_completed_job_keeps_its_result_and_execution(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        (job,) = take(connection)
        assert finish.apply(connection, [ending(job, State.COMPLETED, data='{"ü":1}'.encode())]) == {job_id}
        found = row(connection, job_id)
        detail = view.show_job(connection, job_id)
    assert (found["state"], found["leased_by"], found["attempt"]) == ("completed", None, 1)
    assert (found["started_at"], found["finished_at"], found["error"]) == (NOW, NOW + 1000, None)
    assert detail is not None
    assert detail.result_data == {"ü": 1}
    (execution,) = detail.executions
    assert execution == view.ExecutionView(1, "ok", NOW, NOW + 1000, 1000, 0, 500, 10, 5, None, "w1", None, None)


def test_a_failed_job_keeps_error_traceback_and_log(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        (job,) = take(connection)
        failed = ending(
            job,
            State.RETRYABLE,
            outcome=Result.ERROR,
            due_at=NOW + 50,
            error="ValueError: ü 'x' %s ? :y",
            traceback="line 1\nline 2",
            log="said",
            wedding_days=-3,
            in_peak=True,
            vendor_type="venue",
        )
        assert finish.apply(connection, [failed]) == {job_id}
        found = row(connection, job_id)
        detail = view.show_job(connection, job_id)
        execution = connection.execute(text("SELECT * FROM executions")).mappings().one()
    assert (found["state"], found["due_at"], found["error"]) == ("retryable", NOW + 50, "ValueError: ü 'x' %s ? :y")
    assert detail is not None
    assert detail.result_data is None
    assert (detail.executions[0].traceback, detail.executions[0].log) == ("line 1\nline 2", "said")
    assert (execution["wedding_days"], execution["in_peak"], execution["vendor_type"]) == (-3, 1, "venue")
    assert (execution["module_type"], execution["module_version"], execution["priority"]) == ("email", 1, 1)


def test_the_due_time_stays_when_none_is_given(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection, due_at=NOW - 5)
        (job,) = take(connection)
        finish.apply(connection, [ending(job, State.AVAILABLE, outcome=Result.LOST, attempt=0)])
        found = row(connection, job_id)
    assert (found["due_at"], found["rank"], found["state"], found["attempt"]) == (NOW - 5, NOW, "available", 0)


def test_applying_twice_changes_nothing_the_second_time(database: Database) -> None:
    with database.transaction() as connection:
        add(connection)
        (job,) = take(connection)
        done = ending(job, State.COMPLETED)
        finish.apply(connection, [done])
        assert finish.apply(connection, [done]) == set()
        assert number_of(connection, "executions") == 1


@pytest.mark.parametrize("state", [State.COMPLETED, State.RETRYABLE, State.DISCARDED, State.AVAILABLE])
def test_a_stale_token_changes_nothing_and_records_nothing(database: Database, state: State) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        (old,) = take(connection)
        claim.release(connection, [old], now=NOW)
        (new,) = take(connection, worker="w2")
        before = row(connection, job_id)
        assert finish.apply(connection, [ending(old, state, data=b"{}")]) == set()
        assert row(connection, job_id) == before
        assert number_of(connection, "executions") == 0
        finish.mark_started(connection, [(old.id, old.token, NOW)])
        assert row(connection, job_id) == before
        assert finish.apply(connection, [ending(new, State.COMPLETED)]) == {job_id}


def test_of_two_ends_of_one_job_only_the_holder_s_counts(database: Database) -> None:
    """Whatever order they come in, and even in one batch."""
    for order in (1, -1):
        with database.transaction() as connection:
            job_id = add(connection)
            (old,) = take(connection)
            claim.release(connection, [old], now=NOW)
            (new,) = take(connection)
            batch = [ending(old, State.DISCARDED, outcome=Result.ERROR), ending(new, State.COMPLETED)]
            assert finish.apply(connection, batch[::order]) == {job_id}
            outcomes = connection.execute(text("SELECT outcome FROM executions WHERE job_id = :id"), {"id": job_id})
            assert row(connection, job_id)["state"] == "completed"
            assert list(outcomes.scalars()) == ["ok"]


def test_only_those_of_a_batch_that_still_hold_are_applied(database: Database) -> None:
    with database.transaction() as connection:
        ids = add_many(connection, [{}] * 4)
        jobs = take(connection)
        claim.release(connection, jobs[1:2], now=NOW)
        unknown = jobs[0]._replace(id=max(ids) + 1000)
        applied = finish.apply(connection, [ending(job, State.COMPLETED) for job in [*jobs, unknown]])
        assert applied == {ids[0], ids[2], ids[3]}
        assert number_of(connection, "executions") == 3
        assert finish.apply(connection, []) == set()


def test_a_long_running_job_shows_when_it_started(database: Database) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        (job,) = take(connection)
        finish.mark_started(connection, [(job.id, job.token, NOW + 3)])
        finish.mark_started(connection, [])
        found = row(connection, job_id)
    assert (found["started_at"], found["finished_at"], found["state"]) == (NOW + 3, None, "running")
