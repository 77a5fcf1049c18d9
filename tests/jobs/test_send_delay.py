"""What an e-mail's result tells of its delay is what it waited, decided once and told on, on both databases."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.jobs.pool_helpers import order
from tests.stores import databases
from tests.stores.queues import CONTEXT, NOW
from tests.stores.rows import take
from wedsync_ops import codec
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, iso
from wedsync_ops.jobs import actions, protocol
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.equip import order_for
from wedsync_ops.jobs.model import Request
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.run import Attempt
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

DAYS = 24 * 60
"""Minutes of a day."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("delays")
    yield from databases.opened(request.param, request, home, f"delays_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    database = databases.emptied(shared)
    raw = modules.read_file(modules.shipped_file())
    assert modules.register(database, raw, "test", now=NOW).problems == ()
    return database


def queue_on(database: Database, home: Path, **options: Any) -> Queue:
    settings = Settings(home=home, **options)
    with database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings), settings)
    return Queue(database, FakeClock(NOW), rules)


def actual_delay(queue: Queue, config: dict[str, Any], wedding: str | None, run_at: int = NOW, **fields: Any) -> float:
    """What a job's result tells, when it runs at that instant."""
    context = {**CONTEXT, "client_data": {"email": "couple@example.org"}, "wedding_date": wedding}
    actions.enqueue(queue, Request("email", {"template_id": "thank-you", **config}, context, **fields))
    with queue.database.transaction() as connection:
        connection.execute(text("UPDATE jobs SET state = 'available', priority = 1, rank = 0"))
        (job,) = take(connection)
    verdict = Attempt(order_for(queue.rules, job), queue.rules.site, run_at, lambda _: None).perform()
    assert verdict.error is None
    minutes: float = codec.loads(verdict.data or b"")["actual_delay"]
    return minutes


@pytest.mark.parametrize(
    ("config", "wedding", "told"),
    [
        ({}, "2027-01-18", 0),
        ({"send_delay": 45}, None, 45),
        ({"send_delay": 0.5}, "2027-01-21", 0.5),
        ({"send_delay": 3 * DAYS}, "2027-01-21", 3 * DAYS),
        ({"send_delay": 3 * DAYS}, "2027-01-20", 30),
        ({"send_delay": 20}, "2027-01-20", 20),
        ({"send_delay": 20}, "2027-01-14", 0),
        ({"send_delay": 60}, "2027-01-10", 60),
    ],
)
def test_it_is_judged_when_the_job_is_queued_and_not_when_it_runs(
    database: Database, tmp_path: Path, config: dict[str, Any], wedding: str | None, told: float
) -> None:
    queue = queue_on(database, tmp_path)
    assert actual_delay(queue, config, wedding, run_at=NOW + 3 * DAY) == told


def test_the_wedding_week_is_that_of_the_time_asked_for(database: Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path)
    assert actual_delay(queue, {"send_delay": 90}, "2027-02-10", at=iso(NOW + 25 * DAY)) == 30


def test_the_setting_says_how_long_a_wait_is_in_wedding_week(database: Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path, wedding_week_delay_min=12.5)
    assert actual_delay(queue, {"send_delay": 90}, "2027-01-18") == 12.5


def test_a_wait_for_business_hours_is_no_part_of_it(database: Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path)
    config = {"send_delay": 90, "send_time": "business_hours"}
    assert actual_delay(queue, config, None, at="2027-01-16T12:00:00Z") == 90


@pytest.mark.parametrize("minutes", [None, 0.0, 12.5])
def test_a_slot_is_told_of_it(minutes: float | None) -> None:
    wanted = order("sizes", send_delay_min=minutes)
    assert protocol.read_order(protocol.order(wanted, 7, 7)) == (wanted, 0)
