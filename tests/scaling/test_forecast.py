"""History and bookings together."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tests.scaling.worlds import at_work, day_number, history, world
from wedsync_ops.instants import DAY, HOUR
from wedsync_ops.scaling.bounds import Errors
from wedsync_ops.scaling.forecast import FAR_DAYS, Known, foretell, together, with_booked
from wedsync_ops.scaling.forecast_model import Method

MONDAY = day_number(date(2027, 6, 7)) * DAY
TEN = MONDAY + 10 * HOUR


@given(st.floats(0, 1e6) | st.none(), st.integers(0, 10**6))
def test_no_fewer_are_expected_than_are_booked(value: float | None, booked: int) -> None:
    found = together("email", TEN, value, booked, Errors(()))
    assert found.booked == booked <= found.expected
    assert 0 <= found.low <= found.expected <= found.high
    assert found.expected == max(value or 0.0, booked)


def test_history_is_carried_on() -> None:
    known = history(80, at_work)
    found = foretell(Known("email", known, {}, 1000), world(known), MONDAY, MONDAY + 2 * DAY)
    assert len(found.hours) == 48
    assert 18 < found.hours[10].expected < 22
    assert found.hours[3].expected < 1
    assert found.quality.history_days == 80
    assert found.quality.wape is not None
    assert found.quality.wape < 0.1


def test_what_is_booked_beyond_that_is_expected_too() -> None:
    known = history(80, at_work)
    found = foretell(Known("email", known, {TEN: 500}), world(known), MONDAY, MONDAY + DAY)
    hour = found.hours[10]
    assert (hour.expected, hour.low, hour.booked) == (500, 500, 500)
    assert hour.high >= 500
    assert found.hours[11].booked == 0


def test_without_history_only_what_is_booked_is_expected() -> None:
    found = foretell(Known("email", None, {TEN: 3}, 5000), world(history(1, at_work)), MONDAY, MONDAY + DAY)
    assert (found.quality.method, found.quality.history_days) == (Method.BOOKED, 0)
    assert [(one.hour, one.expected, one.booked) for one in found.hours] == [(TEN, 3.0, 3)]
    assert found.hours[0].high > 3


def test_a_few_days_are_carried_on_by_the_season() -> None:
    known = history(4, lambda _on, _hour: 10, end=date(2027, 3, 12))
    july = day_number(date(2027, 7, 14)) * DAY
    found = foretell(Known("email", known, {}), world(known, ahead=200), july, july + DAY)
    assert found.quality.method is Method.SEASON
    assert 900 < sum(one.expected for one in found.hours) < 1300
    even = foretell(Known("email", known, {}, seasonal=False), world(known, ahead=200), july, july + DAY)
    assert 200 < sum(one.expected for one in even.hours) < 280


def test_far_ahead_the_regression_is_used_and_bounds_are_wide() -> None:
    def odd(on: date, hour: int) -> float:
        return 17 * ((on.weekday() * 24 + hour) * 7919 % 13)

    known = history(80, odd)
    common = world(known, ahead=FAR_DAYS + 40)
    near = foretell(Known("email", known, {}), common, MONDAY, MONDAY + DAY)
    far_from = MONDAY + (FAR_DAYS + 14) * DAY
    far = foretell(Known("email", known, {}), common, far_from, far_from + DAY)
    both = foretell(Known("email", known, {}), common, MONDAY, far_from + DAY)
    assert near.quality.method is Method.LAST_WEEK
    assert [one.expected for one in near.hours] == [float(many) for many in known.hours[-7 * 24 : -6 * 24]]
    assert all(one.high >= 2 * one.expected for one in far.hours)
    assert (both.hours[:24], both.hours[-24:]) == (near.hours, far.hours)
    assert [one.hour for one in both.hours] == list(range(MONDAY, far_from + DAY, HOUR))


def test_promises_of_types_that_never_ran_count() -> None:
    known = [Known("email", None, {TEN: 1})]
    found = with_booked(known, {(TEN, "email"): 2, (TEN + HOUR, "email"): 4, (TEN, "sms"): 8})
    assert [(one.module_type, dict(one.booked)) for one in found] == [
        ("email", {TEN: 3, TEN + HOUR: 4}),
        ("sms", {TEN: 8}),
    ]
