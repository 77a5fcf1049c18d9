"""What a sketch promises: one percent, whatever the data; merging in any order; bytes that come back as they went."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.metrics.sketch import ERROR, Sketch, bin_of, encode_few, middle_of

VALUES = st.lists(st.one_of(st.integers(0, 50), st.integers(0, 10**6), st.integers(0, 10**14)), max_size=200)
DENSE = b"\x80\x00"
CROWDED = st.lists(st.integers(1_000, 3_000), min_size=100, max_size=2_000)
"""So many that lie so close that their bins stand in a row."""
PERCENTS = (1, 25, 50, 75, 90, 95, 99, 100)


def nearest_rank(values: list[int], percent: int) -> int:
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def heavy_tailed(rand: random.Random) -> int:
    return round(1000 * rand.paretovariate(0.7))


def lognormal(rand: random.Random) -> int:
    return round(rand.lognormvariate(11, 1.5))


def bimodal(rand: random.Random) -> int:
    return round(rand.gauss(2_000, 300) if rand.random() < 0.9 else rand.gauss(30_000_000, 1_000_000))


def constant(rand: random.Random) -> int:
    return 123_457


def tiny(rand: random.Random) -> int:
    return rand.randrange(4)


@pytest.mark.parametrize("shape", [heavy_tailed, lognormal, bimodal, constant, tiny], ids=lambda shape: shape.__name__)
def test_percentiles_are_within_one_percent_of_the_true_ones(shape: Callable[[random.Random], int]) -> None:
    rand = random.Random(4)
    values = [max(0, shape(rand)) for _ in range(20_000)]
    sketch = Sketch.of(values)
    for percent in PERCENTS:
        assert sketch.percentile(percent) == pytest.approx(nearest_rank(values, percent), rel=ERROR + 1e-9)
    assert (sketch.count, sketch.total) == (len(values), sum(values))
    assert (sketch.low, sketch.high) == (min(values), max(values))


@given(VALUES.filter(bool), st.integers(1, 100))
def test_the_bound_holds_for_any_values(values: list[int], percent: int) -> None:
    assert Sketch.of(values).percentile(percent) == pytest.approx(nearest_rank(values, percent), rel=ERROR + 1e-9)


@given(st.integers(0, 2**62))
def test_a_bin_stands_for_each_of_its_values(value: int) -> None:
    assert middle_of(bin_of(value)) == pytest.approx(value, rel=ERROR + 1e-9)


@given(VALUES, VALUES, VALUES)
def test_merging_is_associative_and_commutative_and_the_sketch_of_all(a: list[int], b: list[int], c: list[int]) -> None:
    left, right = Sketch.of(a), Sketch.of(c)
    left.merge(Sketch.of(b))
    left.merge(Sketch.of(c))
    tail = Sketch.of(b)
    tail.merge(Sketch.of(a))
    right.merge(tail)
    assert left == right == Sketch.of(a + b + c)


@given(st.one_of(VALUES, CROWDED))
def test_bytes_come_back_as_they_went(values: list[int]) -> None:
    sketch = Sketch.of(values)
    assert Sketch.decode(sketch.encode()) == sketch


@given(VALUES, st.one_of(VALUES, CROWDED))
def test_encoded_sketches_merge_as_sketches_do(a: list[int], b: list[int]) -> None:
    merged = Sketch.of(a)
    merged.merge_encoded(Sketch.of(b).encode())
    assert merged == Sketch.of(a + b)


@given(st.lists(st.one_of(VALUES, CROWDED), max_size=6), VALUES)
def test_many_encoded_sketches_merge_at_once(several: list[list[int]], more: list[int]) -> None:
    merged = Sketch.of(more)
    merged.merge_all([Sketch.of(values).encode() for values in several])
    assert merged == Sketch.of(sum(several, more))
    largest = Sketch.of([2**63 - 1])
    merged.merge_all([largest.encode()])
    assert merged.high == 2**63 - 1


@given(VALUES)
def test_values_may_come_counted(values: list[int]) -> None:
    counted = Sketch()
    counted.add_counted(((value, values.count(value)) for value in set(values)), sum(values))
    assert counted == Sketch.of(values)


@given(VALUES, st.integers(0, 10**7))
def test_counts_up_to_a_limit_are_right_but_for_what_is_next_to_it(values: list[int], limit: int) -> None:
    found = Sketch.of(values).at_most(limit)
    assert sum(value <= limit for value in values) <= found <= sum(value <= limit * (1 + 3 * ERROR) for value in values)


def test_an_empty_sketch_knows_nothing() -> None:
    empty = Sketch()
    assert (empty.percentile(50), empty.encode(), empty.at_most(5), empty.ascending()) == (None, b"", 0, ([], []))
    assert Sketch.decode(b"") == empty
    assert Sketch.of([]) == empty


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    assert Sketch.of([-5, 3]) == Sketch.of([0, 3])


@pytest.mark.parametrize("many", [255, 256, 65_535, 65_536, 2**32])
def test_counts_of_any_size_stand_in_a_row_and_add_up(many: int) -> None:
    sketch = Sketch()
    sketch.add_counted([(1_000 + 18 * n, many) for n in range(60)], 60 * 1_531 * many)
    assert sketch.encode()[:2] == DENSE
    assert Sketch.decode(sketch.encode()) == sketch
    several = Sketch()
    several.merge_all([sketch.encode()] * 20)
    assert (several.count, several.total) == (20 * sketch.count, 20 * sketch.total)
    assert several.bins == {number: 20 * count for number, count in sketch.bins.items()}


@given(VALUES.filter(bool))
def test_few_values_need_no_sketch_to_become_bytes(values: list[int]) -> None:
    few = values[:8]
    assert encode_few(few) == Sketch.of(few).encode()


ROW = Sketch.of(list(range(1_000, 3_000))).encode()


@pytest.mark.parametrize(
    "broken",
    [
        b"\x80",
        b"\x01",
        b"\x01\x01\x01",
        Sketch.of([9, 900]).encode()[:-1] + b"\xff",
        ROW[:20],
        ROW[:29],
        ROW[:28] + b"\x07" + ROW[29:],
        ROW[:28] + b"\x08" + ROW[29:],
        ROW[:26] + b"\xff\xff" + ROW[28:],
    ],
)
def test_what_is_no_sketch_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        Sketch.decode(broken)
    with pytest.raises(ValueError, match="cut off"):
        Sketch().merge_all([broken])


def test_it_is_small() -> None:
    rand = random.Random(2)
    few = Sketch.of([lognormal(rand) for _ in range(10)])
    many = Sketch.of([lognormal(rand) for _ in range(100_000)])
    assert len(few.encode()) <= 10 + 2 * 10
    assert len(many.encode()) < 2_500
    assert len(ROW) < 29 + 70
