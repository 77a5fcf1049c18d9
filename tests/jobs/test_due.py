"""When a job is due: the order of the waits, business hours as clocks change, and wedding week's limits."""

from dataclasses import replace
from datetime import date, time, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.weddings.calendars import ZONES, local, wedding
from wedsync_ops.errors import InvalidConfig, InvalidContext, InvalidTime, UsageError
from wedsync_ops.instants import DAY, HOUR, MINUTE, to_datetime
from wedsync_ops.jobs.due import SendTime, Wish, decide
from wedsync_ops.weddings.model import Wedding

UTC = ZoneInfo("UTC")
NOW = local("2026-01-14T12:00")  # a Wednesday
PLAIN = Wish(zone=UTC)
OFFICE = Wish(zone=UTC, send_time="business_hours")


def test_a_job_without_wishes_is_due_at_once() -> None:
    due = decide(NOW, PLAIN)
    assert (due.at, due.reasons) == (NOW, ("at once",))


def test_at_is_the_due_time_and_a_past_one_is_now() -> None:
    assert decide(NOW, replace(PLAIN, at=NOW + DAY)).at == NOW + DAY
    past = decide(NOW, replace(PLAIN, at=NOW - DAY))
    assert (past.at, past.reasons) == (NOW, ("the time asked for is past: now",))


def test_delay_counts_in_minutes_from_now() -> None:
    due = decide(NOW, replace(PLAIN, delay_min=2.5))
    assert (due.at, due.reasons) == (NOW + 150_000_000, ("delayed by 2.5 minutes as asked for",))
    assert decide(NOW, replace(PLAIN, delay_min=0)).reasons == ("at once",)


def test_at_together_with_delay_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        decide(NOW, replace(PLAIN, at=NOW, delay_min=1))


@pytest.mark.parametrize("bad", [-1, -0.001, float("nan"), float("-inf")])
def test_a_delay_is_not_negative(bad: float) -> None:
    with pytest.raises(UsageError):
        decide(NOW, replace(PLAIN, delay_min=bad))
    with pytest.raises(InvalidConfig):
        decide(NOW, replace(PLAIN, send_delay_min=bad))


@pytest.mark.parametrize(
    "wish",
    [
        replace(PLAIN, delay_min=1e300),
        replace(PLAIN, delay_min=float("inf")),
        replace(PLAIN, send_delay_min=1e300),
        replace(PLAIN, at=local("9000-01-01T00:00")),
        replace(PLAIN, send_time="custom", send_at=local("9500-01-01T00:00")),
        replace(PLAIN, wedding=wedding("2026-01-14"), after_wedding_days=3_999_999),
    ],
)
def test_a_time_beyond_the_calendar_is_refused(wish: Wish) -> None:
    with pytest.raises(InvalidTime, match="due after the year 8999"):
        decide(NOW, wish)


def test_the_order_is_base_then_send_time_then_send_delay() -> None:
    wish = replace(OFFICE, at=local("2026-01-16T18:00"), send_delay_min=45)  # Friday evening
    due = decide(NOW, wish)
    assert due.at == local("2026-01-19T09:45")
    assert due.reasons == (
        "at the time asked for",
        "the recipient's business hours (Mon-Fri 9-17, UTC)",
        "send_delay of 45 minutes",
    )


@pytest.mark.parametrize(
    ("asked", "opens"),
    [
        ("2026-01-14T09:00", "2026-01-14T09:00"),
        ("2026-01-14T16:59:59.999999", "2026-01-14T16:59:59.999999"),
        ("2026-01-14T17:00", "2026-01-15T09:00"),
        ("2026-01-14T08:59:59.999999", "2026-01-14T09:00"),
        ("2026-01-16T17:00", "2026-01-19T09:00"),
        ("2026-01-17T12:00", "2026-01-19T09:00"),
        ("2026-01-18T23:59", "2026-01-19T09:00"),
        ("2026-01-19T00:00", "2026-01-19T09:00"),
        # weekends in which the clocks of some of the zones below change
        ("2026-03-06T20:00", "2026-03-09T09:00"),
        ("2026-03-27T20:00", "2026-03-30T09:00"),
        ("2026-04-03T20:00", "2026-04-06T09:00"),
        ("2026-10-02T20:00", "2026-10-05T09:00"),
        ("2026-10-23T20:00", "2026-10-26T09:00"),
        ("2026-10-30T20:00", "2026-11-02T09:00"),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_business_hours_are_wall_clock_hours_of_the_recipient(asked: str, opens: str, zone: str) -> None:
    start = local("2026-01-01T00:00")
    wish = Wish(zone=ZoneInfo(zone), send_time="business_hours", at=local(asked, zone))
    assert decide(start, wish).at == local(opens, zone)


@pytest.mark.parametrize(
    ("zone", "friday", "hours"),
    [
        ("Europe/London", "2026-03-27", 63),
        ("Europe/London", "2026-10-23", 65),
        ("America/New_York", "2026-03-06", 63),
        ("America/New_York", "2026-10-30", 65),
        ("Australia/Lord_Howe", "2026-10-02", 63.5),
        ("Australia/Lord_Howe", "2026-04-03", 64.5),
    ],
)
def test_a_weekend_in_which_the_clocks_change_is_a_shorter_or_longer_wait(zone: str, friday: str, hours: float) -> None:
    closing = local(f"{friday}T17:00", zone)
    due = decide(closing, Wish(zone=ZoneInfo(zone), send_time="business_hours"))
    assert due.at - closing == hours * HOUR


def test_a_delay_is_elapsed_time_across_a_change_of_the_clocks() -> None:
    before = local("2026-03-29T00:30", "Europe/London")
    due = decide(before, Wish(zone=ZoneInfo("Europe/London"), send_delay_min=60))
    assert due.at == local("2026-03-29T02:30", "Europe/London")


def test_custom_sends_at_send_at_never_before_the_base() -> None:
    custom = replace(PLAIN, send_time="custom", send_at=NOW + DAY)
    assert decide(NOW, custom).at == NOW + DAY
    assert decide(NOW, replace(custom, at=NOW + 2 * DAY)).at == NOW + 2 * DAY
    assert decide(NOW, replace(custom, send_at=NOW - DAY)).at == NOW
    with pytest.raises(InvalidConfig, match="send_at is missing"):
        decide(NOW, replace(PLAIN, send_time="custom"))


@pytest.mark.parametrize(
    ("days", "longest"),
    [(0, 0), (1, 0), (2, 30), (7, 30), (8, None), (-1, None)],
)
def test_wedding_week_limits_the_waits_of_the_config(days: int, longest: int | None) -> None:
    evening = local("2026-01-14T20:00")
    day = Wedding(date(2026, 1, 14) + timedelta(days=days), UTC)
    delayed = decide(evening, replace(PLAIN, wedding=day, send_delay_min=120))
    assert delayed.at - evening == (120 if longest is None else longest) * MINUTE
    office = decide(evening, replace(OFFICE, wedding=day))
    assert office.at - evening == (13 * 60 if longest is None else longest) * MINUTE
    both = decide(evening, replace(OFFICE, wedding=day, send_delay_min=120))
    assert both.at - evening == (15 * 60 if longest is None else 2 * longest) * MINUTE
    for due in (delayed, office):
        assert ("cut to" in due.reasons[-1]) is (longest is not None)


def test_a_short_wait_in_wedding_week_is_left_as_it_is() -> None:
    due = decide(NOW, replace(PLAIN, wedding=wedding("2026-01-19"), send_delay_min=20))
    assert (due.at, due.reasons) == (NOW + 20 * MINUTE, ("send_delay of 20 minutes",))


def test_the_limit_is_a_setting() -> None:
    wish = replace(PLAIN, wedding=wedding("2026-01-19"), send_delay_min=120, wedding_week_delay_min=5.5)
    due = decide(NOW, wish)
    assert (due.at, due.reasons) == (
        NOW + 330_000_000,
        ("send_delay of 120 minutes, cut to 5.5 minutes in wedding week",),
    )


def test_what_the_caller_asks_for_is_never_cut() -> None:
    day = wedding("2026-01-15")
    assert decide(NOW, replace(PLAIN, wedding=day, delay_min=600)).at == NOW + 10 * HOUR
    assert decide(NOW, replace(PLAIN, wedding=day, at=NOW + 5 * HOUR)).at == NOW + 5 * HOUR
    assert decide(NOW, replace(PLAIN, wedding=day, send_time="custom", send_at=NOW + 5 * HOUR)).at == NOW + 5 * HOUR


def test_wedding_week_is_judged_at_the_base_in_the_weddings_zone() -> None:
    day = wedding("2026-01-23")
    now_far = decide(NOW, replace(PLAIN, wedding=day, send_delay_min=120))
    assert now_far.at == NOW + 2 * HOUR
    at_base = decide(NOW, replace(PLAIN, wedding=day, send_delay_min=120, at=NOW + 3 * DAY))
    assert at_base.at == NOW + 3 * DAY + 30 * MINUTE
    noon = local("2026-01-21T12:00")
    in_tokyo = replace(PLAIN, wedding=wedding("2026-01-23", "Asia/Tokyo"), send_delay_min=120)
    assert decide(noon, in_tokyo).at == noon + 30 * MINUTE
    assert decide(noon + 4 * HOUR, in_tokyo).at == noon + 4 * HOUR  # the day before has begun in Tokyo


def test_a_review_waits_for_ten_oclock_some_days_after_the_wedding_in_its_zone() -> None:
    day = wedding("2026-03-07", "America/New_York")
    wish = replace(PLAIN, wedding=day, after_wedding_days=7)
    due = decide(NOW, wish)
    assert due.at == local("2026-03-14T10:00", "America/New_York")  # after the clocks went forward
    assert due.reasons == ("7 days after the wedding (2026-03-07), at 10:00",)
    late = local("2026-04-01T03:00")
    assert decide(late, wish).at == late
    assert decide(NOW, replace(wish, at=local("2026-03-10T00:00"))).at == due.at
    assert decide(NOW, replace(wish, at=late)).at == late
    assert decide(NOW, replace(wish, send_time="business_hours")).at == local("2026-03-16T09:00")
    assert decide(NOW, replace(wish, send_delay_min=120)).at == due.at + 2 * HOUR


def test_a_review_needs_a_wedding_date_and_days_that_can_be() -> None:
    with pytest.raises(InvalidContext, match="names none"):
        decide(NOW, replace(PLAIN, after_wedding_days=7))
    for days in (-1, 10**12):
        with pytest.raises(InvalidConfig, match="days_after_wedding"):
            decide(NOW, replace(PLAIN, wedding=wedding("2026-03-07"), after_wedding_days=days))


instants = st.integers(local("2024-01-01T00:00"), local("2030-01-01T00:00"))
offsets = st.integers(-40 * DAY, 40 * DAY)
minutes = st.integers(0, 100_000)
zones = st.sampled_from(ZONES)


@settings(max_examples=400)
@given(
    now=instants,
    at=st.none() | offsets,
    send_time=st.sampled_from(get_args(SendTime)),
    send_at=offsets,
    delay=minutes,
    zone=zones,
    left=st.none() | st.integers(-10, 45),
    after=st.none() | st.integers(0, 30),
)
def test_a_job_is_never_due_before_its_base_and_never_later_than_the_rules_allow(
    now: int,
    at: int | None,
    send_time: SendTime,
    send_at: int,
    delay: int,
    zone: str,
    left: int | None,
    after: int | None,
) -> None:
    place = ZoneInfo(zone)
    day = None if left is None else Wedding(to_datetime(now, place).date() + timedelta(days=left), place)
    wish = Wish(
        at=None if at is None else now + at,
        send_time=send_time,
        send_at=now + send_at,
        send_delay_min=delay,
        zone=place,
        wedding=day,
        after_wedding_days=None if day is None else after,
    )
    due = decide(now, wish)
    assert due.reasons
    base = max(now, wish.at or now)
    if day is not None and after is not None:
        base = max(base, local(f"{day.on + timedelta(days=after)}T10:00", zone))
    assert due.at >= base
    days = None if day is None else day.on.toordinal() - to_datetime(base, place).date().toordinal()
    longest = {0: 0, 1: 0, **dict.fromkeys(range(2, 8), 30)}.get(-1 if days is None else days)
    delay_us = (delay if longest is None else min(delay, longest)) * MINUTE
    if send_time == "business_hours":
        opened = due.at - delay_us
        if longest is not None:
            assert base <= opened <= base + longest * MINUTE
        if longest is None or opened not in (base, base + longest * MINUTE):
            wall = to_datetime(opened, place)
            assert wall.weekday() < 5
            assert 9 <= wall.hour < 17
            assert opened == base or (wall.hour, wall.minute, wall.second) == (9, 0, 0)
    else:
        assert due.at == (max(base, now + send_at) if send_time == "custom" else base) + delay_us


QUIET = (time(21), time(8))
NIGHT = Wish(zone=ZoneInfo("Europe/London"), quiet=QUIET)


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        ("2026-01-14T20:59", "2026-01-14T20:59"),
        ("2026-01-14T21:00", "2026-01-15T08:00"),
        ("2026-01-14T23:59", "2026-01-15T08:00"),
        ("2026-01-15T00:00", "2026-01-15T08:00"),
        ("2026-01-15T07:59", "2026-01-15T08:00"),
        ("2026-01-15T08:00", "2026-01-15T08:00"),
        ("2026-03-28T22:00", "2026-03-29T08:00"),  # the clock goes forward in that night
        ("2026-10-24T22:00", "2026-10-25T08:00"),  # and back in this one
    ],
)
def test_what_is_due_in_quiet_hours_waits_for_their_end(asked: str, due: str) -> None:
    found = decide(local("2026-01-01T00:00"), replace(NIGHT, at=local(asked, "Europe/London")))
    assert found.at == local(due, "Europe/London")
    assert ("the recipient's quiet hours (21:00-08:00, Europe/London)" in found.reasons) is (asked != due)


def test_quiet_hours_may_lie_within_a_day() -> None:
    siesta = replace(PLAIN, quiet=(time(13), time(15, 30)))
    assert decide(local("2026-01-14T14:00"), siesta).at == local("2026-01-14T15:30")
    assert decide(local("2026-01-14T12:59"), siesta).at == local("2026-01-14T12:59")
    assert decide(local("2026-01-14T15:30"), siesta).at == local("2026-01-14T15:30")


def test_quiet_hours_are_looked_at_after_every_other_wait() -> None:
    assert decide(local("2026-01-14T20:00"), replace(NIGHT, send_delay_min=120)).at == local("2026-01-15T08:00")


@pytest.mark.parametrize(
    ("day", "waits"),
    [("2026-01-14", False), ("2026-01-15", False), ("2026-01-16", True), ("2026-01-13", True)],
)
def test_on_the_wedding_day_and_the_day_before_nothing_waits_for_quiet_hours(day: str, *, waits: bool) -> None:
    at = local("2026-01-14T22:00")
    found = decide(at, replace(NIGHT, wedding=wedding(day, "Europe/London")))
    assert found.at == (local("2026-01-15T08:00") if waits else at)


@given(
    st.integers(local("2025-01-01T00:00"), local("2030-01-01T00:00")),
    st.sampled_from(ZONES),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
def test_quiet_hours_never_move_a_job_back_nor_more_than_a_day_and_an_hour(
    now: int, zone: str, start: time, end: time
) -> None:
    if start == end:
        return
    wish = Wish(zone=ZoneInfo(zone), quiet=(start, end))
    due = decide(now, wish).at
    assert now <= due <= now + 25 * HOUR
    assert decide(due, wish).at == due or to_datetime(due, ZoneInfo(zone)).fold  # its end is not quiet
