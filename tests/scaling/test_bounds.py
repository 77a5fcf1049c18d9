"""Between what an hour comes eight times in ten."""

import random

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.scaling.bounds import Errors, size_of, unknown_bounds

AMOUNTS = st.floats(0, 1e7)


@given(st.lists(st.tuples(AMOUNTS, st.integers(0, 10**7)), max_size=200), AMOUNTS)
def test_what_is_expected_lies_within_its_bounds(pairs: list[tuple[float, int]], expected: float) -> None:
    for low, high in (Errors.of(pairs).bounds(expected), unknown_bounds(expected)):
        assert 0 <= low <= expected <= high


@given(AMOUNTS, AMOUNTS)
def test_larger_hours_are_of_no_smaller_size(a: float, b: float) -> None:
    assert size_of(min(a, b)) <= size_of(max(a, b))


def test_eight_in_ten_come_within() -> None:
    rand = random.Random(3)
    pairs = [(100.0, rand.gauss(100, 20)) for _ in range(2000)]
    low, high = Errors.of(pairs[:1000]).bounds(100.0)
    inside = sum(low <= came <= high for _, came in pairs[1000:])
    assert 760 <= inside <= 840


def test_hours_of_another_size_say_nothing_where_there_are_enough_of_the_own() -> None:
    wild = [(1.0, came) for came in (0.0, 9.0) * 100]
    steady = [(1000.0, 1000.0)] * 200
    low, high = Errors.of([*wild, *steady]).bounds(1000.0)
    assert (round(low), round(high)) == (1000, 1000)
