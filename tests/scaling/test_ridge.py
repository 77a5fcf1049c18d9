"""Least squares that lean on beliefs."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wedsync_ops.scaling import ridge


def columns(rand: random.Random, many: int, rows: int) -> list[list[float]]:
    return [[1.0] * rows, *([rand.uniform(-1, 1) for _ in range(rows)] for _ in range(many - 1))]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_what_made_the_values_is_found(seed: int, many: int) -> None:
    rand = random.Random(seed)
    xs = columns(rand, many, 60)
    true = [rand.uniform(-5, 5) for _ in range(many)]
    weights = [rand.uniform(0.1, 1) for _ in range(60)]
    values = ridge.fitted(xs, true)
    found = ridge.solve(ridge.gram(xs, weights), ridge.moments(xs, weights, values), [1e-9] * many, [0.0] * many)
    assert found == pytest.approx(true, abs=1e-4)


def test_what_nothing_is_known_of_stays_as_it_was_believed() -> None:
    xs = [[1.0] * 10, [0.0] * 10]
    found = ridge.solve(ridge.gram(xs, [1.0] * 10), ridge.moments(xs, [1.0] * 10, [4.0] * 10), [1e-9, 1.0], [0.0, 7.0])
    assert found == pytest.approx([4.0, 7.0])


def test_a_firm_belief_gives_way_to_many_days() -> None:
    def slope(rows: int) -> float:
        xs = [[1.0] * rows, [float(i % 2) for i in range(rows)]]
        values = [2.0 * (i % 2) for i in range(rows)]
        ones = [1.0] * rows
        return ridge.solve(ridge.gram(xs, ones), ridge.moments(xs, ones, values), [1e-9, 20.0], [0.0, 0.0])[1]

    assert slope(8) < 0.5
    assert 1.6 < slope(400) < 2.0


def test_columns_that_say_the_same_are_no_trouble() -> None:
    xs = [[1.0] * 5, [1.0] * 5]
    found = ridge.solve(ridge.gram(xs, [1.0] * 5), ridge.moments(xs, [1.0] * 5, [3.0] * 5), [0.1, 0.1], [0.0, 0.0])
    assert sum(found) == pytest.approx(3.0, rel=0.05)
