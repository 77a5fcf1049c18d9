"""When the steps of a journey are to happen: on the calendar, by the clock of the wedding."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import local_date, to_datetime
from wedsync_ops.planning.definitions import Journey, Step
from wedsync_ops.planning.free_days import holidays_of
from wedsync_ops.planning.journeys import step_time
from wedsync_ops.planning.model import Couple

NEW_YORK = ZoneInfo("America/New_York")


def couple(on: date = date(2027, 6, 19), booked: date | None = date(2027, 1, 4), zone: ZoneInfo = NEW_YORK) -> Couple:
    return Couple("c", "s", "photographer", on, booked, zone, {})


def when(of: Couple, holidays: tuple[date, ...] = (), **values: Any) -> str | None:
    step = Step.model_validate({"id": "a", "module": "email", "offset": "-30d", **values})
    time = step_time(step, of, holidays.__contains__)
    return None if time is None else f"{to_datetime(time.at, of.zone):%a %Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "Thu 2027-05-20 10:00"),
        ({"offset": "-2w", "at": "9:05"}, "Sat 2027-06-05 09:05"),
        ({"offset": "0d"}, "Sat 2027-06-19 10:00"),
        ({"offset": "+1d", "anchor": "booking"}, "Tue 2027-01-05 10:00"),
        ({"offset": "-2w", "skip_weekends": "next"}, "Mon 2027-06-07 10:00"),
        ({"offset": "-2w", "skip_weekends": "previous"}, "Fri 2027-06-04 10:00"),
        ({"offset": "0d", "skip_weekends": "next"}, "Sat 2027-06-19 10:00"),  # the day itself is the day itself
        ({"offset": "+1d", "skip_weekends": "previous"}, "Mon 2027-06-21 10:00"),  # never back over the wedding
    ],
)
def test_days_are_counted_on_the_calendar(values: dict[str, Any], expected: str) -> None:
    assert when(couple(), **values) == expected


def test_what_is_to_come_before_the_wedding_is_not_skipped_past_it() -> None:
    sunday = couple(on=date(2027, 6, 20))
    assert when(sunday, offset="-1d", skip_weekends="next") == "Fri 2027-06-18 10:00"


def test_holidays_and_weekends_together() -> None:
    easter = tuple(date(2027, 3, day) for day in (26, 29))
    on = couple(on=date(2027, 3, 28) + timedelta(days=30))  # 30 days before is Easter Sunday
    skips = {"skip_weekends": "next", "skip_holidays": "next"}
    assert when(on, easter, **skips) == "Tue 2027-03-30 10:00"
    assert when(on, easter, skip_weekends="previous", skip_holidays="previous") == "Thu 2027-03-25 10:00"
    assert when(on, easter, skip_holidays="next") == "Sun 2027-03-28 10:00"


def test_when_every_day_is_a_holiday_the_step_stays() -> None:
    step = Step.model_validate({"id": "a", "module": "email", "offset": "-30d", "skip_holidays": "next"})
    time = step_time(step, couple(), lambda _: True)
    assert time is not None
    assert time.reasons[1] == "2027-05-20 is a holiday, and no other day is free"


def test_clocks_that_change() -> None:
    spring = couple(on=date(2027, 3, 15))
    assert when(spring, offset="-1d", at="02:30") == "Sun 2027-03-14 03:30"
    autumn = couple(on=date(2027, 11, 8))
    step = Step.model_validate({"id": "a", "module": "email", "offset": "-1d", "at": "01:30"})
    time = step_time(step, autumn, lambda _: False)
    assert time is not None
    assert to_datetime(time.at).hour == 5  # the first of two half past ones, still in summer time


def test_a_booking_that_nobody_knows_of() -> None:
    assert when(couple(booked=None), anchor="booking") is None


def test_the_holidays_of_a_country_and_those_of_the_journey() -> None:
    journey = Journey.model_validate(
        {
            "id": "j",
            "holiday_country": "US-CA",
            "holidays": ["2027-02-02"],
            "steps": [{"id": "a", "module": "m", "offset": "1d"}],
        }
    )
    is_holiday = holidays_of(journey)
    found = [day for day in (date(2027, 7, 4), date(2027, 2, 2), date(2027, 2, 3)) if is_holiday(day)]
    assert found == [date(2027, 7, 4), date(2027, 2, 2)]


@given(
    on=st.dates(date(1971, 1, 1), date(8990, 1, 1)),
    days=st.integers(-400, 400),
    zone=st.sampled_from(["UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    skip=st.sampled_from(["next", "previous", False]),
    hour=st.integers(0, 23),
)
def test_a_step_is_on_its_side_of_the_wedding_and_near_its_day(
    on: date, days: int, zone: str, skip: str | bool, hour: int
) -> None:
    of = couple(on=on, zone=ZoneInfo(zone))
    values = {"id": "a", "module": "m", "offset": f"{days:+d}d", "at": f"{hour}:30", "skip_weekends": skip}
    time = step_time(Step.model_validate(values), of, lambda _: False)
    assert time is not None
    day = local_date(time.at, of.zone)
    assert abs((day - on).days - days) <= 3
    if days:
        assert ((day - on).days > 0) == (days > 0) or zone == "Pacific/Apia"  # which left out 30 December 2011
    if skip and days and abs(days) > 3:
        assert day.weekday() < 5 or zone == "Pacific/Apia"
