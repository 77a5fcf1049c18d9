"""What time does to waiting jobs."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import counted, ending, row, take
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.jobs import actions, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Priority, Result, State
from wedsync_ops.jobs.store import claim, control, finish, lanes


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    """Both dialects in turn, without a row."""
    return databases.emptied(shared)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def queued(queue: Queue, **values: Any) -> int:
    return actions.enqueue(queue, request(**values)).job_id or 0


def promoted(queue: Queue, now: int) -> int:
    with queue.database.transaction() as connection:
        return ripen.promote(connection, queue.rules, now)


def reconsidered(queue: Queue, now: int) -> int:
    with queue.database.transaction() as connection:
        return ripen.reconsider(connection, queue.rules, now)


def job(queue: Queue, job_id: int) -> dict[str, Any]:
    with queue.database.reading() as connection:
        found = row(connection, job_id)
        shown = {
            (c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting)
            for c in lanes.read(connection)
            if c.waiting
        }
        assert shown == counted(connection)
    return found


class TestPromote:
    def test_makes_available_what_has_fallen_due(self, queue: Queue) -> None:
        job_id = queued(queue, delay=5)
        assert promoted(queue, NOW + 5 * MINUTE - 1) == 0
        assert promoted(queue, NOW + 5 * MINUTE) == 1
        found = job(queue, job_id)
        assert (found["state"], found["rank"]) == ("available", NOW + 5 * MINUTE + SECOND)
        assert found["next_change_at"] == NOW + 20 * MINUTE
        assert promoted(queue, NOW + DAY) == 0

    def test_ranks_in_the_order_of_due_times_and_moves_the_supplier_s_tag_on(self, queue: Queue) -> None:
        second, first = queued(queue, delay=2), queued(queue, delay=1)
        other = queued(queue, delay=2, supplier_id="s2")
        now = NOW + HOUR // 12
        assert promoted(queue, now) == 3
        ranks = [job(queue, job_id)["rank"] - now for job_id in (first, second, other)]
        assert ranks == [SECOND, 2 * SECOND, SECOND]
        queued(queue, delay=6)
        assert promoted(queue, now + HOUR) == 1

    def test_decides_the_priority_for_that_moment(self, queue: Queue) -> None:
        job_id = queued(queue, wedding_date="2027-02-20", at="2027-02-10T12:00:00Z")
        assert job(queue, job_id)["priority"] == Priority.NORMAL
        moment = NOW + 37 * DAY  # three days late, and one day before the wedding
        assert promoted(queue, moment) == 1
        assert job(queue, job_id)["priority"] == Priority.CRITICAL

    def test_reckons_in_the_platform_s_zone_where_the_job_s_is_not_known(self, queue: Queue) -> None:
        job_id = queued(queue, wedding_date="2027-01-15", delay=1)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET timezone = 'Atlantis/Capital'"))
        assert promoted(queue, NOW + MINUTE) == 1
        assert job(queue, job_id)["priority"] == Priority.HIGH

    def test_a_retried_job_keeps_its_rank(self, queue: Queue) -> None:
        job_id = queued(queue)
        rank = job(queue, job_id)["rank"]
        with queue.database.transaction() as connection:
            (claimed,) = take(connection)
            failed = ending(claimed, State.RETRYABLE, outcome=Result.ERROR, due_at=NOW + MINUTE)
            finish.apply(connection, [failed])
        assert promoted(queue, NOW + MINUTE) == 1
        assert (job(queue, job_id)["rank"], job(queue, job_id)["state"]) == (rank, "available")

    def test_a_manually_retried_job_is_ranked_anew(self, queue: Queue) -> None:
        job_id = queued(queue)
        with queue.database.transaction() as connection:
            control.cancel(connection, [job_id], NOW)
            control.retry(connection, control.retryable(connection, [job_id]), NOW + HOUR)
        assert promoted(queue, NOW + HOUR) == 1
        assert job(queue, job_id)["rank"] == NOW + HOUR + SECOND

    def test_what_has_expired_is_not_started(self, queue: Queue) -> None:
        job_id = queued(queue, delay=5, expires="2027-01-13T12:10:00Z")
        assert promoted(queue, NOW + 10 * MINUTE) == 1
        found = job(queue, job_id)
        assert (found["state"], found["finished_at"]) == ("expired", NOW + 10 * MINUTE)

    def test_goes_in_chunks(self, queue: Queue) -> None:
        actions.enqueue_many(queue, [request(delay=1)] * (claim.CHUNK + 3))
        assert [promoted(queue, NOW + HOUR) for _ in range(3)] == [claim.CHUNK, 3, 0]


class TestReconsider:
    def test_waiting_raises_a_job_up_to_high(self, queue: Queue) -> None:
        job_id = queued(queue, priority="low")
        steps = []
        for minutes in (14, 15, 29, 30, 500):
            reconsidered(queue, NOW + minutes * MINUTE)
            steps.append(job(queue, job_id)["priority"])
        assert steps == [Priority.LOW, Priority.NORMAL, Priority.NORMAL, Priority.HIGH, Priority.HIGH]
        assert job(queue, job_id)["next_change_at"] is None

    def test_a_nearing_wedding_raises_a_job(self, queue: Queue) -> None:
        job_id = queued(queue, wedding_date="2027-01-21", priority="high")
        assert job(queue, job_id)["priority"] == Priority.HIGH
        assert reconsidered(queue, NOW + 6 * DAY) == 1
        reconsidered(queue, NOW + 7 * DAY + 12 * HOUR)
        assert job(queue, job_id)["priority"] == Priority.CRITICAL

    def test_an_expiry_ends_a_waiting_job(self, queue: Queue) -> None:
        job_id = queued(queue, expires="2027-01-13T12:05:00Z")
        assert reconsidered(queue, NOW + 5 * MINUTE - 1) == 0
        assert reconsidered(queue, NOW + 5 * MINUTE) == 1
        assert job(queue, job_id)["state"] == "expired"

    def test_keeps_the_rank(self, queue: Queue) -> None:
        job_id = queued(queue)
        rank = job(queue, job_id)["rank"]
        assert reconsidered(queue, NOW + HOUR) == 1
        assert (job(queue, job_id)["rank"], job(queue, job_id)["priority"]) == (rank, Priority.HIGH)
