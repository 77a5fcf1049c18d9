"""One database of each dialect for the alerts' tests, empty at the start of each, with the shipped module types."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.metrics import rows
from tests.stores import databases
from tests.stores.queues import NOW, queue_on
from wedsync_ops.alerts.alerter import Alerter, Evaluated
from wedsync_ops.alerts.model import Alert, AlertEvent
from wedsync_ops.alerts.store import alerts
from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="package", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("alerts")
    yield from databases.opened(request.param, request, home, f"alerts_{uuid.uuid4().hex[:12]}")


@dataclass
class Watch:
    """A platform that is watched: its database, its clock, and what evaluation makes of it."""

    database: Database
    clock: FakeClock
    queue: Queue

    def alerter(self) -> Alerter:
        return Alerter(self.database, self.clock, lambda: self.queue.rules)

    def evaluate(self, after: str | None = None) -> Evaluated:
        """Let time pass and evaluate once, as a process that has just started."""
        if after is not None:
            self.clock.advance(after)
        alerter = self.alerter()
        try:
            return alerter.evaluate()
        finally:
            alerter.leave()

    def run(self, *outcomes: str, seconds_ago: float = 1.0, **values: Any) -> None:
        """Let executions have finished a moment ago."""
        at = self.clock.now() - round(seconds_ago * SECOND)
        plain = {"finished_at": at, "started_at": at - 1000, **values}
        rows.executions(self.database, [{**plain, "outcome": outcome} for outcome in outcomes])

    def alerts(self) -> list[Alert]:
        with self.database.reading() as connection:
            return alerts.unresolved(connection)

    def events(self) -> list[AlertEvent]:
        with self.database.reading() as connection:
            return alerts.read_events(connection, 0, 1000)

    def told(self) -> list[tuple[str, str]]:
        return [(event.alert.key, event.kind.value) for event in self.events()]


@pytest.fixture
def watch(shared_database: Database, tmp_path: Path) -> Watch:
    queue = queue_on(databases.emptied(shared_database), tmp_path)
    clock = FakeClock(NOW)
    return Watch(queue.database, clock, replace(queue, clock=clock))
