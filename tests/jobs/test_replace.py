"""A waiting job that becomes another one: what it keeps, what changes, and when it may not; on both databases."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.notes import check_lanes, note, queued, run, with_unique
from tests.stores.queues import CONTEXT, NOW, later, queue_on, request
from tests.stores.rows import ending, number_of, row, take
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    CapacityReached,
    InvalidInput,
    InvalidTime,
    KeyConflict,
    UniqueConflict,
    WedsyncError,
    WrongState,
)
from wedsync_ops.instants import HOUR, MINUTE, iso
from wedsync_ops.jobs import actions, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.model import Priority, Queued, Result, State
from wedsync_ops.jobs.store import finish, view
from wedsync_ops.limits import limits_from


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path, limits=limits_from([{"name": "one", "concurrent": 1}]))


def stored(queue: Queue, job_id: int | None) -> dict[str, Any]:
    with queue.database.reading() as connection:
        return row(connection, job_id or 0)


def detail(queue: Queue, job_id: int | None) -> view.JobDetail:
    with queue.database.reading() as connection:
        found = view.show_job(connection, job_id or 0)
    assert found is not None
    return found


def again(queue: Queue, n: int = 2, **values: Any) -> Queued:
    """Queue the job with the key ``k`` in the place of the one that has it."""
    answer = queued(queue, request(config={"n": n}, key="k", replace=True, **values))
    check_lanes(queue)
    return answer


class TestWhatBecomesOfIt:
    def test_without_one_it_is_queued(self, queue: Queue) -> None:
        answer = again(queue)
        assert (answer.queued_as, answer.duplicate, stored(queue, answer.job_id)["key"]) == ("new", False, "k")

    def test_everything_that_was_asked_for_is_new(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        answer = again(
            queue,
            priority="high",
            delay=90,
            deadline="2027-01-14T00:00:00Z",
            expires="2027-01-13T20:00:00Z",
            client_id="c2",
            supplier_id="s2",
            vendor_type="venue",
            wedding_date="2027-06-19",
        )
        assert (answer.job_id, answer.queued_as, answer.duplicate) == (first.job_id, "replaced", False)
        assert (answer.state, answer.priority_applied) == (State.SCHEDULED, Priority.HIGH)
        found = detail(queue, first.job_id)
        assert found.config == {"n": 2}
        assert found.context == {
            **CONTEXT, "client_id": "c2", "supplier_id": "s2", "vendor_type": "venue", "wedding_date": "2027-06-19",
        }  # fmt: skip
        assert (found.client_id, found.supplier_id, found.key) == ("c2", "s2", "k")
        assert (found.job.due_at, found.due_reasons) == (NOW + 90 * MINUTE, list(answer.due_reasons))
        assert (iso(found.deadline_at), iso(found.expires_at)) == (
            "2027-01-14T00:00:00.000000Z",
            "2027-01-13T20:00:00.000000Z",
        )
        kept = stored(queue, first.job_id)
        assert (kept["wedding_on"], kept["vendor_type"], kept["queued_at"]) == ("2027-06-19", "venue", NOW)

    def test_it_is_then_a_duplicate_of_what_it_has_become(self, queue: Queue) -> None:
        queued(queue, request(config={"n": 1}, key="k"))
        again(queue)
        assert queued(queue, request(config={"n": 2}, key="k")).queued_as == "duplicate"
        with pytest.raises(KeyConflict):
            queued(queue, request(config={"n": 1}, key="k"))

    def test_it_has_all_its_attempts_again(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        with queue.database.transaction() as connection:
            (job,) = take(connection)
            finish.apply(
                connection, [ending(job, State.RETRYABLE, outcome=Result.ERROR, due_at=NOW + HOUR, error="down")]
            )
        assert stored(queue, first.job_id)["attempt"] == 1
        assert again(queue).state is State.SCHEDULED
        found = detail(queue, first.job_id)
        assert (found.job.attempt, found.job.error, found.job.due_at) == (0, None, NOW)
        assert [one.outcome for one in found.executions] == ["error"]
        with queue.database.transaction() as connection:
            assert ripen.promote(connection, queue.rules, NOW) == 1
            (job,) = take(connection)
        assert (job.attempt, job.config, job.key) == (1, b'{"n":2}', "k")


class TestItsTurn:
    def test_is_kept_by_one_that_is_due_and_stays_so(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        queued(queue, request(config={"n": 9}))
        answer = again(later(queue, MINUTE))
        assert (answer.state, answer.rank, answer.due_at) == (State.AVAILABLE, first.rank, first.due_at)
        assert actions.position(queue, first.job_id or 0) == 1

    def test_comes_sooner_where_a_deadline_nears(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        near = again(queue, deadline="2027-01-13T12:00:02Z").rank
        assert near is not None
        assert first.rank is not None
        assert near < first.rank

    @pytest.mark.parametrize("values", [{"priority": "high"}, {"supplier_id": "s2"}, {"wedding_date": "2027-01-14"}])
    def test_is_found_anew_where_what_decides_it_has_changed(self, queue: Queue, values: dict[str, Any]) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        answer = again(queue, **values)
        assert (answer.state, answer.rank, answer.due_at) == (State.SCHEDULED, None, NOW)
        with queue.database.transaction() as connection:
            assert ripen.promote(connection, queue.rules, NOW) == 1
        assert stored(queue, first.job_id)["priority"] == answer.priority_applied
        check_lanes(queue)

    def test_with_the_priority_that_it_has_aged_to(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        aged = later(queue, 16 * MINUTE)
        with queue.database.transaction() as connection:
            ripen.reconsider(connection, queue.rules, aged.clock.now())
        assert again(aged).priority_applied is Priority.HIGH
        assert stored(queue, first.job_id)["priority"] == Priority.HIGH

    def test_nothing_holds_it_any_more(self, queue: Queue) -> None:
        queued(queue, request(config={"n": 9}))
        first = queued(queue, request(config={"n": 1}, key="k"))
        with queue.database.transaction() as connection:
            Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=NOW, slots=2, room=2)
        assert stored(queue, first.job_id)["held_by"] == "one:"
        assert again(queue).state is State.AVAILABLE
        assert stored(queue, first.job_id)["held_by"] is None

    def test_a_full_queue_does_not_matter(self, database: Database, tmp_path: Path) -> None:
        full = queue_on(database, tmp_path, capacity=1)
        queued(full, request(config={"n": 1}, key="k"))
        with pytest.raises(CapacityReached):
            queued(full, request(config={"n": 2}, key="other", replace=True))
        assert again(full).queued_as == "replaced"


class TestRefused:
    def test_while_it_runs_and_when_it_has_ended(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        with queue.database.transaction() as connection:
            take(connection)
        with pytest.raises(WrongState, match=f"job {first.job_id} is running, and so cannot be replaced") as caught:
            again(queue)
        assert caught.value.advice == "queue it with another key"
        with queue.database.transaction() as connection:
            Dispatcher(None).return_unknown(connection, "w1", (), NOW)
        actions.cancel(queue, [first.job_id or 0])
        with pytest.raises(WrongState, match="is cancelled"):
            again(queue)
        assert detail(queue, first.job_id).config == {"n": 1}

    def test_when_a_worker_claims_it_at_that_moment(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        refusals: list[WedsyncError] = []

        def ask() -> None:
            try:
                queued(queue, request(config={"n": 2}, key="k", replace=True))
            except WedsyncError as error:
                refusals.append(error)

        thread = threading.Thread(target=ask)
        with queue.database.transaction() as connection:
            (job,) = take(connection)
            thread.start()  # waits for this transaction, or begins after it
        thread.join()
        assert [type(one) for one in refusals] == [WrongState]
        assert (detail(queue, first.job_id).config, job.config) == ({"n": 1}, b'{"n":1}')
        check_lanes(queue)

    def test_when_it_would_expire_before_it_is_due(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        with pytest.raises(InvalidTime):
            again(queue, delay=60, expires="2027-01-13T12:30:00Z")
        assert detail(queue, first.job_id).config == {"n": 1}

    def test_for_another_module_type(self, queue: Queue) -> None:
        queued(queue, request(config={"n": 1}, key="k"))
        with pytest.raises(KeyConflict, match="is of the module type email"):
            queued(queue, request("free", {"n": 1}, key="k", replace=True))

    @pytest.mark.parametrize(
        ("values", "words"),
        [({"replace": True}, "replace needs a key"), ({"replace": "yes", "key": "k"}, "must be true or false")],
    )
    def test_without_a_key_or_a_clear_word(self, queue: Queue, values: dict[str, Any], words: str) -> None:
        with pytest.raises(InvalidInput, match=words):
            queued(queue, request(config={"n": 1}, **values))


class TestBatches:
    def test_replace_what_was_queued_before_and_within(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        requests = [
            request(config={"n": n}, key=key, replace=True) for n, key in ((2, "k"), (3, "l"), (4, "l"), (5, "k"))
        ]
        answers = actions.enqueue_many(queue, requests)
        assert [one.queued_as for one in answers if isinstance(one, Queued)] == [
            "replaced",
            "new",
            "replaced",
            "replaced",
        ]
        assert detail(queue, first.job_id).config == {"n": 5}
        with queue.database.reading() as connection:
            assert number_of(connection, "jobs") == 2
        check_lanes(queue)

    def test_a_dry_run_changes_nothing(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        requests = [request(config={"n": n}, key=key, replace=True) for n, key in ((2, "k"), (3, "l"), (4, "l"))]
        answers = actions.enqueue_many(queue, requests, dry_run=True)
        said = [(one.queued_as, one.job_id) for one in answers if isinstance(one, Queued)]
        assert said == [("replaced", first.job_id), ("new", None), ("replaced", None)]
        assert detail(queue, first.job_id).config == {"n": 1}

    def test_all_or_nothing(self, queue: Queue) -> None:
        first = queued(queue, request(config={"n": 1}, key="k"))
        bad = request(config={"n": "x"})
        actions.enqueue_many(queue, [request(config={"n": 2}, key="k", replace=True), bad], atomic=True)
        conflict = [request(config={"n": 2}, key="k", replace=True), request(config={"n": 3}, key="k")]
        actions.enqueue_many(queue, conflict, atomic=True)
        assert detail(queue, first.job_id).config == {"n": 1}


class TestUniqueKeys:
    def test_replace_as_the_module_type_says(self, queue: Queue) -> None:
        latest = with_unique(queue, on_conflict="replace")
        first = queued(latest, note(n=1, delay=30.0))
        answer = queued(latest, note(n=2))
        assert (answer.job_id, answer.queued_as) == (first.job_id, "replaced")
        assert detail(queue, first.job_id).config == {"form_id": "f", "n": 2}
        with queue.database.transaction() as connection:
            ripen.promote(connection, latest.rules, NOW)
            take(connection, module_type="note")
        for key in (None, "k"):
            with pytest.raises(WrongState, match="is running") as caught:
                queued(latest, note(n=3, key=key))
            assert caught.value.advice == "wait until it has ended, or cancel it"

    @pytest.mark.parametrize("on_conflict", ["keep", "replace"])
    def test_give_the_job_the_key_of_the_request_that_it_has_become(self, queue: Queue, on_conflict: str) -> None:
        latest = with_unique(queue, on_conflict=on_conflict, within="24h")
        first = queued(latest, note(n=1, key="a"))
        newer = note(n=2, key="b", replace=on_conflict == "keep")
        assert queued(latest, newer).queued_as == "replaced"
        assert stored(queue, first.job_id)["key"] == "b"
        run(latest, State.COMPLETED)
        over = later(latest, 30 * HOUR)
        again = queued(over, note(n=2, key="b"))
        assert (again.queued_as, again.duplicate, again.job_id) == ("duplicate", True, first.job_id)
        assert queued(over, note(n=1, key="a")).queued_as == "new"

    def test_leave_the_job_its_key_where_the_request_has_none(self, queue: Queue) -> None:
        latest = with_unique(queue, on_conflict="replace")
        first = queued(latest, note(n=1, key="k"))
        assert queued(latest, note(n=2)).queued_as == "replaced"
        assert stored(queue, first.job_id)["key"] == "k"
        assert queued(latest, note(n=2, key="k")).queued_as == "duplicate"

    def test_free_the_earlier_key_within_a_batch_too(self, queue: Queue) -> None:
        latest = with_unique(queue, on_conflict="replace")
        queued(latest, note(n=1, key="a"))
        answers = actions.enqueue_many(latest, [note(n=2, key="b"), request(config={"n": 1}, key="a")])
        assert [one.queued_as for one in answers if isinstance(one, Queued)] == ["replaced", "new"]
        check_lanes(queue)

    def test_move_with_the_job(self, queue: Queue) -> None:
        kept = with_unique(queue)
        first = queued(kept, note("f", key="k"))
        answers = actions.enqueue_many(kept, [note("g", key="k", replace=True), note("f"), note("g")])
        assert [one.queued_as for one in answers if isinstance(one, Queued)] == ["replaced", "new", "kept"]
        assert getattr(answers[2], "job_id", None) == first.job_id
        check_lanes(queue)

    def test_of_another_job_are_not_taken(self, queue: Queue) -> None:
        kept = with_unique(queue)
        first, other = queued(kept, note("f", key="k")), queued(kept, note("g"))
        with pytest.raises(UniqueConflict, match=f"job {other.job_id} is available and has the same"):
            queued(kept, note("g", key="k", replace=True))
        assert detail(queue, first.job_id).config == {"form_id": "f", "n": 1}

    def test_are_free_again_when_it_ends(self, queue: Queue) -> None:
        latest = with_unique(queue, on_conflict="replace")
        queued(latest, note(n=1))
        queued(latest, note(n=2))
        ended = run(latest, State.COMPLETED)
        answer = queued(latest, note(n=3))
        assert (answer.queued_as, answer.job_id != ended) == ("new", True)
