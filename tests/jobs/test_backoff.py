"""The waits between attempts."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import DAY, SECOND
from wedsync_ops.jobs.backoff import LONGEST_US, delay_us
from wedsync_ops.modules.model import Retry

Backoff = Literal["exponential", "linear", "fixed"]
MIDDLE = 0.5  # no jitter


def rule(backoff: Backoff = "exponential", delay: float = 2000.0) -> Retry:
    return Retry(attempts=3, backoff=backoff, delay=delay)


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [("exponential", [2, 4, 8, 16, 32]), ("linear", [2, 4, 6, 8, 10]), ("fixed", [2, 2, 2, 2, 2])],
)
def test_the_waits_grow_as_the_rule_says(backoff: Backoff, seconds: list[int]) -> None:
    retry = rule(backoff)
    assert [delay_us(retry, attempt, MIDDLE) for attempt in range(1, 6)] == [SECOND * n for n in seconds]


def test_jitter_spreads_by_ten_percent_both_ways() -> None:
    retry = rule("fixed", 10_000.0)
    assert delay_us(retry, 1, 0.0) == 9 * SECOND
    assert delay_us(retry, 1, 0.75) == 10.5 * SECOND
    assert delay_us(retry, 1, 1 - 2**-53) == 11 * SECOND


def test_no_wait_is_longer_than_a_day() -> None:
    assert LONGEST_US == DAY
    for attempt in (17, 50, 10**6):
        assert delay_us(rule(), attempt, MIDDLE) == DAY
    assert delay_us(rule(delay=86_400_000.0), 50, 0.99) == DAY


@given(
    backoff=st.sampled_from(["exponential", "linear", "fixed"]),
    delay=st.floats(0, 86_400_000),
    attempt=st.integers(1, 50),
    rand=st.floats(0, 1, exclude_max=True),
)
def test_every_wait_is_within_its_bounds_and_never_shorter_than_the_one_before(
    backoff: Backoff, delay: float, attempt: int, rand: float
) -> None:
    retry = rule(backoff, delay)
    wait = delay_us(retry, attempt, rand)
    assert 0 <= wait <= DAY
    assert delay_us(retry, attempt, 0.0) <= wait
    assert delay_us(retry, attempt + 1, rand) >= wait
