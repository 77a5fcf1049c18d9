"""Cancel, retry, discarded jobs, pauses."""

import pytest
from sqlalchemy import Connection, event, text

from tests.stores.rows import NOW, add, add_many, counted, ending, row, take
from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import control, finish
from wedsync_ops.jobs.store.control import Pause, Retryable


class TestCancel:
    def test_takes_only_what_waits(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, module_type="info")
            running = [job.id for job in take(connection, module_type="info")]
            waiting = add_many(
                connection, [{}, {"state": State.SCHEDULED, "rank": None}, {"state": State.RETRYABLE, "priority": 3}]
            )
            assert control.cancel(connection, [*running, *waiting, waiting[0], 10**12], NOW + 5) == set(waiting)
            assert counted(connection) == {}
            found = [row(connection, job_id) for job_id in waiting]
            assert {(r["state"], r["finished_at"]) for r in found} == {("cancelled", NOW + 5)}
            assert row(connection, running[0])["state"] == "running"
            assert control.cancel(connection, waiting, NOW) == set()
            assert control.cancel(connection, [], NOW) == set()

    def test_leaves_alone_what_begins_to_wait_meanwhile(self, database: Database) -> None:
        def meanwhile(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE jobs SET state = 'cancelled'"):
                again = text("UPDATE jobs SET state = 'retryable', leased_by = NULL WHERE id = :id")
                connection.execute(again, {"id": running.id})

        with database.transaction() as connection:
            add(connection, module_type="info")
            (running,) = take(connection, module_type="info")
            waiting = add(connection)
            event.listen(connection, "before_cursor_execute", meanwhile)
            assert control.cancel(connection, [running.id, waiting], NOW) == {waiting}
            assert row(connection, running.id)["state"] == "retryable"

    def test_states_are_those_of_known_jobs(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            assert control.states(connection, [job_id, 10**12, 0, -1]) == {job_id: State.AVAILABLE}


class TestRetry:
    @pytest.mark.parametrize("end", [State.DISCARDED, State.CANCELLED, State.EXPIRED])
    def test_gives_every_attempt_back(self, database: Database, end: State) -> None:
        with database.transaction() as connection:
            job_id = add(connection, max_attempts=1, key="k", expires_at=NOW + 5, deadline_at=NOW + 6)
            (job,) = take(connection)
            finish.apply(connection, [ending(job, end, outcome=Result.ERROR, error="no")])
            connection.execute(text("UPDATE jobs SET losses = 2, kills = 2"))
            (found,) = control.retryable(connection, [job_id])
            assert found == Retryable(job_id, "email", 1, "s1", True)
            control.retry(connection, [found], NOW + 9)
            after = row(connection, job_id)
            assert counted(connection) == {("email", 1): (0, 1)}
        expected = {
            "state": "scheduled",
            "due_at": NOW + 9,
            "attempt": 0,
            "losses": 0,
            "kills": 0,
            "rank": None,
            "error": None,
            "finished_at": None,
            "expires_at": None,
            "deadline_at": NOW + 6,
            "key": "k",
            "token": 1,
        }
        assert {name: after[name] for name in expected} == expected

    def test_keeps_an_expiry_that_lies_ahead(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection, expires_at=NOW + 5)
            control.cancel(connection, [job_id], NOW)
            control.retry(connection, control.retryable(connection, [job_id]), NOW + 4)
            assert row(connection, job_id)["expires_at"] == NOW + 5

    def test_is_not_for_completed_running_or_waiting_jobs(self, database: Database) -> None:
        with database.transaction() as connection:
            ids = add_many(connection, [{}] * 3)
            jobs = take(connection, 2)
            finish.apply(connection, [ending(jobs[0], State.COMPLETED)])
            assert control.retryable(connection, ids) == []
            assert control.retryable(connection, []) == []
            control.retry(connection, [], NOW)

    def test_says_when_the_payload_is_gone(self, database: Database) -> None:
        with database.transaction() as connection:
            job_id = add(connection)
            control.cancel(connection, [job_id], NOW)
            connection.execute(text("UPDATE payloads SET config = NULL, context = NULL"))
            assert [job.has_payload for job in control.retryable(connection, [job_id])] == [False]


class TestPauses:
    def test_hold_until_their_time_or_a_resume(self, database: Database) -> None:
        everything = Pause("all", "", "storm", "ann", NOW, None)
        module = Pause("module", "email", None, "ann", NOW, NOW + 10)
        supplier = Pause("supplier", "s'1", None, "bob", NOW, None)
        with database.transaction() as connection:
            for pause in (supplier, module, everything):
                control.pause(connection, pause)
            assert control.pauses(connection, NOW + 9) == [everything, module, supplier]
            assert control.pauses(connection, NOW + 10) == [everything, supplier]
            assert control.resume(connection, "all", "")
            assert not control.resume(connection, "all", "")
            assert not control.resume(connection, "module", "s'1")
            assert control.pauses(connection, NOW) == [module, supplier]

    def test_a_new_one_replaces_the_old(self, database: Database) -> None:
        with database.transaction() as connection:
            control.pause(connection, Pause("module", "email", "a", "ann", NOW, NOW + 10))
            second = Pause("module", "email", "b", "bob", NOW + 1, None)
            control.pause(connection, second)
            assert control.pauses(connection, NOW + 99) == [second]
