"""A peak Saturday at ten times normal, with the shipped module types on one worker of two cores and up to 50 slots.

Normal are 100,000 jobs that take a fifth of a second; a third of them that take three times as long are the same work.
"""

import pytest

from tests.planning.simulate.scene import SATURDAY, UTC, guard, saturday, setup, shipped, taking
from wedsync_ops.instants import HOUR, MINUTE, SECOND, local_midnight
from wedsync_ops.jobs.model import Expected, Priority
from wedsync_ops.planning.simulate.model import Answer, Faults, Loss, Outage
from wedsync_ops.planning.simulate.report import FLAP_US, reversals
from wedsync_ops.planning.simulating import with_attempts
from wedsync_ops.scaling.model import Reason

NORMAL, TIMES = 30_000, 10.0
MORNING = local_midnight(SATURDAY, UTC)
PEAK = MORNING + 9 * HOUR
USUAL = taking(shipped(), Expected(600_000, 950_000))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def calm() -> Answer:
    return saturday(USUAL, NORMAL, TIMES, setup(kinds=USUAL.kinds))


FAULTS = Faults(outages=(Outage("smtp", PEAK, PEAK + 20 * MINUTE),), losses=(Loss(PEAK + 5 * MINUTE, 10 * SECOND),))
"""The worker dies in the busiest hour, while the mail provider is down for 20 minutes."""


@pytest.fixture(scope="module")
def rough() -> Answer:
    """All of that as shipped: three attempts, and breakers."""
    platform = setup(kinds=USUAL.kinds, faults=FAULTS)
    return saturday(USUAL, NORMAL, TIMES, platform, breakers=guard(USUAL))


@pytest.fixture(scope="module")
def patient() -> Answer:
    """All of that with so many attempts that the last comes after the outage, and without breakers."""
    usual = with_attempts(USUAL, 11)
    return saturday(usual, NORMAL, TIMES, setup(kinds=usual.kinds, faults=FAULTS))


@pytest.mark.parametrize("day", ["calm", "patient"])
def test_no_wedding_week_job_is_late_and_critical_ones_hardly_wait(day: str, request: pytest.FixtureRequest) -> None:
    answer: Answer = request.getfixturevalue(day)
    assert answer.arrived == pytest.approx(NORMAL * TIMES, rel=0.01)
    assert answer.week_arrived > answer.arrived / 2
    assert (answer.missed_in_week, answer.missed, answer.failed, answer.waiting) == (0, 0, 0, 0)
    assert answer.done == answer.arrived
    assert (answer.waits[Priority.CRITICAL].percentile(99) or 0) < SECOND


def test_breakers_carry_all_but_a_few_jobs_through_an_outage_with_the_shipped_attempts(rough: Answer) -> None:
    """Those that are lost failed before the breaker opened, or were its probes, and had no attempt left."""
    assert rough.done + rough.failed == rough.arrived
    assert rough.failed < 150
    assert rough.missed_in_week <= rough.week_failed
    assert rough.missed <= rough.failed
    assert (rough.free_waits[Priority.CRITICAL].percentile(99) or 0) < SECOND
    assert rough.turns[-1].state == "closed"


@pytest.mark.parametrize("day", ["calm", "rough"])
def test_slots_are_up_before_the_peak_and_back_after_it_without_flapping(
    day: str, request: pytest.FixtureRequest
) -> None:
    answer: Answer = request.getfixturevalue(day)
    night = next(one for one in answer.samples if one.at == MORNING + 6 * HOUR)
    before = next(one for one in answer.samples if one.at == PEAK)
    busiest = sum(one.busy for one in answer.samples if PEAK < one.at <= PEAK + HOUR) / 60
    assert night.slots == 2
    assert before.slots > night.slots
    if day == "calm":
        assert before.slots >= busiest / 0.8
    assert any(one.decision.reason is Reason.EXPECTED and one.at < PEAK for one in answer.scaled)
    assert answer.samples[-1].slots == 2
    assert reversals(answer.scaled, FLAP_US) == 0
    assert reversals(answer.scaled) <= 4


def test_with_three_attempts_an_outage_of_a_provider_costs_what_fell_due_in_it() -> None:
    """Why the platform's retries alone do not carry a wedding through it: they are used up within seconds."""
    faults = Faults(outages=(Outage("smtp", PEAK, PEAK + 20 * MINUTE),))
    answer = saturday(shipped(), 2_000, 1.0, setup(faults=faults))
    assert answer.failed > 0
    assert answer.missed_in_week > 0
