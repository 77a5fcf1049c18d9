"""Recurring schedules on both databases: registered, paused, run by hand, seen to be stuck."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores.queues import NOW, queue_on
from tests.stores.timetables import ONE, ahead, at, changes, fire, jobs, register, told, yaml
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, InvalidInput, Refused, UnknownSchedule
from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.jobs import schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.firing import FireOutcome
from wedsync_ops.jobs.store import schedules as store
from wedsync_ops.jobs.store.schedules import Fire
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules.model import Problem


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


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
        (found,) = modules.register(queue.database, raw, "test", now=NOW, beside=[batch]).problems
        assert isinstance(found, Problem)
        assert (found.path, found.line > 3) == (path, True)
        assert message in found.message
        assert schedules.standings(queue) == []

    def test_a_module_type_that_is_not_active_is_a_warning(self, queue: Queue) -> None:
        batch = register(queue, yaml(module_type="idle"))
        assert ["its fires will be refused" in one.message for one in batch.warnings] == [True]


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
