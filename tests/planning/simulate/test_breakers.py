"""Circuit breakers in a simulation: they open, hold, try and close as on the platform."""

import random
from dataclasses import replace
from itertools import pairwise

from tests.planning.simulate.scene import START, fixed, job, shipped
from wedsync_ops.app import rehearsal_of
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.planning.simulate.model import Answer, Arrival, Faults, Guard, Outage, Setup
from wedsync_ops.planning.simulate.run import simulate
from wedsync_ops.planning.simulate.trace import Recorded
from wedsync_ops.settings import Settings

PROVIDERS = {name: kind.definition.provider for name, kind in shipped().kinds.items()}
DOWN = Faults(outages=(Outage("email", START, START + 5 * MINUTE),))


def guard(auto: str = "breaker") -> Guard | None:
    return rehearsal_of(replace(Settings(), emergency_auto=auto), PROVIDERS)


def run(platform: Setup, jobs: list[Arrival], breakers: Guard | None) -> Answer:
    return simulate(platform, Recorded(jobs), random.Random(1), guard=breakers, keep_starts=True)


def mails(every_s: float = 0.5, for_s: float = 600) -> list[Arrival]:
    return [job(number * every_s, 0.1, "email", label="mail") for number in range(int(for_s / every_s))]


def test_a_breaker_opens_holds_is_tried_and_closes() -> None:
    answer = run(fixed(4, faults=DOWN), mails(), guard())
    states = [one.state for one in answer.turns]
    assert states[:3] == ["open", "half_open", "open"]
    assert states[-2:] == ["half_open", "closed"]
    assert {one.module_types for one in answer.turns} == {("email",)}
    opened, closed = answer.turns[0], answer.turns[-1]
    assert opened.at - START <= 15 * SECOND
    assert closed.at >= START + 5 * MINUTE
    assert max(one.waiting for one in answer.turns) > 100
    between = [one.at for one in answer.started if opened.at < one.at < answer.turns[1].at]
    assert between == []


def test_far_fewer_jobs_are_discarded_than_without_breakers() -> None:
    without, held = (run(fixed(4, faults=DOWN), mails(), one) for one in (None, guard()))
    assert without.failed > 500
    assert held.failed < without.failed / 10
    assert held.done + held.failed == held.arrived
    assert without.turns == []


def test_other_types_go_on_and_waits_of_held_jobs_are_told_apart() -> None:
    others = [job(number * 0.5, 0.1, "info", label="info") for number in range(1200)]
    answer = run(fixed(4, faults=DOWN), sorted([*mails(), *others], key=lambda one: one.at), guard())
    assert max(one.wait_us for one in answer.started if one.label == "info") < SECOND
    longest = max(sketch.high or 0 for sketch in answer.waits.values())
    free = sum(sketch.count for sketch in answer.free_waits.values())
    assert longest > MINUTE
    assert 1200 <= free < sum(sketch.count for sketch in answer.waits.values())


def test_one_job_at_a_time_is_tried() -> None:
    answer = run(fixed(4, faults=DOWN), mails(), guard())
    begun = [one.at for one in answer.turns if one.state == "half_open"]
    for since in begun:
        starts = [one.at for one in answer.started if since <= one.at < since + 2 * SECOND]
        assert starts
        assert all(after - before >= 100_000 for before, after in pairwise(starts))


def test_where_no_rule_may_open_breakers_there_are_none() -> None:
    assert guard("off") is None
