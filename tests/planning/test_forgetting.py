"""Plans, moves and calls of weddings that are long over are forgotten, and nothing else; on both databases."""

from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.planning.scene import at, changes, couples, jobs, plan, scene
from wedsync_ops.db import Database
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.planning import actions, calling

LATER = "2027-12-01T12:00:00Z"
"""More than 90 days, and those that steps may be later, after the wedding on 19 June."""
TABLES = ("plans", "plan_steps", "wedding_moves", "calls_made")


def told(queue: Queue) -> dict[str, set[str]]:
    """Whom each table knows."""
    with queue.database.reading() as connection:
        return {table: set(connection.execute(text(f"SELECT client_id FROM {table}")).scalars()) for table in TABLES}


def retention(queue: Queue) -> dict[str, int]:
    (done,) = maintenance.run(Site(queue.database, queue.clock, queue.rules), ["retention"])
    return dict(done.counts)


def over(queue: Queue, *known: dict[str, Any]) -> None:
    """Couples that were planned, moved and called, and whose jobs were all cancelled and are old."""
    couples(queue, *known)
    plan(queue)
    for one in known:
        actions.move(queue, one["client_id"], one["wedding_on"])
        calling.done(queue, f"classic/thanks/{one['client_id']}")
    queue_actions.cancel(queue, [row["id"] for row in jobs(queue) if row["state"] != "cancelled"])


def test_what_is_long_over_is_forgotten_and_what_is_to_come_stays(queue: Queue) -> None:
    over(
        queue,
        {"client_id": "long-over", "wedding_on": date(2027, 6, 19)},
        {"client_id": "not-long", "wedding_on": date(2027, 9, 18)},
        {"client_id": "to-come", "wedding_on": date(2028, 6, 17)},
    )
    assert retention(at(queue, "2027-09-01T12:00:00Z"))["plan_steps_dropped"] == 0
    counts = retention(at(queue, LATER))
    assert (counts["plan_steps_dropped"], counts["steps_settled"]) == (4, 0)
    assert told(queue) == {table: {"not-long", "to-come"} for table in TABLES}
    assert retention(at(queue, LATER))["plan_steps_dropped"] == 0


def test_a_job_that_is_still_there_keeps_all_of_its_couple(queue: Queue) -> None:
    over(queue, {"client_id": "c1", "wedding_on": date(2027, 6, 19)})
    queue_actions.retry(queue, [jobs(queue)[0]["id"]])
    assert retention(at(queue, LATER))["plan_steps_dropped"] == 0
    assert told(queue) == {table: {"c1"} for table in TABLES}


def test_a_wedding_that_has_a_new_day_to_come_is_not_over(queue: Queue) -> None:
    over(queue, {"client_id": "c1", "wedding_on": date(2027, 6, 19)})
    couples(queue, {"client_id": "c1", "wedding_on": date(2028, 6, 17)})  # imported, and not planned anew
    assert retention(at(queue, LATER))["plan_steps_dropped"] == 0
    assert told(queue) == {table: {"c1"} for table in TABLES}


def test_a_step_long_after_the_wedding_keeps_the_plan(database: Database, tmp_path: Path) -> None:
    yearly = "journeys: [{id: classic, steps: [{id: thanks, module: email, config: {n: 1}, offset: +300d}]}]"
    queue = scene(database, tmp_path, yearly)
    over(queue, {"client_id": "c1", "wedding_on": date(2027, 6, 19)})
    assert retention(at(queue, "2028-06-01T12:00:00Z"))["plan_steps_dropped"] == 0
    assert retention(at(queue, "2028-09-01T12:00:00Z"))["plan_steps_dropped"] == 1


def test_what_was_forgotten_is_not_promised_again(queue: Queue) -> None:
    over(queue, {"client_id": "c1", "wedding_on": date(2027, 6, 19)})
    later = at(queue, LATER)
    retention(later)
    assert set(changes(plan(later, "c1")).values()) == {"past"}
    assert jobs(later) == []
