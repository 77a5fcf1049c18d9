"""Waiting for a drain on both databases: until nothing is under way, or what is left was cancelled."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.drains import add, claimed, end, queue_with_worker, refusal, state
from tests.stores import databases
from tests.stores.queues import NOW, later, request
from tests.stores.rows import take, worker
from wedsync_ops.db import Database
from wedsync_ops.errors import WaitTimedOut, WrongState
from wedsync_ops.instants import DAY, MINUTE, SECOND, iso
from wedsync_ops.jobs import actions, draining, intake
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.draining import Progress, Wait
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.store import stops, workers
from wedsync_ops.jobs.store.drains import Left
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("draining")
    yield from databases.opened(request.param, request, home, f"draining_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_with_worker(shared, tmp_path)


class Ticking(FakeClock):
    """A clock whose pauses pass time."""

    def pause(self, seconds: float) -> None:
        self.set(self.now() + round(seconds * SECOND))


class TestWait:
    def wait(self, queue: Queue, wanted: Wait, on_pause: Any = None) -> tuple[Progress, int, list[Left]]:
        clock = Ticking(NOW)
        mine = replace(queue, clock=clock)
        heard: list[Left] = []

        def pause(seconds: float) -> None:
            clock.pause(seconds)
            if on_pause is not None:
                on_pause(mine)

        drain = draining.begin(mine, "module", "email")
        found, cancelled = draining.wait(mine, drain, wanted, pause=pause, told=lambda one: heard.append(one.left))
        return found, cancelled, heard

    def test_until_nothing_is_under_way(self, queue: Queue) -> None:
        ids = [add(queue), add(queue)]

        def work(mine: Queue) -> None:
            claimed(mine)
            if ids:
                end(queue, ids.pop())

        found, cancelled, heard = self.wait(queue, Wait(), work)
        assert (found.is_over, cancelled) == (True, 0)
        assert heard == [Left(2, 0), Left(0, 1), Left(0, 0)]

    def test_no_longer_than_asked(self, queue: Queue) -> None:
        add(queue)
        with pytest.raises(WaitTimedOut, match="module email is not drained after 5 s: 1 jobs wait and 0 run"):
            self.wait(queue, Wait(timeout_s=5))
        refusal(queue)

    def test_then_what_is_left_is_cancelled_and_what_is_scheduled_stays(self, queue: Queue) -> None:
        running = add(queue)
        claimed(queue)
        waiting, scheduled = add(queue), add(queue, at=iso(NOW + DAY))
        other = add(queue, module_type="free")

        def obey(mine: Queue) -> None:
            with mine.database.reading() as connection:
                asked = stops.find(connection)
            for stop in asked:
                end(queue, stop.job_id, "cancelled")

        found, cancelled, _ = self.wait(queue, Wait(cancel_after_s=5), obey)
        assert (found.is_over, cancelled) == (True, 2)
        assert [state(queue, job_id).value for job_id in (running, waiting, scheduled, other)] == [
            "cancelled",
            "cancelled",
            "scheduled",
            "available",
        ]

    def test_what_comes_back_later_is_cancelled_too(self, queue: Queue) -> None:
        """A job of a worker that dies waits again after it was told to stop: there is nobody who could obey."""
        job_id = add(queue)
        gone = worker(id="gone", host="elsewhere", heartbeat_at=NOW)
        with queue.database.transaction() as connection:
            workers.register(connection, gone)
            take(connection, worker="gone")
        found, cancelled, heard = self.wait(queue, Wait(timeout_s=90, cancel_after_s=5))
        assert (found.is_over, cancelled, state(queue, job_id)) == (True, 1, State.CANCELLED)
        assert heard == [Left(0, 1), Left(1, 0), Left(0, 0)]

    def test_what_is_asked_for_later_is_cancelled_too(self, queue: Queue) -> None:
        running = add(queue)
        claimed(queue)

        def end_with_a_further_job(mine: Queue) -> None:
            if state(queue, running) is State.RUNNING and mine.clock.now() > NOW + 6 * SECOND:
                with queue.database.transaction() as connection:
                    intake.place(connection, queue.rules, [prepare(queue.rules, request())], now=NOW, bounded=False)
                end(queue, running)

        found, cancelled, _ = self.wait(queue, Wait(timeout_s=30, cancel_after_s=5), end_with_a_further_job)
        assert (found.is_over, cancelled) == (True, 2)

    def test_a_dead_workers_job_runs_again(self, queue: Queue) -> None:
        job_id = add(queue)
        gone = worker(id="gone", host="elsewhere", heartbeat_at=NOW)
        with queue.database.transaction() as connection:
            workers.register(connection, gone)
            take(connection, worker="gone")
        drain = draining.begin(queue, "module", "email")
        assert draining.advance(queue, drain).left == Left(0, 1)
        assert draining.advance(later(queue, MINUTE), drain).left == Left(1, 0)
        assert claimed(later(queue, MINUTE)) == [job_id]

    def test_cancelling_goes_through_any_number(self, queue: Queue) -> None:
        actions.enqueue_many(queue, [request()] * 1100)
        drain = draining.begin(queue, "module", "email")
        assert len(draining.cancel(queue, drain)) == 1100
        assert draining.advance(queue, drain).is_over

    def test_is_broken_off_when_the_drain_is_ended(self, queue: Queue) -> None:
        add(queue)
        with pytest.raises(WrongState, match="the drain of module email has been ended"):
            self.wait(queue, Wait(), lambda mine: actions.resume(mine, "module", "email"))
