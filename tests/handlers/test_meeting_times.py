"""When a meeting is: in every zone, on both sides of a change of the clocks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import icalendar
import pytest

from tests.handlers.mailing import mails
from tests.handlers.test_meeting import CONFIG, context, event_in, invited, perform, result_of, site
from wedsync_ops.handlers.timezones import vtimezone


@pytest.mark.parametrize(
    ("starts_at", "duration", "said"),
    [
        ("2027-10-31T00:30:00+00:00", 30, "01:30 BST to 01:00 GMT"),
        ("2027-10-31T01:30:00+00:00", 30, "01:30 to 02:00 (GMT"),
        ("2027-10-30T23:30:00+00:00", 90, "00:30 BST to 01:00 GMT"),
        ("2027-10-31T00:15:00+00:00", 30, "01:15 to 01:45 (BST"),
        ("2027-03-28T00:30:00+00:00", 60, "00:30 GMT to 02:30 BST"),
    ],
)
def test_around_a_change_of_the_clocks_it_names_the_right_instants(
    tmp_path: Path, starts_at: str, duration: int, said: str
) -> None:
    _, event = invited(tmp_path, context(starts_at), {**CONFIG, "duration": duration})
    start, end = (event.decoded(name).astimezone(UTC) for name in ("DTSTART", "DTEND"))
    assert start == datetime.fromisoformat(starts_at)
    assert end - start == timedelta(minutes=duration)
    assert said in mails(site(tmp_path))[-1]["Subject"]


def onsets(raw: bytes) -> list[tuple[datetime, timedelta, timedelta]]:
    """What the VTIMEZONE itself says, read as RFC 5545 has it: (UTC onset, offset before, offset from then on)."""
    (zone,) = icalendar.Calendar.from_ical(raw).walk("VTIMEZONE")
    found = []
    for part in zone.subcomponents:
        before, after = part.decoded("TZOFFSETFROM"), part.decoded("TZOFFSETTO")
        found.append((part.decoded("DTSTART").replace(tzinfo=None) - before, before, after))
    return sorted(found)


ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Sydney",
    "Europe/Dublin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
]


class TestTimes:
    @pytest.mark.parametrize("zone", ZONES)
    @pytest.mark.parametrize(
        "day", ["2027-01-20", "2027-07-14", "2027-03-15", "2027-03-29", "2027-10-05", "2027-11-08"]
    )
    def test_local_time_names_one_instant_whoever_reads_the_zone(self, tmp_path: Path, zone: str, day: str) -> None:
        local = datetime.fromisoformat(f"{day}T10:00")
        expected = local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        raw, event = invited(tmp_path, context(f"{day}T10:00", zone))
        assert event["DTSTART"].params["TZID"] == zone
        assert event.decoded("DTSTART").astimezone(UTC) == expected
        # A client that doesn't know the zone's name has only the VTIMEZONE.
        unknown = raw.replace(zone.encode(), f"Nowhere/{zone}/{day}".encode())
        assert event_in(unknown).decoded("DTSTART").astimezone(UTC) == expected
        before = [after for at, _, after in onsets(raw) if at <= expected.replace(tzinfo=None)]
        assert local - before[-1] == expected.replace(tzinfo=None)

    @pytest.mark.parametrize("zone", ZONES)
    def test_every_change_is_named_at_its_very_second(self, zone: str) -> None:
        changes = onsets(b"BEGIN:VCALENDAR\r\n" + vtimezone(ZoneInfo(zone), 2027) + b"END:VCALENDAR\r\n")
        assert len(changes) == (1 if zone == "Asia/Kolkata" else 7)
        for at, before, after in changes[1:]:
            instant = at.replace(tzinfo=UTC)
            assert (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).utcoffset() == before
            assert instant.astimezone(ZoneInfo(zone)).utcoffset() == after
            assert before != after

    @pytest.mark.parametrize(
        ("starts_at", "zone", "instant"),
        [
            ("2027-06-12T10:00", "America/New_York", "2027-06-12T14:00:00.000000Z"),
            ("2027-12-12T10:00", "America/New_York", "2027-12-12T15:00:00.000000Z"),
            ("2027-06-12T10:00", "Europe/London", "2027-06-12T09:00:00.000000Z"),
            ("2027-12-12T10:00", "Europe/London", "2027-12-12T10:00:00.000000Z"),
            ("2027-06-12T10:00", "Australia/Sydney", "2027-06-12T00:00:00.000000Z"),
            ("2027-12-12T10:00", "Australia/Sydney", "2027-12-11T23:00:00.000000Z"),
            ("2027-06-12T10:00:00+02:00", "America/New_York", "2027-06-12T08:00:00.000000Z"),
            ("2027-06-12T10:00:00Z", "Asia/Kolkata", "2027-06-12T10:00:00.000000Z"),
        ],
    )
    def test_the_result_names_the_instant(self, tmp_path: Path, starts_at: str, zone: str, instant: str) -> None:
        assert result_of(perform(site(tmp_path), context(starts_at, zone)))["starts_at"] == instant

    def test_a_meeting_across_a_clock_change_lasts_as_long_as_it_says(self, tmp_path: Path) -> None:
        _, event = invited(tmp_path, context("2027-03-28T00:30", "Europe/London"))
        ends = event.decoded("DTEND")
        assert f"{ends:%H:%M}" == "03:00"  # the hour from 1 to 2 is left out
        assert ends.astimezone(UTC) - event.decoded("DTSTART").astimezone(UTC) == timedelta(minutes=90)

    @pytest.mark.parametrize("zone", ["UTC", "Etc/Zulu", "Atlantic/Reykjavik", "Africa/Abidjan", "GMT", "Etc/GMT+0"])
    def test_a_time_that_is_written_in_utc_needs_no_zone(self, tmp_path: Path, zone: str) -> None:
        raw, _ = invited(tmp_path, context("2027-06-12T10:00", zone))
        assert b"VTIMEZONE" not in raw
        assert b"DTSTART:20270612T100000Z" in raw
