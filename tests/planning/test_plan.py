"""Planning couples, on both databases."""

import json
from datetime import date

from sqlalchemy import text

from tests.planning.scene import JOURNEYS, at, changes, couples, dues, jobs, plan, register
from tests.stores.queues import NOW, request
from tests.stores.rows import take
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs import draining, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Queued


def test_every_step_to_come_is_queued_at_its_local_time(queue: Queue) -> None:
    couples(queue)
    assert changes(plan(queue)) == {"welcome": "past", "details": "queued", "timeline": "queued", "thanks": "queued"}
    assert dues(queue) == {
        "details": "2027-05-20 09:00 scheduled",  # 10:00 in London, in summer
        "timeline": "2027-06-12 08:30 scheduled",
        "thanks": "2027-06-20 09:00 scheduled",
    }


def test_what_a_job_is_told(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    row = jobs(queue)[0]
    assert json.loads(row["context"]) == {
        "client_id": "c1",
        "supplier_id": "s1",
        "journey_instance_id": "classic:c1",
        "client_data": {"couple_name": "Ada & Alan", "email": "ada@example.com"},
        "supplier_data": {"vendor_type": "photographer"},
        "step_data": {"id": "details"},
        "wedding_date": "2027-06-19",
        "timezone": "Europe/London",
        "location": "Bath",
        "vendor_type": "photographer",
    }
    assert row["key"] == "journey:classic:details:c1"


def test_planned_again_nothing_is_done_twice(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    before = jobs(queue)
    assert changes(plan(queue)) == {
        "welcome": "past",
        "details": "unchanged",
        "timeline": "unchanged",
        "thanks": "unchanged",
    }
    assert jobs(queue) == before


def test_a_dry_run_says_the_same_and_writes_nothing(queue: Queue) -> None:
    couples(queue)
    dry = plan(queue, dry_run=True)
    assert jobs(queue) == []
    real = plan(queue)
    assert changes(dry) == changes(real)
    assert [step.due_at for step in dry[0].steps] == [step.due_at for step in real[0].steps]


def test_a_couple_that_no_journey_applies_to_is_left_alone(queue: Queue) -> None:
    couples(queue, {"vendor_type": "venue"})
    (one,) = plan(queue)
    assert (list(one.steps), jobs(queue)) == ([], [])
    with queue.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM plans")).scalar_one() == 0


def test_a_new_step_of_a_journey_is_queued_and_the_others_stay(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    batch = register(queue, JOURNEYS + "      - {id: song, module: info, config: {n: 5}, offset: -3d}\n")
    assert [(one.version, one.change) for one in batch.registered] == [(2, "changed")]
    assert changes(plan(queue))["song"] == "queued"
    assert len(jobs(queue)) == 4


def test_a_step_that_was_left_out_as_past_is_queued_when_the_wedding_comes_later(queue: Queue) -> None:
    couples(queue, {"booked_on": None})
    assert changes(plan(queue))["welcome"] == "undated"
    couples(queue)
    assert changes(plan(queue))["welcome"] == "past"


def test_a_step_that_was_done_stays_done_when_its_job_is_no_longer_kept(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    with queue.database.transaction() as connection:
        connection.execute(text("DELETE FROM payloads"))
        connection.execute(text("DELETE FROM jobs"))
        connection.execute(text("DELETE FROM lane_counts"))
    assert set(changes(plan(queue)).values()) == {"past", "done"}
    assert jobs(queue) == []


def test_what_runs_failed_or_was_cancelled_is_told_and_left(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    rows = {row["key"].split(":")[2]: row["id"] for row in jobs(queue)}
    queue_actions.cancel(queue, [rows["thanks"]])
    queue_actions.reschedule(queue, [rows["details"]], due_at=NOW, priority=None)
    with queue.database.transaction() as connection:
        ripen.promote(connection, queue.rules, NOW)
        assert len(take(connection, module_type="email", priority=1)) == 1
    assert changes(plan(queue)) == {"welcome": "past", "details": "running", "timeline": "unchanged", "thanks": "ended"}


def test_what_the_queue_refuses_is_told_and_tried_again(queue: Queue) -> None:
    couples(queue)
    register(queue, JOURNEYS.replace("module: info, config: {n: 3}", "module: free, config: {}"))
    other = queue_actions.enqueue(queue, request(key="journey:classic:details:c1"))
    assert isinstance(other, Queued)
    (one,) = plan(queue)
    refused = [step for step in one.steps if step.error is not None]
    assert [(step.decided.step_id, step.error and step.error.code) for step in refused] == [("details", "key_conflict")]
    assert changes(plan(queue))["details"] == "refused"


def test_a_step_whose_time_is_over_can_be_queued_at_once_while_the_wedding_is_to_come(queue: Queue) -> None:
    register(queue, JOURNEYS.replace("offset: +1d}", "offset: +1d, if_past: now}"))
    couples(queue, {}, {"client_id": "c2", "wedding_on": date(2027, 1, 5)})
    planned = plan(queue)
    by_couple = {one.client.client_id: changes([one]) for one in planned}
    assert by_couple["c1"]["welcome"] == "queued"
    assert by_couple["c2"]["welcome"] == "past"
    assert jobs(queue)[0]["due_at"] == NOW


def test_only_couples_who_marry_within_so_many_days(queue: Queue) -> None:
    couples(
        queue,
        {},
        {"client_id": "c2", "wedding_on": date(2027, 2, 1)},
        {"client_id": "c3", "wedding_on": date(2026, 1, 1)},
    )
    assert [one.client.client_id for one in plan(queue, within_days=30)] == ["c2"]
    assert [one.client.client_id for one in plan(queue)] == ["c2", "c1"]


def test_a_deadline_and_an_expiry_follow_from_the_step(queue: Queue) -> None:
    register(queue, JOURNEYS.replace("offset: -7d,", "offset: -7d, deadline: 2d, expires: 36h,"))
    couples(queue)
    plan(queue)
    row = next(row for row in jobs(queue) if "timeline" in row["key"])
    assert (row["deadline_at"] - row["due_at"], row["expires_at"] - row["due_at"]) == (172_800_000_000, 129_600_000_000)
    late = at(queue, "2027-06-19T12:00:00Z")
    assert changes(plan(late))["timeline"] == "unchanged"


def test_what_is_drained_takes_no_step(queue: Queue) -> None:
    couples(queue)
    draining.begin(queue, "module", "email")
    assert changes(plan(queue)) == {"welcome": "past", "details": "refused", "timeline": "queued", "thanks": "refused"}
