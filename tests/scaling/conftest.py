"""One database of each dialect for the autoscaler's tests, empty at the start of each, with a fleet of workers."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.metrics import rows
from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import worker
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.scaling.actions import history
from wedsync_ops.scaling.autoscaler import Autoscaler, Scaled
from wedsync_ops.scaling.observe import Foresee, nothing
from wedsync_ops.scaling.store.decisions import Row
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

GB = 1024 * 1024


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("scaling")
    yield from databases.opened(request.param, request, home, f"scaling_{uuid.uuid4().hex[:12]}")


@dataclass
class Platform:
    """A platform that is sized: its queue, its clock, its workers' rows."""

    queue: Queue
    clock: FakeClock

    @property
    def database(self) -> Database:
        return self.queue.database

    def autoscaler(self, foresee: Foresee = nothing) -> Autoscaler:
        return Autoscaler(self.database, self.clock, lambda: self.queue.rules, foresee)

    def configure(self, **settings: Any) -> None:
        known = self.queue.rules.settings
        plain = {name: getattr(known, name) for name in ("home", "db")}
        rules = replace(self.queue.rules, settings=Settings(**{**plain, **settings}))
        self.queue = replace(self.queue, rules=rules)

    def start(self, name: str, slots: int = 4, **values: Any) -> None:
        """A worker that is sized within 2 and 50, unless ``values`` say otherwise."""
        now = self.clock.now()
        plain = {"min_slots": 2, "max_slots": 50, "memory_kb": 64 * GB, "started_at": now, "heartbeat_at": now}
        with self.database.transaction() as connection:
            workers.register(connection, worker(**{"id": name, "name": name, "slots": slots, **plain, **values}))

    def workers(self) -> dict[str, Worker]:
        with self.database.reading() as connection:
            return {one.id: one for one in workers.living(connection)}

    def wanted(self) -> dict[str, int | None]:
        return {name: one.wanted_slots for name, one in sorted(self.workers().items())}

    def follow(self) -> None:
        """Every worker takes on what is wanted of it, and gives a sign of life."""
        with self.database.transaction() as connection:
            for one in workers.living(connection):
                slots = one.wanted_slots if one.is_sized and one.wanted_slots else one.slots
                workers.beat(connection, one.id, now=self.clock.now(), slots=slots, busy=0)

    def fill(self, jobs: int, module_type: str = "email", **values: Any) -> None:
        actions.enqueue_many(self.queue, [request(module_type, **values) for _ in range(jobs)])

    def ran(self, jobs: int, duration_s: float = 1.0, module_type: str = "email") -> None:
        """So many executions have finished in the last second."""
        at = self.clock.now() - SECOND
        one = {"module_type": module_type, "finished_at": at, "duration_us": round(duration_s * SECOND)}
        rows.executions(self.database, [one] * jobs)
        rows.lanes(self.database, (module_type, 1, 8, 0))

    def decide(self, autoscaler: Autoscaler, span: str = "5s", rounds: int = 1) -> Scaled:
        """Let time pass, decide, and have the workers follow, so many times."""
        for _ in range(rounds):
            self.clock.advance(span)
            done = autoscaler.decide()
            self.follow()
        return done

    def history(self) -> list[Row]:
        """Every decision that was kept, the oldest first."""
        return history(self.database, limit=0)[::-1]

    def told(self) -> list[tuple[int, int, str]]:
        return [(row.slots_before, row.wanted, row.reason) for row in self.history()]


@pytest.fixture
def platform(shared_database: Database, tmp_path: Path) -> Platform:
    queue = queue_on(databases.emptied(shared_database), tmp_path)
    clock = FakeClock(NOW)
    return Platform(replace(queue, clock=clock), clock)
