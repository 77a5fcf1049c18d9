"""Which cores a job may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.jobs.cores import spread


@pytest.mark.parametrize(
    ("cores", "taken", "limit", "expected"),
    [
        ([0, 1, 2, 3], [], 1.0, {0}),
        ([0, 1, 2, 3], [{0}], 1.0, {1}),
        ([0, 1, 2, 3], [{0}, {1}], 2.0, {2, 3}),
        ([0, 1, 2, 3], [{0, 1}, {2, 3}, {0}], 1.5, {1, 2}),
        ([4, 6], [{4}], 0.25, {6}),
        ([0, 1], [], 2.0, None),
        ([0, 1], [], 1.01, None),
        ([0], [], 0.5, None),
        ([], [], 1.0, None),
    ],
)
def test_the_least_used_cores_are_taken(
    cores: list[int], taken: list[set[int]], limit: float, expected: set[int] | None
) -> None:
    assert spread(cores, [(others, 2) for others in taken], limit) == expected


@given(st.integers(2, 16), st.lists(st.floats(0.1, 15), max_size=20))
def test_slots_spread_evenly(machine: int, limits: list[float]) -> None:
    cores = range(machine)
    taken: list[frozenset[int]] = []
    for limit in limits:
        chosen = spread(cores, [(others, 2) for others in taken], limit)
        if chosen is not None:
            assert limit <= len(chosen) < limit + 1
            taken.append(chosen)
    used = [sum(core in others for others in taken) for core in cores]
    assert max(used) - min(used) <= 1


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([({0}, 4), ({1}, 2)], 1),  # what computes keeps others off its core
        ([({0}, 2), ({1}, 1)], 1),  # what waits for the network lets others in
        ([({0}, 2), ({1}, 1), ({1}, 1)], 0),
        ([({0}, 4), ({1}, 2), ({1}, 2)], 0),
    ],
)
def test_shares_say_how_much_of_a_core_is_taken(taken: list[tuple[set[int], int]], expected: int) -> None:
    assert spread([0, 1], taken, 1.0) == frozenset({expected})
