"""Whether weddings are ready, on both databases."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tests.planning.scene import at, couples, jobs, plan, register
from tests.stores import rows
from tests.stores.queues import request
from tests.stores.rows import ending, take
from wedsync_ops.errors import UnknownClient
from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs import ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import finish
from wedsync_ops.planning import actions, preparing
from wedsync_ops.planning.preparing import WeddingReady
from wedsync_ops.planning.settling import settle

SOON = date(2027, 1, 20)
"""A week from the test's clock."""


def ready(queue: Queue, within_days: int = 14) -> list[WeddingReady]:
    return list(preparing.readiness(queue, within_days=within_days))


def standings(one: WeddingReady) -> dict[str, str]:
    return {each.step_id or each.module_type: each.standing.value for each in one.ready.obligations}


def end(queue: Queue, step: str, state: State) -> None:
    """Let the job of a step end."""
    (job_id,) = [row["id"] for row in jobs(queue) if step in row["key"]]
    now = queue.clock.now()
    queue_actions.reschedule(queue, [job_id], due_at=now, priority=None)
    with queue.database.transaction() as connection:
        ripen.promote(connection, queue.rules, now)
        row = rows.row(connection, job_id)
        (job,) = take(connection, 1, module_type=row["module_type"], priority=row["priority"])
        outcome = Result.OK if state is State.COMPLETED else Result.ERROR
        error = None if state is State.COMPLETED else "boom"
        finish.apply(connection, [ending(job, state, outcome=outcome, error=error, at=now)])


def test_a_step_that_was_never_planned_is_missing(queue: Queue) -> None:
    couples(queue, {"wedding_on": SOON})
    (one,) = ready(queue)
    assert standings(one) == {
        "welcome": "left_out",
        "details": "left_out",
        "timeline": "left_out",
        "thanks": "missing",
    }
    assert one.ready.readiness == "critical"


def test_planned_done_failed_and_cancelled(queue: Queue) -> None:
    couples(queue, {"wedding_on": date(2027, 1, 24)})
    register(
        queue,
        "journeys: [{id: j, steps: ["
        + ", ".join(
            f"{{id: {name}, module: email, config: {{n: {n}}}, offset: -{n}d}}"
            for n, name in enumerate(("done", "failed", "cancelled", "planned"), 1)
        )
        + "]}]",
    )
    plan(queue)
    end(queue, "done", State.COMPLETED)
    end(queue, "failed", State.DISCARDED)
    queue_actions.cancel(queue, [row["id"] for row in jobs(queue) if "cancelled" in row["key"]])
    (one,) = ready(queue)
    assert standings(one) == {"done": "done", "failed": "failed", "cancelled": "left_out", "planned": "planned"}
    planned = next(each for each in one.ready.obligations if each.step_id == "planned")
    # From 10:00 four days before to the start of the day, three attempts of a second each.
    assert planned.slack_us == 3 * 24 * HOUR + 14 * HOUR - 3 * SECOND
    assert one.ready.readiness == "critical"


def test_what_was_done_stays_done_when_retention_has_removed_its_job(queue: Queue) -> None:
    couples(queue, {"wedding_on": SOON})
    plan(queue)
    end(queue, "thanks", State.DISCARDED)
    assert settle(queue.database, queue.database.transaction) == 1
    assert settle(queue.database, queue.database.transaction) == 0
    queue_actions.retry(queue, [row["id"] for row in jobs(queue) if "thanks" in row["key"]])
    assert standings(ready(queue)[0])["thanks"] == "planned"
    end(queue, "thanks", State.COMPLETED)
    assert settle(queue.database, queue.database.transaction) == 1
    late = at(queue, "2027-01-19T12:00:00Z")
    with queue.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM payloads")
        connection.exec_driver_sql("DELETE FROM jobs")
    (one,) = ready(late)
    assert standings(one)["thanks"] == "done"
    assert settle(queue.database, queue.database.transaction) == 0


def test_at_risk_and_late(queue: Queue) -> None:
    couples(queue, {"wedding_on": SOON})
    now = "2027-01-19T23:59:58.500000Z"
    late = at(queue, now)
    for zone in ("UTC", "Europe/London"):
        queue_actions.enqueue(late, request(wedding_date="2027-01-20", timezone=zone))
    (one,) = ready(late)
    assert {each.standing.value for each in one.ready.obligations if each.step_id is None} == {"at_risk"}
    over = at(queue, "2027-01-19T23:59:59.500000Z")
    (one,) = ready(over)
    other = [each for each in one.ready.obligations if each.step_id is None]
    assert {each.standing.value for each in other} == {"late"}
    assert all(each.slack_us is not None and each.slack_us < 0 for each in other)


def test_only_the_days_asked_for_and_a_wedding_without_promises_is_ready(queue: Queue) -> None:
    couples(
        queue,
        {"client_id": "a", "wedding_on": SOON, "vendor_type": "venue"},
        {"client_id": "b", "wedding_on": date(2027, 1, 28)},
        {"client_id": "c", "wedding_on": date(2027, 1, 12)},
    )
    (one,) = ready(queue)
    assert (one.coming.known.client.client_id, one.ready.readiness, list(one.ready.obligations)) == ("a", "ok", [])
    with pytest.raises(UnknownClient):
        preparing.of_client(queue, "nobody")
    assert preparing.of_client(queue, "b").coming.days == 15


def test_many_weddings_are_read_in_pages(queue: Queue, tmp_path: Path) -> None:
    couples(queue, *({"client_id": f"c{number}", "wedding_on": SOON} for number in range(1100)))
    plan(queue)
    found = ready(queue)
    assert Counter(one.ready.readiness for one in found) == {"ok": 1100}
    assert len({one.coming.known.client.client_id for one in found}) == 1100


def test_a_withdrawn_step_that_somebody_retries_counts(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    actions.move(queue, "c1", SOON)
    (job_id,) = [row["id"] for row in jobs(queue) if ":details:" in row["key"]]
    assert standings(ready(queue)[0])["details"] == "left_out"
    queue_actions.retry(queue, [job_id])
    assert standings(ready(queue)[0])["details"] == "planned"


def test_a_pause_puts_what_is_due_at_risk_and_makes_late_what_it_outlasts(queue: Queue) -> None:
    couples(queue, {"wedding_on": SOON})
    plan(queue)
    due = queue_actions.enqueue(queue, request(wedding_date="2027-01-20")).job_id

    def stands() -> tuple[str, str]:
        (one,) = ready(queue)
        (found,) = [each for each in one.ready.obligations if each.job_id == due]
        return found.standing.value, found.reason

    assert stands()[0] == "planned"
    now = queue.clock.now()
    queue_actions.pause(queue, "module", "email")
    assert stands() == ("at_risk", "it is available, module email is paused, and nobody has said until when")
    queue_actions.pause(queue, "module", "email", until=now + HOUR)
    assert stands()[0] == "planned"
    queue_actions.pause(queue, "module", "email", until=now + 10 * 24 * HOUR)
    assert stands() == ("late", "it is available, module email is paused, and it cannot be done by its deadline")
