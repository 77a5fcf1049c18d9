"""A day's executions over its hours."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scaling.worlds import UTC, at_work, day_number, history
from wedsync_ops.scaling.history import SLOTS, Week
from wedsync_ops.scaling.profile import profile_of, spread, usual_hours
from wedsync_ops.vendors import SHIPPED, expected_factor

PRIOR = usual_hours()
SATURDAY = day_number(date(2027, 6, 12))
MONDAY = SATURDAY - 5


@given(st.floats(0, 1e6), st.integers(-3000, 30000))
def test_a_day_is_spread_whole(total: float, day: int) -> None:
    found = spread(total, Week(UTC).of(day), PRIOR)
    assert len(found) == 24
    assert sum(found) == pytest.approx(total)
    assert min(found) >= 0


def test_hours_are_those_of_the_last_weeks() -> None:
    week = Week(UTC)
    found = spread(480.0, week.of(SATURDAY), profile_of(history(60, at_work), week, PRIOR))
    assert found[9:17] == pytest.approx([60.0] * 8, rel=0.1)
    assert found[3] < 1


def test_before_anything_ran_vendors_peak_hours_have_most() -> None:
    def factor(hour: int) -> float:
        return expected_factor({"photographer": 1, "venue": 1}, hour, SHIPPED)

    found = spread(100.0, Week(UTC).of(MONDAY), usual_hours(factor))
    assert sorted(sorted(range(24), key=found.__getitem__)[-4:]) == [8, 9, 16, 17]
    assert found[9] == pytest.approx(1.25 * found[12])
    assert found[12] > 5 * found[2]


def test_few_executions_lean_on_similar_days() -> None:
    """One Tuesday execution at three at night does not make all Tuesdays run at night."""
    odd = history(60, lambda on, hour: 2 if (on.weekday(), hour) == (1, 3) else (9 if hour == 10 else 0))
    found = spread(100.0, Week(UTC).of(MONDAY + 1), profile_of(odd, Week(UTC), PRIOR))
    assert found[10] > 3 * found[3]


def test_hours_of_the_week_are_by_the_clock_of_the_zone() -> None:
    from zoneinfo import ZoneInfo

    new_york = Week(ZoneInfo("America/New_York"))
    winter, summer = new_york.of(day_number(date(2027, 1, 13))), new_york.of(day_number(date(2027, 7, 14)))
    assert (winter[14] % 24, summer[14] % 24) == (9, 10)
    assert winter[0] // 24 == 1  # midnight UTC on Wednesday is Tuesday there
    change = new_york.of(day_number(date(2027, 3, 14)))
    assert [slot % 24 for slot in change[5:9]] == [0, 1, 3, 4]


def test_a_profile_has_every_hour_of_the_week() -> None:
    assert len(profile_of(history(30, at_work), Week(UTC), PRIOR)) == SLOTS
