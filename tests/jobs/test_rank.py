"""The rank: fair among suppliers, and in time for the deadline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weddings.calendars import local, wedding
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.rank import deadline, fair_tag, latest_safe_start, rank

NOW = local("2026-01-14T12:00")
WEDDING = wedding("2026-06-19", "America/New_York")
times = st.integers(0, 2**52)


def test_a_first_job_is_tagged_from_now_and_the_next_ones_behind_each_other() -> None:
    first = fair_tag(None, NOW, 2 * SECOND)
    second = fair_tag(first, NOW, 2 * SECOND)
    assert (first, second) == (NOW + 2 * SECOND, NOW + 4 * SECOND)


def test_a_tag_in_the_past_is_no_credit() -> None:
    assert fair_tag(NOW - 3600 * SECOND, NOW, SECOND) == NOW + SECOND


def test_a_supplier_of_double_weight_advances_half_as_fast() -> None:
    assert fair_tag(NOW, NOW, 3 * SECOND, 2.0) == NOW + 3 * SECOND // 2


def test_who_queues_ten_thousand_jobs_delays_only_itself() -> None:
    tag: int | None = None
    for _ in range(10_000):
        tag = fair_tag(tag, NOW, SECOND)
    assert tag is not None
    assert rank(fair_tag(None, NOW, SECOND), None) < tag


@given(last=st.none() | times, now=times, expected=st.integers(0, 10**12), weight=st.floats(0.01, 100))
def test_a_tag_never_goes_back(last: int | None, now: int, expected: int, weight: float) -> None:
    tag = fair_tag(last, now, expected, weight)
    assert tag >= now
    assert tag >= (last or 0)


def test_a_deadline_that_nears_goes_before_the_fair_tag() -> None:
    safe = latest_safe_start(NOW + 10 * SECOND, 2 * SECOND, 3)
    assert safe == NOW + 4 * SECOND
    assert rank(NOW + 60 * SECOND, safe) == safe
    assert rank(NOW + SECOND, safe) == NOW + SECOND


def test_no_deadline_leaves_the_fair_tag() -> None:
    assert latest_safe_start(None, SECOND, 3) is None
    assert rank(NOW, None) == NOW


def test_the_deadline_is_the_start_of_the_wedding_day_in_its_zone() -> None:
    assert deadline(None, WEDDING, NOW, "email") == local("2026-06-19T00:00", "America/New_York")
    eve = local("2026-06-18T23:59:59.999999", "America/New_York")
    assert deadline(None, WEDDING, eve, "email") == eve + 1


def test_a_job_due_on_the_wedding_day_has_until_its_end() -> None:
    due = local("2026-06-19T00:00", "America/New_York")
    assert deadline(None, WEDDING, due, "email") == local("2026-06-20T00:00", "America/New_York")


def test_the_end_of_a_wedding_day_on_which_the_clocks_change() -> None:
    day = wedding("2026-10-25", "Europe/London")
    starts = local("2026-10-25T00:00", "Europe/London")
    assert deadline(None, day, starts, "info") == starts + 25 * 3600 * SECOND


@pytest.mark.parametrize("module_type", ["review", "referral"])
def test_what_is_asked_for_after_the_wedding_has_no_deadline_from_it(module_type: str) -> None:
    assert deadline(None, WEDDING, NOW, module_type) is None
    assert deadline(NOW, WEDDING, NOW, module_type) == NOW


def test_a_past_wedding_or_none_gives_no_deadline() -> None:
    assert deadline(None, WEDDING, local("2026-06-20T00:00", "America/New_York"), "email") is None
    assert deadline(None, None, NOW, "email") is None
    assert deadline(NOW + 1, None, NOW, "email") == NOW + 1
