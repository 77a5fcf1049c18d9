"""Requests to break off running jobs: found by whoever runs them, and gone when they have ended."""

import getpass
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import ending
from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownJob
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.exchange import Exchange
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.housekeeping import House
from wedsync_ops.jobs.model import Claimed, Queued, State
from wedsync_ops.jobs.store import claim, control, finish
from wedsync_ops.jobs.watch import watch
from wedsync_ops.testing.slots import InlineSlots


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("stops")
    yield from databases.opened(request.param, request, home, f"stops_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


@pytest.fixture
def slots(queue: Queue) -> Any:
    return InlineSlots(queue.rules.site, queue.clock, lambda _: None)  # type: ignore[arg-type]


@pytest.fixture
def exchange(queue: Queue) -> Iterator[Exchange]:
    house = House(queue.database, queue.clock, lambda: queue.rules)
    seen = watch(queue.database)
    yield Exchange(queue.database, queue.clock, house, Dispatcher(None), seen, random.Random(1))
    seen.close()


def add(queue: Queue) -> int:
    (answer,) = actions.enqueue_many(queue, [request()])
    assert isinstance(answer, Queued)
    return answer.job_id or 0


def leased(queue: Queue, worker: str) -> Claimed:
    with queue.database.transaction() as connection:
        taken = Dispatcher(None).claim(connection, queue.rules, worker_id=worker, now=NOW, slots=1, room=1)
    (job,) = taken.jobs
    return job


def stops(queue: Queue) -> int:
    with queue.database.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM stops")).scalar_one())


def states(queue: Queue, *ids: int) -> list[State]:
    with queue.database.reading() as connection:
        found = control.states(connection, ids)
    return [found[job_id] for job_id in ids]


def test_whoever_runs_the_job_is_told_once(queue: Queue, exchange: Exchange, slots: Any) -> None:
    job_id = add(queue)
    exchange.running[job_id] = leased(queue, "me")
    assert actions.stop(queue, [job_id]) == [None]
    assert actions.stop(queue, [job_id]) == [None]
    (stop,) = exchange.run("me", slots, None).stops
    assert (stop.job_id, stop.reason.startswith("cancelled by ")) == (job_id, True)
    assert exchange.run("me", slots, None).stops == []
    assert stops(queue) == 1


def test_nobody_else_is(queue: Queue, exchange: Exchange, slots: Any) -> None:
    job_id = add(queue)
    leased(queue, "other")
    actions.stop(queue, [job_id])
    assert exchange.run("me", slots, None).stops == []
    assert (states(queue, job_id), stops(queue)) == ([State.RUNNING], 1)


def test_a_claimed_job_that_has_not_started_is_cancelled_here(queue: Queue, exchange: Exchange, slots: Any) -> None:
    ids = [add(queue), add(queue)]
    exchange.run("me", slots, 2)
    assert states(queue, *ids) == [State.RUNNING, State.RUNNING]
    actions.stop(queue, ids[:1])
    exchange.run("me", slots, None)
    assert states(queue, *ids) == [State.CANCELLED, State.RUNNING]
    assert stops(queue) == 0


def test_one_that_came_back_is_cancelled_where_it_waits(queue: Queue, exchange: Exchange, slots: Any) -> None:
    job_id = add(queue)
    job = leased(queue, "dead")
    actions.stop(queue, [job_id])
    with queue.database.transaction() as connection:
        claim.release(connection, [job], now=NOW)
    exchange.run("me", slots, None)
    assert (states(queue, job_id), stops(queue)) == ([State.CANCELLED], 0)


@pytest.mark.parametrize("how", ["retry", "replace"])
def test_it_does_not_outlive_its_execution(queue: Queue, exchange: Exchange, slots: Any, how: str) -> None:
    """Asked for while nobody lives to do it, and then the job is cancelled and tried again, or replaced."""
    (answer,) = actions.enqueue_many(queue, [request(key="k")])
    assert isinstance(answer, Queued)
    job_id = answer.job_id or 0
    job = leased(queue, "dead")
    actions.stop(queue, [job_id])
    with queue.database.transaction() as connection:
        claim.release(connection, [job], now=NOW)
    if how == "retry":
        actions.cancel(queue, [job_id])
        assert actions.retry(queue, [job_id]) == [None]
    else:
        replaced = actions.enqueue(queue, request(key="k", config={"n": 2}, replace=True))
        assert replaced.job_id == job_id
    exchange.run("me", slots, None)
    assert stops(queue) == 0
    assert states(queue, job_id)[0] in {State.SCHEDULED, State.AVAILABLE}


def test_one_that_has_ended_is_forgotten(queue: Queue, exchange: Exchange, slots: Any) -> None:
    job_id = add(queue)
    job = leased(queue, "other")
    actions.stop(queue, [job_id])
    with queue.database.transaction() as connection:
        finish.apply(connection, [ending(job, State.COMPLETED)])
    exchange.run("me", slots, None)
    assert (states(queue, job_id), stops(queue)) == ([State.COMPLETED], 0)


def test_whoever_asks_knows_what_was_cancelled_and_what_was_only_asked_to_stop(queue: Queue) -> None:
    running = add(queue)
    leased(queue, "other")
    waiting = add(queue)
    told = actions.break_off(queue, [running, waiting, 99])
    assert [type(one) for one in told.answers] == [type(None), type(None), UnknownJob]
    assert told.asked == {running}
    found = explained(queue, running)[1]
    assert [reason.code for reason in found.reasons] == ["worker_gone", "asked_to_stop"]
    assert f"{getpass.getuser()} asked for it to be broken off" in found.reasons[1].words
