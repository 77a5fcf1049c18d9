"""What metrics are and how they are told; what is unusual. Pure."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.alerts.given import NOW, facts, rule
from wedsync_ops.alerts.anomaly import FEWEST_WEEKS, WEEKS, expected, same_hours
from wedsync_ops.alerts.facts import Facts, SilentWorker, Sums, Targets, Usual
from wedsync_ops.alerts.measure import Sample, samples, span
from wedsync_ops.alerts.model import METRICS
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, parse_instant, to_datetime

FULL = Sums(ran=200, failed=10, week_ran=50, week_failed=1, week_us=240 * SECOND, total_us=400 * SECOND)


def only(metric: str, at: Facts, **changes: Any) -> Sample:
    (sample,) = samples(rule(metric=metric, **changes), at)
    return sample


def full(**changes: Any) -> Facts:
    plain: dict[str, Any] = {
        "window": {"email": FULL._replace(longest_us=3 * SECOND)},
        "waiting": {"email": 7},
        "slots": 4,
        "workers": 1,
        "modules": {"email": Targets(3.0, 1500.0, 100.0)},
    }
    return facts(**{**plain, **changes})


@pytest.mark.parametrize(
    ("metric", "value", "threshold"),
    [
        ("error_rate", 5.0, 3.0),
        ("longest_execution", 3000.0, 1500.0),
        ("average_execution", 2000.0, None),
        ("volume", 200.0, None),
        ("throughput", 40.0, 10.0),
        ("queue_length", 7.0, None),
        ("wedding_week_error_rate", 2.0, None),
        ("wedding_week_load", 20.0, None),
        ("jobs_without_worker", 0.0, None),
        ("expired_jobs", 0.0, None),
        ("quarantined_jobs", 0.0, None),
    ],
)
def test_metrics_of_a_module_type(metric: str, value: float, threshold: float | None) -> None:
    sample = only(metric, full())
    assert (sample.module_type, sample.value, sample.threshold) == ("email", value, threshold)
    assert sample.said


@pytest.mark.parametrize("metric", ["error_rate", "longest_execution", "average_execution", "wedding_week_error_rate"])
def test_without_executions_nothing_is_known(metric: str) -> None:
    assert only(metric, full(window={})).value is None


def test_without_slots_the_load_is_not_known() -> None:
    assert only("wedding_week_load", full(slots=0)).value is None


def test_throughput_counts_only_while_jobs_wait_and_where_there_is_a_target() -> None:
    assert only("throughput", full(waiting={})).idle
    none = full(modules={"email": Targets(3.0, 1500.0, None)})
    assert samples(rule(metric="throughput", threshold=None), none) == []


def test_every_metric_has_samples() -> None:
    everything = full(
        late={"nightly": 10 * MINUTE}, silent=(SilentWorker("a", "h", NOW, died=True),), webhook=(3, "it answered 500")
    )
    assert [metric for metric in METRICS if not samples(rule(metric=metric, threshold=1.0), everything)] == []


def test_all_module_types_together() -> None:
    two = full(window={"email": Sums(10, 5), "sms": Sums(10, 0)}, waiting={"email": 1, "sms": 2})
    sample = only("error_rate", two, per_module=False)
    assert (sample.module_type, sample.value) == (None, 25.0)
    assert only("queue_length", two, per_module=False).value == 3.0


def test_only_the_modules_of_a_rule() -> None:
    two = full(window={"email": Sums(10, 5), "sms": Sums(10, 0)})
    assert only("volume", two, modules=frozenset({"sms"})).module_type == "sms"


def test_a_module_type_that_is_not_used_any_more_is_watched_while_something_of_it_is_left() -> None:
    retired = {"email": Targets(3.0, 1500.0, None, is_used=False)}
    assert samples(rule(metric="volume"), full(modules=retired, window={}, waiting={})) == []
    assert only("volume", full(modules=retired, waiting={})).value == 200.0


class TestBurn:
    def burn(self, long: Sums, short: Sums) -> float | None:
        at = facts(windows={60 * MINUTE: {"email": long}, 5 * MINUTE: {"email": short}})
        watched = {"window_us": HOUR, "short_us": 5 * MINUTE, "slo_percent": 99.0}
        return only("error_budget_burn", at, **watched).value

    def test_the_slower_of_both_windows_counts(self) -> None:
        assert self.burn(Sums(1000, 200), Sums(100, 50)) == pytest.approx(20.0)
        assert self.burn(Sums(1000, 200), Sums(100, 1)) == pytest.approx(1.0)

    def test_a_handful_of_failures_burns_nothing(self) -> None:
        assert self.burn(Sums(4, 4), Sums(4, 4)) == pytest.approx(8.0)  # no more than where the rule clears

    def test_without_executions_nothing_is_known(self) -> None:
        assert self.burn(Sums(1000, 200), Sums()) is None


class TestUnusual:
    def deviations(self, usual: Usual, now: Sums) -> dict[str | None, float | None]:
        at = facts(window={"email": now}, usual={"email": usual})
        found = samples(rule(metric="deviation", window_us=15 * MINUTE, minimum=30), at)
        return {sample.subject: sample.value for sample in found}

    USUAL = Usual((10.0, 11.0, 9.0, 10.0), (1.0, 1.0, 2.0, 1.0), (100.0, 110.0, 90.0, 100.0))

    def test_what_is_usual_does_not_deviate(self) -> None:
        found = self.deviations(self.USUAL, Sums(150, 2, total_us=150 * 100_000))
        assert all(value is not None and value < 1 for value in found.values())

    @pytest.mark.parametrize(
        ("subject", "sums"),
        [
            ("volume", Sums(450, 4, total_us=450 * 100_000)),
            ("volume", Sums()),
            ("error_rate", Sums(150, 30, total_us=150 * 100_000)),
            ("latency", Sums(150, 2, total_us=150 * 400_000)),
        ],
    )
    def test_what_is_not_does(self, subject: str, sums: Sums) -> None:
        value = self.deviations(self.USUAL, sums)[subject]
        assert value is not None
        assert value > 5

    def test_faster_and_better_than_usual_is_nobody_s_worry(self) -> None:
        found = self.deviations(self.USUAL, Sums(150, 0, total_us=150 * 1000))
        assert (found["error_rate"], found["latency"]) == (0.0, 0.0)

    def test_with_few_weeks_or_executions_nothing_is_said(self) -> None:
        assert set(self.deviations(Usual((10.0,), (1.0,), (100.0,)), Sums(150, 50)).values()) == {None}
        few = self.deviations(self.USUAL, Sums(29, 29))
        assert (few["error_rate"], few["latency"]) == (None, None)

    def test_the_message_says_what_was_expected(self) -> None:
        at = facts(window={"email": Sums(450, 4, total_us=1)}, usual={"email": self.USUAL})
        volume, *_ = samples(rule(metric="deviation", window_us=15 * MINUTE, minimum=30), at)
        assert volume.said == (
            "email: 30.0 executions a minute in the last 15 minutes, expected 7.0 to 13.0 at this hour of this weekday"
        )

    @given(st.lists(st.floats(0, 1e6), min_size=FEWEST_WEEKS, max_size=WEEKS), st.floats(0.001, 10))
    def test_one_bad_week_of_many_changes_little(self, weeks: list[float], least: float) -> None:
        usual = expected([*weeks, *weeks, weeks[0]], least)
        spoilt = expected([*weeks, *weeks, 1e12], least)
        assert usual is not None
        assert spoilt is not None
        assert min(weeks) <= spoilt.median <= max(weeks)
        assert spoilt.sigma >= least

    def test_the_same_hour_by_the_wall_clock_across_a_change_of_clocks(self) -> None:
        now = parse_instant("2027-03-30T09:30:00+02:00")  # two days after Berlin's clocks went forward
        zone = ZoneInfo("Europe/Berlin")
        hours = [to_datetime(at, zone).strftime("%a %H:%M") for at in same_hours(now, zone)]
        assert hours == ["Tue 09:00"] * WEEKS
        assert same_hours(now, zone)[0] == now - 30 * MINUTE - 7 * DAY + HOUR


@pytest.mark.parametrize(
    ("us", "words"),
    [(5 * MINUTE, "5 minutes"), (HOUR, "1 hour"), (90 * SECOND, "90 seconds"), (6 * HOUR, "6 hours"), (0, "0 seconds")],
)
def test_lengths_in_words(us: int, words: str) -> None:
    assert span(us) == words
