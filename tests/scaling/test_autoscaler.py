"""The autoscaler on real databases: what it reads, what it wants of whom, what it keeps, and who does it."""

from typing import NamedTuple

import pytest
from sqlalchemy import Connection, text

from tests.metrics import rows
from tests.scaling.conftest import GB, Platform
from tests.stores.rows import take
from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.jobs.store import control, requests, workers
from wedsync_ops.jobs.store.requests import EVERY, Kind, Request
from wedsync_ops.operations import maintenance
from wedsync_ops.scaling import actions
from wedsync_ops.scaling.actions import inputs_of


class Foreseen(NamedTuple):
    hour: int
    module_type: str
    high: float


def test_what_waits_adds_slots_within_the_windows_and_steps(platform: Platform) -> None:
    platform.start("a")
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler, rounds=3)
    assert platform.told() == []
    platform.fill(1_000)
    platform.decide(autoscaler, rounds=2)
    assert platform.wanted() == {"a": 4}, "nobody knows yet whether it lasts"
    platform.decide(autoscaler)
    assert platform.wanted() == {"a": 8}
    platform.decide(autoscaler, rounds=4)
    assert platform.wanted() == {"a": 50}
    assert platform.told()[:4] == [(4, 8, "queue"), (8, 16, "queue"), (16, 32, "queue"), (32, 50, "queue")]
    first = platform.history()[0]
    assert (first.scope, first.limits) == ("all", "step")
    assert first.said == "1,000 jobs wait, and 33.3 slots are needed to start them in time; in steps"
    assert inputs_of(first)["waiting"] == [{"priority": 1, "jobs": 1000, "work_s": 1000.0}]


def test_what_is_not_needed_any_more_goes_slowly(platform: Platform) -> None:
    platform.start("a", 20)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler, rounds=60)
    assert platform.wanted() == {"a": 20}
    platform.decide(autoscaler, rounds=2)
    assert platform.told() == [(20, 15, "idle")]
    platform.decide(autoscaler, rounds=60)
    assert platform.wanted() == {"a": 2}
    assert [wanted for _, wanted, _ in platform.told()] == [15, 12, 9, 7, 5, 3, 2]
    platform.decide(autoscaler, rounds=20)
    assert len(platform.told()) == 7, "a decision that changes nothing is not kept"


def test_a_worker_that_has_not_followed_yet_is_not_told_otherwise(platform: Platform) -> None:
    platform.configure(scale_down_window_s=0.0, scale_down_pause_s=1.0, autoscale_every_s=0.5)
    platform.start("a", 20)
    autoscaler = platform.autoscaler()
    wanted = []
    for _ in range(4):  # it looks once a second; here it never comes to it
        platform.clock.advance("500ms")
        autoscaler.decide()
        wanted.append(platform.wanted()["a"])
    assert wanted == [15, 15, 12, 12]
    assert platform.told() == [(20, 15, "idle"), (15, 12, "idle")]


def test_work_that_was_done_counts_as_long_as_it_goes_on(platform: Platform) -> None:
    platform.start("a", 10)
    platform.ran(95)  # in ten seconds
    autoscaler = platform.autoscaler()
    platform.configure(scale_up_window_s=0.0)
    assert platform.decide(autoscaler, "1s").decisions["all"].demand == pytest.approx(9.5)
    assert platform.told() == [(10, 16, "load")]


def test_jobs_that_take_long_count_while_they_run(platform: Platform) -> None:
    platform.start("a", 10)
    platform.fill(9)
    with platform.database.transaction() as connection:
        take(connection, 9, worker="a")
    decision = platform.decide(platform.autoscaler()).decisions["all"]
    assert (decision.demand, decision.recommended) == (9.0, 15)


def test_slots_are_split_over_the_workers_and_those_that_keep_their_size_do_their_part(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    for name in ("a", "b"):
        platform.start(name, 4, host=name)
    platform.start("fixed", 7, min_slots=None, max_slots=None)
    platform.start("late", 4, heartbeat_at=platform.clock.now() - 40 * SECOND)
    platform.start("quiet", 4, phase="quiet")
    platform.fill(450)
    done = platform.decide(platform.autoscaler())
    assert done.decisions["all"].recommended == 18, "of 25 for 15, seven are there"
    assert platform.wanted() == {"a": 8, "b": 8, "fixed": None, "late": None, "quiet": None}


def test_workers_of_few_module_types_are_sized_by_these(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", modules="email")
    platform.start("b", modules="info,review")
    platform.fill(100)
    done = platform.decide(platform.autoscaler())
    assert set(done.decisions) == {"modules=email", "modules=info,review"}
    assert platform.wanted() == {"a": 6, "b": 4}
    assert [row.scope for row in platform.history()] == ["modules=email"]


def test_workers_of_a_region_are_sized_by_its_jobs(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", region="midwest")
    platform.start("b", region="south")
    platform.fill(100, location="Chicago")
    platform.decide(platform.autoscaler())
    assert platform.wanted() == {"a": 6, "b": 4}


def test_what_is_paused_calls_for_nothing(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a")
    platform.fill(1_000)
    with platform.database.transaction() as connection:
        control.pause(connection, control.Pause("module", "email", "stop", "me", platform.clock.now(), None))
    assert platform.decide(platform.autoscaler()).decisions["all"].demand == 0.0


def test_memory_bounds_what_is_added_and_is_shared_on_a_host(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    for name in ("a", "b"):
        platform.start(name, 4, memory_kb=6 * GB)  # 512 MB a job: 12 on the host, 6 each
    platform.fill(1_000)
    platform.decide(platform.autoscaler(), rounds=3)
    assert platform.wanted() == {"a": 6, "b": 6}
    assert platform.history()[-1].limits.endswith("memory")
    assert "the memory holds 12" in platform.history()[-1].said


def test_what_is_held_is_kept_once(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", 4)
    platform.fill(1_000)
    autoscaler = platform.autoscaler()
    for _ in range(40):
        rows.samples(platform.database, [{"sampled_at": platform.clock.now() + SECOND, "cpu_percent": 99.0}])
        platform.decide(autoscaler)
    assert [(row.slots_before, row.wanted, row.limits) for row in platform.history()] == [(4, 4, "step,cpu")]


def test_what_is_foreseen_is_there_before(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", 4)
    asked: list[tuple[int, int]] = []

    def foresee(_: Connection, since: int, until: int) -> list[Foreseen]:
        asked.append((since, until))
        return [Foreseen(since, "email", 3_600.0), Foreseen(since + HOUR, "email", 36_000.0)]

    done = platform.decide(platform.autoscaler(foresee))
    assert done.decisions["all"].recommended == 17, "ten slots' work in the next hour"
    assert platform.told() == [(4, 8, "expected")]
    ((since, until),) = asked
    assert (since % HOUR, until - platform.clock.now()) == (0, 900 * SECOND)


def test_before_a_weekend_the_calendar_foresees(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.clock.set("2027-06-18T23:50:00Z")
    platform.start("a", 10)
    platform.ran(30)
    decision = platform.decide(platform.autoscaler(), "1s").decisions["all"]
    assert (decision.reason, decision.recommended) == ("expected", 15)
    assert decision.said == "the calendar expects work for 9.0 slots in the next minutes"


def ask(platform: Platform, kind: Kind, slots: float, scope: str = EVERY) -> None:
    with platform.database.transaction() as connection:
        until = platform.clock.now() + 300 * SECOND
        requests.ask(connection, Request(scope, kind, kind, slots, "somebody asks", None, platform.clock.now(), until))


def test_wedding_week_work_is_met_at_once(platform: Platform) -> None:
    platform.start("a", 10)
    ask(platform, Kind.BUSY, 9.0)
    platform.decide(platform.autoscaler())
    assert platform.told() == [(10, 15, "wedding_week")]


def test_an_emergency_raises_at_once_until_it_is_over(platform: Platform) -> None:
    platform.start("a", 4)
    platform.start("b", 4, modules="email")
    until = platform.clock.now() + 60 * SECOND
    actions.pin(platform.database, platform.clock, source="outage", slots=60, said="wedding-day outage", until=until)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler)
    assert platform.wanted() == {"a": 30, "b": 30}
    assert {row.reason for row in platform.history()} == {"emergency"}
    assert actions.unpin(platform.database, "outage") == 1
    platform.decide(autoscaler, rounds=62)
    assert (platform.wanted()["a"] or 0) < 30


def test_another_process_goes_on_where_the_last_one_stopped(platform: Platform) -> None:
    platform.start("a", 20)
    first, second = platform.autoscaler(), platform.autoscaler()
    platform.decide(first, rounds=58)
    assert second.decide().skipped == "another process decides on the number of slots"
    first.leave()
    platform.decide(second, rounds=6)
    assert platform.told() == [(20, 15, "idle")], "five minutes of both together"
    assert first.decide().skipped is not None


def test_a_process_that_was_replaced_changes_nothing(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", 4)
    first, second = platform.autoscaler(), platform.autoscaler()
    platform.decide(first)
    with platform.database.transaction() as connection:
        connection.execute(text("UPDATE terms SET expires_at = renewed_at"))
    assert second.decide().skipped is None
    platform.fill(1_000)
    platform.clock.advance("1s")
    assert "is over" in (first.decide().skipped or "")
    assert platform.told() == []


def test_an_idle_platform_is_written_four_times_a_minute_at_most(platform: Platform) -> None:
    platform.start("a", 2)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler, rounds=12)
    with platform.database.reading() as connection:
        before = connection.execute(text("SELECT at FROM scale_states")).scalar_one()
    assert platform.clock.now() - before < 15 * SECOND
    platform.clock.advance("1s")
    autoscaler.decide()
    with platform.database.reading() as connection:
        assert connection.execute(text("SELECT at FROM scale_states")).scalar_one() == before


def test_without_a_worker_there_is_a_status_all_the_same(platform: Platform) -> None:
    platform.fill(3_000)
    (one,) = actions.status(platform.database, platform.clock, platform.queue.rules).scopes
    assert (one.name, one.decision.demand, one.replicas) == ("all", 100.0, 4)


def test_replicas_are_what_the_load_needs_beyond_any_bound(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", 50)
    platform.fill(9_000)
    platform.decide(platform.autoscaler())
    found = actions.status(platform.database, platform.clock, platform.queue.rules)
    assert [(one.wanted, one.replicas) for one in found.scopes] == [(50, 10)]
    named = {family.name: family.samples[0].value for family in actions.families(found)}
    assert named == {"wanted_slots": 50, "wanted_replicas": 10, "slots": 50}


def test_a_worker_that_is_gone_is_not_written_to(platform: Platform) -> None:
    platform.start("a", 4)
    with platform.database.transaction() as connection:
        workers.stop(connection, "a", platform.clock.now())
        workers.want(connection, "a", 9)
        assert workers.wanted(connection, "a") is None


def test_decisions_are_forgotten_with_everything_else(platform: Platform) -> None:
    platform.start("a", 20)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler, rounds=62)
    assert len(platform.history()) == 1
    site = maintenance.Site(platform.database, platform.clock, platform.queue.rules)
    maintenance.run(site, ["retention"])
    assert len(platform.history()) == 1
    platform.clock.advance("92d")
    maintenance.run(site, ["retention"])
    assert platform.history() == []


def test_what_cannot_be_had_is_told_again_after_an_hour(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0)
    platform.start("a", 50)
    platform.fill(9_000)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler, rounds=30)
    assert [row.limits for row in platform.history()] == ["step,max"]
    platform.decide(autoscaler, "20s", rounds=180)
    assert len(platform.history()) == 2


def test_a_module_type_that_is_not_registered_any_more_is_guessed_at(platform: Platform) -> None:
    platform.start("a", 4)
    rows.lanes(platform.database, ("gone", 3, 8, 10))
    decision = platform.decide(platform.autoscaler()).decisions["all"]
    assert decision.demand == 4.0, "ten jobs of two seconds, to start in five"


def test_fresh_rules_are_read_every_minute(platform: Platform) -> None:
    platform.configure(scale_up_window_s=3_600.0)
    platform.start("a", 4)
    autoscaler = platform.autoscaler()
    platform.decide(autoscaler)
    platform.configure(scale_up_window_s=0.0)
    platform.fill(1_000)
    platform.decide(autoscaler, "20s", rounds=2)
    assert platform.wanted() == {"a": 4}
    platform.decide(autoscaler, "20s")
    assert platform.wanted() == {"a": 8}
