"""Moving a wedding, on both databases: every waiting job goes with it, at once or not at all."""

import json
import threading
from datetime import date
from typing import Any

import pytest

from tests.planning.scene import JOURNEYS, at, changes, couples, dues, jobs, plan, register
from tests.stores.queues import NOW, request
from tests.stores.rows import take
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidTime, UnknownClient
from wedsync_ops.instants import DAY, iso, parse_instant
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs import draining, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.planning import actions
from wedsync_ops.planning.actions import Move
from wedsync_ops.planning.settling import settle
from wedsync_ops.weddings import store as clients

LATER = date(2027, 8, 21)


def move(queue: Queue, to: date = LATER, **options: Any) -> Move:
    return actions.move(queue, "c1", to, **options)


def test_every_step_moves_with_the_wedding(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    done = move(queue, reason="the venue burnt down")
    assert (done.from_on, done.to_on) == (date(2027, 6, 19), LATER)
    assert changes([done.plan]) == {"welcome": "past", "details": "moved", "timeline": "moved", "thanks": "moved"}
    assert dues(queue) == {
        "details": "2027-07-22 09:00 scheduled",
        "timeline": "2027-08-14 08:30 scheduled",
        "thanks": "2027-08-22 09:00 scheduled",
    }
    contexts = [json.loads(row["context"]) for row in jobs(queue)]
    assert {context["wedding_date"] for context in contexts} == {"2027-08-21"}
    assert {row["wedding_on"] for row in jobs(queue)} == {"2027-08-21"}
    with queue.database.reading() as connection:
        known = clients.find(connection, "c1")
    assert known is not None
    assert known.client.wedding_on == LATER
    (record,) = actions.moves(queue, "c1", 10)
    assert (record.from_on, record.to_on, record.reason) == (date(2027, 6, 19), LATER, "the venue burnt down")
    assert record.changes == {"moved": 3, "past": 1}


def test_moved_and_moved_back_everything_is_as_it_was(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    before = jobs(queue)
    move(queue)
    move(queue, date(2027, 6, 19))
    assert [{**row, "reasons": None} for row in jobs(queue)] == [
        {**row, "reasons": None, "next_change_at": None} for row in before
    ]


def test_a_dry_run_says_the_same_and_writes_nothing(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    before = jobs(queue)
    dry = move(queue, dry_run=True)
    assert jobs(queue) == before
    assert actions.moves(queue, None, 0) == []
    real = move(queue)
    assert [(s.decided.change, s.was_due_at, s.due_at) for s in dry.plan.steps] == [
        (s.decided.change, s.was_due_at, s.due_at) for s in real.plan.steps
    ]


def test_what_was_done_is_not_repeated_and_what_runs_is_left(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    by_step = {row["key"].split(":")[2]: row["id"] for row in jobs(queue)}
    queue_actions.reschedule(queue, [by_step["details"]], due_at=NOW, priority=None)
    with queue.database.transaction() as connection:
        ripen.promote(connection, queue.rules, NOW)
        assert [job.id for job in take(connection)] == [by_step["details"]]
    done = move(queue)
    assert changes([done.plan])["details"] == "running"
    row = next(row for row in jobs(queue) if row["id"] == by_step["details"])
    assert (row["state"], json.loads(row["context"])["wedding_date"]) == ("running", "2027-06-19")


def test_a_step_whose_new_time_is_over_is_withdrawn_and_comes_back_when_the_wedding_moves_on(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    earlier = move(queue, date(2027, 2, 5))
    assert changes([earlier.plan]) == {
        "welcome": "past",
        "details": "withdrawn",
        "timeline": "moved",
        "thanks": "moved",
    }
    assert dues(queue)["details"].endswith("cancelled")
    back = move(queue)
    assert changes([back.plan])["details"] == "restored"
    assert dues(queue)["details"] == "2027-07-22 09:00 scheduled"
    row = next(row for row in jobs(queue) if "details" in row["key"])
    assert json.loads(row["context"])["wedding_date"] == "2027-08-21"
    assert len(jobs(queue)) == 3


def test_what_somebody_cancelled_stays_cancelled(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    ids = [row["id"] for row in jobs(queue) if "thanks" in row["key"]]
    queue_actions.cancel(queue, ids)
    assert changes([move(queue).plan])["thanks"] == "ended"


def test_a_step_that_was_past_is_queued_when_its_time_comes_again(queue: Queue) -> None:
    couples(queue, {"wedding_on": date(2027, 1, 25)})
    assert changes(plan(queue))["details"] == "past"
    assert changes([move(queue).plan])["details"] == "queued"


class TestOtherJobs:
    def add(self, queue: Queue, **values: Any) -> int:
        return queue_actions.enqueue(queue, request(wedding_date="2027-06-19", **values)).job_id or 0

    def test_follow_the_wedding_with_their_priority_and_deadline_not_with_their_time(self, queue: Queue) -> None:
        couples(queue)
        soon = self.add(queue, at="2027-06-15T10:00:00Z", timezone="Europe/Paris")
        row = jobs(queue)[0]
        assert (row["priority"], row["deadline_at"]) == (2, parse_instant("2027-06-18T22:00:00Z"))
        done = move(queue)
        (other,) = done.plan.others
        assert (other.decided.job_id, other.decided.change, other.due_at) == (soon, "unchanged", other.was_due_at)
        row = jobs(queue)[0]
        assert (row["priority"], row["deadline_at"]) == (2, parse_instant("2027-08-20T22:00:00Z"))
        assert json.loads(row["reasons"])["priority"] == [
            "asked for: normal",
            "peak season: raised one step to high",
        ]
        assert json.loads(row["context"])["timezone"] == "Europe/Paris"

    def test_keep_a_deadline_that_somebody_asked_for(self, queue: Queue) -> None:
        couples(queue)
        self.add(queue, at="2027-05-01T00:00:00Z", deadline="2027-06-01T00:00:00Z")
        move(queue)
        assert jobs(queue)[0]["deadline_at"] == parse_instant("2027-06-01T00:00:00Z")

    def test_a_review_is_asked_for_after_the_new_day(self, queue: Queue) -> None:
        couples(queue)
        self.add(queue, module_type="review", timezone="UTC")
        move(queue)
        assert jobs(queue)[0]["due_at"] == parse_instant("2027-08-28T10:00:00Z")

    def test_one_that_is_available_is_ranked_anew(self, queue: Queue) -> None:
        couples(queue)
        self.add(queue)
        assert jobs(queue)[0]["state"] == "available"
        move(queue, date(2027, 1, 14))
        row = jobs(queue)[0]
        assert (row["state"], row["priority"], row["rank"], row["due_at"]) == ("scheduled", 3, None, NOW)
        with queue.database.transaction() as connection:
            assert ripen.promote(connection, queue.rules, NOW) == 1

    def test_one_without_a_wedding_and_those_of_others_are_left(self, queue: Queue) -> None:
        couples(queue)
        queue_actions.enqueue(queue, request())
        queue_actions.enqueue(queue, request(client_id="c2", wedding_date="2027-06-19"))
        before = jobs(queue)
        assert move(queue).plan.others == []
        assert jobs(queue) == before


def test_an_import_that_changes_the_day_is_noticed_and_planned(queue: Queue) -> None:
    couples(queue, {}, {"client_id": "c2"})
    plan(queue)
    couples(queue, {"wedding_on": LATER})
    assert actions.count_moved(queue) == 1
    assert changes(plan(queue, moved=True)) == {
        "welcome": "past",
        "details": "moved",
        "timeline": "moved",
        "thanks": "moved",
    }
    assert (actions.count_moved(queue), plan(queue, moved=True)) == (0, [])


def test_a_journey_that_is_gone_still_moves_what_was_planned_of_it(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    register(queue, "journeys: []")
    assert changes([move(queue).plan]) == {"details": "moved", "timeline": "moved", "thanks": "moved"}


def test_steps_keep_the_version_that_they_were_planned_with(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    register(queue, JOURNEYS.replace('at: "09:30"', 'at: "15:00"'))
    move(queue)
    assert dues(queue)["timeline"] == "2027-08-14 08:30 scheduled"


def test_nobody_and_a_day_beyond_all_calendars(queue: Queue) -> None:
    with pytest.raises(UnknownClient):
        move(queue)
    couples(queue)
    plan(queue)
    before = jobs(queue)
    with pytest.raises(InvalidTime):
        move(queue, date(8999, 12, 31))
    assert jobs(queue) == before
    assert actions.moves(queue, None, 0) == []


def test_an_expired_deadline_does_not_stay_with_a_moved_step(queue: Queue) -> None:
    register(queue, JOURNEYS.replace("offset: -7d,", "offset: -7d, deadline: 2d, expires: 3d,"))
    couples(queue)
    plan(queue)
    move(queue)
    row = next(row for row in jobs(queue) if "timeline" in row["key"])
    assert (row["deadline_at"], row["expires_at"]) == (row["due_at"] + 2 * DAY, row["due_at"] + 3 * DAY)


def test_planning_and_moving_at_once_leaves_one_job_a_step(queue: Queue, shared_database: Database) -> None:
    couples(queue)
    failures: list[BaseException] = []
    ready = threading.Barrier(4)

    def work(index: int) -> None:
        try:
            ready.wait()
            if index % 2:
                plan(queue, "c1")
            else:
                move(queue, date(2027, 8, 20 + index))
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    plan(queue)
    rows = jobs(queue)
    assert len(rows) == 3
    with queue.database.reading() as connection:
        known = clients.find(connection, "c1")
    assert known is not None
    assert {row["wedding_on"] for row in rows} == {known.client.wedding_on.isoformat()}


def test_a_worker_claims_while_weddings_move(queue: Queue) -> None:
    """A job that runs has the day that it was claimed with, one that waits has the new one."""
    register(queue, JOURNEYS.replace("offset: -30d,", "offset: -200d, if_past: now,"))
    many = [{"client_id": f"c{number}"} for number in range(1, 21)]
    couples(queue, *many)
    plan(queue)
    failures: list[BaseException] = []

    def claim() -> None:
        try:
            for _ in range(20):
                with queue.database.transaction() as connection:
                    ripen.promote(connection, queue.rules, NOW)
                    take(connection, 1)
        except BaseException as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)

    worker = threading.Thread(target=claim)
    worker.start()
    done = [actions.move(queue, one["client_id"], LATER) for one in many]
    worker.join()
    assert failures == []
    running = {row["client_id"]: row for row in jobs(queue) if row["state"] == "running"}
    assert running
    told = {one.plan.client.client_id: changes([one.plan])["details"] for one in done}
    for client_id, row in running.items():
        day = json.loads(row["context"])["wedding_date"]
        assert day == ("2027-06-19" if told[client_id] == "running" else "2027-08-21"), iso(row["due_at"])


def test_a_move_at_night_is_judged_by_the_clock_of_the_wedding(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    late = at(queue, "2027-06-12T23:30:00Z")
    done = actions.move(late, "c1", date(2027, 6, 20))
    assert changes([done.plan])["timeline"] == "moved"


def test_what_a_drain_does_not_take_back_stays_withdrawn(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    move(queue, date(2027, 2, 5))
    drain = draining.begin(queue, "module", "email")
    refused = move(queue)
    assert changes([refused.plan])["details"] == "refused"
    assert dues(queue)["details"].endswith("cancelled")
    queue_actions.resume(queue, drain.scope, drain.name)
    back = move(queue)
    assert changes([back.plan])["details"] == "restored"


def test_a_withdrawn_step_comes_back_after_any_number_of_plans(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    move(queue, date(2027, 2, 5))
    assert changes(plan(queue))["details"] == "past"
    move(queue, date(2027, 2, 6))
    assert changes(plan(queue))["details"] == "past"
    assert changes([move(queue).plan])["details"] == "restored"
    assert len(jobs(queue)) == 3


def test_a_withdrawn_step_that_somebody_retried_moves_like_any_other(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    move(queue, date(2027, 2, 5))
    (job_id,) = [row["id"] for row in jobs(queue) if row["state"] == "cancelled"]
    assert queue_actions.retry(queue, [job_id]) == [None]
    assert changes(plan(queue))["details"] == "unchanged"
    assert changes([move(queue).plan])["details"] == "moved"
    assert dues(queue)["details"] == "2027-07-22 09:00 scheduled"


def test_a_withdrawn_step_whose_job_is_no_longer_kept_is_queued_anew(queue: Queue) -> None:
    couples(queue)
    plan(queue)
    move(queue, date(2027, 2, 5))
    settle(queue.database, queue.database.transaction)
    with queue.database.transaction() as connection:
        connection.exec_driver_sql(
            "DELETE FROM payloads WHERE job_id IN (SELECT id FROM jobs WHERE state = 'cancelled')"
        )
        connection.exec_driver_sql("DELETE FROM jobs WHERE state = 'cancelled'")
    assert changes([move(queue).plan])["details"] == "queued"
    assert changes(plan(queue))["details"] == "unchanged"
