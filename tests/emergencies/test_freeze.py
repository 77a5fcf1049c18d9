"""Changes that could harm a wedding that is near are refused, name it, and can be overridden with a reason."""

import pytest
from hypothesis import given as data
from hypothesis import strategies as st

from tests.emergencies.conftest import Room
from tests.stores.queues import request
from wedsync_ops.emergencies.actions import history
from wedsync_ops.emergencies.freeze import Near, frozen
from wedsync_ops.emergencies.freezing import Freeze
from wedsync_ops.emergencies.store import frozen as store
from wedsync_ops.errors import ChangeFrozen, InvalidInput
from wedsync_ops.instants import DAY, parse_date, parse_instant, zone_named
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.guard import Change

NOW = parse_instant("2027-06-18T23:30:00Z")


def near(day: str, zone: str = "UTC", jobs: int = 1) -> Near:
    return Near(wedding_on=parse_date(day), zone=zone_named(zone), client_id="c1", jobs=jobs)


def test_a_wedding_of_today_and_of_tomorrow_freezes_and_one_of_the_day_after_does_not() -> None:
    assert frozen(NOW, 1, [near("2027-06-18")]) is not None
    assert frozen(NOW, 1, [near("2027-06-19")]) is not None
    assert frozen(NOW, 1, [near("2027-06-20")]) is None
    assert frozen(NOW, 1, [near("2027-06-17")]) is None


def test_the_day_is_the_one_of_the_wedding_s_own_zone() -> None:
    assert frozen(NOW, 0, [near("2027-06-19", "Pacific/Auckland")]) is not None
    assert frozen(NOW, 0, [near("2027-06-19", "Pacific/Honolulu")]) is None


def test_it_ends_when_the_last_of_the_days_is_over() -> None:
    found = frozen(NOW, 1, [near("2027-06-18"), near("2027-06-19")])
    assert found is not None
    assert found.until == parse_instant("2027-06-20T00:00:00Z")
    assert found.words.startswith("2027-06-18 (c1, 1 open job); 2027-06-19")


def test_without_open_jobs_or_with_minus_one_nothing_is_frozen() -> None:
    assert frozen(NOW, 1, [near("2027-06-18", jobs=0)]) is None
    assert frozen(NOW, -1, [near("2027-06-18")]) is None


@data(st.integers(-5, 40), st.integers(0, 30))
def test_it_is_frozen_from_so_many_days_before_until_the_day_is_over(ahead: int, days: int) -> None:
    at = parse_instant("2027-03-10T12:00:00Z")
    day = parse_date("2027-03-10").fromordinal(parse_date("2027-03-10").toordinal() + ahead)
    found = frozen(at, days, [Near(wedding_on=day, zone=zone_named("UTC"), client_id=None, jobs=1)])
    assert (found is not None) == (0 <= ahead <= days)
    assert found is None or found.until == parse_instant("2027-03-11T00:00:00Z") + ahead * DAY


def freeze(room: Room) -> Freeze:
    return Freeze(room.database, room.clock, room.queue.rules.settings, room.queue.rules.zone)


def married(room: Room, day: str, module_type: str = "email", **values: object) -> None:
    actions.enqueue(room.queue, request(module_type, wedding_date=day, **values))


def test_a_pause_is_refused_for_the_wedding_whose_jobs_wait_and_not_for_another_s(room: Room) -> None:
    married(room, "2027-01-14")
    with pytest.raises(ChangeFrozen, match=r"queue pause of module email is frozen until .*2027-01-14 \(c1, 1 open"):
        freeze(room).check(Change("queue pause", "module", "email"))
    freeze(room).check(Change("queue pause", "module", "info"))
    with pytest.raises(ChangeFrozen):
        freeze(room).check(Change("queue drain"))


def test_jobs_that_are_scheduled_running_or_held_count_and_finished_ones_do_not(room: Room) -> None:
    married(room, "2027-01-14")
    assert room.claim()
    with pytest.raises(ChangeFrozen):
        freeze(room).check(Change("queue pause"))
    with room.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET state = 'completed', leased_by = NULL, finished_at = 1")
    freeze(room).check(Change("queue pause"))
    married(room, "2027-01-14", config={"send_delay": 0}, at="2027-01-14T08:00:00Z")
    with pytest.raises(ChangeFrozen):
        freeze(room).check(Change("queue pause"))


def test_a_near_wedding_is_found_behind_any_number_of_others(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COUNTED", 1)
    for _ in range(3):
        married(room, "2027-08-14")
        married(room, "2027-08-14", config={"send_delay": 0}, at="2027-01-13T18:00:00Z")
    freeze(room).check(Change("queue pause"))
    married(room, "2027-01-14", config={"send_delay": 0}, at="2027-01-14T08:00:00Z")
    with pytest.raises(ChangeFrozen):
        freeze(room).check(Change("queue pause"))
    with room.database.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM jobs WHERE wedding_on = '2027-01-14'")
    married(room, "2027-01-14")
    with room.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE jobs SET priority = 1")  # as before the boundary of one day was seen
    with pytest.raises(ChangeFrozen):
        freeze(room).check(Change("queue pause"))


def test_an_override_needs_a_reason_and_is_kept(room: Room) -> None:
    married(room, "2027-01-14")
    with pytest.raises(InvalidInput):
        freeze(room).check(Change("queue pause"), " ")
    freeze(room).check(Change("queue pause"), "the provider sends twice")
    (kept,) = history(room.desk, 0).overrides
    assert (kept.change, kept.reason) == ("queue pause of everything", "the provider sends twice")
    assert kept.weddings == ("2027-01-14 (c1, 1 open job)",)


def test_the_queue_s_own_pause_and_drain_ask_the_guard(room: Room) -> None:
    from dataclasses import replace

    from wedsync_ops.jobs import draining

    married(room, "2027-01-14")
    guarded = replace(room.queue, guard=freeze(room))
    with pytest.raises(ChangeFrozen):
        actions.pause(guarded, "all", "")
    with pytest.raises(ChangeFrozen):
        draining.begin(guarded, "module", "email")
    assert actions.status(guarded).pauses == []
    actions.pause(guarded, "all", "", override="it must be")
    draining.begin(guarded, "module", "email", override="it must be")
