"""What limits allow: rates, windows and what runs at once, decided from a gauge and the moment."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import DAY, MINUTE, SECOND
from wedsync_ops.limits import Gauge, Limit, Subject, free_at, limits_from, room, taken

T0 = 1_800_000_000_000_000


def limit(**values: Any) -> Limit:
    (one,) = limits_from([{"name": "one", **values}])
    return one


def starts(one: Limit, tries: list[int]) -> list[int]:
    """The moments, of those tried in order, at which a start was allowed."""
    gauge, allowed = Gauge(), []
    for now in tries:
        if room(one, gauge, 0, now) > 0:
            gauge = taken(one, gauge, 1, now)
            allowed.append(now)
    return allowed


def test_a_rate_starts_evenly() -> None:
    one = limit(rate="60/1m")
    assert one.burst == 1
    every_100_ms = [T0 + n * SECOND // 10 for n in range(100)]
    assert starts(one, every_100_ms) == [T0 + n * SECOND for n in range(10)]


def test_a_burst_comes_at_once_and_then_fills_again() -> None:
    one = limit(rate="60/1m", burst=5)
    assert room(one, Gauge(), 0, T0) == 5
    empty = taken(one, Gauge(), 5, T0)
    assert room(one, empty, 0, T0) == 0
    assert free_at(one, empty, T0) == T0 + SECOND
    assert room(one, empty, 0, T0 + 3 * SECOND) == 3
    assert room(one, empty, 0, T0 + MINUTE) == 5


def test_a_window_counts_from_one_multiple_of_its_span_to_the_next() -> None:
    one = limit(window="3/1h")
    start = T0 // (60 * MINUTE) * 60 * MINUTE
    late = start + 59 * MINUTE
    full = taken(one, Gauge(), 3, late)
    assert room(one, full, 0, late + 1) == 0
    assert free_at(one, full, late) == start + 60 * MINUTE
    assert room(one, full, 0, start + 60 * MINUTE) == 3


def test_at_once_counts_what_runs() -> None:
    one = limit(concurrent=2)
    assert [room(one, Gauge(), running, T0) for running in (0, 1, 2, 3)] == [2, 1, 0, 0]
    assert free_at(one, Gauge(), T0) is None
    assert taken(one, Gauge(), 1, T0) == Gauge()


def test_a_clock_that_went_back_gives_nothing_away_and_locks_nobody_out() -> None:
    one = limit(rate="60/1m")
    gauge = taken(one, Gauge(), 1, T0)
    assert room(one, gauge, 0, T0 - SECOND) == 0
    again = free_at(one, gauge, T0 - SECOND)
    assert again is not None
    assert room(one, gauge, 0, again) == 1


@given(
    count=st.integers(1, 500),
    seconds=st.integers(1, 3600),
    burst=st.integers(1, 50),
    gaps=st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=200),
)
def test_no_span_ever_sees_more_than_its_rate_and_a_burst(
    count: int, seconds: int, burst: int, gaps: list[int]
) -> None:
    one = limit(rate=f"{count}/{seconds}s", burst=burst)
    moment, tries = T0, []
    for gap in gaps:
        moment += gap
        tries += [moment] * 3
    allowed = starts(one, tries)
    for place, first in enumerate(allowed):
        within = sum(1 for at in allowed[place:] if at < first + one.span_us)
        assert within <= count + burst


@given(count=st.integers(1, 100), used=st.integers(0, 100), at=st.integers(T0, T0 + DAY))
def test_free_at_is_the_first_moment_with_room(count: int, used: int, at: int) -> None:
    for one in (limit(rate=f"{count}/1m"), limit(window=f"{count}/1m")):
        gauge = taken(one, Gauge(), used, at)
        if room(one, gauge, 0, at) <= 0:
            free = free_at(one, gauge, at)
            assert free is not None
            assert free > at
            assert room(one, gauge, 0, free) > 0
            assert room(one, gauge, 0, free - 1) == 0


def test_for_whom_a_job_counts() -> None:
    subject = Subject("email", "s1", "c1", None, "smtp")
    per = ("all", "module", "supplier", "client", "vendor_type", "provider")
    keys = [limit(concurrent=1, per=each).key_of(subject) for each in per]
    assert keys == ["", "email", "s1", "c1", "", "smtp"]
    assert limit(concurrent=1, modules=["sms"]).covers("email") is False
    assert limit(concurrent=1).covers("email") is True


def test_what_is_delivered_over_a_provider() -> None:
    each, mails = limit(concurrent=1, per="provider"), limit(concurrent=1, providers=["smtp"])
    assert [each.covers("email", "smtp"), each.covers("sms", "gateway"), each.covers("tidy", None)] == [
        True,
        True,
        False,
    ]
    assert [mails.covers("email", "smtp"), mails.covers("sms", "gateway"), mails.covers("tidy")] == [True, False, False]
    both = limit(concurrent=1, modules=["form"], providers=["smtp"])
    assert [both.covers("form", "smtp"), both.covers("email", "smtp"), both.covers("form")] == [True, False, False]
    assert each.words == "1 at once for each provider"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "must be a list"),
        (["x"], r"limits\[0\] must be a mapping"),
        ([{"name": "A", "rate": "1/s"}], "must be letters"),
        ([{"name": "pause", "rate": "1/s"}], "not 'pause'"),
        ([{"name": "a"}], "needs one of concurrent, rate, window"),
        ([{"name": "a", "rate": "1/s", "window": "1/s"}], "not several"),
        ([{"name": "a", "rate": "0/s"}], "such as 100/1m"),
        ([{"name": "a", "rate": 5}], "such as 100/1m"),
        ([{"name": "a", "rate": "9999999/1s"}], "at most 1,000,000"),
        ([{"name": "a", "window": "1/999d"}], "at most 366 days"),
        ([{"name": "a", "concurrent": True}], "whole number"),
        ([{"name": "a", "concurrent": 1, "burst": 2}], "belongs to a rate only"),
        ([{"name": "a", "concurrent": 1, "per": "town"}], "one of all, module"),
        ([{"name": "a", "concurrent": 1, "modules": []}], "a list of module types"),
        ([{"name": "a", "concurrent": 1, "providers": "smtp"}], r"providers \(a\) must be a list of providers"),
        ([{"name": "a", "concurent": 1}], "has no key 'concurent'"),
        ([{"name": "a", "concurrent": 1}] * 2, "stands there twice"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_with_its_place(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        limits_from(given)
