"""Jobs through a simulated platform: order, slots, failures, workers that die."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planning.simulate.scene import START, fixed, job, kinds, labels, run, setup
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs.model import Expected, Priority
from wedsync_ops.planning.simulate.model import Arrival, Faults, Loss, Outage, Slow

LONG, QUICK = Expected(60 * SECOND, 90 * SECOND), Expected(20_000, 40_000)


def test_the_more_urgent_job_starts_first() -> None:
    answer = run(
        fixed(1),
        [
            job(0, label="first"),
            job(0.1, priority=Priority.LOW, label="low"),
            job(0.2, priority=Priority.HIGH, label="high"),
            job(0.3, priority=Priority.CRITICAL, label="critical"),
        ],
    )
    assert labels(answer) == ["first", "critical", "high", "low"]


def test_a_supplier_who_queues_much_delays_its_own_jobs() -> None:
    many = [job(supplier="many", label=f"many-{number}") for number in range(5)]
    answer = run(fixed(1), [*many, job(supplier="few", label="few")])
    assert labels(answer).index("few") == 1


def test_lanes_of_one_priority_take_turns() -> None:
    jobs = [job(module_type=name, label=name) for name in ("info", "form") for _ in range(3)]
    assert labels(run(fixed(1), jobs)) == ["form", "info"] * 3


def test_waiting_raises_a_low_job_before_normal_ones() -> None:
    platform = fixed(1, ageing_us=10 * SECOND)
    normal = [job(9 * number, 10, priority=Priority.NORMAL, label="normal") for number in range(12)]
    answer = run(platform, [*normal, job(1, priority=Priority.LOW, label="low")])
    assert "low" in labels(answer)[:5]


def test_a_wedding_tomorrow_is_critical() -> None:
    tomorrow = date(2027, 1, 13)
    answer = run(fixed(1), [job(label="a"), job(0.1, label="b"), job(0.2, wedding_on=tomorrow, label="wedding")])
    assert labels(answer) == ["a", "wedding", "b"]
    assert (answer.week_arrived, answer.missed) == (1, 0)


def test_a_deadline_that_passes_while_a_job_waits_is_missed() -> None:
    tomorrow = date(2027, 1, 13)
    answer = run(fixed(1), [job(0, 20 * 3600), job(1, wedding_on=tomorrow)])
    assert (answer.done, answer.missed, answer.missed_in_week) == (2, 1, 1)


def test_slots_are_kept_for_wedding_week_jobs_that_take_long() -> None:
    platform = fixed(5, kinds=kinds(info=LONG))
    late = [job(0.5, 60, wedding_on=date(2027, 1, 15), label="wedding")]
    answer = run(platform, [*(job(0, 60, label="other") for _ in range(8)), *late])
    starts = {one.label: one.wait_us for one in answer.started}
    assert starts["wedding"] == 0
    assert max(one.wait_us for one in answer.started if one.label == "other") >= 60 * SECOND


def test_a_job_that_fails_is_tried_again_later_and_in_the_end_given_up() -> None:
    answer = run(fixed(2), [job(fails=1, label="once"), job(fails=99, label="always")])
    assert (answer.done, answer.failed, answer.executions, answer.failed_executions) == (1, 1, 5, 4)
    assert answer.until - START > (1 + 1 + 1 + 2 * 0.9 + 4 * 0.9) * SECOND


def test_a_provider_that_is_down_fails_its_types_and_no_others() -> None:
    faults = Faults(outages=(Outage("smtp", START, START + 2 * MINUTE),))
    platform = fixed(2, faults=faults)
    answer = run(platform, [job(module_type="email"), job(module_type="sms"), job(300, module_type="email")])
    assert (answer.done, answer.failed) == (2, 1)


def test_slow_attempts_take_longer() -> None:
    faults = Faults(slow=(Slow("info", START, START + MINUTE, 10.0),))
    answer = run(fixed(1, faults=faults), [job(label="slow"), job(0.1, label="after")])
    assert answer.started[1].wait_us > 9 * SECOND


def test_jobs_of_a_worker_that_dies_come_back_after_the_lease_with_their_attempts() -> None:
    faults = Faults(losses=(Loss(START + SECOND, 10 * SECOND),))
    platform = fixed(1, faults=faults)
    answer = run(platform, [job(0, 5, fails=2, label="lost"), job(2, label="later")])
    assert labels(answer)[:3] == ["lost", "later", "lost"]
    assert answer.started[1].at == START + 11 * SECOND
    assert answer.started[2].at == START + SECOND + platform.lease_us
    assert (answer.lost_executions, answer.done, answer.failed_executions) == (1, 2, 2)


def test_other_workers_go_on_while_one_is_gone() -> None:
    faults = Faults(losses=(Loss(START + SECOND + SECOND // 2, 5 * MINUTE),))
    answer = run(fixed(2, workers=2, faults=faults), [job(number, 0.1) for number in range(60)])
    assert max(one.wait_us for one in answer.started) < SECOND


def test_slots_grow_under_load_and_go_when_it_is_over() -> None:
    jobs = [job(number / 20, 0.5) for number in range(20 * 120)]
    platform = setup(rules=())
    answer = run(platform, [*jobs, job(1800, 0.1)])
    assert answer.slots_at_start == 4
    assert max(sample.slots for sample in answer.samples) >= 12
    assert answer.samples[-1].slots == 2
    assert [one.decision.wanted > one.before for one in answer.scaled] == sorted(
        (one.decision.wanted > one.before for one in answer.scaled), reverse=True
    )


def test_alerts_open_as_real_ones_would() -> None:
    faults = Faults(outages=(Outage("smtp", START, START + 20 * MINUTE),))
    answer = run(setup(faults=faults), [job(number, 0.2, "email") for number in range(1800)])
    alarm = next(one for one in answer.alarms if one.rule == "high_error_rate")
    assert alarm.module_type == "email"
    assert alarm.opened_at - START <= 2 * MINUTE
    assert alarm.resolved_at is not None
    assert alarm.resolved_at > START + 20 * MINUTE


JOBS = st.lists(
    st.builds(
        job,
        at_s=st.integers(0, 40),
        takes_s=st.sampled_from([0.01, 0.03, 1.0, 7.0]),
        module_type=st.sampled_from(["info", "form", "email"]),
        priority=st.sampled_from(Priority),
        supplier=st.sampled_from(["s1", "s2"]),
        wedding_on=st.sampled_from([None, date(2027, 1, 12), date(2027, 1, 17), date(2027, 2, 1)]),
        fails=st.sampled_from([0, 0, 1, 99]),
    ),
    min_size=1,
    max_size=40,
)
FAULTS = st.builds(
    Faults,
    outages=st.sampled_from([(), (Outage("smtp", START, START + MINUTE),)]),
    losses=st.lists(
        st.builds(Loss, st.integers(0, 60).map(lambda s: START + s * SECOND), st.just(5 * SECOND)), max_size=3
    ).map(tuple),
)


@given(JOBS, FAULTS, st.integers(1, 6), st.integers(1, 3))
def test_no_job_is_lost_and_never_more_run_than_there_are_slots(
    jobs: list[Arrival], faults: Faults, slots: int, workers: int
) -> None:
    platform = fixed(slots, workers=workers, faults=faults, kinds=kinds(info=LONG, form=QUICK))
    answer = run(platform, jobs)
    assert answer.arrived == len(jobs)
    assert answer.done + answer.failed + answer.waiting == answer.arrived
    assert answer.waiting == 0
    assert answer.most_running <= slots * workers
    assert answer.executions + answer.lost_executions == len(answer.started)


@given(JOBS, FAULTS)
def test_the_same_seed_gives_the_same(jobs: list[Arrival], faults: Faults) -> None:
    platform = setup(faults=faults)
    first, second = run(platform, jobs), run(platform, jobs)
    assert first == second


@given(st.lists(st.tuples(st.sampled_from(Priority), st.sampled_from(["s1", "s2", "s3"])), min_size=1, max_size=30))
def test_of_the_jobs_that_wait_together_the_more_urgent_start_first(asked: list[tuple[Priority, str]]) -> None:
    jobs = [job(0.5, priority=one, supplier=supplier, label=one.word) for one, supplier in asked]
    platform = replace(fixed(1), starts_at=START + SECOND)
    order = [Priority[str(label).upper()] for label in labels(run(platform, jobs))]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("slots", [1, 4])
def test_busy_slots_are_counted(slots: int) -> None:
    answer = run(fixed(slots, overhead_us=0), [job(0, 600) for _ in range(slots)])
    assert answer.utilisation == pytest.approx(1.0)


def test_decisions_that_are_left_out_while_nothing_happens_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bursts = [job(minute * 60 + number / 30, 0.4) for minute in (5, 47, 48, 110) for number in range(600)]
    platform = setup(rules=())
    rested = run(platform, bursts)
    monkeypatch.setattr("wedsync_ops.planning.simulate.run._REST_US", 5 * SECOND)
    assert run(platform, bursts) == rested
