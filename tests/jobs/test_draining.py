"""Draining on both databases: nothing new is accepted, nothing accepted is lost, and in the end nothing starts."""

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.jobs.drains import add, claimed, end, jobs_claimed, queue_with_worker, refusal, state
from tests.stores import databases
from tests.stores.queues import NOW, later, request
from tests.stores.rows import ending
from tests.stores.timetables import ONE, fire, register, told, yaml
from wedsync_ops.db import Database
from wedsync_ops.errors import Draining, InvalidInput, UnknownModule
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, iso
from wedsync_ops.jobs import actions, dead_letters, draining, intake, schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.model import Queued, Result, State
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.store import drains, finish
from wedsync_ops.jobs.store.drains import Left


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("draining")
    yield from databases.opened(request.param, request, home, f"draining_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_with_worker(shared, tmp_path)


class TestRefusal:
    def test_only_of_the_scope(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email")
        refusal(queue)
        add(queue, module_type="free")
        draining.begin(queue, "supplier", "s2")
        refusal(queue, module_type="free", supplier_id="s2")
        add(queue, module_type="free")
        draining.begin(queue, "all", "")
        refusal(queue, module_type="free")

    def test_says_who_why_and_when_to_come_back(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email", reason="another mail server", until=NOW + HOUR)
        error = refusal(later(queue, 10 * MINUTE))
        assert "module email is being drained by " in error.message
        assert "another mail server" in error.message
        assert error.advice == f"come back in about 3000 s, at {iso(NOW + HOUR)}"
        (details,) = error.details
        assert details == {"scope": "module", "name": "email", "retry_after_s": 3000, "urgent": False}

    def test_without_an_end_names_whom_to_ask(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email")
        error = refusal(queue)
        assert "nobody has said until when" in (error.advice or "")
        assert "wedsync-ops queue resume email" in (error.advice or "")
        assert error.details[0]["retry_after_s"] is None

    @pytest.mark.parametrize("values", [{"priority": "critical"}, {"wedding_date": "2027-01-16"}])
    def test_of_an_urgent_job_says_that_a_wedding_cannot_wait(self, queue: Queue, values: dict[str, str]) -> None:
        draining.begin(queue, "module", "email", until=NOW + DAY)
        error = refusal(queue, **values)
        assert "a wedding date cannot be moved" in error.message
        assert (error.advice or "").startswith("don't wait: 'wedsync-ops queue resume email'")
        assert error.details[0]["urgent"] is True

    def test_of_a_far_wedding_says_when_to_come_back(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email", until=NOW + DAY)
        assert refusal(queue, wedding_date="2027-03-16").details[0]["urgent"] is False

    def test_ends_with_its_time_or_by_resume(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email", until=NOW + HOUR)
        draining.begin(queue, "all", "")
        assert actions.resume(queue, "all", "")
        assert not actions.resume(queue, "all", "")
        refusal(later(queue, HOUR - 1))
        add(later(queue, HOUR))

    def test_a_request_that_is_sent_again_is_a_duplicate(self, queue: Queue) -> None:
        first = add(queue, key="k")
        draining.begin(queue, "module", "email")
        assert actions.enqueue(queue, request(key="k")).job_id == first

    def test_no_job_is_moved_into_the_scope(self, queue: Queue) -> None:
        job_id = add(queue, key="k")
        draining.begin(queue, "supplier", "s9")
        moved = {"key": "k", "replace": True, "supplier_id": "s9"}
        with pytest.raises(Draining, match="supplier s9 is being drained"):
            actions.enqueue(queue, request(**moved), dry_run=True)
        assert refusal(queue, **moved).details[0]["name"] == "s9"
        assert claimed(queue) == [job_id]
        with queue.database.reading() as connection:
            assert connection.execute(text("SELECT supplier_id FROM jobs")).scalar_one() == "s1"

    def test_no_later_job_of_the_scope_is_made_due(self, queue: Queue) -> None:
        add(queue, key="far", at=iso(NOW + DAY))
        add(queue, key="due")
        drain = draining.begin(queue, "module", "email")
        refusal(queue, key="far", replace=True)
        for values in ({"key": "far", "at": iso(NOW + 2 * DAY)}, {"key": "due"}, {"key": "due", "at": iso(NOW + DAY)}):
            assert actions.enqueue(queue, request(config={"n": 2}, replace=True, **values)).queued_as == "replaced"
        assert draining.advance(queue, drain).is_over

    def test_a_dry_run_and_a_batch_tell_it_too(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email")
        with pytest.raises(Draining):
            actions.enqueue(queue, request(), dry_run=True)
        answers = actions.enqueue_many(queue, [request(), request("free")])
        assert [isinstance(answer, Queued) for answer in answers] == [False, True]

    def test_further_jobs_of_what_was_accepted_are_accepted(self, queue: Queue) -> None:
        draining.begin(queue, "all", "")
        with queue.database.transaction() as connection:
            wanted = [prepare(queue.rules, request())]
            (answer,) = intake.place(connection, queue.rules, wanted, now=NOW, bounded=False)
        assert isinstance(answer, Queued)
        assert claimed(queue) == [answer.job_id]

    def test_a_fire_of_a_schedule_is_a_row_that_says_so(self, queue: Queue) -> None:
        register(queue, yaml())
        draining.begin(queue, "module", "email", reason="moving")
        fire(queue, ONE)
        assert told(queue) == [("13:00", "refused")]
        assert "module email is being drained" in (schedules.history(queue, "hourly", 1)[0].reason or "")

    def test_what_is_dead_is_not_brought_back(self, queue: Queue) -> None:
        mine, other = add(queue), add(queue, module_type="free")
        for job_id in claimed(queue):
            end(queue, job_id, "discarded")
        draining.begin(queue, "module", "email")
        refused, done = actions.retry(queue, [mine, other])
        assert (isinstance(refused, Draining), done) == (True, None)
        assert dead_letters.retry(queue, dead_letters.Wanted()).count == 0
        assert state(queue, mine) is State.DISCARDED
        actions.resume(queue, "module", "email")
        assert dead_letters.retry(queue, dead_letters.Wanted()).count == 1

    def test_bad_input(self, queue: Queue) -> None:
        with pytest.raises(UnknownModule):
            draining.begin(queue, "module", "nothing")
        with pytest.raises(InvalidInput):
            draining.begin(queue, "all", "", until=NOW)


class TestProgress:
    def test_what_is_due_runs_to_its_end(self, queue: Queue) -> None:
        ids = [add(queue), add(queue)]
        drain = draining.begin(queue, "module", "email")
        assert draining.advance(queue, drain).left == Left(2, 0)
        assert sorted(claimed(queue)) == ids
        assert draining.advance(queue, drain).left == Left(0, 2)
        end(queue, ids[0])
        assert not draining.advance(queue, drain).is_over
        end(queue, ids[1])
        assert draining.advance(queue, drain).is_over

    def test_other_scopes_do_not_count(self, queue: Queue) -> None:
        add(queue, module_type="free", supplier_id="s2")
        assert draining.advance(queue, draining.begin(queue, "module", "email")).is_over
        assert draining.advance(queue, draining.begin(queue, "supplier", "s1")).is_over
        assert draining.advance(queue, draining.begin(queue, "supplier", "s2")).left == Left(1, 0)
        assert draining.advance(queue, draining.begin(queue, "all", "")).left == Left(1, 0)

    def test_a_job_between_two_attempts_is_under_way(self, queue: Queue) -> None:
        job_id = add(queue)
        (job,) = jobs_claimed(queue)
        with queue.database.transaction() as connection:
            finish.apply(connection, [ending(job, State.RETRYABLE, outcome=Result.ERROR, due_at=NOW + HOUR)])
        drain = draining.begin(queue, "module", "email")
        assert draining.advance(queue, drain).left == Left(1, 0)
        assert claimed(later(queue, HOUR)) == [job_id]

    @pytest.mark.parametrize(("scope", "name"), [("module", "email"), ("supplier", "s1"), ("all", "")])
    def test_once_drained_nothing_that_falls_due_starts_until_it_is_resumed(
        self, queue: Queue, scope: str, name: str
    ) -> None:
        job_id = add(queue, at=iso(NOW + HOUR))
        drain = draining.begin(queue, scope, name)
        progress, ahead = draining.look(queue, drain)
        assert (progress.left, ahead.count, ahead.first_at) == (Left(0, 0), 1, NOW + HOUR)
        assert draining.advance(queue, drain).is_over
        assert claimed(later(queue, 2 * HOUR)) == []
        assert state(queue, job_id) is State.AVAILABLE
        assert draining.advance(later(queue, 2 * HOUR), drain).is_over
        assert "is paused" in explained(later(queue, 2 * HOUR), job_id)[1].summary
        actions.resume(queue, scope, name)
        assert claimed(later(queue, 2 * HOUR + SECOND)) == [job_id]

    @pytest.mark.parametrize(("scope", "name"), [("module", "email"), ("supplier", "s1")])
    def test_once_drained_it_starts_again_when_the_time_is_over(self, queue: Queue, scope: str, name: str) -> None:
        job_id = add(queue, at=iso(NOW + HOUR))
        drain = draining.begin(queue, scope, name, until=NOW + 3 * HOUR)
        assert draining.advance(queue, drain).is_over
        assert claimed(later(queue, 2 * HOUR)) == []
        assert claimed(later(queue, 3 * HOUR)) == [job_id]

    def test_what_falls_due_before_that_runs(self, queue: Queue) -> None:
        first, second = add(queue), add(queue, at=iso(NOW + HOUR))
        drain = draining.begin(queue, "module", "email")
        assert not draining.advance(later(queue, HOUR), drain).is_over
        assert sorted(claimed(later(queue, HOUR))) == [first, second]

    def test_maintenance_notes_what_is_drained(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email")
        add(queue, module_type="free")
        draining.begin(queue, "module", "free")
        assert (draining.advance_all(queue), draining.advance_all(queue)) == (1, 0)
        assert [(one.name, one.drained_at is not None) for one in actions.status(queue).drains] == [
            ("email", True),
            ("free", False),
        ]

    def test_begun_again_it_goes_on_with_another_end(self, queue: Queue) -> None:
        first = draining.advance(queue, draining.begin(queue, "module", "email", until=NOW + HOUR)).drain
        second = draining.begin(later(queue, MINUTE), "module", "email", reason="longer", until=NOW + 2 * HOUR)
        assert (second.begun_at, second.drained_at, second.until) == (NOW, first.drained_at, NOW + 2 * HOUR)
        third = draining.begin(later(queue, 3 * HOUR), "module", "email")
        assert (third.begun_at, third.drained_at, third.reason, third.until) == (NOW + 3 * HOUR, None, None, None)

    def test_begun_again_it_keeps_what_is_not_given(self, queue: Queue) -> None:
        draining.begin(queue, "module", "email", reason="moving", until=NOW + HOUR)
        assert draining.begin(queue, "module", "email", until=NOW + 2 * HOUR).reason == "moving"
        again = draining.begin(queue, "module", "email")
        assert (again.reason, again.until) == ("moving", NOW + 2 * HOUR)
        assert actions.status(queue).drains == [again]

    def test_jobs_explain_tells_it(self, queue: Queue) -> None:
        due, scheduled = add(queue), add(queue, at=iso(NOW + HOUR))
        draining.begin(queue, "module", "email", reason="moving")
        reasons = {job_id: explained(queue, job_id)[1].reasons[-1] for job_id in (due, scheduled)}
        assert {reason.code for reason in reasons.values()} == {"draining"}
        assert reasons[due].words.endswith("it was accepted before that, and still runs")
        assert reasons[scheduled].words.endswith("and is held otherwise")
        assert reasons[due].sooner == "wedsync-ops queue resume email"


def test_whoever_is_queueing_is_done_before_a_drain_has_begun(queue: Queue) -> None:
    """What was accepted by a transaction under way counts, so that nothing comes after the drain has ended."""
    begun = threading.Event()

    def begin() -> None:
        draining.begin(queue, "module", "email")
        begun.set()

    with queue.database.transaction() as connection:
        (answer,) = intake.place(connection, queue.rules, [prepare(queue.rules, request())], now=NOW)
        assert isinstance(answer, Queued)
        beginning = threading.Thread(target=begin)
        beginning.start()
        assert not begun.wait(0.2)
    beginning.join(10)
    assert begun.is_set()
    (drain,) = actions.status(queue).drains
    assert draining.advance(queue, drain).left == Left(1, 0)


def test_while_a_drain_waits_for_whoever_is_queueing_others_go_on_to_queue(queue: Queue) -> None:
    if queue.database.is_sqlite:  # its writers take turns anyway
        return
    beginning = threading.Thread(target=lambda: draining.begin(queue, "module", "email"))
    queueing = threading.Thread(target=lambda: add(queue, module_type="free"))
    with queue.database.transaction() as connection:
        drains.read(connection, NOW, entering=True)  # and then all that a long batch does
        beginning.start()
        until = time.monotonic() + 10
        while not waits_for_the_drains(queue.database):
            assert time.monotonic() < until
        queueing.start()
        queueing.join(10)
        is_queued, is_begun = not queueing.is_alive(), not beginning.is_alive()
    beginning.join(10)
    queueing.join(10)
    assert (is_queued, is_begun) == (True, False)
    assert [one.name for one in actions.status(queue).drains] == ["email"]


def waits_for_the_drains(database: Database) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'drains'::regclass"
    with database.reading() as connection:
        return bool(connection.execute(text(waiting)).scalar_one())


def test_what_is_read_of_drains_is_in_a_fixed_order(queue: Queue) -> None:
    for scope, name in (("supplier", "b"), ("supplier", "a"), ("module", "free"), ("all", "")):
        draining.begin(queue, scope, name)
    with queue.database.reading() as connection:
        assert [(one.scope, one.name) for one in drains.read(connection, NOW)] == [
            ("all", ""),
            ("module", "free"),
            ("supplier", "a"),
            ("supplier", "b"),
        ]
