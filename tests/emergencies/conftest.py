"""One database of each dialect for the emergencies' tests, empty at the start of each, with module types."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.metrics import rows
from tests.stores import databases
from tests.stores.queues import NOW, queue_on
from wedsync_ops.db import Database
from wedsync_ops.emergencies.actions import Desk, Standing, protocols_of, standing
from wedsync_ops.emergencies.watcher import Looked, Watcher
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.model import Claimed
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("emergencies")
    yield from databases.opened(request.param, request, home, f"emergencies_{uuid.uuid4().hex[:12]}")


@dataclass
class Room:
    """A platform in which emergencies are dealt with."""

    database: Database
    clock: FakeClock
    queue: Queue

    @property
    def desk(self) -> Desk:
        return Desk(self.database, self.clock, lambda: self.queue.rules, protocols_of(self.queue.rules.settings))

    def setting(self, **values: Any) -> None:
        settings = replace(self.queue.rules.settings, **values)
        self.queue = replace(self.queue, rules=replace(self.queue.rules, settings=settings))

    def look(self, after: str | None = None) -> Looked:
        """Let time pass and look once, as a process that has just started."""
        if after is not None:
            self.clock.advance(after)
        watcher = Watcher(self.desk)
        try:
            return watcher.look()
        finally:
            watcher.leave()

    def ran(self, module_type: str, *outcomes: str, ago_s: float = 1.0) -> None:
        """Let executions have started and finished a moment ago."""
        at = self.clock.now() - round(ago_s * SECOND)
        plain = {"finished_at": at, "started_at": at - 1000, "module_type": module_type}
        rows.executions(self.database, [{**plain, "outcome": outcome} for outcome in outcomes])

    def standing(self) -> Standing:
        return standing(self.desk)

    def claim(self, room: int = 10) -> list[Claimed]:
        """What a worker that comes now would take."""
        with self.database.transaction() as connection:
            taken = Dispatcher(None).claim(
                connection, self.queue.rules, worker_id="w1", now=self.clock.now(), slots=room, room=room
            )
        return list(taken.jobs)

    def tables(self) -> dict[str, list[Any]]:
        """Everything in the database but the history."""
        kept = {"emergencies", "emergency_steps", "alerts", "alert_events", "terms", "freeze_overrides"}
        found = {}
        with self.database.reading() as connection:
            for table in databases.TABLES:
                if table not in kept:
                    found[table] = sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}").all()))
        return found


@pytest.fixture
def room(shared_database: Database, tmp_path: Path) -> Room:
    queue = queue_on(databases.emptied(shared_database), tmp_path)
    clock = FakeClock(NOW)
    return Room(queue.database, clock, replace(queue, clock=clock))
