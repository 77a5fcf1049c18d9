from datetime import UTC, datetime, timedelta, timezone

import pytest

from wedsync_ops.errors import InvalidTime
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from wedsync_ops.testing.clock import FakeClock, Span, length_shown, microseconds, shown

NOON = parse_instant("2027-06-19T12:00:00Z")


def test_it_stands_still_until_it_is_moved() -> None:
    clock = FakeClock("2027-06-19T12:00:00Z")
    assert (clock.now(), clock.now(), clock.monotonic()) == (NOON, NOON, 0.0)


def test_both_readings_move_together() -> None:
    clock = FakeClock(NOON)
    assert clock.advance("3d") == clock.now() == NOON + 3 * DAY
    assert clock.monotonic() == 3 * 86_400
    clock.set(datetime(2027, 6, 23, 12, tzinfo=UTC))
    assert (clock.now(), clock.monotonic()) == (NOON + 4 * DAY, 4 * 86_400)


def test_a_clock_that_is_put_back_has_lost_no_time() -> None:
    clock = FakeClock(NOON)
    clock.advance("1h")
    clock.set(NOON)
    assert (clock.now(), clock.monotonic()) == (NOON, 3600)
    clock.advance("1s")
    assert clock.monotonic() == 3601


def test_moments_are_text_datetimes_or_instants() -> None:
    same = [
        FakeClock("2027-06-19T14:00:00+02:00"),
        FakeClock("2027-06-19T12:00:00"),
        FakeClock(datetime(2027, 6, 19, 14, tzinfo=timezone(timedelta(hours=2)))),
        FakeClock(NOON),
    ]
    assert {clock.now() for clock in same} == {NOON}
    assert same[0].moment == datetime(2027, 6, 19, 12, tzinfo=UTC)
    assert repr(same[0]) == "FakeClock('2027-06-19 12:00:00 UTC')"


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidTime, match="has no time zone"):
        FakeClock(datetime(2027, 6, 19))  # noqa: DTZ001 - exactly this is refused


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("90s", 90 * SECOND),
        ("3d", 3 * DAY),
        ("1h 30m", 90 * MINUTE),
        ("1w2d", 9 * DAY),
        ("250ms", SECOND // 4),
        ("1.5h", 90 * MINUTE),
        ("0s", 0),
        (timedelta(days=1, microseconds=7), DAY + 7),
    ],
)
def test_lengths_of_time(span: Span, expected: int) -> None:
    assert microseconds(span) == expected


@pytest.mark.parametrize("span", ["", "3", "d", "3 days", "-3d", "1h and 2m", "3D", "٣d", timedelta(seconds=-1)])
def test_what_is_no_length_is_refused(span: Span) -> None:
    with pytest.raises(InvalidTime, match=r"is not a length of time|is negative"):
        FakeClock().advance(span)


def test_how_messages_show_time() -> None:
    assert shown(NOON) == "2027-06-19 12:00:00 UTC"
    assert shown(NOON + 1) == "2027-06-19 12:00:00.000001 UTC"
    shown_lengths = [length_shown(length) for length in (3 * DAY + 12 * HOUR + MINUTE, 90 * SECOND, 0, -HOUR)]
    assert shown_lengths == ["3d 12h", "1m 30s", "0s", "-1h"]
