"""Couples, journeys and a queue over a test's database; the clock is the test's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.stores.queues import NOW, queue_on
from tests.stores.rows import counted
from wedsync_ops.db import Database
from wedsync_ops.instants import parse_instant, to_datetime
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.store import lanes
from wedsync_ops.modules import actions as modules
from wedsync_ops.planning import actions
from wedsync_ops.planning.actions import Chosen
from wedsync_ops.planning.apply import CouplePlan
from wedsync_ops.planning.registering import JourneyBatch
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.model import Client, Region

WEDDING = date(2027, 6, 19)
"""A Saturday; the clock stands on 13 January 2027, a Wednesday."""
BLANK = Client(
    client_id="c1",
    couple_name="Ada & Alan",
    email="ada@example.com",
    phone=None,
    wedding_on=WEDDING,
    location="Bath",
    region=Region.OTHER,
    supplier_id="s1",
    vendor_type="photographer",
    timezone="Europe/London",
    booked_on=date(2027, 1, 10),
)
JOURNEYS = """
journeys:
  - id: classic
    applies_to: {vendor_types: [photographers]}
    steps:
      - {id: welcome, module: email, config: {n: 1}, anchor: booking, offset: +1d}
      - {id: details, module: email, config: {n: 2}, offset: -30d, skip_weekends: previous}
      - {id: timeline, module: info, config: {n: 3}, offset: -7d, at: "09:30"}
      - {id: thanks, module: email, config: {n: 4}, offset: +1d}
"""


def scene(database: Database, home: Path, journeys: str = JOURNEYS, **options: Any) -> Queue:
    """A queue with the module types of the store tests, and journeys."""
    queue = queue_on(database, home, **options)
    register(queue, journeys)
    return queue


def register(queue: Queue, journeys: str) -> JourneyBatch:
    """Register journeys; the batch tells what it came to."""
    raw = f"schema_version: 1\n{journeys}".encode()
    batch = JourneyBatch(queue.rules, raw, queue.clock.now())
    done = modules.register(queue.database, raw, "test", now=NOW, beside=[batch])
    assert done.problems == ()
    return batch


def couples(queue: Queue, *known: dict[str, Any]) -> None:
    """Import couples like ``BLANK`` but for what is given."""
    with queue.database.transaction() as connection:
        clients.upsert(connection, [replace(BLANK, **one) for one in known or ({},)], queue.clock.now())


def plan(queue: Queue, *client_ids: str, dry_run: bool = False, **chosen: Any) -> list[CouplePlan]:
    """Plan couples, all of them unless some are named."""
    pages = actions.plan(queue, Chosen(client_ids, **chosen), dry_run=dry_run)
    return [one for page in pages for one in page]


def changes(planned: Sequence[CouplePlan]) -> dict[str, str]:
    """What became of each step, by its id."""
    return {step.decided.step_id: str(step.decided.change) for one in planned for step in one.steps}


def jobs(queue: Queue) -> list[dict[str, Any]]:
    """Every job by due time, with what it carries; the lane counters are checked on the way."""
    statement = "SELECT * FROM jobs JOIN payloads ON job_id = id ORDER BY due_at, id"
    with queue.database.reading() as connection:
        rows = [dict(row) for row in connection.execute(text(statement)).mappings()]
        kept = {(c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting) for c in lanes.read(connection)}
        assert {lane: counts for lane, counts in kept.items() if counts != (0, 0)} == counted(connection)
    return rows


def dues(queue: Queue) -> dict[str, str]:
    """When the step of each job is due, and the job's state."""
    return {
        str(row["key"]).split(":")[2]: f"{to_datetime(row['due_at']):%Y-%m-%d %H:%M} {row['state']}"
        for row in jobs(queue)
        if row["key"]
    }


def at(queue: Queue, moment: str) -> Queue:
    """The same queue at another moment."""
    return replace(queue, clock=FakeClock(parse_instant(moment)))
