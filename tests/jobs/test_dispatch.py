"""What a worker claims and in which order it hands it out, on both databases."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import row
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.ahead import AHEAD_MAX
from wedsync_ops.jobs.dispatch import UNABLE_US, Claim, Dispatcher
from wedsync_ops.jobs.model import Queued

QUICK_US, SLOW_US = 100, 400_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


def queued(queue: Queue, count: int = 1, **values: Any) -> list[int]:
    answers = actions.enqueue_many(queue, [request(**values)] * count)
    assert all(isinstance(answer, Queued) for answer in answers), answers
    return [answer.job_id or 0 for answer in answers if isinstance(answer, Queued)]


def claimed(queue: Queue, dispatch: Dispatcher, *, room: int, slots: int = 4, now: int = NOW) -> Claim:
    with queue.database.transaction() as connection:
        taken = dispatch.claim(connection, queue.rules, worker_id="w", now=now, slots=slots, room=room)
    dispatch.keep(taken)
    return taken


def state(queue: Queue, job_id: int) -> str:
    with queue.database.reading() as connection:
        return str(row(connection, job_id)["state"])


def test_nothing_of_unknown_length_is_claimed_ahead(queue: Queue) -> None:
    queued(queue, 50)
    dispatch = Dispatcher(None)
    assert len(claimed(queue, dispatch, room=4).jobs) == 4
    assert dispatch.more
    assert len(claimed(queue, dispatch, room=0).jobs) == 0


def test_quick_jobs_are_claimed_ahead_and_slow_ones_are_not(queue: Queue) -> None:
    queued(queue, 300)
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=1)
    first = dispatch.pop()
    dispatch.learn(first, QUICK_US)
    assert len(claimed(queue, dispatch, room=4).jobs) == AHEAD_MAX
    assert dispatch.is_quick()
    for _ in range(60):
        dispatch.learn(first, SLOW_US)
    assert not dispatch.is_quick()
    while len(dispatch):
        dispatch.pop()
    assert len(claimed(queue, dispatch, room=4).jobs) == 4


def test_what_this_worker_has_no_handler_for_is_given_back_and_left_alone_for_a_minute(queue: Queue) -> None:
    queued(queue, 1, module_type="info", client_data={"email": "a@b.co"})
    mine = queued(queue, 6)
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=5)
    refused = next(job for job in iter(dispatch.pop, None) if job.id in mine)
    dispatch.avoid(refused, NOW + UNABLE_US)
    assert dispatch.lacking == {"email"}
    taken = claimed(queue, dispatch, room=5)
    assert {job.module_type for job in taken.jobs} <= {"info"}
    assert {state(queue, job_id) for job_id in mine if job_id != refused.id} == {"available"}
    assert not dispatch.more
    assert dispatch.next_due == NOW + UNABLE_US
    again = claimed(queue, dispatch, room=5, now=NOW + UNABLE_US)
    assert {job.module_type for job in again.jobs} == {"email"}


def test_each_module_type_has_a_length_of_its_own(queue: Queue) -> None:
    queued(queue, 100)
    slow = queued(queue, 100, module_type="info", priority="high", client_data={"email": "a@b.co"})
    dispatch = Dispatcher(None)
    taken = claimed(queue, dispatch, room=1)
    assert [job.id for job in taken.jobs] == slow[:1]
    dispatch.learn(dispatch.pop(), SLOW_US)
    # What comes after a slow lane is not claimed ahead of it either.
    assert {job.module_type for job in claimed(queue, dispatch, room=2).jobs} == {"info"}
    assert len(dispatch) == 2


def test_a_paused_supplier_does_not_stop_those_after_it(queue: Queue) -> None:
    queued(queue, 30, priority="high", supplier_id="s1")
    (other,) = queued(queue, supplier_id="s2")
    actions.pause(queue, "supplier", "s1")
    dispatch = Dispatcher(None)
    taken = claimed(queue, dispatch, room=2)
    assert [job.id for job in taken.jobs] == [other]
    assert not dispatch.more
    actions.resume(queue, "supplier", "s1")
    assert len(claimed(queue, dispatch, room=2).jobs) == 2


@pytest.mark.parametrize(("scope", "name"), [("all", ""), ("module", "email"), ("supplier", "s1")])
def test_a_pause_reaches_what_is_claimed_and_not_started(queue: Queue, scope: str, name: str) -> None:
    ids = queued(queue, 3)
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=3)
    running = dispatch.pop()
    ahead = dispatch.lend()
    actions.pause(queue, scope, name)
    taken = claimed(queue, dispatch, room=0)
    assert taken.recall
    assert [state(queue, job_id) for job_id in ids] == ["running", "running", "available"]
    dispatch.take_back([ahead.id])
    assert not claimed(queue, dispatch, room=0).recall
    assert [state(queue, job_id) for job_id in ids] == ["running", "available", "available"]
    assert running.id == ids[0]
    with queue.database.reading() as connection:
        assert row(connection, ids[1])["attempt"] == 0


def test_what_expires_before_it_starts_is_not_started(queue: Queue) -> None:
    ids = queued(queue, 2, expires="2027-01-13T12:05:00Z")
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=2)
    dispatch.pop()
    claimed(queue, dispatch, room=1, now=NOW + 5 * MINUTE)
    assert len(dispatch) == 0
    assert [state(queue, job_id) for job_id in ids] == ["running", "expired"]


def test_an_urgent_arrival_is_claimed_although_every_slot_is_busy(queue: Queue) -> None:
    queued(queue, 10, priority="low")
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=1)
    dispatch.learn(dispatch.pop(), QUICK_US)
    claimed(queue, dispatch, room=1)
    dispatch.pop()
    lent = [dispatch.lend() for _ in range(len(dispatch))]
    (urgent,) = queued(queue, priority="critical")
    assert [job.id for job in claimed(queue, dispatch, room=0).jobs][:1] == [urgent]
    assert dispatch.is_overtaken
    dispatch.take_back([job.id for job in lent])
    assert dispatch.pop().id == urgent


def test_nothing_is_kept_of_a_transaction_that_was_rolled_back(queue: Queue) -> None:
    queued(queue, 3)
    dispatch = Dispatcher(None)
    with queue.database.writer.begin() as connection:
        dispatch.claim(connection, queue.rules, worker_id="w", now=NOW, slots=1, room=1)
        connection.rollback()
    assert (len(dispatch), dispatch.more) == (0, True)
    assert len(claimed(queue, dispatch, room=1).jobs) == 1


def test_a_region_s_worker_is_not_held_up_by_more_urgent_jobs_of_another(queue: Queue) -> None:
    elsewhere = queued(queue, 300, location="Chicago", priority="high")
    here = queued(queue, 3, location="Austin, TX")
    anywhere = queued(queue, 2)
    dispatch = Dispatcher(None, "south")
    first = claimed(queue, dispatch, room=4)
    assert (len(first.jobs), first.more) == (4, True)
    assert not dispatch.is_outranked
    assert [dispatch.pop().id for _ in range(len(dispatch))] == [*here, anywhere[0]]
    rest = claimed(queue, dispatch, room=4)
    assert ([job.id for job in rest.jobs], rest.more) == (anywhere[1:], False)
    assert {state(queue, job_id) for job_id in elsewhere} == {"available"}
    everywhere = Dispatcher(None)
    assert {job.id for job in claimed(queue, everywhere, room=300).jobs} == set(elsewhere)


def test_jobs_that_were_claimed_together_start_in_the_order_of_their_ranks(queue: Queue) -> None:
    first, second, third = queued(queue, 3, supplier_id="many")
    (fourth,) = queued(queue, supplier_id="few")
    dispatch = Dispatcher(None)
    claimed(queue, dispatch, room=4)
    assert [dispatch.pop().id for _ in range(4)] == [first, fourth, second, third]
