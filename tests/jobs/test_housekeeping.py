"""What one worker of all does for the platform: measured once, taken over after a death, never by a stale leader."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores import databases
from tests.stores.queues import queue_on, request
from tests.stores.rows import ending, take
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.housekeeping import MEASURING, TERM_S, House
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import durations, finish, terms, workers
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


def house(queue: Queue, worker_id: str) -> House:
    made = House(queue.database, queue.clock, lambda: queue.rules)
    made.worker_id = worker_id
    return made


def executed(queue: Queue, duration_us: int) -> None:
    """One more job that took so long."""
    actions.enqueue(queue, request())
    with queue.database.transaction() as connection:
        (job,) = take(connection)
        finish.apply(connection, [ending(job, State.COMPLETED, duration_us=duration_us)])


def measured(queue: Queue) -> int | None:
    with queue.database.reading() as connection:
        known = durations.read(connection).get("email")
    return None if known is None else known.p50_us


def advance(queue: Queue, seconds: float) -> None:
    assert isinstance(queue.clock, FakeClock)
    queue.clock.set(queue.clock.now() + round(seconds * SECOND))


def test_one_worker_measures_until_its_term_ends(queue: Queue) -> None:
    first, second = house(queue, "a"), house(queue, "b")
    executed(queue, 100)
    first.measure()
    assert measured(queue) == 100
    executed(queue, 50)
    second.measure()
    assert measured(queue) == 100
    advance(queue, TERM_S)
    second.measure()
    assert measured(queue) == 50
    executed(queue, 10)
    first.measure()
    assert measured(queue) == 50


def test_who_stops_leaves_it_to_the_next_at_once(queue: Queue) -> None:
    house(queue, "a").measure()
    executed(queue, 100)
    with queue.database.transaction() as connection:
        workers.stop(connection, "a", queue.clock.now())
    house(queue, "b").measure()
    assert measured(queue) == 100


def test_a_stale_leader_s_write_is_undone(queue: Queue) -> None:
    leader = Leader(queue.database, queue.clock, TERM_S)
    stale = leader.lead(MEASURING, "a")
    assert stale is not None
    with leader.writing(stale) as connection:
        durations.measure(connection, queue.clock.now())
    executed(queue, 100)
    advance(queue, TERM_S)
    assert leader.lead(MEASURING, "b") is not None
    with pytest.raises(TermOver, match="'durations' is over; b has it now"), leader.writing(stale) as connection:
        durations.measure(connection, queue.clock.now())
    assert measured(queue) is None
    with queue.database.reading() as connection:
        assert [(term.holder, term.number) for term in terms.read(connection)] == [("b", 2)]
