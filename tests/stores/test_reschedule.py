"""Waiting jobs moved to another time or priority, on both databases."""

from pathlib import Path

import pytest

from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import counted, row
from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownJob, WrongState
from wedsync_ops.instants import HOUR, iso
from wedsync_ops.jobs import actions, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.model import Priority, Queued
from wedsync_ops.jobs.store import lanes, view
from wedsync_ops.limits import limits_from


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path, limits=limits_from([{"name": "one", "concurrent": 1}]))


def add(queue: Queue, **values: object) -> int:
    (answer,) = actions.enqueue_many(queue, [request(**values)])
    assert isinstance(answer, Queued), answer
    return answer.job_id or 0


def moved(queue: Queue, job_id: int, due_at: int | None = None, priority: Priority | None = None) -> dict[str, object]:
    assert actions.reschedule(queue, [job_id], due_at=due_at, priority=priority) == [None]
    with queue.database.transaction() as connection:
        found = row(connection, job_id)
        kept = {(c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting) for c in lanes.read(connection)}
        assert {lane: counts for lane, counts in kept.items() if counts != (0, 0)} == counted(connection)
    return found


def test_a_job_is_due_at_another_time(queue: Queue) -> None:
    job_id = add(queue)
    found = moved(queue, job_id, NOW + HOUR)
    assert (found["state"], found["due_at"], found["rank"]) == ("scheduled", NOW + HOUR, None)
    assert moved(queue, job_id, NOW - HOUR)["due_at"] == NOW
    with queue.database.reading() as connection:
        detail = view.show_job(connection, job_id)
    assert detail is not None
    assert detail.due_reasons == [f"rescheduled to {iso(NOW)}"]


def test_another_priority_holds_from_the_next_promotion_on(queue: Queue) -> None:
    job_id = add(queue, priority="low")
    moved(queue, job_id, priority=Priority.CRITICAL)
    with queue.database.transaction() as connection:
        assert ripen.promote(connection, queue.rules, NOW) == 1
        found = row(connection, job_id)
    assert (found["state"], found["priority"], found["due_at"]) == ("available", Priority.CRITICAL, NOW)


def test_what_a_limit_holds_can_be_moved(queue: Queue) -> None:
    ids = [add(queue), add(queue)]
    with queue.database.transaction() as connection:
        Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=NOW, slots=2, room=2)
        assert row(connection, ids[1])["held_by"] == "one:"
    assert moved(queue, ids[1], NOW + HOUR)["held_by"] is None


def test_what_runs_is_unknown_or_would_expire_is_named(queue: Queue) -> None:
    running = add(queue)
    with queue.database.transaction() as connection:
        Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=NOW, slots=1, room=1)
    expiring = add(queue, expires=iso(NOW + HOUR))
    answers = actions.reschedule(queue, [running, 999_999, expiring], due_at=NOW + 2 * HOUR, priority=None)
    assert [type(answer) for answer in answers] == [WrongState, UnknownJob, WrongState]
    assert "would have expired" in str(answers[2])
