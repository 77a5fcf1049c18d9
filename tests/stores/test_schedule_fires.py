"""Fires of schedules on both databases: once each, missed, refused, overlapping, however the clock goes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.stores.queues import DEFINITIONS, NOW, queue_on
from tests.stores.timetables import ONE, ahead, at, attempt, fire, jobs, register, told, yaml
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.jobs import schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.firing import FireOutcome, NextFire
from wedsync_ops.jobs.store import claim, control, stops, view
from wedsync_ops.jobs.store import schedules as store
from wedsync_ops.jobs.store.schedules import Stored
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store as registry


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


class TestFiring:
    def test_nothing_fires_before_its_time(self, queue: Queue) -> None:
        register(queue, yaml())
        assert fire(queue, ONE - 1) == 0
        assert told(queue) == []

    def test_a_fire_is_a_row_and_a_job_with_a_key_of_its_own(self, queue: Queue) -> None:
        register(queue, yaml(priority="high"))
        assert fire(queue, ONE + SECOND) == 1
        (one,) = schedules.history(queue, "hourly", 0)
        assert (one.fire_at, one.kind, one.decided_at, one.decided_by) == (ONE, "scheduled", ONE + SECOND, "w1")
        with queue.database.reading() as connection:
            job = view.show_job(connection, one.job_id or 0)
        assert job is not None
        assert (job.key, job.job.priority_requested.word) == ("schedule hourly 2027-01-13T13:00:00.000000Z", "high")
        assert ahead(queue) == ONE + HOUR

    def test_it_does_not_fire_twice_at_one_time(self, queue: Queue) -> None:
        register(queue, yaml(overlap="queue"))
        assert [fire(queue, ONE), fire(queue, ONE), fire(queue, ONE)] == [1, 0, 0]
        with queue.database.transaction() as connection:  # as if the schedule had been set back
            store.advance(connection, "hourly", NextFire(ONE, ONE))
        assert fire(queue, ONE) == 0
        assert (told(queue), len(jobs(queue))) == ([("13:00", "queued")], 1)

    def test_a_clock_that_goes_back_fires_nothing_again(self, queue: Queue) -> None:
        register(queue, yaml(overlap="queue"))
        instants = [ONE, ONE - 30 * MINUTE, ONE - DAY, ONE, ONE + HOUR]
        assert [fire(queue, instant) for instant in instants] == [1, 0, 0, 0, 1]

    def test_a_clock_that_leaps_forward_floods_nothing_and_goes_on_when_it_is_back(self, queue: Queue) -> None:
        register(queue, yaml(overlap="queue", grace="5m"))
        fire(queue, NOW + 5 * HOUR + MINUTE)
        assert [outcome for _, outcome in told(queue)] == ["missed"] * 4 + ["queued"]
        assert [fire(queue, NOW + hour * HOUR) for hour in (1, 2, 5)] == [0, 0, 0]
        assert fire(queue, NOW + 6 * HOUR) == 1
        assert len(jobs(queue)) == 2

    def test_a_clock_that_was_a_year_ahead_shows_and_is_made_good(self, queue: Queue) -> None:
        register(queue, yaml(overlap="queue"))
        fire(queue, NOW + 365 * DAY)
        fire(queue, NOW + 365 * DAY)
        assert schedules.standing(at(queue, NOW + DAY), "hourly").state == "ahead"
        resumed, changed = schedules.resume(at(queue, NOW + DAY), "hourly")
        assert (changed, resumed.state, resumed.stored.next_fire_at) == (True, "active", NOW + DAY + HOUR)
        assert fire(queue, NOW + DAY + HOUR) == 1
        before = len(jobs(queue))
        with queue.database.transaction() as connection:  # the very time that has a job gets no second one
            store.advance(connection, "hourly", NextFire(NOW + 365 * DAY, NOW + 365 * DAY))
        assert (fire(queue, NOW + 365 * DAY), len(jobs(queue))) == (0, before)

    def test_a_night_asleep_is_one_job_and_every_missed_fire_a_row(self, queue: Queue) -> None:
        register(queue, yaml(grace="30m"))
        assert fire(queue, ONE + 10 * HOUR + MINUTE) == 11
        assert [outcome for _, outcome in told(queue)] == ["missed"] * 10 + ["queued"]
        assert len(jobs(queue)) == 1

    def test_a_year_asleep_ends_in_two_transactions(self, queue: Queue) -> None:
        register(queue, yaml(cron="'* * * * *'", grace="1m"))
        assert fire(queue, NOW + 365 * DAY) == 101
        fire(queue, NOW + 365 * DAY)
        assert len(jobs(queue)) == 1
        assert (ahead(queue) or 0) > NOW + 365 * DAY

    def test_ten_schedules_a_transaction_the_longest_due_first(self, queue: Queue) -> None:
        register(queue, *(yaml(f"s{number}", cron=f"{number} * * * *") for number in range(12)))
        assert [fire(queue, ONE) for _ in range(3)] == [10, 2, 0]

    def test_after_a_long_night_a_transaction_stays_short(self, queue: Queue) -> None:
        register(queue, *(yaml(f"s{number}", interval="1m", grace="1m") for number in range(5)))
        counts = []
        while fires := fire(queue, NOW + DAY):
            counts.append(fires)
        assert max(counts) <= 202
        assert len(jobs(queue)) == 5

    def test_many_hands_at_once_fire_each_time_once(self, queue: Queue) -> None:
        register(queue, *(yaml(f"s{number}", overlap="queue", coalesce="false", grace="1d") for number in range(4)))
        with ThreadPoolExecutor(4) as hands:
            for hour in range(1, 6):
                list(hands.map(lambda _, at=NOW + hour * HOUR: attempt(queue, at), range(8)))
        while fire(queue, NOW + 5 * HOUR):
            pass
        assert [told(queue, f"s{number}") for number in range(4)] == [
            [(f"{12 + hour}:00", "queued") for hour in range(1, 6)]
        ] * 4
        assert len(jobs(queue)) == 20

    def test_two_that_saw_the_same_schedule_due_fire_it_once(self, queue: Queue) -> None:
        register(queue, yaml())
        with queue.database.reading() as connection:
            seen = store.due(connection, ONE, 10)
        fire(queue, ONE)
        with queue.database.transaction() as connection:
            assert store.held(connection, seen) == []

    def test_a_schedule_that_changed_since_it_was_seen_is_looked_at_anew(self, queue: Queue) -> None:
        register(queue, yaml())
        with queue.database.reading() as connection:
            seen = store.due(connection, ONE, 10)
        register(at(queue, ONE), yaml(config="{n: 1}"))
        with queue.database.transaction() as connection:
            assert store.held(connection, seen) == []
        assert fire(queue, ONE) == 1

    def test_what_the_loop_knows_as_next_due_is_the_earliest_fire(self, queue: Queue) -> None:
        def known() -> int | None:
            with queue.database.reading() as connection:
                return claim.next_due(connection).fire_at

        assert known() is None
        register(queue, yaml(), yaml("later", cron="0 20 * * *"))
        assert known() == ONE
        schedules.pause(queue, "hourly")
        assert known() == NOW + 8 * HOUR

    def test_jitter_moves_the_moment_and_not_the_fire(self, queue: Queue) -> None:
        register(queue, yaml(jitter="10m"))
        due_at = schedules.standing(queue, "hourly").stored.next_due_at or 0
        assert ONE < due_at <= ONE + 10 * MINUTE
        assert [fire(queue, due_at - 1), fire(queue, due_at)] == [0, 1]
        assert told(queue) == [("13:00", "queued")]

    def test_at_its_end_a_schedule_stops(self, queue: Queue) -> None:
        register(queue, yaml(end="2027-01-13T13:30:00Z"))
        fire(queue, ONE)
        assert (schedules.standing(queue, "hourly").state, ahead(queue)) == ("ended", None)


class TestRefusal:
    def test_a_module_type_that_is_no_longer_active(self, queue: Queue) -> None:
        register(queue, yaml(module_type="idle"))
        fire(queue, ONE)
        (one,) = schedules.history(queue, "hourly", 0)
        assert (one.outcome, one.job_id) == (FireOutcome.REFUSED, None)
        assert "not active" in (one.reason or "")
        assert ahead(queue) == ONE + HOUR

    def test_a_queue_that_is_full(self, database: Database, tmp_path: Path) -> None:
        queue = queue_on(database, tmp_path, capacity=1)
        register(queue, yaml(), yaml("other", overlap="replace"))
        fire(queue, ONE)
        assert sorted(told(queue) + told(queue, "other")) == [("13:00", "queued"), ("13:00", "refused")]
        assert len(jobs(queue)) == 1

    def test_a_handler_whose_own_code_fails(self, queue: Queue) -> None:
        register(queue, yaml(module_type="free"))
        changed = DEFINITIONS.replace(b"handlers:touchy", b"handlers:forgetful")
        assert modules.register(queue.database, changed, "test", now=NOW).problems == ()
        with queue.database.reading() as connection:
            now = replace(queue, rules=replace(queue.rules, registry=registry.load(connection)))
        assert fire(now, ONE) == 1
        (one,) = schedules.history(now, "hourly", 0)
        assert (one.outcome, one.reason) == (
            FireOutcome.REFUSED,
            "free: the handler's code failed with KeyError: 'code'",
        )

    def test_what_can_no_longer_be_read_is_refused_once(self, queue: Queue) -> None:
        with queue.database.transaction() as connection:
            store.save(connection, Stored("odd", '{"id": "odd"}', NOW, ONE, ONE))
        assert [fire(queue, ONE), fire(queue, ONE)] == [1, 0]
        assert told(queue, "odd") == [("13:00", "refused")]

    def test_a_key_that_somebody_else_has_used(self, queue: Queue) -> None:
        register(queue, yaml())
        fire(queue, ONE)
        with queue.database.transaction() as connection:
            connection.execute(text("DELETE FROM schedule_fires"))
            store.advance(connection, "hourly", NextFire(ONE, ONE))
            connection.execute(text("UPDATE jobs SET payload_hash = '00'"))
            control.cancel(connection, [job_id for job_id, _ in jobs(queue)], ONE)
        fire(queue, ONE)
        assert told(queue) == [("13:00", "refused")]


class TestOverlap:
    @pytest.mark.parametrize(
        ("overlap", "outcomes", "states"),
        [
            ("skip", ["queued", "skipped"], ["available"]),
            ("queue", ["queued", "queued"], ["available", "available"]),
            ("replace", ["queued", "queued"], ["cancelled", "available"]),
        ],
    )
    def test_while_the_job_before_still_waits(
        self, queue: Queue, overlap: str, outcomes: list[str], states: list[str]
    ) -> None:
        register(queue, yaml(overlap=overlap))
        fire(queue, ONE)
        fire(queue, ONE + HOUR)
        assert [outcome for _, outcome in told(queue)] == outcomes
        assert [state for _, state in jobs(queue)] == states

    def test_a_job_that_has_finished_is_in_nobodys_way(self, queue: Queue) -> None:
        register(queue, yaml())
        fire(queue, ONE)
        with queue.database.transaction() as connection:
            control.cancel(connection, [jobs(queue)[0][0]], ONE)
        fire(queue, ONE + HOUR)
        assert [outcome for _, outcome in told(queue)] == ["queued", "queued"]

    def test_a_job_that_runs_is_broken_off(self, queue: Queue) -> None:
        register(queue, yaml(overlap="replace"))
        fire(queue, ONE)
        (first,) = jobs(queue)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET state = 'running', leased_by = 'w1', attempt = 1"))
        fire(queue, ONE + HOUR)
        latest = schedules.history(queue, "hourly", 1)[0]
        assert latest.reason == f"job {first[0]} of the fire of 2027-01-13T13:00:00.000000Z runs, and is broken off"
        with queue.database.reading() as connection:
            (stop,) = stops.find(connection)
        assert (stop.job_id, stop.reason) == (first[0], "cancelled by the schedule hourly")
        assert [state for _, state in jobs(queue)] == ["running", "available"]

    def test_a_job_that_runs_goes_on_when_its_successor_is_refused(self, queue: Queue) -> None:
        register(queue, yaml(overlap="replace"))
        fire(queue, ONE)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET state = 'running', leased_by = 'w1', attempt = 1"))
            connection.execute(text("UPDATE lane_counts SET waiting = 5"))
        small = replace(queue, rules=replace(queue.rules, settings=replace(queue.rules.settings, capacity=1)))
        fire(small, ONE + HOUR)
        assert [outcome for _, outcome in told(queue)] == ["queued", "refused"]
        with queue.database.reading() as connection:
            assert stops.find(connection) == []

    def test_what_cannot_be_replaced_goes_on_waiting(self, queue: Queue) -> None:
        register(queue, yaml(overlap="replace"))
        fire(queue, ONE)
        small = replace(queue, rules=replace(queue.rules, settings=replace(queue.rules.settings, capacity=1)))
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE lane_counts SET waiting = 5"))
        fire(small, ONE + HOUR)
        assert [outcome for _, outcome in told(queue)] == ["queued", "refused"]
        assert [state for _, state in jobs(queue)] == ["available"]
