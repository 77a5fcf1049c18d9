"""Recurring schedules on both databases: registered, due, fired once, missed, paused, overlapping."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores.queues import NOW, SetClock, queue_on
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, InvalidInput, Refused, UnknownSchedule
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, iso
from wedsync_ops.jobs import schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.fire import fire_due
from wedsync_ops.jobs.firing import FireOutcome, NextFire
from wedsync_ops.jobs.store import claim, control, view
from wedsync_ops.jobs.store import schedules as store
from wedsync_ops.jobs.store.schedules import Fire, Stored
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules.model import Problem

CONTEXT = "{client_id: c1, supplier_id: s1, journey_instance_id: j1}"
ONE = NOW + HOUR
"""The first fire of an hourly schedule that was registered at noon."""


def yaml(schedule_id: str = "hourly", **fields: str) -> str:
    whole = {"module_type": "email", "config": "{}", "context": CONTEXT, "timezone": "UTC", **fields}
    if "interval" not in whole:
        whole.setdefault("cron", "0 * * * *")
    return f"  - id: {schedule_id}\n" + "".join(f"    {name}: {value}\n" for name, value in whole.items())


def register(queue: Queue, *several: str, dry_run: bool = False) -> schedules.Batch:
    raw = ("schema_version: 1\nschedules:" + ("\n" + "".join(several) if several else " []")).encode()
    now = queue.clock.now()
    batch = schedules.Batch(queue.rules, raw, now)
    done = modules.register(queue.database, raw, "test", now=now, beside=batch, dry_run=dry_run)
    assert done.problems == ()
    return batch


def changes(batch: schedules.Batch) -> list[tuple[str, str]]:
    return [(one.schedule_id, one.change) for one in batch.registered]


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def at(queue: Queue, instant: int) -> Queue:
    return replace(queue, clock=SetClock(instant))


def fire(queue: Queue, instant: int) -> int:
    return fire_due(queue.database, queue.rules, now=instant, by="w1")


def told(queue: Queue, name: str = "hourly") -> list[tuple[str, str]]:
    """The schedule's fires, oldest first: hour and minute, outcome."""
    return [((iso(one.fire_at) or "")[11:16], one.outcome.value) for one in schedules.history(queue, name, 0)][::-1]


def jobs(queue: Queue) -> list[tuple[int, str]]:
    with queue.database.reading() as connection:
        return [(job.job_id, job.state.value) for job in view.list_jobs(connection, view.Filter())][::-1]


def ahead(queue: Queue, name: str = "hourly") -> int | None:
    return schedules.standing(queue, name).stored.next_fire_at


class TestRegistering:
    def test_a_new_one_is_aimed_at_its_next_time(self, queue: Queue) -> None:
        assert changes(register(queue, yaml())) == [("hourly", "added")]
        assert ahead(queue) == ONE

    def test_a_second_time_changes_nothing(self, queue: Queue) -> None:
        register(queue, yaml())
        assert changes(register(at(queue, NOW + 3 * HOUR), yaml())) == [("hourly", "unchanged")]
        assert ahead(queue) == ONE

    def test_another_config_leaves_the_next_time_alone_and_another_time_does_not(self, queue: Queue) -> None:
        register(queue, yaml())
        late = at(queue, ONE + MINUTE)
        assert changes(register(late, yaml(config="{n: 1}"))) == [("hourly", "changed")]
        assert ahead(queue) == ONE  # due, and not lost
        register(late, yaml(cron="30 * * * *"))
        assert ahead(queue) == ONE + 30 * MINUTE

    def test_what_the_file_no_longer_has_is_removed_and_its_fires_stay(self, queue: Queue) -> None:
        register(queue, yaml(), yaml("other"))
        fire(queue, ONE)
        assert changes(register(queue, yaml("other"))) == [("other", "unchanged"), ("hourly", "removed")]
        assert told(queue) == [("13:00", "queued")]
        with pytest.raises(UnknownSchedule):
            schedules.standing(queue, "hourly")
        assert changes(register(queue)) == [("other", "removed")]
        assert schedules.standings(queue) == []

    def test_a_file_of_module_types_alone_leaves_them(self, queue: Queue, tmp_path: Path) -> None:
        register(queue, yaml())
        queue_on(queue.database, tmp_path)
        assert [one.schedule.id for one in schedules.standings(queue)] == ["hourly"]

    def test_a_dry_run_writes_nothing(self, queue: Queue) -> None:
        assert changes(register(queue, yaml(), dry_run=True)) == [("hourly", "added")]
        assert schedules.standings(queue) == []

    @pytest.mark.parametrize(
        ("fields", "path", "message"),
        [
            ({"module_type": "nope"}, "schedules[0].module_type", "there is no module type 'nope'"),
            ({"config": "{m: 1}"}, "schedules[0].config", "does not fit email"),
            ({"context": "{client_id: c1}"}, "schedules[0].context", "supplier_id is missing"),
        ],
    )
    def test_a_job_that_would_be_refused_is_a_problem(
        self, queue: Queue, fields: dict[str, str], path: str, message: str
    ) -> None:
        raw = f"schema_version: 1\nschedules:\n{yaml(**fields)}".encode()
        batch = schedules.Batch(queue.rules, raw, NOW)
        (found,) = modules.register(queue.database, raw, "test", now=NOW, beside=batch).problems
        assert isinstance(found, Problem)
        assert (found.path, found.line > 3) == (path, True)
        assert message in found.message
        assert schedules.standings(queue) == []

    def test_a_module_type_that_is_not_active_is_a_warning(self, queue: Queue) -> None:
        batch = register(queue, yaml(module_type="idle"))
        assert ["its fires will be refused" in one.message for one in batch.warnings] == [True]


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
        def known() -> claim.Ahead:
            with queue.database.reading() as connection:
                return claim.next_due_at(connection)

        assert known() == (None, None)
        register(queue, yaml(), yaml("later", cron="0 20 * * *"))
        assert known() == (None, ONE)
        schedules.pause(queue, "hourly")
        assert known() == (None, NOW + 8 * HOUR)

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

    def test_a_job_that_runs_is_not_broken_off(self, queue: Queue) -> None:
        register(queue, yaml(overlap="replace"))
        fire(queue, ONE)
        (first,) = jobs(queue)
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE jobs SET state = 'running', leased_by = 'w1', attempt = 1"))
        fire(queue, ONE + HOUR)
        latest = schedules.history(queue, "hourly", 1)[0]
        assert latest.reason == f"job {first[0]} of the fire of 2027-01-13T13:00:00.000000Z runs, and goes on"
        assert [state for _, state in jobs(queue)] == ["running", "available"]

    def test_what_cannot_be_replaced_goes_on_waiting(self, queue: Queue) -> None:
        register(queue, yaml(overlap="replace"))
        fire(queue, ONE)
        small = replace(queue, rules=replace(queue.rules, settings=replace(queue.rules.settings, capacity=1)))
        with queue.database.transaction() as connection:
            connection.execute(text("UPDATE lane_counts SET waiting = 5"))
        fire(small, ONE + HOUR)
        assert [outcome for _, outcome in told(queue)] == ["queued", "refused"]
        assert [state for _, state in jobs(queue)] == ["available"]


class TestPausing:
    def test_a_paused_schedule_fires_nothing_and_catches_nothing_up(self, queue: Queue) -> None:
        register(queue, yaml())
        held = schedules.pause(queue, "hourly", reason="moving")
        assert (held.state, held.stored.pause_reason, held.is_held) == ("paused", "moving", True)
        assert fire(queue, ONE + 5 * HOUR) == 0
        resumed, changed = schedules.resume(at(queue, ONE + 5 * HOUR + MINUTE), "hourly")
        assert (changed, resumed.state, resumed.stored.next_fire_at) == (True, "active", ONE + 6 * HOUR)
        assert schedules.resume(queue, "hourly")[1] is False

    def test_a_pause_until_ends_by_itself(self, queue: Queue) -> None:
        register(queue, yaml())
        schedules.pause(queue, "hourly", until=NOW + 90 * MINUTE)
        assert ahead(queue) == NOW + 2 * HOUR
        assert schedules.standing(at(queue, NOW + HOUR), "hourly").state == "paused"
        assert schedules.standing(at(queue, NOW + 90 * MINUTE), "hourly").state == "active"
        assert [fire(queue, ONE), fire(queue, ONE + HOUR)] == [0, 1]

    def test_a_pause_outlives_another_registration(self, queue: Queue) -> None:
        register(queue, yaml())
        schedules.pause(queue, "hourly")
        register(queue, yaml(cron="30 * * * *"))
        assert (schedules.standing(queue, "hourly").state, ahead(queue)) == ("paused", None)

    def test_what_its_definition_pauses_only_that_can_resume(self, queue: Queue) -> None:
        register(queue, yaml(paused="true"))
        assert (schedules.standing(queue, "hourly").state, ahead(queue)) == ("paused", None)
        with pytest.raises(Refused, match="paused by its definition"):
            schedules.resume(queue, "hourly")
        register(queue, yaml())
        assert ahead(queue) == ONE

    def test_until_the_past_is_refused(self, queue: Queue) -> None:
        register(queue, yaml())
        with pytest.raises(InvalidInput):
            schedules.pause(queue, "hourly", until=NOW)

    @pytest.mark.parametrize("act", [schedules.pause, schedules.resume, schedules.run, schedules.standing])
    def test_one_that_there_is_not(self, queue: Queue, act: Any) -> None:
        with pytest.raises(UnknownSchedule):
            act(queue, "nope")


class TestRunningNow:
    def test_a_manual_fire_is_one_of_its_own_kind_and_moves_nothing(self, queue: Queue) -> None:
        register(queue, yaml(overlap="queue"))
        made = [schedules.run(queue, "hourly") for _ in range(2)]
        assert [(one.kind, one.outcome, one.fire_at - NOW) for one in made] == [
            ("manual", FireOutcome.QUEUED, 0),
            ("manual", FireOutcome.QUEUED, 1),
        ]
        assert ahead(queue) == ONE
        assert len(jobs(queue)) == 2

    def test_it_runs_while_paused_and_heeds_the_overlap(self, queue: Queue) -> None:
        register(queue, yaml())
        schedules.pause(queue, "hourly")
        assert [schedules.run(queue, "hourly").outcome for _ in range(2)] == [FireOutcome.QUEUED, FireOutcome.SKIPPED]


class TestBeingStuck:
    def test_a_fire_that_nobody_fires_shows_as_late(self, queue: Queue) -> None:
        register(queue, yaml())
        states = [
            (seen.state, seen.lag_us // SECOND)
            for instant in (ONE - 1, ONE, ONE + MINUTE, ONE + 2 * MINUTE)
            for seen in [schedules.standing(at(queue, instant), "hourly")]
        ]
        assert states == [("active", 0), ("active", 0), ("active", 60), ("late", 120)]

    def test_the_last_fire_and_the_last_that_queued_a_job_are_told(self, queue: Queue) -> None:
        register(queue, yaml())
        assert schedules.standing(queue, "hourly").last is None
        fire(queue, ONE + SECOND)
        fire(queue, ONE + HOUR)
        last = schedules.standing(queue, "hourly").last
        assert last is not None
        assert (last.fire.outcome, last.queued_at) == (FireOutcome.SKIPPED, ONE + SECOND)


@pytest.mark.parametrize(
    "nonsense",
    [
        "UPDATE schedules SET next_fire_at = NULL",
        "UPDATE schedules SET paused_at = 5",
        "UPDATE schedule_fires SET kind = 'odd'",
        "UPDATE schedule_fires SET outcome = 'odd'",
        "UPDATE schedule_fires SET outcome = 'missed', reason = NULL",
    ],
)
def test_the_database_refuses_what_no_schedule_can_be(queue: Queue, nonsense: str) -> None:
    register(queue, yaml())
    fire(queue, ONE)
    with pytest.raises(DatabaseError), queue.database.transaction() as connection:
        connection.execute(text(nonsense))


def test_a_fire_is_written_once(queue: Queue) -> None:
    made = Fire("s", NOW, "scheduled", NOW, NOW, "w1", FireOutcome.QUEUED, 1, None)
    with queue.database.transaction() as connection:
        assert store.insert_fire(connection, made)
        assert not store.insert_fire(connection, replace(made, kind="manual"))
