"""Days to the wedding in its own zone, and the instants at which they matter."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weddings.calendars import ZONES, local, wedding
from wedsync_ops.instants import DAY, HOUR, to_datetime
from wedsync_ops.weddings.model import Wedding
from wedsync_ops.weddings.proximity import days_until, in_wedding_week, next_boundary

LEFT = {30: "2026-05-20", 7: "2026-06-12", 1: "2026-06-18"}
dates = st.dates(date(2020, 1, 1), date(2035, 12, 31))
zones = st.sampled_from(ZONES)


def test_days_are_calendar_days_not_periods_of_24_hours() -> None:
    day = wedding("2026-06-19", "Europe/London")
    assert days_until(day, local("2026-06-18T23:59", "Europe/London")) == 1
    assert days_until(day, local("2026-06-19T00:00", "Europe/London")) == 0
    assert days_until(day, local("2026-06-19T23:59", "Europe/London")) == 0
    assert days_until(day, local("2026-06-20T00:00", "Europe/London")) == -1


def test_days_are_counted_in_the_weddings_own_zone() -> None:
    instant = local("2026-06-18T16:00", "UTC")
    assert days_until(wedding("2026-06-19", "Asia/Tokyo"), instant) == 0
    assert days_until(wedding("2026-06-19", "America/Los_Angeles"), instant) == 1


@pytest.mark.parametrize(
    ("zone", "on"),
    [
        ("Europe/London", "2026-03-30"),
        ("Europe/London", "2026-10-26"),
        ("America/New_York", "2026-03-09"),
        ("America/New_York", "2026-11-02"),
        ("Australia/Lord_Howe", "2026-10-05"),
        ("Australia/Lord_Howe", "2026-04-06"),
    ],
)
def test_a_change_of_the_clocks_does_not_shift_the_days(zone: str, on: str) -> None:
    day = wedding(on, zone)
    for left in range(10):
        then = day.on - timedelta(days=left)
        for clock in ("00:00", "01:59:59", "03:00", "12:00", "23:59:59.999999"):
            assert days_until(day, local(f"{then}T{clock}", zone)) == left


@given(on=dates, zone=zones, before=st.integers(0, 45 * DAY))
def test_days_until_is_the_difference_of_the_local_dates(on: date, zone: str, before: int) -> None:
    day = Wedding(on, ZoneInfo(zone))
    instant = local(f"{on}T12:00", zone) - before
    assert days_until(day, instant) == on.toordinal() - to_datetime(instant, day.zone).date().toordinal()


@pytest.mark.parametrize("days", [*range(8)])
def test_wedding_week_is_the_wedding_day_and_the_seven_before(days: int) -> None:
    assert in_wedding_week(days)


@pytest.mark.parametrize("days", [None, -1, 8, 400])
def test_other_days_and_no_wedding_are_not_wedding_week(days: int | None) -> None:
    assert not in_wedding_week(days)


@given(on=dates, zone=zones, before=st.integers(-3 * DAY, 45 * DAY))
def test_nothing_passes_between_now_and_the_next_boundary(on: date, zone: str, before: int) -> None:
    day = Wedding(on, ZoneInfo(zone))
    instant = local(f"{on}T12:00", zone) - before
    boundary = next_boundary(day, instant)
    left = days_until(day, instant)
    if left < 0:
        assert boundary is None
        return
    assert boundary is not None
    assert boundary > instant
    assert _band(days_until(day, boundary - 1)) == _band(left)
    assert days_until(day, boundary) == max(limit for limit in (30, 7, 1, -1) if limit < left or limit == -1)


def _band(left: int) -> int:
    """Which of the spans between the boundaries a number of days lies in."""
    return sum(left <= limit for limit in (30, 7, 1, -1))


def test_the_boundaries_of_a_summer_wedding() -> None:
    day = wedding("2026-06-19", "America/New_York")
    found, instant = [], local("2026-01-01T00:00")
    while (boundary := next_boundary(day, instant)) is not None:
        found.append(boundary)
        instant = boundary
    wanted = [*LEFT.values(), "2026-06-20"]
    assert found == [local(f"{text}T00:00", "America/New_York") for text in wanted]


def test_a_day_that_starts_at_one_in_the_morning_has_its_boundary_then() -> None:
    day = wedding("2026-09-06", "America/Santiago")  # clocks go from midnight to 1:00 as this day starts
    boundary = next_boundary(day, local("2026-09-06T12:00", "America/Santiago") - 2 * DAY)
    assert boundary == local("2026-09-05T00:00", "America/Santiago")
    starts = local("2026-09-06T01:00", "America/Santiago")
    assert days_until(day, starts) == 0
    assert days_until(day, starts - 1) == 1
    assert next_boundary(day, starts) == starts + 23 * HOUR
