"""What conditions make of alerts: opening, going on, missing data, clearing, silences. Pure."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.alerts.given import NOW, facts, reading, rule
from wedsync_ops.alerts.evaluate import UNWATCHED, advance, evaluate
from wedsync_ops.alerts.facts import Sums
from wedsync_ops.alerts.model import Alert, AlertState, EventKind, Severity, Silence, Verdict
from wedsync_ops.instants import HOUR, MINUTE, SECOND

OPENED, RESOLVED = (EventKind.OPENED,), (EventKind.RESOLVED,)


def opened(**changes: Any) -> Alert:
    alert = advance(None, reading(Verdict.BREACH), NOW).alert
    assert alert is not None
    return replace(alert, id=1, **changes)


def silence(**changes: Any) -> Silence:
    plain: dict[str, Any] = {
        "id": 1,
        "alert_id": None,
        "type": "high_error_rate",
        "module_type": None,
        "reason": "deploy",
        "created_by": "ann",
        "created_at": NOW,
        "until": NOW + HOUR,
    }
    return Silence(**{**plain, **changes})


class TestAdvance:
    def test_a_breach_opens_at_once_and_says_what_and_what_next(self) -> None:
        step = advance(None, reading(Verdict.BREACH), NOW)
        assert step.events == OPENED
        assert step.alert is not None
        assert (step.alert.state, step.alert.since, step.alert.opened_at) == (AlertState.FIRING, NOW, NOW)
        assert step.alert.runbook == "docs/runbooks/high_error_rate.md"
        assert step.alert.command == "wedsync-ops jobs failures --module email"

    @pytest.mark.parametrize("verdict", [Verdict.HOLD, Verdict.CLEAR, Verdict.MISSING])
    def test_nothing_else_does(self, verdict: Verdict) -> None:
        assert advance(None, reading(verdict), NOW).alert is None

    def test_with_a_for_it_waits_and_counts_from_the_first_breach(self) -> None:
        patient = rule(for_us=5 * MINUTE)
        first = advance(None, reading(Verdict.BREACH, rule=patient), NOW)
        assert first.events == ()
        assert first.alert is not None
        assert first.alert.state is AlertState.PENDING
        early = advance(first.alert, reading(Verdict.BREACH, rule=patient), NOW + 5 * MINUTE - 1)
        assert early.events == ()
        last = advance(early.alert, reading(Verdict.BREACH, rule=patient), NOW + 5 * MINUTE)
        assert last.events == OPENED
        assert last.alert is not None
        assert last.alert.since == NOW

    def test_what_was_pending_and_is_over_is_forgotten(self) -> None:
        pending = advance(None, reading(Verdict.BREACH, rule=rule(for_us=MINUTE)), NOW).alert
        step = advance(pending, reading(Verdict.HOLD, rule=rule(for_us=MINUTE)), NOW + MINUTE)
        assert (step.alert, step.events) == (None, ())

    def test_what_is_pending_neither_opens_nor_is_forgotten_without_data(self) -> None:
        pending = advance(None, reading(Verdict.BREACH, rule=rule(for_us=MINUTE)), NOW).alert
        assert advance(pending, reading(Verdict.MISSING, None), NOW + HOUR).alert == pending

    def test_between_the_lines_it_stays(self) -> None:
        step = advance(opened(), reading(Verdict.HOLD, 9.0), NOW + HOUR)
        assert step.alert is not None
        assert (step.alert.state, step.alert.value, step.alert.worst) == (AlertState.FIRING, 9.0, 50.0)
        assert step.events == ()

    def test_it_clears_once_and_keeps_what_it_was_about(self) -> None:
        step = advance(opened(), reading(Verdict.CLEAR, 1.0, message="few fail"), NOW + HOUR)
        assert step.events == RESOLVED
        assert step.alert is not None
        assert (step.alert.state, step.alert.resolved_at) == (AlertState.RESOLVED, NOW + HOUR)
        assert step.alert.message == "many fail"

    def test_it_clears_only_after_it_has_been_well_for_long_enough(self) -> None:
        slow = rule(clear_for_us=2 * MINUTE)
        well = advance(opened(), reading(Verdict.CLEAR, 1.0, rule=slow), NOW + MINUTE).alert
        bad = advance(well, reading(Verdict.HOLD, 9.0, rule=slow), NOW + 2 * MINUTE).alert
        again = advance(bad, reading(Verdict.CLEAR, 1.0, rule=slow), NOW + 3 * MINUTE)
        assert again.events == ()
        assert advance(again.alert, reading(Verdict.CLEAR, 1.0, rule=slow), NOW + 5 * MINUTE - 1).events == ()
        assert advance(again.alert, reading(Verdict.CLEAR, 1.0, rule=slow), NOW + 5 * MINUTE).events == RESOLVED

    def test_missing_data_never_resolves(self) -> None:
        slow = rule(clear_for_us=2 * MINUTE)
        well = advance(opened(), reading(Verdict.CLEAR, 1.0, rule=slow), NOW + MINUTE).alert
        gone = advance(well, reading(Verdict.MISSING, None, rule=slow), NOW + 2 * MINUTE)
        assert gone.events == (EventKind.NO_DATA,)
        later = advance(gone.alert, reading(Verdict.MISSING, None, rule=slow), NOW + 10 * HOUR)
        assert later.events == ()
        assert later.alert is not None
        assert later.alert.resolved_at is None
        back = advance(later.alert, reading(Verdict.CLEAR, 1.0, rule=slow), NOW + 11 * HOUR)
        assert back.events == (EventKind.DATA_BACK,)
        assert advance(back.alert, reading(Verdict.CLEAR, 1.0, rule=slow), NOW + 12 * HOUR).events == RESOLVED

    def test_beyond_the_second_threshold_it_worsens_once_and_stays_critical(self) -> None:
        worse = advance(opened(), reading(Verdict.BREACH, 99.0, severity=Severity.CRITICAL), NOW + MINUTE)
        assert worse.events == (EventKind.WORSENED,)
        again = advance(worse.alert, reading(Verdict.BREACH, 99.0, severity=Severity.CRITICAL), NOW + 2 * MINUTE)
        assert again.events == ()
        better = advance(again.alert, reading(Verdict.BREACH, 50.0), NOW + 3 * MINUTE)
        assert better.alert is not None
        assert (better.alert.severity, better.events) == (Severity.CRITICAL, ())

    def test_the_worst_of_too_little_is_the_least(self) -> None:
        low = rule(below=True)
        alert = advance(None, reading(Verdict.BREACH, 5.0, rule=low), NOW).alert
        for value in (2.0, 7.0):
            alert = advance(alert, reading(Verdict.BREACH, value, rule=low), NOW).alert
        assert alert is not None
        assert (alert.value, alert.worst) == (7.0, 2.0)


class TestEvaluate:
    def bad(self, now: int = NOW) -> Any:
        return facts(now, {"email": Sums(20, 10)})

    def good(self, now: int = NOW) -> Any:
        return facts(now, {"email": Sums(100, 0)})

    def test_opens_resolves_and_opens_anew(self) -> None:
        (first,) = evaluate([rule()], self.bad(), [])
        assert first.alert is not None
        assert first.alert.message.startswith(
            "email: 10 of 20 executions of the last 5 minutes failed (50 %, more than"
        )
        alert = replace(first.alert, id=1)
        (over,) = evaluate([rule()], self.good(NOW + MINUTE), [alert])
        assert over.events == RESOLVED
        assert [step.events for step in evaluate([rule()], self.bad(NOW + HOUR), [])] == [OPENED]

    def test_the_same_again_opens_nothing(self) -> None:
        (first,) = evaluate([rule()], self.bad(), [])
        assert first.alert is not None
        assert evaluate([rule()], self.bad(), [replace(first.alert, id=1)]) == []

    def test_too_few_executions_open_nothing_but_keep_what_is_open(self) -> None:
        few = facts(window={"email": Sums(9, 9)})
        cautious = rule(minimum=10)
        assert evaluate([cautious], few, []) == []
        (first,) = evaluate([cautious], self.bad(), [])
        assert first.alert is not None
        (step,) = evaluate([cautious], replace(few, now=NOW + MINUTE), [replace(first.alert, id=1)])
        assert (step.events, step.alert.state if step.alert else None) == ((), AlertState.FIRING)

    def test_few_executions_that_are_well_resolve(self) -> None:
        (first,) = evaluate([rule(minimum=10)], self.bad(), [])
        assert first.alert is not None
        (step,) = evaluate([rule(minimum=10)], facts(window={"email": Sums(3, 0)}), [replace(first.alert, id=1)])
        assert step.events == RESOLVED

    def test_without_executions_there_is_no_data(self) -> None:
        (step,) = evaluate([rule()], facts(NOW + HOUR), [opened()])
        assert step.events == (EventKind.NO_DATA,)
        assert step.alert is not None
        assert step.alert.state is AlertState.NO_DATA

    def test_the_module_s_own_target_counts(self) -> None:
        own = rule(threshold=None, clears_at=None)
        assert [one.threshold for one in (s.alert for s in evaluate([own], self.bad(), [])) if one] == [5.0]
        four_percent = facts(window={"email": Sums(100, 5)})
        assert evaluate([own], four_percent, []) == []

    @pytest.mark.parametrize("rules", [[], [rule(modules=frozenset({"sms"}))], [rule(name="other")]])
    def test_what_nobody_watches_any_more_is_resolved_with_that_word(self, rules: list[Any]) -> None:
        steps = [step for step in evaluate(rules, self.good(), [opened()]) if step.before is not None]
        assert [(step.events, step.note) for step in steps] == [(RESOLVED, UNWATCHED)]

    def test_an_open_alert_is_told_again_after_the_repeat_and_an_acknowledged_one_is_not(self) -> None:
        often = rule(repeat_us=HOUR)
        assert [s.events for s in evaluate([often], self.bad(NOW + HOUR - SECOND), [opened()])] == [()]
        (step,) = evaluate([often], self.bad(NOW + HOUR), [opened()])
        assert step.events == (EventKind.REPEATED,)
        assert step.alert is not None
        assert step.alert.told_at == NOW + HOUR
        known = opened(acknowledged_at=NOW, state=AlertState.ACKNOWLEDGED)
        (step,) = evaluate([often], self.bad(NOW + 2 * HOUR), [known])
        assert (step.events, step.alert.state if step.alert else None) == ((), AlertState.ACKNOWLEDGED)


class TestSilences:
    def test_what_opens_under_a_silence_opens_silenced(self) -> None:
        (step,) = evaluate([rule()], facts(window={"email": Sums(20, 10)}), [], [silence()])
        assert step.events == OPENED
        assert step.alert is not None
        assert (step.alert.state, step.alert.silenced_until) == (AlertState.SILENCED, NOW + HOUR)

    def test_when_the_silence_ends_it_is_told(self) -> None:
        quiet = opened(state=AlertState.SILENCED, silenced_until=NOW + HOUR)
        bad = facts(NOW + HOUR, {"email": Sums(20, 10)})
        (step,) = evaluate([rule()], bad, [quiet], [silence()])
        assert step.events == (EventKind.UNSILENCED,)
        assert step.alert is not None
        assert (step.alert.state, step.alert.told_at) == (AlertState.FIRING, NOW + HOUR)

    @pytest.mark.parametrize(
        ("changes", "covers"),
        [
            ({}, True),
            ({"type": "queue_length"}, False),
            ({"type": None, "module_type": "email"}, True),
            ({"module_type": "sms"}, False),
            ({"type": None, "alert_id": 1}, True),
            ({"type": None, "alert_id": 2}, False),
            ({"ended_at": NOW}, False),
            ({"until": NOW}, False),
        ],
    )
    def test_what_it_covers(self, changes: dict[str, Any], covers: bool) -> None:
        (step,) = evaluate([rule()], facts(window={"email": Sums(40, 10)}), [opened()], [silence(**changes)])
        assert (step.alert is not None and step.alert.state is AlertState.SILENCED) is covers

    def test_a_silenced_alert_resolves_all_the_same(self) -> None:
        quiet = opened(state=AlertState.SILENCED, silenced_until=NOW + HOUR)
        (step,) = evaluate([rule()], facts(window={"email": Sums(100, 0)}), [quiet], [silence()])
        assert step.events == RESOLVED


_RUNS = st.lists(
    st.tuples(st.sampled_from([None, 0.0, 5.0, 9.0, 11.0, 80.0]), st.integers(1, 600)), min_size=1, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(_RUNS, st.integers(0, 300), st.integers(0, 300))
def test_whatever_comes_alerts_open_and_resolve_in_turns(
    run: list[tuple[float | None, int]], for_s: int, clear_for_s: int
) -> None:
    """And only when the condition held for long enough, or was over for long enough, with data."""
    watched = rule(for_us=for_s * SECOND, clear_for_us=clear_for_s * SECOND)
    now, alerts, told = NOW, list[Alert](), list[EventKind]()
    since_bad = since_well = None
    for value, seconds in run:
        now += seconds * SECOND
        sums = Sums() if value is None else Sums(100, round(value))
        since_bad = None if value is not None and value <= 10 else since_bad if value is None else since_bad or now
        since_well = (since_well or now) if value is not None and value <= 8 else None
        for step in evaluate([watched], facts(now, {"email": sums}), alerts):
            alerts = [] if step.alert is None or step.alert.resolved_at else [replace(step.alert, id=1)]
            for kind in step.events:
                if kind is EventKind.OPENED:
                    assert value is not None
                    assert value > 10
                    assert since_bad is not None
                    assert now - since_bad >= for_s * SECOND
                if kind is EventKind.RESOLVED:
                    assert since_well is not None
                    assert now - since_well >= clear_for_s * SECOND
                if kind in (EventKind.OPENED, EventKind.RESOLVED):
                    told.append(kind)
    assert told == [EventKind.OPENED if n % 2 == 0 else EventKind.RESOLVED for n in range(len(told))]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_evaluating_the_same_moment_twice_changes_nothing(failed: list[int]) -> None:
    alerts: list[Alert] = []
    for minute, count in enumerate(failed):
        at = facts(NOW + minute * MINUTE, {"email": Sums(100, count)})
        for step in evaluate([rule()], at, alerts):
            alerts = [] if step.alert is None or step.alert.resolved_at else [replace(step.alert, id=1)]
        again = evaluate([rule()], at, alerts)
        assert [step for step in again if step.events or step.alert != step.before] == []
