"""Decisions: what each of their inputs does, and what holds for all of them."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scaling.scene import EVERY_US, START, Fleet
from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.scaling.decide import decide, remember, replicas
from wedsync_ops.scaling.model import Limit, Past, Pin, Policy, Reason, Seen, Situation, Waiting

SWIFT = Policy(up_window_us=0, down_window_us=0, down_pause_us=0)


def situation(slots: int = 10, **given: Any) -> Situation:
    """Ten slots that may be two to fifty, with nothing to do."""
    return replace(Situation(slots=slots, least=2, most=50), **given)


def watched(*seen: int, for_us: int = 10 * MINUTE) -> Past:
    """A past of recommendations up to now, five seconds apart."""
    past, at = Past(), START - for_us
    moments = [at, *(START - (len(seen) - number) * EVERY_US for number in range(len(seen)))]
    for moment, slots in zip(moments, (seen[0], *seen), strict=True):
        highs = tuple(one for one in past.highs if one.slots > slots)
        lows = tuple(one for one in past.lows if one.slots < slots)
        past = replace(
            past, since=past.since or at, highs=(*highs, Seen(moment, slots)), lows=(*lows, Seen(moment, slots))
        )
    return past


@pytest.mark.parametrize("busy", [2.0, 5.0, 8.0])
def test_between_a_fifth_and_four_fifths_nothing_changes(busy: float) -> None:
    decision = decide(START, situation(busy=busy), SWIFT)
    assert (decision.wanted, decision.reason, decision.limits) == (10, Reason.STEADY, ())


def test_above_four_fifths_slots_are_added_until_the_load_is_three_fifths() -> None:
    decision = decide(START, situation(busy=9.0), SWIFT)
    assert (decision.wanted, decision.reason) == (15, Reason.LOAD)
    assert decision.load == pytest.approx(0.9)
    assert decision.said == "9.0 of 10 slots are at work"


def test_below_a_fifth_slots_are_given_back_by_two_or_a_quarter() -> None:
    assert decide(START, situation(busy=1.0), SWIFT).wanted == 8
    few = decide(START, situation(40, busy=1.0), SWIFT)
    assert (few.wanted, few.reason, few.limits) == (30, Reason.IDLE, (Limit.STEP,))


@pytest.mark.parametrize(("slots", "most_after"), [(2, 6), (3, 7), (10, 20), (40, 50)])
def test_one_step_up_is_twice_as_many_or_four_more(slots: int, most_after: int) -> None:
    waiting = (Waiting(1, 100_000, 100_000.0),)
    assert decide(START, situation(slots, busy=slots, waiting=waiting), SWIFT).wanted == most_after


def test_what_waits_is_to_start_in_half_a_minute_and_what_is_urgent_in_five_seconds() -> None:
    normal = decide(START, situation(busy=6.0, waiting=(Waiting(1, 120, 120.0),)), SWIFT)
    assert (normal.demand, normal.wanted, normal.reason) == (10.0, 17, Reason.QUEUE)
    urgent = decide(START, situation(busy=6.0, waiting=(Waiting(3, 120, 120.0),)), SWIFT)
    assert (urgent.demand, urgent.wanted) == (30.0, 20)


def test_a_long_job_that_waits_needs_one_slot_however_long_it_is() -> None:
    assert decide(START, situation(busy=3.0, waiting=(Waiting(3, 1, 3_600.0),)), SWIFT).demand == 4.0


def test_a_long_wait_calls_for_slots_only_where_they_are_all_at_work() -> None:
    waiting = (Waiting(1, 1, 0.1),)
    late = decide(START, situation(busy=10.0, waiting=waiting, oldest_wait_s=120.0), SWIFT)
    assert (late.demand, late.reason) == (20.0, Reason.WAIT)
    assert "120 s" in late.said
    assert decide(START, situation(busy=5.0, waiting=waiting, oldest_wait_s=120.0), SWIFT).wanted == 10


def test_a_change_within_a_tenth_is_none() -> None:
    policy = replace(SWIFT, target_load=0.79)
    decision = decide(START, situation(40, busy=33.0), policy)
    assert (decision.wanted, decision.reason) == (40, Reason.STEADY)


def test_what_is_expected_is_there_before_it_comes_and_stays() -> None:
    before = decide(START, situation(busy=3.0, expected=9.0), SWIFT)
    assert (before.wanted, before.reason) == (15, Reason.EXPECTED)
    assert "expects work for 9.0 slots" in before.said
    idle = decide(START, situation(15, busy=0.0, expected=9.0), SWIFT)
    assert (idle.wanted, idle.reason) == (15, Reason.EXPECTED)
    assert decide(START, situation(15, busy=0.0, expected=7.5), SWIFT).wanted == 13


def test_up_needs_every_recommendation_of_the_short_window() -> None:
    policy = Policy()
    held = decide(START, situation(busy=10.0, past=watched(10)), policy)
    assert (held.wanted, held.limits, held.recommended) == (10, (Limit.STABILISING,), 17)
    assert decide(START, situation(busy=10.0, past=watched(17, 14)), policy).wanted == 14


def test_down_goes_no_further_than_any_recommendation_of_the_long_window() -> None:
    policy = Policy()
    assert decide(START, situation(20, past=watched(3, 18, 3)), policy).wanted == 18
    assert decide(START, situation(20, past=watched(3, 3, 3)), policy).wanted == 15
    unseen = decide(START, situation(20, past=watched(3, 3, for_us=4 * MINUTE)), policy)
    assert (unseen.wanted, unseen.limits) == (20, (Limit.STABILISING,))


def test_after_a_gap_the_long_window_begins_anew() -> None:
    past = watched(3, 3)
    later = situation(20, past=past)
    now = START + 3 * MINUTE
    assert decide(now, later, Policy()).wanted == 20
    assert remember(decide(now, later, Policy()), now, later, Policy()).since == now


@pytest.mark.parametrize("load", [0.0, 9.0])
def test_a_clock_that_was_put_back_holds_nothing_up(load: float) -> None:
    fleet = Fleet(10)
    fleet.pass_by(10.0 - load, 80)
    fleet.now -= HOUR
    sizes = fleet.pass_by(load * 4, 160)
    assert sizes[-1] == (2 if not load else 50)


def test_down_again_only_after_a_pause() -> None:
    past = replace(watched(0), lowered_at=START - 10 * SECOND)
    assert decide(START, situation(20, past=past), Policy()).limits == (Limit.COOLDOWN,)
    assert decide(START + 20 * SECOND, situation(20, past=past), Policy()).wanted == 15


def test_a_wedding_week_load_is_met_at_once_and_on_a_weekend_in_one_step() -> None:
    loaded = situation(busy=5.0, week_busy=18.0, past=watched(10))
    weekday = decide(START, loaded, Policy())
    assert (weekday.wanted, weekday.reason, weekday.limits) == (20, Reason.WEDDING_WEEK, (Limit.STEP,))
    assert decide(START, replace(loaded, is_weekend=True), Policy()).wanted == 30


def test_what_wedding_weeks_need_is_met_at_once_whatever_else_has_to_wait() -> None:
    loaded = situation(busy=10.0, waiting=(Waiting(1, 900, 900.0),), week_busy=9.0, past=watched(10))
    decision = decide(START, loaded, Policy())
    assert (decision.wanted, decision.reason, decision.recommended) == (15, Reason.WEDDING_WEEK, 67)
    assert decide(START, replace(loaded, past=watched(40)), Policy()).wanted == 20


def test_more_slots_are_of_no_use_without_memory_or_cores() -> None:
    full = situation(busy=10.0, memory_slots=12)
    assert decide(START, full, SWIFT).wanted == 12
    assert decide(START, full, SWIFT).limits == (Limit.MEMORY,)
    assert decide(START, replace(full, slots=14, busy=14.0), SWIFT).wanted == 14
    hot = decide(START, situation(busy=10.0, cpu_percent=99.0), SWIFT)
    assert (hot.wanted, hot.limits, hot.demanded) == (10, (Limit.CPU,), 17)
    assert hot.said == "10.0 of 10 slots are at work; the cores are 99 % busy"


def test_a_pin_is_obeyed_at_once_and_only_as_long_as_it_lasts() -> None:
    pinned = situation(busy=10.0, pins=(Pin(4, False, START + SECOND, "set by hand"),), cpu_percent=100.0)
    decision = decide(START, pinned, Policy())
    assert (decision.wanted, decision.reason, decision.said) == (4, Reason.PINNED, "set by hand")
    assert decide(START + SECOND, pinned, SWIFT).reason is Reason.LOAD


def test_an_emergency_raises_but_never_lowers() -> None:
    pins = (Pin(4, False, None, "set by hand"), Pin(30, True, None, "wedding-day outage"))
    assert decide(START, situation(pins=pins), Policy()).wanted == 30
    assert decide(START, situation(pins=pins), Policy()).reason is Reason.EMERGENCY
    quiet = decide(START, situation(40, busy=20.0, pins=pins[1:]), Policy())
    assert (quiet.wanted, quiet.reason) == (40, Reason.STEADY)


def test_slots_outside_their_bounds_go_into_them() -> None:
    decision = decide(START, situation(60, busy=30.0), Policy())
    assert (decision.wanted, decision.reason) == (50, Reason.BOUNDS)
    assert decision.said == "the slots lie outside 2 to 50; 50 is the most"


def test_fixed_workers_do_their_part() -> None:
    assert decide(START, situation(busy=9.0, fixed=10), SWIFT).wanted == 10
    assert decide(START, situation(busy=18.0, fixed=10), SWIFT).wanted == 20


def test_replicas_are_workers_of_one_size() -> None:
    assert [replicas(slots, 50) for slots in (0, 1, 50, 51, 555)] == [1, 1, 1, 2, 12]


# -- what always holds -----------------------------------------------------------------------------------------------

numbers = st.floats(0, 500)
sizes = st.integers(0, 120)
waitings = st.lists(st.builds(Waiting, st.integers(0, 3), st.integers(0, 10_000), st.floats(0, 1e6)), max_size=4)
seen = st.lists(st.builds(Seen, st.integers(START - 10 * MINUTE, START), sizes), max_size=5).map(tuple)
pasts = st.builds(
    Past,
    since=st.none() | st.integers(START - 20 * MINUTE, START),
    highs=seen,
    lows=seen,
    raised_at=st.none() | st.integers(START - MINUTE, START),
    lowered_at=st.none() | st.integers(START - MINUTE, START),
)
pins = st.lists(
    st.builds(Pin, sizes, st.booleans(), st.none() | st.integers(START - 9, START + 9), st.just("so")), max_size=3
)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any situation that can be."""
    least = draw(st.integers(1, 60))
    return Situation(
        slots=draw(sizes),
        least=least,
        most=least + draw(st.integers(0, 60)),
        memory_slots=draw(st.none() | sizes),
        fixed=draw(st.integers(0, 20)),
        busy=draw(numbers),
        offered=draw(numbers),
        waiting=tuple(draw(waitings)),
        oldest_wait_s=draw(numbers),
        expected=draw(st.none() | numbers),
        week_busy=draw(st.none() | numbers),
        cpu_percent=draw(st.none() | st.floats(0, 100)),
        is_weekend=draw(st.booleans()),
        pins=tuple(draw(pins)),
        past=draw(pasts),
    )


@given(situations())
def test_what_is_wanted_lies_within_the_bounds_and_is_said(case: Situation) -> None:
    decision = decide(START, case, Policy())
    assert case.least <= decision.wanted <= case.most
    assert decision.said
    assert "{" not in decision.said


@given(situations())
def test_a_step_is_bounded_unless_somebody_or_the_bounds_ask_for_more(case: Situation) -> None:
    case = replace(case, pins=(), is_weekend=False)
    wanted = decide(START, case, Policy()).wanted
    slots = case.slots
    assert wanted <= max(2 * slots, slots + 4, case.least)
    assert wanted >= min(slots - max(slots // 4, 2), case.most)


@given(situations(), st.floats(0, 100), st.integers(0, 1_000), st.floats(0, 1e4))
def test_more_demand_never_makes_for_fewer_slots(case: Situation, more: float, jobs: int, work_s: float) -> None:
    greater = replace(
        case,
        busy=case.busy + more,
        offered=case.offered + more,
        waiting=(*case.waiting, Waiting(2, jobs, work_s)),
        oldest_wait_s=case.oldest_wait_s + more,
        expected=None if case.expected is None else case.expected + more,
    )
    assert decide(START, greater, Policy()).wanted >= decide(START, case, Policy()).wanted


@given(st.floats(0, 60), st.integers(2, 50))
def test_a_constant_load_settles_and_is_held(load: float, start: int) -> None:
    fleet = Fleet(start)
    fleet.pass_by(load, 1_000)
    settled = fleet.pass_by(load, 500)
    assert len(set(settled)) == 1
    assert settled[0] == 50 or load <= 0.8 * settled[0] + 1e-6
    downs = [after < before for before, after in pairwise(fleet.sizes)]
    ups = [after > before for before, after in pairwise(fleet.sizes)]
    assert not any(downs) or not any(ups), "it went both ways under one load"


@given(st.floats(0, 3), st.floats(3, 40), st.integers(1, 29), st.integers(1, 29))
def test_a_wave_shorter_than_the_window_never_takes_slots_away(
    low: float, high: float, low_ticks: int, high_ticks: int
) -> None:
    fleet = Fleet(2)
    sizes: list[int] = []
    for _ in range(20):
        sizes += fleet.pass_by(high, high_ticks)
        sizes += fleet.pass_by(low, low_ticks)
    assert all(after >= before for before, after in pairwise(sizes))


def test_a_day_with_one_peak_goes_up_once_and_comes_down_once() -> None:
    fleet = Fleet(4)
    sizes = fleet.pass_by(1.5, 200) + fleet.pass_by(25.0, 400) + fleet.pass_by(1.5, 800)
    turns = [b - a for a, b in pairwise(sizes) if b != a]
    ups = [turn > 0 for turn in turns]
    assert ups == sorted(ups, reverse=True)
    assert max(sizes) >= 32
    assert sizes[-1] <= 7


def test_the_past_stays_small_however_long_it_goes_on() -> None:
    fleet = Fleet(2)
    for load in range(400):
        fleet.pass_by(float(load % 37))
    assert len(fleet.past.highs) + len(fleet.past.lows) <= 100
