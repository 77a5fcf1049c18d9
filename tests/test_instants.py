"""Instants: whole microseconds, read from and written as ISO 8601."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.errors import InvalidInput, InvalidTime
from wedsync_ops.instants import (
    DAY,
    HOUR,
    SECOND,
    from_datetime,
    iso,
    local_date,
    local_midnight,
    parse_date,
    parse_instant,
    parse_span,
    to_datetime,
    zone_named,
)

LATEST = from_datetime(datetime(8999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
INSTANTS = st.integers(0, LATEST)
ZONES = st.sampled_from(["UTC", "Asia/Kathmandu", "America/Santiago", "Pacific/Kiritimati"]).map(ZoneInfo)


@given(INSTANTS)
def test_writing_and_reading_gives_the_same_microsecond(instant: int) -> None:
    written = iso(instant)
    assert written is not None
    assert parse_instant(written) == instant
    assert len(written) == 27
    assert from_datetime(to_datetime(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_text_sorts_as_instants_do(one: int, other: int) -> None:
    assert (str(iso(one)) < str(iso(other))) == (one < other)


@given(st.integers(0, LATEST - DAY), ZONES)
def test_an_instant_lies_on_its_local_day(instant: int, zone: ZoneInfo) -> None:
    day = local_date(instant, zone)
    assert local_midnight(day, zone) <= instant < local_midnight(day + timedelta(days=1), zone)
    assert to_datetime(instant, zone).date() == day


def test_nothing_stays_nothing() -> None:
    assert iso(None) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00+14:00", 0),
        (" 1970-01-02T00:00:00Z\n", DAY),
        ("1970-01-01 00:00:01", SECOND),
        ("19700102T000000Z", DAY),
        ("2027-06-19T14:00:00+02:00", from_datetime(datetime(2027, 6, 19, 12, tzinfo=UTC))),
        (
            "2027-06-19T14:00:00-05:30",
            from_datetime(datetime(2027, 6, 19, 14, tzinfo=timezone(timedelta(hours=-5, minutes=-30)))),
        ),
    ],
)
def test_reads_iso_text(text: str, expected: int) -> None:
    assert parse_instant(text) == expected


def test_text_without_an_offset_is_local_to_the_zone() -> None:
    assert parse_instant("1970-01-01T09:00:00", zone=ZoneInfo("Asia/Tokyo")) == 0
    assert parse_instant("1970-01-01T09:00:00Z", zone=ZoneInfo("Asia/Tokyo")) == 9 * HOUR


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2027-02-30T00:00:00Z",
        "2027-06-19T25:00:00Z",
        "1969-12-31T23:59:59Z",
        "9000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2027-06-19T14:00:00+99:00",
        "19/06/2027",
        "1800000000",
        "2027-06-19T14:00:00Z\x00",
        "٢٠٢٧-٠٦-١٩",
        "x" * 10_000,
    ],
)
def test_refuses_what_is_no_time_in_one_short_line(text: str) -> None:
    with pytest.raises(InvalidTime) as caught:
        parse_instant(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for read in (parse_instant, parse_date):
        try:
            read(text)
        except InvalidTime as error:
            assert "\n" not in str(error)  # noqa: PT017 - most texts are refused, and some are not


@pytest.mark.parametrize(
    "text", ["2027-06-19", "2027-06-19T23:30:00", "2027-06-19T23:30:00-11:00", "2027-06-19T00:00Z"]
)
def test_a_date_is_the_one_that_is_written(text: str) -> None:
    assert parse_date(text) == date(2027, 6, 19)


@pytest.mark.parametrize(
    ("text", "zone", "day"),
    [
        ("2027-02-13T02:00:00Z", "America/New_York", date(2027, 2, 12)),
        ("2027-02-13T02:00:00Z", "Europe/London", date(2027, 2, 13)),
        ("2027-02-12T23:00:00-05:00", "Pacific/Kiritimati", date(2027, 2, 13)),
        ("2027-02-13T02:00:00", "America/New_York", date(2027, 2, 13)),
        ("2027-02-13", "America/New_York", date(2027, 2, 13)),
    ],
)
def test_an_instant_lies_on_the_day_that_its_zone_has(text: str, zone: str, day: date) -> None:
    assert parse_date(text, ZoneInfo(zone)) == day


@pytest.mark.parametrize(
    "text",
    ["", "2027-02-29", "2027-13-01", "19.06.2027", "2027-W01-1", "20270601", "2027-6-1", "2027-06-19x12:00", "x" * 999],
)
def test_refuses_what_is_no_date(text: str) -> None:
    with pytest.raises(InvalidTime, match=r"is not a date .*YYYY-MM-DD"):
        parse_date(text)


@pytest.mark.parametrize(
    "text", ["0001-01-01", "1969-12-31", "9000-01-01", "9999-01-01", "9999-12-31T23:00-12:00", "1970-01-01T00:00Z"]
)
def test_a_date_too_early_or_too_late_is_told_the_years(text: str) -> None:
    with pytest.raises(InvalidTime, match=r"is outside the years 1970 to 8999 .*YYYY-MM-DD"):
        parse_date(text, ZoneInfo("America/New_York"))


def test_a_long_text_is_cut_inside_its_quotes() -> None:
    with pytest.raises(InvalidTime, match=f"^'{'x' * 60}…' is not a time "):
        parse_instant("x" * 100)


def test_a_day_starts_and_lasts_as_its_zone_has_it() -> None:
    london = ZoneInfo("Europe/London")
    day = date(2027, 3, 28)  # the clocks go forward
    assert local_midnight(day + timedelta(days=1), london) - local_midnight(day, london) == 23 * HOUR
    santiago = ZoneInfo("America/Santiago")
    gap = date(2026, 9, 6)  # midnight itself does not exist: the day starts at one o'clock
    start = to_datetime(local_midnight(gap, santiago), santiago)
    assert (start.date(), start.hour) == (gap, 1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Base",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe",
        "Europe/London\x00",
        "é",
        "localtime",
        "posixrules",
        "posix/Europe/London",
        "right/Europe/London",
    ],
)
def test_refuses_what_is_no_zone(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time zone"):
        zone_named(name)
    assert zone_named("Europe/London") == ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("21:00-08:00", (time(21), time(8))),
        (" 9:05 - 17:30 ", (time(9, 5), time(17, 30))),
        ("00:00-23:59", (time(0), time(23, 59))),
    ],
)
def test_a_span_of_the_day(text: str, span: tuple[time, time]) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "21:00", "21:00-", "21-8", "24:00-08:00", "21:60-08:00", "8:00-08:00", "x" * 999])
def test_what_is_no_span_of_the_day(text: str) -> None:
    with pytest.raises(InvalidTime) as caught:
        parse_span(text)
    assert len(str(caught.value)) < 200
