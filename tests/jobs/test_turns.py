"""Whose turn it is."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.jobs.model import Lane, Priority
from wedsync_ops.jobs.turns import Turns

A, B, C = (Lane(name, Priority.NORMAL) for name in "abc")
URGENT = Lane("z", Priority.CRITICAL)
LANES = st.builds(Lane, st.sampled_from("abcd"), st.sampled_from(Priority))


def served(turns: Turns, shares: list[tuple[Lane, int]]) -> None:
    for lane, count in shares:
        for _ in range(count):
            turns.serve(lane)


@given(st.lists(st.tuples(st.dictionaries(LANES, st.integers(0, 9), max_size=8), st.integers(-1, 20)), max_size=6))
def test_shares_take_what_is_wanted_and_there_the_most_urgent_first(
    rounds: list[tuple[dict[Lane, int], int]],
) -> None:
    turns = Turns()
    for available, wanted in rounds:
        shares = turns.shares(available, wanted)
        assert sum(count for _, count in shares) == min(max(wanted, 0), sum(available.values()))
        assert all(0 < count <= available[lane] for lane, count in shares)
        assert len({lane for lane, _ in shares}) == len(shares)
        priorities = [lane.priority for lane, _ in shares]
        assert priorities == sorted(priorities, reverse=True)
        if shares:
            lowest = min(priorities)
            left = {
                lane
                for lane, count in available.items()
                if lane.priority > lowest and count > dict(shares).get(lane, 0)
            }
            assert left == set()
        served(turns, shares)


def test_lanes_of_one_priority_share_evenly() -> None:
    shares = dict(Turns().shares({A: 100, B: 100, C: 2}, 12))
    assert shares == {A: 5, B: 5, C: 2}


def test_a_lane_that_was_behind_catches_up_while_it_waits() -> None:
    turns = Turns()
    for _ in range(3):
        served(turns, turns.shares({A: 50, B: 50}, 1))
    total: Counter[Lane] = Counter()
    for _ in range(9):
        shares = turns.shares({A: 50, B: 50}, 1)
        served(turns, shares)
        total.update(dict(shares))
    assert abs(total[A] - total[B]) <= 1


def test_a_lane_that_was_empty_cannot_make_up_for_it() -> None:
    turns = Turns()
    served(turns, turns.shares({A: 100}, 100))
    assert dict(turns.shares({A: 100, B: 100}, 10)) == {A: 5, B: 5}


def test_a_new_lane_starts_level_when_the_others_have_gone() -> None:
    turns = Turns()
    served(turns, turns.shares({A: 40}, 40))
    served(turns, turns.shares({B: 40}, 10))
    shares = dict(turns.shares({A: 40, B: 40}, 20))
    assert min(shares.values()) >= 5


def test_the_urgent_come_first_whatever_was_served() -> None:
    turns = Turns()
    rand = random.Random(1)
    for _ in range(20):
        served(turns, turns.shares({URGENT: rand.randint(1, 5), A: 9, B: 9}, 7))
    assert turns.shares({A: 9, URGENT: 3}, 4) == [(URGENT, 3), (A, 1)]


def test_a_turn_is_the_number_of_jobs_given() -> None:
    turns = Turns()
    assert [turns.serve(A), turns.serve(A), turns.serve(B)] == [1, 2, 1]
