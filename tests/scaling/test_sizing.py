"""Slots and workers for an expected load."""

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.scaling.forecast_model import Expected
from wedsync_ops.scaling.sizing import Capacity, Need, needs, shortage, slots_for, worst

ONE = Capacity(workers=1, slots_per_worker=50)


def hour(at: int, jobs: float, high: float | None = None, module_type: str = "email") -> Expected:
    return Expected(at * HOUR, module_type, jobs, jobs / 2, jobs * 2 if high is None else high, 0)


def needed(rows: list[Expected], capacity: Capacity = ONE) -> list[Need]:
    return needs(rows, {"email": SECOND, "sms": 2.0 * SECOND}, capacity)


def test_slots_follow_little_s_law() -> None:
    """7,200 executions of a second in an hour keep two slots busy: at 80 % that is two and a half."""
    (found,) = needed([hour(0, 7200)])
    assert (found.slots, found.workers) == (3, 1)


def test_of_five_or_more_a_fifth_is_kept_for_wedding_week() -> None:
    assert [slots_for(busy, 0.8) for busy in (0, 0.1, 3.2, 3.3, 8, 16)] == [0, 1, 4, 6, 13, 25]


def test_module_types_add_up() -> None:
    (found,) = needed([hour(0, 1800), hour(0, 900, module_type="sms")])
    assert (found.expected, found.slots) == (2700, 2)


def test_workers_are_as_many_as_hold_the_slots() -> None:
    (found,) = needed([hour(0, 3600 * 60)], Capacity(1, 50))
    assert (found.slots, found.workers) == (94, 2)


def test_the_worst_hour_is_the_one_that_needs_most() -> None:
    found = needed([hour(0, 10), hour(1, 90_000), hour(2, 90_000), hour(3, 5)])
    most = worst(found)
    assert most is not None
    assert most.hour == HOUR
    assert worst([]) is None


def test_capacity_runs_out_in_the_first_hour_that_is_too_much() -> None:
    found = needed([hour(0, 3600), hour(1, 3600 * 20, 3600 * 40), hour(2, 3600 * 40, 3600 * 50)])
    short = shortage(found, ONE)
    assert (short.runs_out_at, short.may_run_out_at) == (2 * HOUR, HOUR)
    assert shortage(found, Capacity(2, 50)).runs_out_at is None
    assert shortage(found, Capacity(0, 50)) == short


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0.05, 1))
def test_more_work_never_needs_fewer_slots(a: float, b: float, load: float) -> None:
    assert slots_for(min(a, b), load) <= slots_for(max(a, b), load)
    assert slots_for(a, load) * load >= a - 1e-6
