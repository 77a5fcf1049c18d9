"""What a worker claims when memory or slots are short, on both databases."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import row
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.admission import UNLIMITED_KB
from wedsync_ops.jobs.admitting import PATIENCE_US
from wedsync_ops.jobs.dispatch import Claim, Dispatcher
from wedsync_ops.jobs.model import Claimed, Expected, Queued
from wedsync_ops.limits import limits_from
from wedsync_ops.vendors import vendor_types_from

MB = 1024
LONG, QUICK = Expected(60 * SECOND, 90 * SECOND, 100 * MB), Expected(900, 1000, 100 * MB)
TOMORROW = "2027-01-15"  # the day after the next, so that the priority is high


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("admitting")
    yield from databases.opened(request.param, request, home, f"admitting_{uuid.uuid4().hex[:12]}")


class Worker:
    """A worker's dispatcher, and what it has started. Everything that it claims starts at once."""

    def __init__(
        self, queue: Queue, expected: Mapping[str, Expected], *, slots: int, memory_mb: int | None = None
    ) -> None:
        self.queue = queue
        self.rules = replace(queue.rules, expected=expected)
        self.slots = slots
        self.dispatch = Dispatcher(None, memory_kb=UNLIMITED_KB if memory_mb is None else memory_mb * MB)
        self.running: list[Claimed] = []

    def claim(self, now: int = NOW) -> Claim:
        with self.queue.database.transaction() as connection:
            taken = self.dispatch.claim(
                connection,
                self.rules,
                worker_id="w",
                now=now,
                slots=self.slots,
                room=self.slots - len(self.running),
                running=lambda: self.running,
            )
        self.dispatch.keep(taken)
        return taken

    def start(self, now: int = NOW) -> list[str]:
        """The module types of what it starts now."""
        self.claim(now)
        started = [self.dispatch.pop() for _ in range(min(len(self.dispatch), self.slots - len(self.running)))]
        self.running += started
        return [job.module_type for job in started]

    def end(self, count: int = 1) -> None:
        for job in self.running[:count]:
            self.dispatch.learn(job, 1000)
        del self.running[:count]


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


def add(queue: Queue, count: int = 1, **values: Any) -> Sequence[int]:
    answers = actions.enqueue_many(queue, [request(**values)] * count)
    assert all(isinstance(answer, Queued) for answer in answers), answers
    return [answer.job_id or 0 for answer in answers if isinstance(answer, Queued)]


def state(queue: Queue, job_id: int) -> str:
    with queue.database.reading() as connection:
        return str(row(connection, job_id)["state"])


def test_no_more_starts_than_memory_is_there_for(queue: Queue) -> None:
    jobs = add(queue, 9)
    worker = Worker(queue, {"email": LONG}, slots=4, memory_mb=250)
    assert worker.start() == ["email"] * 2
    assert (worker.start(), worker.dispatch.more) == ([], False)
    assert state(queue, jobs[2]) == "available"  # whoever has memory may take it
    worker.end()
    assert worker.start() == ["email"]


@pytest.mark.parametrize("together", [True, False])
def test_jobs_of_a_memory_optimised_vendor_type_promise_half_as_much_again(queue: Queue, together: bool) -> None:
    others = Worker(queue, {"email": LONG}, slots=4, memory_mb=400)
    add(queue, 4, vendor_type="photographer")
    assert others.start() == ["email"] * 4
    jobs: list[int] = []
    worker = Worker(queue, {"email": LONG}, slots=4, memory_mb=400)
    for _ in range(1 if together else 4):
        jobs += add(queue, 4 if together else 1, vendor_type="venue")
        worker.start()
    assert [job.id for job in worker.running] == jobs[:2]  # 300 MB are promised; a third would make 450
    assert [state(queue, job) for job in jobs[2:]] == ["available"] * 2
    assert worker.dispatch.keeps_back
    assert not worker.dispatch.more  # it does not claim and give back without end
    worker.end()
    assert worker.start() == ["email"]


def test_no_job_promises_more_than_it_may_take(queue: Queue) -> None:
    add(queue, 3, vendor_type="venue")
    worker = Worker(queue, {"email": Expected(60 * SECOND, 90 * SECOND, 500 * MB)}, slots=4, memory_mb=1024)
    assert worker.start() == ["email"] * 2  # of 512 MB each, which is the limit, and not of 750


def test_vendor_types_are_what_is_configured(queue: Queue) -> None:
    vendors = vendor_types_from(
        {"venue": {"resource_profile": "balanced"}, "dj": {"resource_profile": "memory_optimized"}}
    )
    worker = Worker(queue, {"email": LONG}, slots=4, memory_mb=400)
    worker.rules = replace(worker.rules, settings=replace(worker.rules.settings, vendor_types=vendors))
    add(queue, 1, vendor_type="dj")
    add(queue, 3, vendor_type="venue")
    assert len(worker.start()) == 3  # 150 + 100 + 100


def test_what_was_never_measured_may_need_its_whole_limit(queue: Queue) -> None:
    add(queue, 9)
    assert len(Worker(queue, {}, slots=4, memory_mb=1600).start()) == 3  # of 512 MB each


def test_a_job_that_never_fits_runs_alone(queue: Queue) -> None:
    add(queue, 2, module_type="free")
    worker = Worker(queue, {"free": Expected(1, 1, 900 * MB), "email": QUICK}, slots=4, memory_mb=500)
    assert worker.start() == ["free"]
    add(queue, 2)
    assert worker.start() == []
    worker.end()
    assert "free" not in worker.start() or len(worker.running) == 1


def test_small_jobs_pass_a_large_one_for_a_while_only(queue: Queue) -> None:
    expected = {"free": Expected(1, 1, 450 * MB), "email": LONG}
    worker = Worker(queue, expected, slots=4, memory_mb=500)
    add(queue, 1)
    assert worker.start() == ["email"]
    add(queue, 1, module_type="free", priority="critical")
    add(queue, 9)
    assert worker.start() == ["email"] * 3
    worker.end(2)
    assert worker.start(NOW + PATIENCE_US - 1) == ["email"] * 2
    worker.end(2)
    assert worker.start(NOW + PATIENCE_US) == []
    worker.end(2)
    assert worker.start(NOW + PATIENCE_US + 1) == ["free"]


def test_a_fifth_of_the_slots_stays_free_for_wedding_weeks(queue: Queue) -> None:
    long = add(queue, 20, priority="high")
    worker = Worker(queue, {"email": LONG}, slots=10)
    assert len(worker.start()) == 8
    assert worker.start() == []
    [wedding] = add(queue, 1, wedding_date=TOMORROW)  # in the same lane, after twelve others
    assert worker.start() == ["email"]
    assert worker.running[-1].id == wedding
    assert state(queue, long[8]) == "available"


def test_the_kept_slots_are_lent_to_what_ends_soon(queue: Queue) -> None:
    add(queue, 20, module_type="free", priority="high")
    add(queue, 20)
    worker = Worker(queue, {"free": LONG, "email": QUICK}, slots=5)
    assert sorted(worker.start()) == ["email", *["free"] * 4]


def test_below_five_slots_nothing_is_kept(queue: Queue) -> None:
    add(queue, 20)
    assert len(Worker(queue, {"email": LONG}, slots=4).start()) == 4


def test_the_week_is_counted_in_the_wedding_s_own_zone(queue: Queue) -> None:
    now = NOW + 11 * 60 * MINUTE + 30 * MINUTE  # 2027-01-13 23:30 UTC, the 14th in Tokyo
    add(queue, 4, priority="high")
    worker = Worker(queue, {"email": LONG}, slots=5)
    assert len(worker.start(now)) == 4
    [far] = add(queue, 1, wedding_date="2027-01-21", timezone="Europe/London", priority="high")
    assert (worker.start(now), state(queue, far)) == ([], "available")  # 8 days
    [near] = add(queue, 1, wedding_date="2027-01-21", timezone="Asia/Tokyo", priority="high")
    worker.start(now)
    assert [job.id for job in worker.running[4:]] == [near]


def test_a_limit_holds_for_wedding_weeks_too(shared: Database, tmp_path: Path) -> None:
    limits = limits_from([{"name": "four", "concurrent": 4, "modules": ["email"]}])
    queue = queue_on(databases.emptied(shared), tmp_path, limits=limits)
    add(queue, 4, priority="high")
    worker = Worker(queue, {"email": LONG}, slots=5)
    assert len(worker.start()) == 4
    add(queue, 1, wedding_date=TOMORROW)
    assert worker.start() == []


def test_what_is_kept_back_is_looked_at_again_even_if_nobody_says_so(queue: Queue) -> None:
    add(queue, 9)
    worker = Worker(queue, {"email": LONG}, slots=4, memory_mb=250)
    worker.start()
    worker.claim()
    assert worker.dispatch.keeps_back
    assert worker.dispatch.next_due is not None
    assert worker.dispatch.next_due <= NOW + SECOND


def test_quick_jobs_are_claimed_ahead_while_long_ones_wait_for_a_slot(queue: Queue) -> None:
    add(queue, 20, module_type="free", priority="high")
    add(queue, 50)
    worker = Worker(queue, {"free": LONG, "email": QUICK}, slots=5)
    worker.dispatch.learn(_example(queue, worker), 100)
    worker.start()
    taken = worker.claim()
    assert len(taken.jobs) + len(worker.dispatch) > 5


def _example(queue: Queue, worker: Worker) -> Claimed:
    add(queue, 1, priority="critical")
    with queue.database.transaction() as connection:
        [job] = worker.dispatch.claim(connection, worker.rules, worker_id="w", now=NOW, slots=1, room=1).jobs
    return job


def test_a_wedding_week_job_does_not_wait_for_a_backlog_of_short_ones(queue: Queue) -> None:
    add(queue, 20, priority="high")
    worker = Worker(queue, {"email": LONG, "free": QUICK}, slots=5)
    assert worker.start() == ["email"] * 4
    add(queue, 200, module_type="free", priority="critical")
    add(queue, 1, wedding_date=TOMORROW)
    assert worker.start() == ["email"]
    assert worker.running[-1].wedding_on is not None


def test_wedding_week_jobs_need_memory_too(queue: Queue) -> None:
    add(queue, 20, priority="high")
    worker = Worker(queue, {"email": LONG, "free": QUICK}, slots=10, memory_mb=900)
    assert worker.start() == ["email"] * 8
    add(queue, 5, wedding_date=TOMORROW)
    add(queue, 5, module_type="free")
    assert worker.start() == ["email"]
    assert worker.start() == []
