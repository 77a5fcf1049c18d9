"""Forms from invitation to answer, on both databases: reminders wait, an answer cancels them, couples are thanked."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import CONTEXT
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidContext, NotFound, WedsyncError
from wedsync_ops.handlers import form
from wedsync_ops.instants import DAY, parse_instant
from wedsync_ops.jobs import actions, further, responses
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import Conclusion, conclude, refused
from wedsync_ops.jobs.equip import order_for
from wedsync_ops.jobs.events import document
from wedsync_ops.jobs.model import Claimed, Lane, Outcome, Priority, Request
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.run import Attempt
from wedsync_ops.jobs.store import claim, events, finish, view
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

NOW = parse_instant("2027-01-13T12:00:00Z")
SHIPPED = (Path(__file__).parents[2] / "modules.yaml").read_bytes()
COUPLE = {**CONTEXT, "client_data": {"email": "couple@example.org", "couple_name": "Ada & Grace"}}
SECRET = "00" * 32


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("forms")
    yield from databases.opened(request.param, request, home, f"forms_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    database = databases.emptied(shared)
    assert modules.register(database, SHIPPED, "test", now=NOW).problems == ()
    settings = Settings(home=tmp_path)
    with database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings, SECRET), settings)
    return Queue(database, FakeClock(NOW), rules)


def run_form(queue: Queue, context: Any = COUPLE, **config: Any) -> str:
    """Queue a form, run it as a worker does, and give the invitation's id."""
    job = start_form(queue, context, **config)
    _write(queue, job, _deliver(queue, job))
    return form.invitation_id_for(queue.rules.site, job.id)


def start_form(queue: Queue, context: Any = COUPLE, **config: Any) -> Claimed:
    actions.enqueue(queue, Request("form", {"form_id": "guests", **config}, context))
    return start_next(queue, "form")


def run_next(queue: Queue, module: str) -> int:
    """Run the next available job of a module type as a worker does, and give its id."""
    job = start_next(queue, module)
    _write(queue, job, _deliver(queue, job))
    return job.id


def start_next(queue: Queue, module: str) -> Claimed:
    with queue.database.transaction() as connection:
        rows = claim.claim(connection, Lane(module, Priority.NORMAL), 1, worker_id="w")
        (job,) = claim.load(connection, rows)
    return job


def _deliver(queue: Queue, job: Claimed) -> Conclusion:
    """The couple has the invitation in their hands; nothing of it is written in the database."""
    order = order_for(queue.rules, job)
    verdict = Attempt(order, queue.rules.site, NOW, lambda _: None).perform()
    assert verdict.error is None
    outcome = Outcome(job.id, job.token, job.attempt, verdict.result, NOW, 1000, verdict.data, enqueue=verdict.enqueue)
    return conclude(queue.rules, "w", job, outcome, rand=0.5)


def _write(queue: Queue, job: Claimed, made: Conclusion) -> None:
    def refuse(one: Conclusion, error: WedsyncError) -> Conclusion:
        return conclude(queue.rules, "w", job, refused(one.outcome, error), rand=0.5)

    with queue.database.transaction() as connection:
        (settled,) = further.settle(connection, queue.rules, [made], now=NOW, refuse=refuse)
        assert finish.apply(connection, [settled.finish]) == {job.id}


def states(queue: Queue, module: str = "email") -> list[str]:
    with queue.database.reading() as connection:
        jobs = view.list_jobs(connection, view.Filter(module=module))
    return [str(job.state) for job in reversed(jobs)]


def waiting(queue: Queue) -> int:
    return sum(lane.waiting for lane in actions.status(queue).lanes)


def strip(queue: Queue, condition: str) -> None:
    with queue.database.transaction() as connection:
        connection.execute(text(f"UPDATE payloads SET config = NULL, context = NULL WHERE {condition}"))


def test_reminders_wait_and_an_answer_cancels_them_all(queue: Queue) -> None:
    invitation = run_form(queue, reminder_enabled=True, reminder_frequency=4, deadline="2027-01-31")
    assert states(queue) == ["scheduled"] * 4
    assert waiting(queue) == 4
    done = responses.responded(queue, invitation)
    assert len(done.cancelled) == 4
    assert (done.follow_up, done.follow_up_job_id) == ("not wanted", None)
    assert states(queue) == ["cancelled"] * 4
    assert waiting(queue) == 0
    assert responses.responded(queue, invitation).cancelled == []


@pytest.mark.parametrize("thanked", [False, True])
def test_an_answer_that_comes_before_the_form_has_finished_cancels_its_reminders(queue: Queue, thanked: bool) -> None:
    job = start_form(queue, reminder_enabled=True, auto_follow_up=thanked)
    delivered = _deliver(queue, job)
    done = responses.responded(queue, form.invitation_id_for(queue.rules.site, job.id))
    assert (done.cancelled, done.follow_up) == ([], "queued" if thanked else "not wanted")
    _write(queue, job, delivered)
    assert sorted(states(queue)) == ["available"] * thanked + ["cancelled"] * 5
    assert waiting(queue) == thanked
    with queue.database.reading() as connection:
        told = [event.state for event in events.read(connection, 0, 100)]
    assert told == ["cancelled"] * 5 + ["completed"]


def test_an_answer_that_comes_while_the_form_finishes_waits_and_finds_its_reminders(queue: Queue) -> None:
    """It meets the transaction that finishes the form in the middle: the reminders are queued and not committed."""
    job = start_form(queue, reminder_enabled=True)
    made = _deliver(queue, job)
    invitation = form.invitation_id_for(queue.rules.site, job.id)
    with ThreadPoolExecutor(1) as other:
        with queue.database.transaction() as connection:
            (settled,) = further.settle(connection, queue.rules, [made], now=NOW, refuse=lambda one, _: one)
            answering = other.submit(responses.responded, queue, invitation)
            finish.apply(connection, [settled.finish])
        done = answering.result(timeout=30)
    assert len(done.cancelled) == 5
    assert states(queue) == ["cancelled"] * 5


def test_an_answer_leaves_the_reminders_of_others_alone(queue: Queue) -> None:
    first = run_form(queue, reminder_enabled=True)
    second = run_form(queue, reminder_enabled=True)
    assert first != second
    assert len(responses.responded(queue, first).cancelled) == 5
    assert states(queue) == ["cancelled"] * 5 + ["scheduled"] * 5


def test_a_reminder_that_was_sent_is_not_cancelled(queue: Queue) -> None:
    invitation = run_form(queue, reminder_enabled=True)
    with queue.database.transaction() as connection:
        connection.execute(
            text("UPDATE jobs SET state = 'completed', finished_at = due_at WHERE key LIKE '%:reminder:1'")
        )
    assert len(responses.responded(queue, invitation).cancelled) == 4


def test_with_auto_follow_up_the_couple_is_thanked_once(queue: Queue) -> None:
    invitation = run_form(queue, auto_follow_up=True)
    done = responses.responded(queue, invitation)
    assert (done.follow_up, states(queue)) == ("queued", ["available"])
    assert responses.responded(queue, invitation) == responses.Answered([], done.follow_up_job_id, "queued before")
    with queue.database.reading() as connection:
        thanks = view.show_job(connection, done.follow_up_job_id or 0)
    assert thanks is not None
    assert thanks.config == {"template_id": "form-received"}
    assert thanks.context == COUPLE


def test_the_thanks_are_known_from_a_reminder_when_the_form_is_no_longer_kept(queue: Queue) -> None:
    invitation = run_form(queue, auto_follow_up=True, reminder_enabled=True)
    strip(queue, f"job_id = {form.job_of(queue.rules.site, invitation)}")
    done = responses.responded(queue, invitation)
    assert (len(done.cancelled), done.follow_up) == (5, "queued")


@pytest.mark.parametrize(("given", "follow_up"), [(None, "unknown"), (COUPLE, "queued")])
def test_when_nothing_is_kept_a_context_must_be_given(queue: Queue, given: Any, follow_up: str) -> None:
    invitation = run_form(queue, auto_follow_up=True, reminder_enabled=True)
    strip(queue, "true")
    done = responses.responded(queue, invitation, given)
    assert (len(done.cancelled), done.follow_up) == (5, follow_up)


def test_a_context_that_is_wrong_changes_nothing(queue: Queue) -> None:
    invitation = run_form(queue, reminder_enabled=True)
    with pytest.raises(InvalidContext):
        responses.responded(queue, invitation, CONTEXT)
    assert states(queue) == ["scheduled"] * 5


def test_thanks_that_are_refused_do_not_keep_the_reminders(queue: Queue) -> None:
    invitation = run_form(queue, auto_follow_up=True, reminder_enabled=True)
    modules.retire(queue.database, "email", now=NOW)
    with queue.database.reading() as connection:
        queue = replace(queue, rules=replace(queue.rules, registry=store.load(connection)))
    done = responses.responded(queue, invitation)
    assert (len(done.cancelled), done.follow_up_job_id) == (5, None)
    assert "retired" in done.follow_up


@pytest.mark.parametrize("wrong", ["form-1-" + "0" * 32, "", "page-1", "1"])
def test_an_invitation_that_was_not_made_here_is_not_found(queue: Queue, wrong: str) -> None:
    with pytest.raises(NotFound):
        responses.responded(queue, wrong)


def test_reminders_that_are_due_become_available_and_then_expire(queue: Queue) -> None:
    run_form(queue, reminder_enabled=True, deadline="2027-01-17")
    with queue.database.reading() as connection:
        (ripe,) = claim.due(connection, NOW + 3 * DAY)
        assert claim.due(connection, NOW + 3 * DAY - 1) == []
    assert ripe.expires_at == parse_instant("2027-01-18T00:00:00Z")


def test_the_journey_goes_on_once_whatever_follows_from_the_form(queue: Queue) -> None:
    context = {**COUPLE, "step_data": {"id": 7, "next_step": "timeline"}}
    invitation = run_form(queue, context, reminder_enabled=True, auto_follow_up=True, deadline="2027-01-17")
    assert responses.responded(queue, invitation).follow_up == "queued"
    run_next(queue, "email")
    with queue.database.reading() as connection:
        told = [document(event) for event in events.read(connection, 0, 100)]
    assert [(event["state"], event["next_step"]) for event in told] == [
        ("completed", "timeline"),
        ("cancelled", None),
        ("completed", None),
    ]


def test_a_context_that_the_caller_gives_for_the_thanks_does_not_repeat_the_step(queue: Queue) -> None:
    invitation = run_form(queue)
    done = responses.responded(queue, invitation, {**COUPLE, "step_data": {"id": 7, "next_step": "timeline"}})
    with queue.database.reading() as connection:
        thanks = view.show_job(connection, done.follow_up_job_id or 0)
    assert thanks is not None
    assert thanks.context == {**COUPLE, "step_data": {"id": 7}}
