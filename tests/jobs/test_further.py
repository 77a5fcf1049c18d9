"""The further jobs of a finished one, on both databases."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import row, take
from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs import actions, further
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import Conclusion, conclude, refused
from wedsync_ops.jobs.model import Claimed, Outcome, Result
from wedsync_ops.jobs.store import finish, view


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


def finished(queue: Queue, job: Claimed, *asked: dict[str, Any]) -> Conclusion:
    """Finish a job whose handler asked for further ones, as the worker does."""

    def concluded(outcome: Outcome) -> Conclusion:
        return conclude(queue.rules, "w", job, outcome, rand=0.5)

    def refuse(one: Conclusion, error: WedsyncError) -> Conclusion:
        return concluded(refused(one.outcome, error))

    rows = [{"module_type": "email", "config": {}, **row} for row in asked]
    outcome = Outcome(job.id, job.token, job.attempt, Result.OK, NOW, 1000, b"{}", enqueue=orjson.dumps(rows))
    with queue.database.transaction() as connection:
        (made,) = further.settle(connection, queue.rules, [concluded(outcome)], now=NOW, refuse=refuse)
        finish.apply(connection, [made.finish])
    return made


def started(queue: Queue) -> Claimed:
    actions.enqueue(queue, request())
    with queue.database.transaction() as connection:
        (job,) = take(connection)
    return job


def all_jobs(queue: Queue) -> list[str]:
    with queue.database.reading() as connection:
        return [str(job.state) for job in view.list_jobs(connection, view.Filter(limit=100))]


def test_further_jobs_come_with_the_end_of_the_first(queue: Queue) -> None:
    finished(queue, started(queue), {"key": "one"}, {"delay": 5})
    assert sorted(all_jobs(queue)) == ["available", "completed", "scheduled"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"at": "2027-02-01", "delay": 5}, "exclude each other"),
        ({"expires": "2020-01-01T00:00:00Z"}, "would expire"),
        ({"key": "taken", "config": {"n": 2}}, "'taken' is taken by job"),
        ({"module_type": "nothing-such"}, "there is no module type"),
        ({"module_type": "free", "config": {"touchy": True}}, "the handler's check failed with KeyError: 'nope'"),
        ({"config": {"n": "x"}}, "config"),
    ],
)
def test_a_refused_one_fails_the_job_for_good_and_queues_none(queue: Queue, asked: dict[str, Any], reason: str) -> None:
    actions.enqueue(queue, request(key="taken", at="2028-01-01"))
    job = started(queue)
    made = finished(queue, job, {"key": "good"}, asked)
    assert made.finish.execution.outcome is Result.ERROR
    assert reason in (made.finish.execution.error or "")
    assert sorted(all_jobs(queue)) == ["discarded", "scheduled"]


def test_a_late_finisher_queues_nothing(queue: Queue) -> None:
    job = started(queue)
    finished(queue, job._replace(token=job.token - 1), {"key": "good"})
    assert all_jobs(queue) == ["running"]
    with queue.database.reading() as connection:
        assert row(connection, job.id)["error"] is None
