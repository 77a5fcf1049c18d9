"""Which hour or day is reported on."""

from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.instants import HOUR, iso, parse_instant
from wedsync_ops.operations.report.period import label, name, period, words


@pytest.mark.parametrize(
    ("kind", "at", "zone", "start", "hours", "called"),
    [
        ("daily", "2027-06-19T12:00:00Z", "UTC", "2027-06-18T00:00", 24, "daily-2027-06-18"),
        ("daily", "2027-06-19T00:00:00Z", "UTC", "2027-06-18T00:00", 24, "daily-2027-06-18"),
        ("daily", "2027-03-29T12:00:00Z", "Europe/London", "2027-03-28T00:00", 23, "daily-2027-03-28"),
        ("daily", "2027-11-01T12:00:00Z", "Europe/London", "2027-10-30T23:00", 25, "daily-2027-10-31"),
        ("hourly", "2027-06-19T12:34:56Z", "UTC", "2027-06-19T11:00", 1, "hourly-2027-06-19T1100+0000"),
        ("hourly", "2027-06-19T12:00:00Z", "UTC", "2027-06-19T11:00", 1, "hourly-2027-06-19T1100+0000"),
        ("hourly", "2027-06-19T12:34:56Z", "Asia/Kolkata", "2027-06-19T11:30", 1, "hourly-2027-06-19T1700+0530"),
    ],
)
def test_it_is_the_last_whole_one(kind: str, at: str, zone: str, start: str, hours: int, called: str) -> None:
    over = period(kind, parse_instant(at), ZoneInfo(zone))
    assert (iso(over.from_at) or "")[:16] == start
    assert over.to_at - over.from_at == hours * HOUR
    assert over.to_at <= parse_instant(at)
    assert over.buckets == (hours if kind == "daily" else 30)
    assert name(over) == called


def test_it_is_named_in_words_and_in_its_zone() -> None:
    at = parse_instant("2027-06-19T12:34:56Z")
    london = ZoneInfo("Europe/London")
    assert words(period("daily", at, london)) == "Friday, 18 June 2027"
    assert words(period("hourly", at, london)) == "Saturday, 19 June 2027, 12:00 to 13:00"
    assert label(period("hourly", at, london), at) == "13:34"
