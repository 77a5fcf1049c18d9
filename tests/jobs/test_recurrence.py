"""When schedules fire: through changes of the clocks, from start to end, spread by jitter."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import DAY, HOUR, SECOND, from_datetime, iso, parse_instant, to_datetime
from wedsync_ops.jobs.recurrence import Timing, next_after, spread, upcoming

BERLIN = ZoneInfo("Europe/Berlin")  # forward on 28 March 2027 at 2:00, back on 31 October 2027 at 3:00
LONDON = ZoneInfo("Europe/London")


def fires(timing: Timing, after: str, count: int) -> list[str]:
    """The next fires as they stand on a wall clock, with the offset."""
    found = islice(upcoming(timing, parse_instant(after)), count)
    return [f"{to_datetime(one.at, timing.zone):%d %H:%M%z}" for one in found]


def remark(timing: Timing, after: str) -> str | None:
    found = next_after(timing, parse_instant(after))
    assert found is not None
    return found.remark


def test_a_time_that_does_not_exist_falls_an_hour_later_once() -> None:
    timing = Timing(cron="30 2 * * *", zone=BERLIN)
    assert fires(timing, "2027-03-27T00:00Z", 3) == ["27 02:30+0100", "28 03:30+0200", "29 02:30+0200"]
    assert remark(timing, "2027-03-27T12:00Z") == "02:30 does not exist that day, so it is 03:30"
    assert remark(timing, "2027-03-28T12:00Z") is None


def test_a_time_that_is_skipped_and_the_one_it_falls_on_are_one_fire() -> None:
    timing = Timing(cron="15 1,2,3 * * *", zone=BERLIN)
    assert fires(timing, "2027-03-27T23:00Z", 3) == ["28 01:15+0100", "28 03:15+0200", "29 01:15+0200"]


def test_skipped_times_keep_the_order_of_time() -> None:
    timing = Timing(cron="10,50 2,3 * * *", zone=BERLIN)
    assert fires(timing, "2027-03-28T00:30Z", 3) == ["28 03:10+0200", "28 03:50+0200", "29 02:10+0200"]
    mixed = Timing(cron="40 2-3 28 3 *", zone=BERLIN)
    assert fires(mixed, "2027-03-28T01:05Z", 1) == ["28 03:40+0200"]


def test_a_time_that_happens_twice_is_its_first_occurrence() -> None:
    timing = Timing(cron="30 2 * * *", zone=BERLIN)
    assert fires(timing, "2027-10-30T00:00Z", 3) == ["30 02:30+0200", "31 02:30+0200", "01 02:30+0100"]
    assert remark(timing, "2027-10-30T12:00Z") == "02:30 happens twice that day; this is the first"
    assert fires(timing, "2027-10-31T00:45Z", 1) == ["01 02:30+0100"]  # asked between the two
    assert fires(timing, "2027-10-31T01:15Z", 1) == ["01 02:30+0100"]  # asked in the second pass, before 2:30


@pytest.mark.parametrize(
    "after", ["2027-10-30T23:59:59.999999Z", "2027-10-31T00:00:00Z", "2027-10-31T00:29:59.999999Z"]
)
def test_the_first_of_two_is_found_from_every_moment_before_it(after: str) -> None:
    assert fires(Timing(cron="30 2 31 10 *", zone=BERLIN), after, 1) == ["31 02:30+0200"]


def test_an_open_hour_follows_elapsed_time_through_both_changes() -> None:
    timing = Timing(cron="*/30 * * * *", zone=BERLIN)
    spring = fires(timing, "2027-03-28T00:00Z", 4)
    assert spring == ["28 01:30+0100", "28 03:00+0200", "28 03:30+0200", "28 04:00+0200"]
    autumn = fires(timing, "2027-10-30T23:30Z", 6)
    assert autumn == [
        "31 02:00+0200",
        "31 02:30+0200",
        "31 02:00+0100",
        "31 02:30+0100",
        "31 03:00+0100",
        "31 03:30+0100",
    ]
    assert remark(timing, "2027-10-31T00:30Z") == "the second 02:00 of that day"


def test_an_open_hour_at_a_change_of_half_an_hour() -> None:
    lord_howe = Timing(cron="0 * * * *", zone=ZoneInfo("Australia/Lord_Howe"))
    after = parse_instant("2027-04-03T12:00Z")
    found = [to_datetime(one.at, lord_howe.zone) for one in islice(upcoming(lord_howe, after), 6)]
    assert {one.minute for one in found} == {0}
    assert {(b - a).total_seconds() for a, b in pairwise(found)} == {3600}


def test_midnight_that_does_not_exist_is_one_o_clock() -> None:
    santiago = Timing(cron="0 0 * * *", zone=ZoneInfo("America/Santiago"))
    assert fires(santiago, "2027-09-04T12:00Z", 2) == ["05 01:00-0300", "06 00:00-0300"]


def test_a_day_that_does_not_exist_is_the_next_and_both_are_one() -> None:
    apia = Timing(cron="0 10 * * *", zone=ZoneInfo("Pacific/Apia"))  # 30 December 2011 was left out
    assert fires(apia, "2011-12-29T12:00Z", 3) == ["29 10:00-1000", "31 10:00+1400", "01 10:00+1400"]


def test_a_rare_fire_after_two_changes() -> None:
    timing = Timing(cron="0 * 1 1 *", zone=BERLIN)
    assert fires(timing, "2027-02-01T00:00Z", 2) == ["01 00:00+0100", "01 01:00+0100"]
    assert fires(timing, "2027-07-01T00:00Z", 1) == ["01 00:00+0100"]
    assert fires(Timing(cron="0 * 1 7 *", zone=BERLIN), "2027-02-01T00:00Z", 1) == ["01 00:00+0200"]


def test_an_interval_is_elapsed_time_counted_from_the_start() -> None:
    start = parse_instant("2027-03-27T12:00Z")
    timing = Timing(interval_s=86_400, zone=BERLIN, start=start)
    assert fires(timing, "2027-03-01T00:00Z", 3) == ["27 13:00+0100", "28 14:00+0200", "29 14:00+0200"]
    found = next_after(timing, start)
    assert found is not None
    assert found.at == start + DAY


def test_an_interval_without_a_start_is_counted_from_1970() -> None:
    timing = Timing(interval_s=900, zone=LONDON)
    assert fires(timing, "2027-01-01T00:07Z", 2) == ["01 00:15+0000", "01 00:30+0000"]


def test_start_and_end_are_included() -> None:
    start, end = parse_instant("2027-01-02T09:00Z"), parse_instant("2027-01-04T09:00Z")
    timing = Timing(cron="0 9 * * *", zone=LONDON, start=start, end=end)
    assert fires(timing, "2026-01-01T00:00Z", 9) == ["02 09:00+0000", "03 09:00+0000", "04 09:00+0000"]


@given(st.integers(0, 2_000_000_000), st.sampled_from([1, 7, 60, 3600, 86_400, 604_800, 31_622_400]))
def test_every_interval_is_whole_and_later(second: int, interval_s: int) -> None:
    after = second * SECOND + 999_999
    found = next_after(Timing(interval_s=interval_s, zone=LONDON), after)
    assert found is not None
    assert found.at % (interval_s * SECOND) == 0
    assert after < found.at <= after + interval_s * SECOND


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "UTC"]
EXPRESSIONS = ["30 2 * * *", "*/15 1-3 * * *", "0 0 * * 0", "*/20 * * * *", "59 23 * * *", "0 3 1 * 1"]


@given(st.integers(1_790_000_000, 1_830_000_000), st.sampled_from(ZONES), st.sampled_from(EXPRESSIONS))
def test_the_next_fire_is_the_first_that_there_is(second: int, zone: str, expression: str) -> None:
    timing = Timing(cron=expression, zone=ZoneInfo(zone))
    after = second * SECOND
    found = next_after(timing, after)
    assert found is not None
    assert found.at > after
    halfway = (after + found.at) // 2
    assert next_after(timing, halfway) == found
    assert next_after(timing, found.at - 1) == found


def test_a_night_of_changes_agrees_with_every_minute_looked_at() -> None:
    """Against the rule, minute by minute: each local time that the expression names, once, the first time."""
    timing = Timing(cron="*/10 1-4 * * *", zone=BERLIN)
    for night in ("2027-03-27T20:00Z", "2027-10-30T20:00Z"):
        after = parse_instant(night)
        expected = set()
        wall = to_datetime(after, BERLIN).replace(tzinfo=None, minute=0)
        for _ in range(12 * 60):
            wall += timedelta(minutes=1)
            if 1 <= wall.hour <= 4 and wall.minute % 10 == 0:
                expected.add(from_datetime(wall.replace(tzinfo=BERLIN)))
        found = [one.at for one in islice(upcoming(timing, after), len(expected))]
        assert found == sorted(expected)


def test_jitter_is_the_same_everywhere_and_within_its_bounds() -> None:
    times = [from_datetime(datetime(2027, 1, day, tzinfo=UTC)) for day in range(1, 29)]
    late = [spread("morning", at, 60) for at in times]
    assert late == [spread("morning", at, 60) for at in times]
    assert all(0 <= one <= 60 * SECOND for one in late)
    assert len(set(late)) == len(times)
    assert spread("morning", times[0], 60) != spread("evening", times[0], 60)
    assert spread("morning", times[0], 0) == 0


def test_what_has_ended_has_no_next() -> None:
    end = parse_instant("2027-01-01T00:00Z")
    assert next_after(Timing(interval_s=60, zone=LONDON, end=end), end) is None
    assert iso(next_after(Timing(interval_s=60, zone=LONDON, end=end), end - HOUR).at) == "2026-12-31T23:01:00.000000Z"  # type: ignore[union-attr]
