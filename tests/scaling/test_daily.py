"""The regression of days: what it learns, and what it believes before it knows."""

from datetime import date

import pytest

from tests.scaling.worlds import at_work, calendar, day_number, history
from wedsync_ops.scaling.daily import Design, fit
from wedsync_ops.scaling.history import History

MARCH = date(2027, 3, 15)


def predicted(of: History, on: date, days: int = 1, *, seasonal: bool = True) -> float:
    first = day_number(on)
    design = Design(of.first_day, first + days, calendar())
    return sum(fit(of, design, seasonal=seasonal).predict(first, first + days))


def test_weekdays_are_learnt() -> None:
    known = history(70, at_work)
    assert predicted(known, date(2027, 6, 12), seasonal=False) == pytest.approx(480, rel=0.05)
    assert predicted(known, date(2027, 6, 9), seasonal=False) == pytest.approx(160, rel=0.05)


def test_a_season_that_was_never_seen_is_believed_to_be_as_configured() -> None:
    winter = history(60, lambda _on, _hour: 10, end=MARCH)
    week = predicted(winter, date(2027, 7, 12), 7)
    assert 3.5 < week / (7 * 240) < 5.5
    assert predicted(winter, date(2027, 7, 12), 7, seasonal=False) == pytest.approx(7 * 240, rel=0.2)


def test_a_year_that_was_seen_overrules_the_configuration() -> None:
    """Here the summer is quiet, whatever the calendar says."""
    known = history(900, lambda on, _hour: 4 if 5 <= on.month <= 9 else 10, end=MARCH)
    assert predicted(known, date(2027, 7, 12), 7) == pytest.approx(7 * 96, rel=0.35)


def test_a_change_of_level_is_followed_within_weeks() -> None:
    changed = history(200, lambda on, _hour: 20 if on >= date(2027, 2, 15) else 10, end=MARCH)
    assert predicted(changed, date(2027, 3, 15), 7, seasonal=False) == pytest.approx(7 * 480, rel=0.2)


def test_an_outage_is_not_taken_for_demand() -> None:
    outage = {date(2027, 3, 10), date(2027, 3, 11)}
    known = history(200, lambda on, _hour: 0 if on in outage else 10, end=MARCH)
    assert predicted(known, date(2027, 3, 17), 2, seasonal=False) == pytest.approx(480, rel=0.08)


def test_growth_goes_on() -> None:
    grown = history(365, lambda on, _hour: 10 * 1.5 ** ((on - date(2026, 3, 15)).days / 365), end=MARCH)
    assert predicted(grown, date(2027, 3, 15), 7, seasonal=False) == pytest.approx(7 * 24 * 15, rel=0.1)


def test_growth_slows_down_beyond_what_is_known() -> None:
    grown = history(730, lambda on, _hour: 10 * 2 ** ((on - date(2025, 3, 15)).days / 365), end=MARCH)
    later = predicted(grown, date(2030, 3, 18), 7, seasonal=False)
    assert 7 * 24 * 40 < later < 7 * 24 * 65


def test_what_stopped_is_expected_no_more() -> None:
    stopped = history(120, lambda on, _hour: 1 if on < date(2027, 1, 1) else 0, end=MARCH)
    assert predicted(stopped, date(2027, 3, 15), 7, seasonal=False) < 7 * 24 * 0.1


def test_a_holiday_that_was_quiet_will_be_quiet() -> None:
    christmas = {date(year, 12, 25) for year in (2024, 2025, 2026)}
    known = history(900, lambda on, _hour: 2 if on in christmas else 10, end=date(2026, 12, 14))
    first = day_number(date(2026, 12, 25))
    plain, aware = (Design(known.first_day, first + 1, calendar(), days) for days in ((), christmas))
    assert fit(known, aware).predict(first, first + 1)[0] < 0.7 * fit(known, plain).predict(first, first + 1)[0]
