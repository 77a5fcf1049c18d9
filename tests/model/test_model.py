"""The queue behaves as its model says, whatever callers, workers and time do to it, on both databases.

Hypothesis plays callers, two workers that may die and wake up again, and the clock; the real exchange, dispatcher,
rescue and actions do the work. After every step each job is compared with the model.
"""

import itertools
import os
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from tests.model.model import WAITING, Job, Model
from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import worker
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.exchange import Exchange
from wedsync_ops.jobs.housekeeping import House
from wedsync_ops.jobs.model import FINISHED, Claimed, Outcome, Priority, Queued, Result, State
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.store import lanes, workers
from wedsync_ops.jobs.watch import Watch, watch
from wedsync_ops.testing.clock import FakeClock

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "80"))
CLIENT = {"email": "couple@example.org"}
SLOW_US = 400_000
"""So long that nothing is claimed ahead of its turn."""
PRIORITIES = st.sampled_from(list(Priority))
PLACES = st.integers(0, 30)
_NAMES = itertools.count(1)


class Wish(NamedTuple):
    """A job that somebody wants."""

    module_type: str
    supplier: str
    priority: Priority
    delay_s: int = 0
    key: str | None = None
    expires_s: int | None = None


WISHES = st.one_of(
    st.builds(
        Wish,
        st.sampled_from(["email", "info"]),
        st.sampled_from(["s1", "s2"]),
        PRIORITIES,
        st.sampled_from([0, 0, 0, 5, 1000]),
        st.none(),
        st.sampled_from([None, None, 1200]),
    ),
    # A key stands for one request.
    st.sampled_from([Wish("email", "s1", Priority.NORMAL, key=key) for key in "ab"]),
)


class Hands:
    """As many slots as somebody says, with nothing in them: the machine below says how each job ends."""

    running: Mapping[int, int] = MappingProxyType({})

    def __init__(self, size: int) -> None:
        self.size = size


class Hand:
    """A worker without a loop: its transaction is made when the machine says so."""

    def __init__(self, database: Database, clock: FakeClock, house: House, watch: Watch) -> None:
        self.id = f"hand-{next(_NAMES)}"
        self.dispatch = Dispatcher(None)
        self.exchange = Exchange(database, clock, house, self.dispatch, watch, HalfWay())
        with database.transaction() as connection:
            workers.register(connection, worker(id=self.id, heartbeat_at=clock.now()))

    def run(self, room: int | None) -> list[Claimed]:
        """Look what is due, as the loop does when it is told of a change, then claim; answers what runs then."""
        rooms = [room] if room is None else [0, room]
        for each in rooms:
            self.exchange.run(self.id, Hands(room or 1), each)  # type: ignore[arg-type]
        taken = [self.dispatch.pop() for _ in range(len(self.dispatch))]
        self.exchange.running.update({job.id: job for job in taken})
        return taken


class HalfWay(random.Random):
    """No spread: a retry comes back after exactly what its rule says."""

    def random(self) -> float:
        return 0.5


class Life(RuleBasedStateMachine):
    """The queue and its model, side by side."""

    def __init__(self, queue: Queue, watch: Watch) -> None:
        super().__init__()
        self.database = databases.emptied(queue.database, keep=["modules", "module_versions"])
        self.clock = FakeClock(NOW)
        self.queue = replace(queue, clock=self.clock)
        self.house = House(self.database, self.clock, lambda: self.queue.rules)
        self.watch = watch
        self.model = Model(NOW)
        self.hands: list[Hand] = []
        self.ghosts: list[Hand] = []

    @initialize(wishes=st.lists(WISHES, min_size=4, max_size=12))
    def begin(self, wishes: list[Wish]) -> None:
        self.enqueue(wishes)
        self.hands = [Hand(self.database, self.clock, self.house, self.watch) for _ in range(2)]

    @rule(wishes=st.lists(WISHES, min_size=1, max_size=5))
    def enqueue(self, wishes: list[Wish]) -> None:
        for wish in wishes:
            self.enqueue_one(wish)

    def enqueue_one(self, wish: Wish) -> None:
        now = self.clock.now()
        expires_at = None if wish.expires_s is None else now + wish.expires_s * SECOND
        answer = actions.enqueue(
            self.queue,
            request(
                wish.module_type,
                supplier_id=wish.supplier,
                client_data=CLIENT,
                priority=wish.priority.word,
                key=wish.key,
                delay=wish.delay_s / 60,
                expires=None if expires_at is None else iso(expires_at),
            ),
        )
        known = self.model.keyed(wish.key)
        assert isinstance(answer, Queued)
        assert answer.job_id is not None
        if known is not None:
            assert (answer.job_id, answer.duplicate) == (known.id, True)
            return
        assert answer.job_id not in self.model.jobs
        state = State.SCHEDULED if wish.delay_s else State.AVAILABLE
        due_at = now + wish.delay_s * SECOND
        job = Job(answer.job_id, wish.module_type, wish.supplier, wish.priority, due_at, state, wish.key, expires_at)
        self.model.jobs[job.id] = job

    @rule(seconds=st.sampled_from([1, 3, 10, 600, 1000, 3000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(f"{seconds}s")
        self.model.now = self.clock.now()

    @rule(who=st.integers(0, 1), room=st.integers(1, 4))
    def claim(self, who: int, room: int) -> None:
        """A worker takes the most urgent jobs that may start, and no others."""
        hand = self.hands[who]
        self.settle(hand)
        self.model.ripen()
        startable = self.model.startable()
        ranks = self.ranks()
        taken = hand.run(room)
        assert {job.id for job in taken} <= {job.id for job in startable}
        wanted = sorted((job.priority(self.model.now) for job in startable), reverse=True)[:room]
        assert sorted((job.priority for job in taken), reverse=True) == wanted
        for job in taken:
            known = self.model.jobs[job.id]
            assert job.priority == known.priority(self.model.now)
            self.model.claim(known, hand.id)
        self.lanes_are_served_from_their_heads(startable, {job.id for job in taken}, ranks)

    def lanes_are_served_from_their_heads(self, startable: list[Job], taken: set[int], ranks: dict[int, int]) -> None:
        left = [job for job in startable if job.id not in taken]
        for one, other in itertools.product([self.model.jobs[job_id] for job_id in taken], left):
            if (one.module_type, one.priority(self.model.now)) == (other.module_type, other.priority(self.model.now)):
                first, second = ranks.get(one.id), ranks.get(other.id)
                if first is not None and second is not None:
                    assert (first, one.id) < (second, other.id)

    @rule(who=st.integers(0, 1), place=PLACES, result=st.sampled_from(list(Result)))
    def finish(self, who: int, place: int, result: Result) -> None:
        hand = self.hands[who]
        running = sorted(hand.exchange.running)
        if not running:
            return
        job = hand.exchange.running[running[place % len(running)]]
        known = self.model.jobs[job.id]
        hand.exchange.add([self.outcome(job, result)])
        hand.run(None)
        self.model.finish(known, result)
        if known.is_asked_to_stop and known.state in WAITING:
            hand.run(None)  # the next transaction finds that it waits again, and cancels it
            known.end(State.CANCELLED)

    @precondition(lambda self: any(hand.exchange.running for hand in self.hands))
    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        """A worker is not heard of for longer than its lease; what it held waits again, and costs no attempt."""
        gone = self.hands[who]
        self.clock.advance("31s")
        self.model.now = self.clock.now()
        with self.database.transaction() as connection:
            alive = self.hands[1 - who]
            assert workers.beat(connection, alive.id, now=self.clock.now(), slots=1, busy=0)
        rescue(self.database, self.queue.rules, self.clock.now())
        for job in self.model.jobs.values():
            if job.state is State.RUNNING and job.worker == gone.id:
                self.model.finish(job, Result.LOST)
        self.ghosts = [*self.ghosts, gone][-3:]
        self.hands[who] = Hand(self.database, self.clock, self.house, self.watch)
        self.settle(self.hands[who])

    @precondition(lambda self: self.ghosts)
    @rule(place=PLACES, result=st.sampled_from([Result.OK, Result.ERROR, Result.KILLED]))
    def haunt(self, place: int, result: Result) -> None:
        """A worker that was declared dead wakes up and reports: nothing changes."""
        held = [(ghost, job) for ghost in self.ghosts for job in ghost.exchange.running.values()]
        again = [one for one in held if self.model.jobs[one[1].id].state is State.RUNNING]
        for ghost, job in (again or held)[place % 3 : place % 3 + 1]:
            ghost.exchange.add([self.outcome(job, result)])
            ghost.run(None)

    @rule(place=PLACES)
    def cancel(self, place: int) -> None:
        job = self.any(place)
        if job is None:
            return
        (refused,) = actions.cancel(self.queue, [job.id])
        assert (refused is None) == (job.state in WAITING)
        if refused is None:
            job.end(State.CANCELLED)

    @rule(place=PLACES)
    def stop(self, place: int) -> None:
        job = self.any(place)
        if job is None:
            return
        (refused,) = actions.stop(self.queue, [job.id])
        assert (refused is None) == (job.state not in FINISHED)
        if job.state in WAITING:
            job.end(State.CANCELLED)
        elif job.state is State.RUNNING:
            job.is_asked_to_stop = True

    @rule(place=PLACES, twice=st.booleans())
    def retry(self, place: int, *, twice: bool) -> None:
        job = self.any(place)
        if job is None:
            return
        may = self.model.may_retry(job)
        (refused,) = actions.retry(self.queue, [job.id])
        assert (refused is None) == may
        if may:
            self.model.retry(job)
        if twice:
            assert actions.retry(self.queue, [job.id]) != [None]

    @rule(place=PLACES, delay_s=st.sampled_from([0, 30]), priority=st.one_of(st.none(), PRIORITIES))
    def reschedule(self, place: int, delay_s: int, priority: Priority | None) -> None:
        job = self.any(place)
        if job is None:
            return
        due_at = self.model.now + delay_s * SECOND
        (refused,) = actions.reschedule(self.queue, [job.id], due_at=due_at, priority=priority)
        late = job.expires_at is not None and job.expires_at <= due_at
        assert (refused is None) == (job.state in WAITING and not late)
        if refused is None:
            job.due_at = due_at
            job.requested = job.requested if priority is None else priority
            job.state = State.SCHEDULED

    @rule(scope=st.sampled_from([("all", ""), ("module", "email"), ("supplier", "s1")]))
    def pause_or_resume(self, scope: tuple[str, str]) -> None:
        if scope in self.model.paused:
            assert actions.resume(self.queue, *scope)
            self.model.paused.discard(scope)
        else:
            actions.pause(self.queue, *scope)
            self.model.paused.add(scope)

    @invariant()
    def every_job_is_as_the_model_says(self) -> None:
        with self.database.reading() as connection:
            rows = connection.execute(text("SELECT id, state, attempt, kills, leased_by, due_at FROM jobs ORDER BY id"))
            found = [tuple(row) for row in rows]
        says = [
            (job.id, job.state.value, job.attempt, job.kills, job.worker, job.due_at)
            for _, job in sorted(self.model.jobs.items())
        ]
        assert found == says

    @invariant()
    def every_end_was_told_once(self) -> None:
        with self.database.reading() as connection:
            told = Counter(connection.execute(text("SELECT job_id FROM events")).scalars())
        assert dict(told) == {job.id: job.tells for job in self.model.jobs.values() if job.tells}

    @invariant()
    def nothing_leaks(self) -> None:
        with self.database.reading() as connection:
            assert lanes.errors(connection) == []
            asked = set(connection.execute(text("SELECT job_id FROM stops")).scalars())
        assert asked == {job.id for job in self.model.jobs.values() if job.is_asked_to_stop}

    def settle(self, hand: Hand) -> None:
        """Jobs that were to be stopped and wait again are cancelled by whichever worker looks next."""
        hand.run(None)
        for job in self.model.jobs.values():
            if job.is_asked_to_stop and job.state in WAITING:
                job.end(State.CANCELLED)

    def outcome(self, job: Claimed, result: Result) -> Outcome:
        return Outcome(job.id, job.token, job.attempt, result, self.clock.now() - SLOW_US, SLOW_US, error="no")

    def any(self, place: int) -> Job | None:
        jobs = list(self.model.jobs.values())
        return jobs[place % len(jobs)] if jobs else None

    def ranks(self) -> dict[int, int]:
        with self.database.reading() as connection:
            rows = connection.execute(text("SELECT id, rank FROM jobs WHERE state = 'available'"))
            return {row.id: row.rank for row in rows}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("model")
    yield from databases.opened(request.param, request, home, f"model_{uuid.uuid4().hex[:12]}")


def test_the_queue_behaves_as_its_model(shared: Database, tmp_path: Path) -> None:
    queue = queue_on(databases.emptied(shared), tmp_path)
    with closing(watch(shared)) as one:
        run_state_machine_as_test(
            lambda: Life(queue, one),  # type: ignore[arg-type]
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
