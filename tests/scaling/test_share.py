"""How slots are split over workers."""

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.scaling.share import Member, share


def test_slots_are_split_evenly_and_always_alike() -> None:
    workers = [Member("b", 2, 50), Member("a", 2, 50), Member("c", 2, 50)]
    assert share(10, workers) == {"a": 4, "b": 3, "c": 3}
    assert share(10, workers[::-1]) == {"a": 4, "b": 3, "c": 3}


def test_a_small_memory_is_filled_and_others_take_the_rest() -> None:
    workers = [Member("a", 2, 50, 4), Member("b", 2, 50, 20)]
    assert share(20, workers) == {"a": 4, "b": 16}


def test_what_somebody_asks_for_is_given_beyond_the_memory() -> None:
    assert share(10, [Member("a", 2, 50, 4)]) == {"a": 10}
    assert share(10, [Member("a", 2, 8, 4)]) == {"a": 8}


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """Some workers with any bounds."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        least = draw(st.integers(1, 10))
        found.append(
            Member(f"w{number}", least, least + draw(st.integers(0, 20)), draw(st.none() | st.integers(0, 40)))
        )
    return found


@given(st.integers(0, 200), members())
def test_the_parts_lie_in_their_bounds_and_add_up(wanted: int, workers: list[Member]) -> None:
    given_ = share(wanted, workers)
    assert all(one.least <= given_[one.worker_id] <= one.most for one in workers)
    least, most = sum(one.least for one in workers), sum(one.most for one in workers)
    assert sum(given_.values()) == min(max(wanted, least), most)
