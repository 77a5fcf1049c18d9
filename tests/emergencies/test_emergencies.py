"""Declaring and resolving: every step is recorded, has an effect, can be gone on with, and leaves only the history."""

import socket
from dataclasses import replace
from typing import Any

import pytest

from tests.alerts.scene import worker
from tests.emergencies.conftest import Room
from tests.stores.queues import request
from wedsync_ops.alerts.alerter import Alerter
from wedsync_ops.alerts.model import AlertType, EventKind
from wedsync_ops.alerts.store import alerts
from wedsync_ops.emergencies import actions
from wedsync_ops.emergencies.actions import Wish
from wedsync_ops.emergencies.breaker import BreakerState
from wedsync_ops.emergencies.model import Emergency, Scope, StepState
from wedsync_ops.emergencies.store import emergencies
from wedsync_ops.errors import InvalidInput, NotFound, UnknownEmergency, UnknownModule, UsageError, WrongState
from wedsync_ops.instants import HOUR
from wedsync_ops.jobs import actions as jobs
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.model import Priority, State
from wedsync_ops.jobs.store import measures, requests
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store

WIRED = b"""
schema_version: 1
modules:
  - id: wire
    display_name: Wire
    category: messages
    provider: acme
    handler: tests.stores.handlers:nothing
    config_schema: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
"""


def declare(room: Room, name: str, **values: Any) -> Emergency:
    return actions.declare(room.desk, Wish(name=name, **values))


def steps(room: Room, emergency: Emergency) -> dict[str, tuple[StepState, str | None]]:
    return {step.plan.do: (step.state, step.error) for step in actions.steps_of(room.desk, emergency)}


def enqueue(room: Room, module_type: str = "email", **values: Any) -> int:
    return jobs.enqueue(room.queue, request(module_type, **values)).job_id or 0


def test_a_breaker_opened_by_hand_keeps_jobs_from_starting_and_loses_none(room: Room) -> None:
    held, free = enqueue(room), enqueue(room, "free")
    made = declare(room, "high_failure_rate", scope=Scope.MODULE, subject="email", reason="the server refuses all")
    assert [job.id for job in room.claim()] == [free]
    _, why = explained(room.queue, held)
    assert why.reasons[0].code == "paused"
    assert "emergency resolve" in (why.reasons[0].sooner or "")
    actions.resolve(room.desk, made.id)
    assert [job.id for job in room.claim()] == [held]


def test_claimed_jobs_that_have_not_started_are_given_back_with_their_attempt(room: Room) -> None:
    from wedsync_ops.jobs.dispatch import Dispatcher

    held = enqueue(room)
    dispatch = Dispatcher(None)
    for _ in range(2):
        with room.database.transaction() as connection:
            taken = dispatch.claim(connection, room.queue.rules, worker_id="w1", now=room.clock.now(), slots=2, room=2)
        dispatch.keep(taken)
        declare(
            room, "high_failure_rate", scope=Scope.MODULE, subject="email"
        ) if not room.standing().emergencies else None
    assert len(dispatch) == 0
    with room.database.reading() as connection:
        row = connection.exec_driver_sql(f"SELECT state, attempt FROM jobs WHERE id = {held}").one()
    assert tuple(row) == (State.AVAILABLE, 0)


def test_a_half_open_breaker_lets_one_job_at_a_time_start(room: Room) -> None:
    for _ in range(5):
        enqueue(room)
    room.ran("email", *["error"] * 20)
    assert room.look().declared == 1
    assert room.claim() == []
    assert room.look("31s").breakers == 1
    (probe,) = room.claim()
    assert room.claim() == []
    with room.database.transaction() as connection:
        connection.exec_driver_sql(
            f"UPDATE jobs SET state = 'completed', leased_by = NULL, finished_at = 1 WHERE id = {probe.id}"
        )
    assert len(room.claim()) == 1


def test_a_breaker_opens_by_rule_is_probed_and_closes_and_leaves_only_history(room: Room) -> None:
    before = room.tables()
    room.ran("email", *["error"] * 18, *["ok"] * 2)
    assert room.look().declared == 1
    (emergency,) = room.standing().emergencies
    assert (emergency.name, emergency.subject, emergency.by_rule) == ("high_failure_rate", "email", True)
    assert room.look("10s").declared == 0
    room.look("25s")
    assert room.standing().breakers[0].state is BreakerState.HALF_OPEN
    room.clock.advance("2s")
    room.ran("email", "ok", "ok", "ok")
    assert room.look().resolved == 1
    assert room.standing().emergencies == ()
    assert room.look().declared == 0, "what failed before it closed does not open it again"
    after = room.tables()
    for rows in (before, after):
        rows.pop("executions")
        rows.pop("alert_events", None)
    assert after == before
    (kept,) = actions.history(room.desk, 0).emergencies
    assert kept.ending == "3 probes in a row went well"


def test_a_probe_that_fails_opens_it_again(room: Room) -> None:
    room.ran("email", *["error"] * 20)
    room.look()
    room.look("31s")
    room.clock.advance("2s")
    room.ran("email", "error")
    room.look()
    (breaker,) = room.standing().breakers
    assert (breaker.state, breaker.times) == (BreakerState.OPEN, 2)
    enqueue(room)
    assert room.claim() == []


def test_of_two_breakers_over_one_module_type_each_sees_its_own_probes(room: Room) -> None:
    modules.register(room.database, WIRED, "test", now=room.clock.now())
    with room.database.reading() as connection:
        rules = replace(room.queue.rules, registry=store.load(connection))
    room.queue = replace(room.queue, rules=rules)
    first = declare(room, "high_failure_rate", scope=Scope.MODULE, subject="wire")
    room.look("31s")
    room.clock.advance("2s")
    room.ran("wire", "ok", "ok", "ok")
    declare(room, "high_failure_rate", scope=Scope.PROVIDER, subject="acme")
    assert len(room.standing().breakers) == 2
    assert room.look().resolved == 1
    assert [one.key.scope for one in room.standing().breakers] == ["provider"]
    assert first.id not in {one.id for one in room.standing().emergencies}
    enqueue(room, "wire")
    assert room.claim() == []


def test_a_backup_that_answers_is_seen_and_one_that_does_not_fails_in_time(room: Room) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"smtp://127.0.0.1:{server.getsockname()[1]}"
        room.setting(smtp_url_backup=url)
        made = declare(room, "wedding_day_outage")
        room.look()
        found = {step.plan.do: step for step in actions.steps_of(room.desk, made)}["use_backup_routes"]
        assert (found.check_ok, found.check_said) == (True, "it answers")
        actions.resolve(room.desk, made.id)
    again = declare(room, "wedding_day_outage")
    room.look()
    room.look("31s")
    found = {step.plan.do: step for step in actions.steps_of(room.desk, again)}["use_backup_routes"]
    assert (found.check_ok, found.state) == (False, StepState.DONE)
    assert "the backup of smtp does not answer" in (found.check_said or "")


def test_with_the_setting_off_nothing_opens_by_itself(room: Room) -> None:
    room.setting(emergency_auto="off")
    room.ran("email", *["error"] * 20)
    assert room.look().declared == 0


def test_resource_exhaustion_holds_low_priority_and_takes_it_back(room: Room) -> None:
    before = room.tables()
    made = declare(room, "resource_exhaustion")
    low, normal = enqueue(room, priority="low"), enqueue(room, priority="normal")
    assert [job.id for job in room.claim()] == [normal]
    with room.database.reading() as connection:
        assert measures.tempo(connection, room.clock.now()).recycle_at == made.declared_at
    actions.resolve(room.desk, made.id)
    assert [job.id for job in room.claim()] == [low]
    assert room.tables()["measures"] == before["measures"]


def test_a_wedding_day_outage_asks_for_every_slot_and_starts_wedding_day_jobs_only(room: Room) -> None:
    room.setting(smtp_url_backup="smtp://127.0.0.1:1")
    worker(room, slots=4, min_slots=2, max_slots=50)
    early, late = enqueue(room, priority="high"), enqueue(room, wedding_date="2027-01-13")
    made = declare(room, "wedding_day_outage", reason="the data centre burns")
    with room.database.reading() as connection:
        (asked,) = requests.in_force(connection, room.clock.now())
        assert (asked.kind, asked.slots, asked.source) == (requests.Kind.AT_LEAST, 50.0, made.source)
        assert measures.tempo(connection, room.clock.now()).routes == {"smtp"}
        assert measures.is_watched(connection, room.clock.now())
    assert [(job.id, job.priority) for job in room.claim()] == [(late, Priority.CRITICAL)]
    assert made.until == made.declared_at + 12 * HOUR
    actions.resolve(room.desk, made.id)
    assert [job.id for job in room.claim()] == [early]
    with room.database.reading() as connection:
        assert requests.in_force(connection, room.clock.now()) == []


def test_a_step_that_cannot_be_taken_is_noted_and_the_others_go_on(room: Room) -> None:
    made = declare(room, "wedding_day_outage")
    found = steps(room, made)
    assert found["use_backup_routes"] == (
        StepState.FAILED,
        "there is no backup route: smtp_url_backup and sms_url_backup are not set",
    )
    assert found["scale_up"] == (StepState.DONE, None), "whoever starts from now on gets the slots"
    assert found["page"] == (StepState.DONE, None)


def test_people_are_paged_through_the_alerts_and_told_when_it_is_over(room: Room) -> None:
    made = declare(room, "flood", reason="the cellar is full of water")
    with room.database.reading() as connection:
        (alert,) = alerts.unresolved(connection)
    assert (alert.type, alert.severity, alert.runbook) == (
        AlertType.EMERGENCY,
        "critical",
        "docs/runbooks/emergency.md",
    )
    assert "the cellar is full of water" in alert.message
    alerter = Alerter(room.database, room.clock, lambda: room.queue.rules)
    room.clock.advance("10m")
    alerter.evaluate()
    with room.database.reading() as connection:
        assert [one.key for one in alerts.unresolved(connection)] == [alert.key], "evaluation leaves it alone"
    actions.resolve(room.desk, made.id, note="pumped out")
    with room.database.reading() as connection:
        events = alerts.read_events(connection, 0, 100)
        assert alerts.unresolved(connection) == []
    assert [event.kind for event in events] == [EventKind.OPENED, EventKind.RESOLVED]
    assert events[-1].note == "pumped out"


def test_what_a_process_left_half_done_the_next_look_goes_on_with(room: Room) -> None:
    protocol = room.desk.protocols.of("wedding_day_outage")
    with room.database.transaction() as connection:
        emergency = Emergency(
            id=0,
            name="wedding_day_outage",
            scope=Scope.ALL,
            subject="",
            reason=None,
            declared_by="ann",
            by_rule=False,
            declared_at=room.clock.now(),
            until=None,
        )
        emergency = replace(emergency, id=emergencies.insert(connection, emergency, protocol.steps))
    assert {state for state, _ in steps(room, emergency).values()} == {StepState.PENDING}
    assert room.look().steps == len(protocol.steps)
    assert steps(room, emergency)["hold"][0] is StepState.DONE
    assert room.look().steps == 0
    with room.database.transaction() as connection:
        emergencies.update(connection, replace(emergency, ending="enough", resolved_by="ann"))
    assert room.look().resolved == 1
    assert steps(room, emergency)["hold"][0] is StepState.UNDONE
    assert room.standing().measures == ()


def test_it_ends_by_itself_when_its_time_is_over_and_so_do_its_measures_before_anybody_looks(room: Room) -> None:
    declare(room, "resource_exhaustion", until=room.clock.now() + HOUR)
    low = enqueue(room, priority="low")
    assert room.claim() == []
    room.clock.advance("61m")
    assert [job.id for job in room.claim()] == [low]
    assert room.look().resolved == 1
    assert actions.history(room.desk, 0).emergencies[0].ending == "its time is over"


def test_a_rule_declares_and_ends_when_all_has_been_well_for_long_enough(room: Room) -> None:
    room.setting(emergency_auto="all")
    enqueue(room, wedding_date="2027-01-13")
    assert room.look("15s").declared == 0
    assert room.look("10s").declared == 1
    assert room.look().declared == 0
    (emergency,) = room.standing().emergencies
    assert emergency.name == "wedding_day_outage"
    assert "has waited for 25 s" in (emergency.reason or "")
    room.claim()
    room.look("1m")
    assert room.look("9m").resolved == 0
    assert room.look("1m").resolved == 1


def test_a_check_is_satisfied_or_fails_when_its_time_is_over(room: Room) -> None:
    made = declare(room, "high_failure_rate", scope=Scope.MODULE, subject="email")
    room.look("3s")
    found = {step.plan.do: step for step in actions.steps_of(room.desk, made)}
    assert found["open_breaker"].check_ok is True
    assert found["page"].check_ok is False
    assert "the setting notify names no channels" in (found["page"].check_said or "")


def test_what_cannot_be_declared_is_refused_and_nothing_is_written(room: Room) -> None:
    with pytest.raises(UsageError, match="say of what"):
        declare(room, "high_failure_rate")
    with pytest.raises(UnknownModule):
        declare(room, "high_failure_rate", scope=Scope.MODULE, subject="emial")
    with pytest.raises(NotFound, match="no module type delivers over a provider"):
        declare(room, "high_failure_rate", scope=Scope.PROVIDER, subject="nobody")
    with pytest.raises(InvalidInput, match="is no name of an emergency"):
        declare(room, "Über alles")
    with pytest.raises(InvalidInput, match="lies in the past"):
        declare(room, "flood", until=room.clock.now())
    with pytest.raises(InvalidInput, match="printable"):
        declare(room, "flood", reason="a\nb")
    for supplier in ("", " ", "a\nb", "s" * 256):
        with pytest.raises(InvalidInput, match="the supplier must be"):
            declare(room, "flood", scope=Scope.SUPPLIER, subject=supplier)
    assert room.standing().emergencies == ()


def test_the_reason_for_an_end_is_checked_before_anything_ends(room: Room) -> None:
    made = declare(room, "flood")
    with pytest.raises(InvalidInput, match="printable"):
        actions.resolve(room.desk, made.id, note="a\nb")
    assert [one.ending for one in room.standing().emergencies] == [None]


def test_the_same_emergency_goes_on_once(room: Room) -> None:
    made = declare(room, "flood")
    with pytest.raises(WrongState, match=f"emergency {made.id}, flood of everything, goes on already"):
        declare(room, "flood")
    declare(room, "flood", scope=Scope.SUPPLIER, subject="s1")
    with pytest.raises(UsageError, match="2 emergencies go on"):
        actions.only_one(room.standing())
    actions.resolve(room.desk, made.id)
    with pytest.raises(WrongState, match="is over already"):
        actions.resolve(room.desk, made.id)
    with pytest.raises(UnknownEmergency):
        actions.resolve(room.desk, 12345)


def test_one_process_at_a_time_looks_after_emergencies(room: Room) -> None:
    from wedsync_ops.emergencies.watcher import Watcher

    first, second = Watcher(room.desk), Watcher(room.desk)
    assert first.look().skipped is None
    assert second.look().skipped is not None
    first.leave()
    assert second.look().skipped is None
    second.leave()
