"""Unique jobs by every way into the queue: further jobs and schedules, on both databases."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.jobs.notes import check_lanes, note, queued, with_unique
from tests.stores.queues import NOW, queue_on
from tests.stores.rows import number_of, row, take
from tests.stores.timetables import ONE, fire, register, told, yaml
from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError
from wedsync_ops.instants import HOUR
from wedsync_ops.jobs import actions, further, schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import Conclusion, conclude, refused
from wedsync_ops.jobs.model import Claimed, Outcome, Result
from wedsync_ops.jobs.store import answers, finish


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return with_unique(queue_on(database, tmp_path))


def started(queue: Queue, form_id: str = "f") -> Claimed:
    queued(queue, note(form_id))
    with queue.database.transaction() as connection:
        (job,) = take(connection, module_type="note")
    return job


def finished(queue: Queue, job: Claimed, *asked: dict[str, Any], is_answered: bool = False) -> str:
    """Finish a job whose handler asked for further notes, as the worker does; the state that it comes to."""

    def concluded(outcome: Outcome) -> Conclusion:
        return conclude(queue.rules, "w", job, outcome, rand=0.5)

    def refuse(one: Conclusion, error: WedsyncError) -> Conclusion:
        return concluded(refused(one.outcome, error))

    rows = [{"module_type": "note", **one} for one in asked]
    outcome = Outcome(job.id, job.token, job.attempt, Result.OK, NOW, 1000, b"{}", enqueue=orjson.dumps(rows))
    with queue.database.transaction() as connection:
        if is_answered:
            answers.record(connection, job.id, NOW)
        (made,) = further.settle(connection, queue.rules, [concluded(outcome)], now=NOW, refuse=refuse)
        finish.apply(connection, [made.finish])
        state: str = row(connection, job.id)["state"]
    check_lanes(queue)
    return state


def count(queue: Queue) -> int:
    with queue.database.reading() as connection:
        return number_of(connection, "jobs")


class TestFurtherJobs:
    def test_may_follow_the_one_that_ends(self, queue: Queue) -> None:
        assert finished(queue, started(queue), {"config": {"form_id": "f", "n": 2}}) == "completed"
        assert count(queue) == 2
        assert queued(queue, note()).queued_as == "kept"

    def test_may_not_follow_it_within_its_time(self, queue: Queue) -> None:
        daily = with_unique(queue, within="24h")
        assert finished(daily, started(daily), {"config": {"form_id": "f", "n": 2}}) == "completed"
        assert count(queue) == 1

    def test_are_kept_once(self, queue: Queue) -> None:
        queued(queue, note("g", delay=60.0))
        job = started(queue)
        assert finished(queue, job, {"config": {"form_id": "g"}}, {"config": {"form_id": "h"}}) == "completed"
        assert count(queue) == 3

    def test_that_are_refused_fail_the_one_that_asks(self, queue: Queue) -> None:
        strict = with_unique(queue, on_conflict="refuse")
        queued(strict, note("g", delay=60.0))
        job = started(strict)
        asked = ({"config": {"form_id": "h"}}, {"config": {"form_id": "g"}})
        assert finished(strict, job, *asked) == "discarded"
        assert count(queue) == 2
        assert queued(strict, note("h")).queued_as == "new"

    def test_replace_one_that_waits(self, queue: Queue) -> None:
        first = queued(queue, note("g", key="k", delay=60.0))
        row_asked = {"config": {"form_id": "g", "n": 7}, "key": "k", "replace": True, "delay": 5}
        assert finished(queue, started(queue), row_asked) == "completed"
        with queue.database.reading() as connection:
            assert row(connection, first.job_id or 0)["due_at"] == NOW + HOUR // 12
        assert count(queue) == 2

    def test_of_others_are_not_cancelled_with_useless_ones(self, queue: Queue) -> None:
        other = queued(queue, note("g", delay=60.0))
        job = started(queue)
        finished(queue, job, {"config": {"form_id": "g"}}, {"config": {"form_id": "h"}}, is_answered=True)
        with queue.database.reading() as connection:
            assert row(connection, other.job_id or 0)["state"] == "scheduled"
            assert number_of(connection, "jobs WHERE state = 'cancelled'") == 1


class TestSchedules:
    CONFIG = "{form_id: f, n: 1}"

    def test_a_fire_is_skipped_while_a_job_has_the_key(self, queue: Queue) -> None:
        first = queued(queue, note())
        register(queue, yaml(module_type="note", config=self.CONFIG, overlap="queue"))
        assert fire(queue, ONE) == 1
        assert told(queue) == [("13:00", "skipped")]
        (one,) = schedules.history(queue, "hourly", 0)
        assert one.reason == f"job {first.job_id} with the same unique key is available"
        actions.cancel(queue, [first.job_id or 0])
        fire(queue, ONE + HOUR)
        assert told(queue)[1] == ("14:00", "queued")

    def test_a_fire_is_refused_where_the_module_type_says_so(self, queue: Queue) -> None:
        strict = with_unique(queue, on_conflict="refuse")
        queued(strict, note())
        register(strict, yaml(module_type="note", config=self.CONFIG, overlap="queue"))
        fire(strict, ONE)
        assert told(strict) == [("13:00", "refused")]
