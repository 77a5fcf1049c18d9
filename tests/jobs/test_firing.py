"""What becomes of fires that are due: after a night asleep, by grace and by coalescing; never a flood."""

from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from wedsync_ops.jobs.firing import CATCH_UP, NOTHING_AHEAD, FireOutcome, NextFire, Recurrence, plan
from wedsync_ops.jobs.recurrence import Timing

NINE = parse_instant("2027-01-13T09:00:00Z")
MISSED, COALESCED = FireOutcome.MISSED, FireOutcome.COALESCED
UTC = ZoneInfo("UTC")


def hourly(*, grace_s: int = 3600, coalesce: bool = True, jitter_s: int = 0, end: int | None = None) -> Recurrence:
    return Recurrence("hourly", Timing(cron="0 * * * *", zone=UTC, end=end), jitter_s, grace_s, coalesce)


def minutely(*, grace_s: int, coalesce: bool) -> Recurrence:
    return Recurrence("minutely", Timing(interval_s=60, zone=UTC), 0, grace_s, coalesce)


def outcomes(recurrence: Recurrence, fire_at: int, now: int) -> list[tuple[int, FireOutcome | None]]:
    return [(verdict.fire_at, verdict.outcome) for verdict in plan(recurrence, fire_at, now).verdicts]


def test_what_is_due_runs_and_the_next_comes_after_it() -> None:
    planned = plan(hourly(), NINE, NINE + SECOND)
    assert [(v.fire_at, v.outcome, v.reason) for v in planned.verdicts] == [(NINE, None, None)]
    assert planned.ahead == NextFire(NINE + HOUR, NINE + HOUR)


@pytest.mark.parametrize("early", [1, SECOND, DAY, 365 * DAY])
def test_nothing_is_due_before_its_time_however_far_the_clock_has_gone_back(early: int) -> None:
    assert plan(hourly(), NINE, NINE - early) == ((), NextFire(NINE, NINE))


def test_a_fire_at_the_end_of_its_grace_runs_and_one_later_is_missed() -> None:
    assert outcomes(hourly(grace_s=600), NINE, NINE + 600 * SECOND) == [(NINE, None)]
    late = plan(hourly(grace_s=600), NINE, NINE + 601 * SECOND)
    assert [(v.outcome, v.reason) for v in late.verdicts] == [(MISSED, "601 s late, and the grace is 600 s")]
    assert late.ahead.fire_at == NINE + HOUR


def test_of_several_within_the_grace_the_last_runs_for_all() -> None:
    planned = plan(hourly(grace_s=3 * 3600), NINE, NINE + 2 * HOUR + MINUTE)
    assert [v.outcome for v in planned.verdicts] == [COALESCED, COALESCED, None]
    assert planned.verdicts[0].reason == "one with the fire of 2027-01-13T11:00:00.000000Z"


def test_without_coalescing_each_within_the_grace_runs() -> None:
    found = outcomes(hourly(grace_s=3 * 3600, coalesce=False), NINE, NINE + 2 * HOUR + MINUTE)
    assert found == [(NINE, None), (NINE + HOUR, None), (NINE + 2 * HOUR, None)]


def test_a_night_asleep_leaves_a_row_for_each_fire_and_runs_one() -> None:
    found = outcomes(hourly(grace_s=1800), NINE - 11 * HOUR, NINE + 5 * MINUTE)
    assert found == [*((NINE - hour * HOUR, MISSED) for hour in range(11, 0, -1)), (NINE, None)]


def test_a_month_asleep_is_told_in_few_words_at_once() -> None:
    recurrence = minutely(grace_s=60, coalesce=True)
    planned = plan(recurrence, NINE - 30 * DAY, NINE)
    assert len(planned.verdicts) == CATCH_UP + 1
    assert {v.outcome for v in planned.verdicts} == {MISSED}
    assert planned.verdicts[-1].reason is not None
    assert "as was every fire from here to 2027-01-13T08:59:00.000000Z" in planned.verdicts[-1].reason
    assert planned.ahead.fire_at == NINE - MINUTE
    assert outcomes(recurrence, NINE - MINUTE, NINE) == [(NINE - MINUTE, COALESCED), (NINE, None)]


def test_many_within_a_long_grace_are_coalesced_into_one_over_several_plans() -> None:
    recurrence = minutely(grace_s=86_400, coalesce=True)
    counted: Counter[FireOutcome | None] = Counter()
    ahead = NextFire(NINE - 8 * HOUR, NINE - 8 * HOUR)
    while ahead.fire_at is not None and ahead.fire_at <= NINE:
        planned = plan(recurrence, ahead.fire_at, NINE)
        assert len(planned.verdicts) <= CATCH_UP
        counted.update(v.outcome for v in planned.verdicts)
        ahead = planned.ahead
    assert counted == {None: 1, COALESCED: 480}


def test_a_schedule_that_has_ended_has_nothing_ahead() -> None:
    assert plan(hourly(end=NINE), NINE, NINE).ahead == NOTHING_AHEAD
    asleep = plan(Recurrence("m", Timing(interval_s=60, zone=UTC, end=NINE), 0, 60, True), NINE - DAY, NINE + DAY)
    assert asleep.ahead == NOTHING_AHEAD
    assert asleep.verdicts[-1].reason is not None
    assert "the schedule's end" in asleep.verdicts[-1].reason


def test_jitter_moves_when_it_is_due_and_not_which_fire_it_is() -> None:
    recurrence = hourly(jitter_s=600)
    due_at = recurrence.due_at(NINE)
    assert NINE < due_at <= NINE + 600 * SECOND
    assert plan(recurrence, NINE, due_at - 1).verdicts == ()
    assert outcomes(recurrence, NINE, due_at) == [(NINE, None)]
