"""Which jobs may start beside those that run: the decision by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.jobs.admission import (
    Candidate,
    Load,
    Machine,
    Need,
    admit,
    lacks_memory,
    load_of,
    must_keep_off,
    refusal,
)

LONG = Need(100, is_short=False)
SHORT = Need(100, is_short=True)
WEEK = Need(100, is_short=False, is_wedding_week=True)

needs = st.builds(Need, st.integers(1, 1500), st.booleans(), st.booleans())
machines = st.builds(Machine, st.integers(1, 50), st.integers(1, 5000))
candidates = st.lists(
    st.builds(Candidate, st.integers(0, 3), needs, st.integers(0, 20), st.booleans()), max_size=8
).map(lambda found: sorted(found, key=lambda one: -one.priority))


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Candidate], list[Need], Machine, int]:
    """What waits, what runs (as it was admitted itself), the machine, and its free slots."""
    machine = draw(machines)
    running: list[Need] = []
    for need in draw(st.lists(needs, max_size=machine.slots)):
        if admit([Candidate(0, need, 1)], load_of(running), machine, 1) == [1]:
            running.append(need)
    return draw(candidates), running, machine, machine.slots - len(running)


def started(waiting: list[Candidate], given_: list[int]) -> list[Need]:
    return [one.need for one, many in zip(waiting, given_, strict=True) for _ in range(many)]


@given(situations())
def test_memory_is_never_promised_twice_but_to_a_job_that_is_alone(
    found: tuple[list[Candidate], list[Need], Machine, int],
) -> None:
    waiting, running, machine, room = found
    after = [*running, *started(waiting, admit(waiting, load_of(running), machine, room))]
    assert sum(need.memory_kb for need in after) <= machine.memory_kb or len(after) == 1


@given(situations())
def test_the_kept_slots_are_free_or_lent_to_what_ends_soon(
    found: tuple[list[Candidate], list[Need], Machine, int],
) -> None:
    waiting, running, machine, room = found
    given_ = admit(waiting, load_of(running), machine, room)
    assert sum(given_) <= room
    assert all(0 <= many <= one.many for one, many in zip(waiting, given_, strict=True))
    if machine.kept:
        long = [
            need for need in [*running, *started(waiting, given_)] if not need.is_short and not need.is_wedding_week
        ]
        assert len(long) <= machine.slots - machine.kept


@given(situations())
def test_nothing_waits_that_could_start(found: tuple[list[Candidate], list[Need], Machine, int]) -> None:
    waiting, running, machine, room = found
    patient = [one._replace(is_overdue=False) for one in waiting]
    given_ = admit(patient, load_of(running), machine, room)
    load = load_of([*running, *started(patient, given_)])
    left = [one for one, many in zip(patient, given_, strict=True) if many < one.many]
    if sum(given_) < room:
        assert all(refusal(one.need, load, machine) is not None for one in left)
    if not running and room and any(one.many for one in patient):
        assert sum(given_) > 0


@given(situations())
def test_what_is_overdue_is_passed_by_nobody_after_it(
    found: tuple[list[Candidate], list[Need], Machine, int],
) -> None:
    waiting, running, machine, room = found
    given_ = admit(waiting, load_of(running), machine, room)
    for at, one in enumerate(waiting):
        if one.is_overdue and one.many and not given_[at] and not must_keep_off(one.need, load_of(running), machine):
            later = [many for other, many in zip(waiting, given_, strict=True) if other.priority < one.priority]
            assert sum(given_) == room or not any(later)


@given(situations())
def test_when_jobs_end_or_their_slots_die_their_place_is_free(
    found: tuple[list[Candidate], list[Need], Machine, int],
) -> None:
    _, running, machine, _ = found
    for dead, need in enumerate(running):
        rest = load_of(running[:dead] + running[dead + 1 :])
        assert refusal(need, rest, machine) is None
        assert rest.plus(need) == load_of(running)


@pytest.mark.parametrize(("slots", "kept"), [(1, 0), (4, 0), (5, 1), (9, 1), (10, 2), (50, 10)])
def test_a_fifth_is_kept_of_five_slots_or_more(slots: int, kept: int) -> None:
    assert Machine(slots, 1).kept == kept


def test_only_long_jobs_outside_a_wedding_week_must_leave_the_kept_slots_alone() -> None:
    machine = Machine(10, 10_000)
    busy = load_of([LONG] * 8)
    assert admit([Candidate(3, LONG, 5), Candidate(1, SHORT, 5)], busy, machine, 2) == [0, 2]
    assert admit([Candidate(3, LONG, 5), Candidate(1, WEEK, 5)], busy, machine, 2) == [0, 2]
    assert admit([Candidate(1, LONG, 5)], load_of([WEEK] * 8), machine, 2) == [2]


def test_what_is_too_large_for_the_machine_runs_alone() -> None:
    machine, giant = Machine(4, 1000), Need(5000, is_short=True)
    assert admit([Candidate(1, giant, 3)], Load(), machine, 4) == [1]
    assert admit([Candidate(1, giant, 3)], load_of([SHORT]), machine, 3) == [0]
    assert admit([Candidate(1, SHORT, 3)], load_of([giant]), machine, 3) == [0]


def test_small_jobs_pass_a_large_one_until_it_is_overdue() -> None:
    machine, large = Machine(4, 1000), Need(950, is_short=False)
    busy = load_of([SHORT])
    assert admit([Candidate(2, large, 1), Candidate(2, SHORT, 9)], busy, machine, 3) == [0, 3]
    assert admit([Candidate(2, large, 1, is_overdue=True), Candidate(2, SHORT, 9)], busy, machine, 3) == [0, 0]
    assert admit([Candidate(3, SHORT, 9), Candidate(2, large, 1, is_overdue=True)], busy, machine, 3) == [3, 0]


def test_lanes_of_one_priority_take_turns() -> None:
    assert admit([Candidate(1, LONG, 9), Candidate(1, LONG, 9)], Load(), Machine(4, 10_000), 4) == [2, 2]


def test_a_refusal_says_what_is_missing() -> None:
    gigabyte = 1024 * 1024
    need, machine = Need(gigabyte, is_short=False), Machine(5, 2 * gigabyte)
    assert refusal(need, load_of([need]), machine) is None
    words = refusal(need, load_of([need, need]), machine)
    assert words == "it needs about 1,024 MB, and 2,048 of 2,048 MB are promised to what runs"
    assert lacks_memory(need, load_of([need, need]), machine)
    kept = refusal(LONG, load_of([LONG] * 4), machine)
    assert kept is not None
    assert kept.startswith("1 of 5 slots are kept for wedding-week jobs")
