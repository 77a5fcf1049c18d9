"""The season table over every day of a year, the weekend, and the zone that both are asked in."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.weddings.calendars import ZONES, calendar, local
from wedsync_ops.app import calendar_of
from wedsync_ops.instants import DAY, to_datetime
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.model import Calendar, Season
from wedsync_ops.weddings.season import is_weekend, load_multiplier, season_at

NAMES = ["off", "off", "off", "mid", "peak", "peak", "peak", "peak", "peak", "mid", "off", "off"]
LOADS = {"off": 1.0, "mid": 2.0, "peak": 5.0}
DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(366)]


@pytest.mark.parametrize("zone", ZONES)
def test_the_table_holds_on_every_day_of_a_year_from_its_first_to_its_last_minute(zone: str) -> None:
    table = calendar(zone)
    for day in DAYS:
        for clock in ("12:00:00", "23:59:59.999999"):
            instant = local(f"{day}T{clock}", zone)
            name = NAMES[day.month - 1]
            weekend = day.strftime("%a") in ("Sat", "Sun")
            assert season_at(instant, table) is Season(name)
            assert is_weekend(instant, table) is weekend
            assert load_multiplier(instant, table) == LOADS[name] * (3.0 if weekend else 1.0)


def test_a_june_saturday_brings_fifteen_times_the_load_of_an_off_season_weekday() -> None:
    saturday = local("2024-06-15T12:00")
    assert season_at(saturday, calendar()) is Season.PEAK
    assert is_weekend(saturday, calendar())
    assert load_multiplier(saturday, calendar()) == 15.0
    assert load_multiplier(local("2024-01-10T12:00"), calendar()) == 1.0


def test_the_season_and_the_weekend_begin_at_midnight_in_the_platforms_zone() -> None:
    instant = local("2026-04-30T22:30", "America/New_York")  # already 1 May in UTC
    assert season_at(instant, calendar("America/New_York")) is Season.MID
    assert season_at(instant, calendar("UTC")) is Season.PEAK
    friday_night = local("2026-06-19T20:30", "America/Los_Angeles")
    assert not is_weekend(friday_night, calendar("America/Los_Angeles"))
    assert is_weekend(friday_night, calendar("UTC"))


def test_a_weekend_with_a_change_of_the_clocks_lasts_an_hour_less_or_more() -> None:
    table = calendar("Europe/London")
    for saturday, hours in (("2026-03-28", 47), ("2026-10-24", 49), ("2026-06-13", 48)):
        begins = local(f"{saturday}T00:00", "Europe/London")
        ends = begins + hours * DAY // 24
        assert is_weekend(begins, table)
        assert not is_weekend(begins - 1, table)
        assert is_weekend(ends - 1, table)
        assert not is_weekend(ends, table)
        assert to_datetime(ends, table.zone).strftime("%a %H:%M") == "Mon 00:00"


SOUTHERN = ["peak", "peak", "peak", "mid", "off", "off", "off", "off", "off", "mid", "peak", "peak"]


@pytest.mark.parametrize("zone", ["Australia/Sydney", "America/Santiago", "Pacific/Auckland", "UTC"])
def test_a_southern_calendar_has_its_peak_over_the_turn_of_the_year(zone: str) -> None:
    table = Calendar(frozenset({11, 12, 1, 2, 3}), frozenset({4, 10}), 4.0, 1.5, 0.5, 2.0, ZoneInfo(zone))
    loads = {"off": 0.5, "mid": 1.5, "peak": 4.0}
    for day in DAYS:
        for clock in ("00:59:59.999999", "03:00:00", "23:59:59.999999"):
            instant = local(f"{day}T{clock}", zone)
            if to_datetime(instant, table.zone).date() != day:  # an hour that the clocks left out
                continue
            name = SOUTHERN[day.month - 1]
            assert season_at(instant, table) is Season(name)
            assert load_multiplier(instant, table) == loads[name] * (2.0 if day.weekday() >= 5 else 1.0)


def test_a_calendar_is_configured_by_months_and_multipliers() -> None:
    settings = Settings(
        peak_months=(11, 12, 1, 2, 3), mid_months=(), weekend_multiplier=1.0, timezone="Australia/Sydney"
    )
    table = calendar_of(settings)
    new_year = local("2028-01-01T00:00", "Australia/Sydney")  # a Saturday
    assert season_at(new_year, table) is Season.PEAK
    assert load_multiplier(new_year, table) == 5.0
    assert season_at(local("2028-06-15T12:00", "Australia/Sydney"), table) is Season.OFF
