"""Unique jobs: what is not queued twice, until when, and what becomes of the second; on both databases."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.jobs.notes import check_lanes, definition, note, queued, run, with_unique
from tests.stores import databases
from tests.stores.queues import NOW, later, queue_on, request
from tests.stores.rows import add, number_of, row, take
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, UniqueConflict, WedsyncError, WrongState
from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.jobs import actions, dead_letters, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dead_letters import Wanted
from wedsync_ops.jobs.model import Queued, Result, State
from wedsync_ops.jobs.store import claim, retention
from wedsync_ops.jobs.unique import uniqueness
from wedsync_ops.modules.model import Definition


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("unique")
    yield from databases.opened(request.param, request, home, f"unique_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    return databases.emptied(shared)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return with_unique(queue_on(database, tmp_path))


class TestKey:
    def of(self, key: list[str], config: Any = None, **context: Any) -> str:
        made = Definition.model_validate({**definition(), "unique": {"key": key}})
        found = uniqueness(made, config or {}, {"client_id": "c", "supplier_id": "s", **context})
        assert found is not None
        return found.key

    def test_is_what_the_paths_lead_to(self) -> None:
        key = ["client_id", "config.form_id"]
        assert self.of(key, {"form_id": "a", "n": 1}) == self.of(key, {"form_id": "a", "n": 2}, supplier_id="t")
        assert self.of(key, {"form_id": "a"}) != self.of(key, {"form_id": "b"})
        assert self.of(key, {"form_id": "a"}) != self.of(key, {"form_id": "a"}, client_id="d")

    def test_cannot_be_made_of_other_values_put_together(self) -> None:
        key = ["config.a", "config.b"]
        assert self.of(key, {"a": "x:y", "b": "z"}) != self.of(key, {"a": "x", "b": "y:z"})
        assert self.of(key, {"a": "1"}) != self.of(key, {"a": 1})
        assert self.of(key, {"a": "x"}) != self.of(key, {"b": "x"})

    def test_reaches_into_maps_and_takes_what_is_missing_for_null(self) -> None:
        key = ["context.step_data.step.id"]
        assert self.of(key, step_data={"step": {"id": 7}}) != self.of(key, step_data={"step": {"id": 8}})
        assert self.of(key, step_data="x") == self.of(key) == self.of(key, step_data={"step": {"id": None}})

    def test_knows_ids_as_numbers_and_by_their_longer_name(self) -> None:
        assert self.of(["client_id"], client_id=7) == self.of(["client_id"], client_id="7")
        assert self.of(["context.client_id"], client_id=7) == self.of(["context.client_id"], client_id="7")

    def test_holds_nothing_that_can_be_read(self) -> None:
        assert "ada@example.com" not in self.of(["config.form_id"], {"form_id": "ada@example.com"})

    def test_is_that_of_one_module_type(self) -> None:
        assert self.of(["client_id"]).startswith("note ")


class TestKeep:
    def test_answers_the_job_that_is_there(self, queue: Queue) -> None:
        first = queued(queue, note())
        second = queued(queue, note(n=2, priority="high", delay=5.0))
        assert (first.queued_as, first.duplicate) == ("new", False)
        assert second == first._replace(duplicate=True, queued_as="kept")
        assert queued(queue, note(n=2), dry_run=True).queued_as == "kept"
        assert queued(queue, note("other")).queued_as == "new"
        assert queued(queue, note(client_id="c2")).queued_as == "new"
        check_lanes(queue)

    def test_an_idempotency_key_comes_first(self, queue: Queue) -> None:
        first = queued(queue, note(key="k"))
        assert queued(queue, note(key="k")).queued_as == "duplicate"
        kept = queued(queue, note(key="other"))
        assert (kept.queued_as, kept.job_id) == ("kept", first.job_id)

    def test_holds_within_a_batch(self, queue: Queue) -> None:
        answers = actions.enqueue_many(queue, [note(), note(n=2), note("g"), note()])
        assert [a.queued_as for a in answers if isinstance(a, Queued)] == ["new", "kept", "new", "kept"]
        with queue.database.reading() as connection:
            assert number_of(connection, "jobs") == 2

    def test_other_module_types_are_not_unique(self, queue: Queue) -> None:
        assert queued(queue, request(config={"n": 1})).job_id != queued(queue, request(config={"n": 1})).job_id


class TestWhatFreesAKey:
    @pytest.mark.parametrize("state", [State.SCHEDULED, State.AVAILABLE, State.RUNNING, State.RETRYABLE])
    def test_not_that_the_job_waits_or_runs(self, queue: Queue, state: State) -> None:
        first = queued(queue, note(delay=60.0 if state is State.SCHEDULED else None))
        if state is State.RUNNING:
            with queue.database.transaction() as connection:
                take(connection, module_type="note")
        if state is State.RETRYABLE:
            run(queue, State.RETRYABLE, outcome=Result.ERROR, due_at=NOW + HOUR)
        kept = queued(queue, note())
        assert (kept.job_id, kept.queued_as, kept.state) == (first.job_id, "kept", state)

    @pytest.mark.parametrize("state", [State.COMPLETED, State.DISCARDED, State.CANCELLED])
    def test_the_end_of_its_execution(self, queue: Queue, state: State) -> None:
        queued(queue, note())
        ended = run(queue, state)
        assert queued(queue, note()).job_id != ended

    def test_its_cancellation(self, queue: Queue) -> None:
        first = queued(queue, note())
        assert actions.cancel(queue, [first.job_id or 0]) == [None]
        assert queued(queue, note()).queued_as == "new"

    def test_its_expiry_in_the_queue_and_in_a_worker(self, queue: Queue) -> None:
        queued(queue, note(expires="2027-01-13T12:30:00Z"))
        with queue.database.transaction() as connection:
            ripen.reconsider(connection, queue.rules, NOW + HOUR)
        hour = later(queue, HOUR)
        assert queued(hour, note(expires="2027-01-13T13:30:00Z")).queued_as == "new"
        with queue.database.transaction() as connection:
            claim.release(connection, take(connection, module_type="note"), now=NOW + 2 * HOUR, expired=True)
        assert queued(hour, note()).queued_as == "new"

    def test_the_rows_going(self, queue: Queue) -> None:
        first = queued(with_unique(queue, within="300d"), note())
        run(queue, State.COMPLETED)
        with queue.database.transaction() as connection:
            sweep = retention.executions("note", NOW + HOUR)
            keys, _ = sweep.look(connection, ())
            assert sweep.forget(connection, keys)["jobs_dropped"] == 1
        assert (queued(queue, note()).job_id or 0) > (first.job_id or 0)

    def test_not_the_release_of_a_lease(self, queue: Queue) -> None:
        queued(queue, note())
        with queue.database.transaction() as connection:
            claim.release(connection, take(connection, module_type="note"), now=NOW)
        assert queued(queue, note()).queued_as == "kept"


class TestWithin:
    def test_a_completed_job_counts_for_so_long(self, queue: Queue) -> None:
        daily = with_unique(queue, within="24h")
        first = queued(daily, note())
        run(daily, State.COMPLETED)
        kept = queued(later(daily, 23 * HOUR), note())
        assert (kept.job_id, kept.queued_as, kept.state) == (first.job_id, "kept", State.COMPLETED)
        over = later(daily, 24 * HOUR + SECOND)
        assert queued(over, note(), dry_run=True).queued_as == "new"
        assert queued(over, note()).queued_as == "new"
        assert queued(over, note()).queued_as == "kept"

    def test_one_that_failed_does_not(self, queue: Queue) -> None:
        daily = with_unique(queue, within="24h")
        queued(daily, note())
        run(daily, State.DISCARDED)
        assert queued(daily, note()).queued_as == "new"

    def test_a_refusal_says_until_when(self, queue: Queue) -> None:
        daily = with_unique(queue, within="24h", on_conflict="refuse")
        first = queued(daily, note())
        run(daily, State.COMPLETED)
        with pytest.raises(
            UniqueConflict, match=r"is completed and has the same .* before 2027-01-14T12:00:00.001000Z"
        ):
            queued(daily, note())
        with pytest.raises(WrongState, match=f"job {first.job_id} is completed, and so cannot be replaced; another"):
            queued(daily, note(replace=True))


class TestRefuse:
    def test_names_the_job_and_what_is_the_same(self, queue: Queue) -> None:
        strict = with_unique(queue, on_conflict="refuse")
        first = queued(strict, note())
        with pytest.raises(UniqueConflict) as caught:
            queued(strict, note())
        assert f"job {first.job_id} is available and has the same client_id, config.form_id" in str(caught.value)
        assert caught.value.details == [{"job_id": first.job_id}]

    def test_leaves_the_rest_of_a_batch_alone(self, queue: Queue) -> None:
        strict = with_unique(queue, on_conflict="refuse")
        answers = actions.enqueue_many(strict, [note(), note(), note("g")])
        assert [isinstance(a, UniqueConflict) for a in answers] == [False, True, False]
        atomic = actions.enqueue_many(strict, [note("h"), note()], atomic=True)
        assert all(isinstance(a, WedsyncError) for a in atomic)
        with queue.database.reading() as connection:
            assert number_of(connection, "jobs") == 2


class TestRetryByHand:
    def test_takes_the_key_again(self, queue: Queue) -> None:
        first = queued(queue, note())
        run(queue, State.DISCARDED)
        assert actions.retry(queue, [first.job_id or 0]) == [None]
        assert queued(queue, note()).queued_as == "kept"

    def test_is_refused_while_another_job_has_it(self, queue: Queue) -> None:
        first = queued(queue, note()).job_id or 0
        run(queue, State.DISCARDED)
        second = queued(queue, note())
        (refusal,) = actions.retry(queue, [first])
        assert isinstance(refusal, UniqueConflict)
        assert f"job {second.job_id} has the unique key of job {first}" in str(refusal)
        with queue.database.reading() as connection:
            assert row(connection, first)["state"] == "discarded"
        check_lanes(queue)

    def test_of_several_with_one_key_the_first_goes(self, queue: Queue) -> None:
        ids = []
        for _ in range(3):
            ids.append(queued(queue, note()).job_id or 0)
            run(queue, State.DISCARDED)
        answers = actions.retry(queue, ids)
        assert [answer is None for answer in answers] == [True, False, False]
        assert dead_letters.retry(queue, Wanted()) == dead_letters.Retried(0, 2, 0)
        actions.cancel(queue, ids)
        with queue.database.reading() as connection:
            assert {row(connection, one)["state"] for one in ids} == {"cancelled", "discarded"}
        assert dead_letters.retry(queue, Wanted()) == dead_letters.Retried(1, 1, 0)
        check_lanes(queue)

    def test_may_follow_a_completion_that_is_long_ago(self, queue: Queue) -> None:
        daily = with_unique(queue, within="24h")
        first = queued(daily, note()).job_id or 0
        run(daily, State.DISCARDED)
        queued(daily, note())
        run(daily, State.COMPLETED)
        assert isinstance(actions.retry(daily, [first])[0], UniqueConflict)
        assert actions.retry(later(daily, 25 * HOUR), [first]) == [None]


class TestDatabase:
    def test_refuses_a_second_job_by_itself(self, database: Database) -> None:
        with database.transaction() as connection:
            add(connection, unique_key="k", state="scheduled", rank=None)
        with pytest.raises(DatabaseError), database.transaction() as connection:
            add(connection, unique_key="k")
        with database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET state = 'cancelled', finished_at = 1"))
            add(connection, unique_key="k")

    def test_lets_one_of_many_at_once_win(self, queue: Queue) -> None:
        answers: list[Queued] = []
        ready = threading.Barrier(6)

        def ask(n: int) -> None:
            ready.wait()
            answers.append(queued(queue, note(n=n)))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one.queued_as for one in answers) == ["kept"] * 5 + ["new"]
        assert len({one.job_id for one in answers}) == 1

    def test_lets_a_retry_or_a_new_job_win(self, queue: Queue) -> None:
        first = queued(queue, note()).job_id or 0
        run(queue, State.DISCARDED)
        said: list[str] = []
        ready = threading.Barrier(2)

        def ask() -> None:
            ready.wait()
            said.append(queued(queue, note()).queued_as)

        def retry() -> None:
            ready.wait()
            said.append("retried" if actions.retry(queue, [first]) == [None] else "refused")

        threads = [threading.Thread(target=work) for work in (ask, retry)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(said) in (["new", "refused"], ["kept", "retried"])
        check_lanes(queue)
