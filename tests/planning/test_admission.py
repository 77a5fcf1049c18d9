"""Whether a deadline can be kept, and what would help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stores.queues import NOW
from wedsync_ops.instants import HOUR, MINUTE, SECOND
from wedsync_ops.jobs.model import Priority
from wedsync_ops.planning.admission import Demand, Load, Promise, Verdict, promise

IDLE = Load(ahead_us=(0, 0, 0, 0), slots=2, assumed_slots=2)
BUSY = Load(ahead_us=(HOUR, HOUR, MINUTE, 0), slots=2, assumed_slots=2)


def judged(
    deadline_in: int | None, load: Load = IDLE, *, due_in: int = 0, attempts: int = 3, step: Priority = Priority.NORMAL
) -> Promise:
    deadline = None if deadline_in is None else NOW + deadline_in
    demand = Demand(
        due_at=NOW + due_in, deadline_at=deadline, p95_us=10 * SECOND, attempts_left=attempts, priority=step
    )
    return promise(demand, load, NOW)


@pytest.mark.parametrize(
    ("deadline_in", "verdict", "slack"),
    [
        (None, "accept", None),
        (30 * SECOND, "accept", 0),
        (HOUR, "accept", HOUR - 30 * SECOND),
        (29 * SECOND, "at_risk", -SECOND),
        (10 * SECOND, "at_risk", -20 * SECOND),
        (9 * SECOND, "refuse", -21 * SECOND),
        (-HOUR, "refuse", -HOUR - 30 * SECOND),
    ],
)
def test_every_attempt_fits_or_only_one_or_none(deadline_in: int | None, verdict: str, slack: int | None) -> None:
    found = judged(deadline_in)
    assert (found.verdict, found.slack_us, found.earliest_feasible_at) == (verdict, slack, NOW + 10 * SECOND)


def test_what_comes_first_and_the_due_time_are_waited_for() -> None:
    assert judged(HOUR, BUSY).earliest_feasible_at == NOW + 30 * MINUTE + 10 * SECOND
    assert judged(HOUR, BUSY, due_in=45 * MINUTE).earliest_feasible_at == NOW + 45 * MINUTE + 10 * SECOND
    assert judged(HOUR, BUSY, due_in=45 * MINUTE).slack_us == 15 * MINUTE - 30 * SECOND


def test_what_would_help() -> None:
    found = judged(10 * MINUTE, BUSY)
    assert found.verdict is Verdict.REFUSE
    assert [one.code for one in found.helps] == ["more_slots", "higher_priority", "later_deadline"]
    assert found.helps[0].message == "7 slots instead of 2"
    assert found.helps[1].message == "the priority high"
    assert [one.code for one in judged(HOUR, due_in=HOUR).helps] == ["earlier_time", "later_deadline"]
    assert judged(MINUTE, Load(ahead_us=(HOUR,) * 4, slots=0, assumed_slots=2)).helps[0].code == "start_a_worker"
    nobody = Load(ahead_us=(0,) * 4, slots=0, assumed_slots=2)
    assert [one.code for one in judged(HOUR, nobody, due_in=HOUR).helps] == ["earlier_time", "later_deadline"]


@given(
    deadline_in=st.integers(-HOUR, 3 * HOUR),
    due_in=st.integers(0, 2 * HOUR),
    ahead=st.lists(st.integers(0, HOUR), min_size=4, max_size=4),
    slots=st.integers(1, 50),
)
def test_the_help_that_is_named_helps(deadline_in: int, due_in: int, ahead: list[int], slots: int) -> None:
    load = Load(ahead_us=sorted(ahead, reverse=True), slots=slots, assumed_slots=2)
    found = judged(deadline_in, load, due_in=due_in)
    codes = {one.code: one.message for one in found.helps}
    assert (found.verdict is Verdict.ACCEPT) == (not codes) == ((found.slack_us or 0) >= 0)
    if codes:
        later = judged(deadline_in - (found.slack_us or 0), load, due_in=due_in)
        assert later.verdict is Verdict.ACCEPT
    if "higher_priority" in codes:
        step = Priority[codes["higher_priority"].split()[-1].upper()]
        assert judged(deadline_in, load, due_in=due_in, step=step).verdict is Verdict.ACCEPT
    if "more_slots" in codes and "earlier_time" not in codes:
        more = Load(ahead_us=load.ahead_us, slots=int(codes["more_slots"].split()[0]), assumed_slots=2)
        assert judged(deadline_in, more, due_in=due_in).verdict is Verdict.ACCEPT
