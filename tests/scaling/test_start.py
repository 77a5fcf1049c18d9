"""How many slots a worker starts with."""

from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.instants import parse_instant
from wedsync_ops.scaling.start import slots_at_start
from wedsync_ops.weddings.model import Calendar

CALENDAR = Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo("UTC"))
JUNE, JANUARY = parse_instant("2024-06-15"), parse_instant("2024-01-15")


@pytest.mark.parametrize(
    ("now", "cores", "least", "most", "slots"),
    [
        (JUNE, 2, 2, 50, 10),
        (JANUARY, 2, 2, 50, 4),
        (JANUARY, 1, 2, 50, 2),
        (JUNE, 1, 2, 50, 5),
        (JUNE, 64, 2, 50, 50),
        (JANUARY, 1, 6, 50, 6),
    ],
)
def test_two_a_core_and_more_in_the_peak_season_within_the_bounds(
    now: int, cores: int, least: int, most: int, slots: int
) -> None:
    assert slots_at_start(CALENDAR, now, cores, least=least, most=most) == slots
