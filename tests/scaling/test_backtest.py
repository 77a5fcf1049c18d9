"""Methods tried on the weeks before."""

from datetime import date

import pytest

from tests.bench.seasons import Shape, histories
from tests.scaling.worlds import at_work, history, world
from wedsync_ops.scaling.backtest import backtest, horizon, origins
from wedsync_ops.scaling.forecast_model import Method


def test_the_forecast_beats_last_week_and_last_year() -> None:
    made = histories(7, Shape(years=2.5, hour_days=100))
    common = world(*made)
    found = {one.module_type: backtest(one, common).scores for one in made}
    wapes = {
        method: sum(scores[method].wape or 0.0 for scores in found.values()) / len(found)
        for method in (Method.RIDGE, Method.LAST_WEEK, Method.LAST_YEAR)
    }
    assert wapes[Method.RIDGE] < 0.9 * wapes[Method.LAST_WEEK]
    assert wapes[Method.RIDGE] < 0.7 * wapes[Method.LAST_YEAR]
    inside = [scores[Method.RIDGE].inside or 0.0 for scores in found.values()]
    assert all(0.72 <= share <= 0.95 for share in inside)


def test_it_is_the_same_every_time() -> None:
    made = histories(7, Shape(years=1.2, hour_days=90))
    assert histories(7, Shape(years=1.2, hour_days=90)) == made
    first, second = (backtest(made[0], world(*made)) for _ in range(2))
    assert first == second


def test_the_best_is_the_one_that_erred_least() -> None:
    """Every week is like the one before, to the execution: nothing else is as good."""

    def odd(on: date, hour: int) -> float:
        return 17 * ((on.weekday() * 24 + hour) * 7919 % 13)

    known = history(80, odd)
    tried = backtest(known, world(known))
    assert tried.best is Method.LAST_WEEK
    assert tried.scores[Method.LAST_WEEK].wape == 0
    assert tried.errors.bounds(50.0) == pytest.approx((50.0, 50.0))


def test_errors_are_against_last_week_s() -> None:
    made = histories(2, Shape(years=1, hour_days=90))
    scores = backtest(made[0], world(*made)).scores
    ridge, naive = scores[Method.RIDGE], scores[Method.LAST_WEEK]
    assert naive.mase == 1
    assert ridge.wape is not None
    assert naive.wape is not None
    assert ridge.mase == pytest.approx(ridge.wape / naive.wape)
    assert Method.LAST_YEAR not in scores


def test_origins_are_weeks_apart_and_leave_two_weeks_to_learn_from() -> None:
    known = history(60, at_work)
    assert horizon(known) == 14
    assert [known.end - origin for origin in origins(known)] == [14, 21, 28, 35, 42]
    assert [known.end - origin for origin in origins(history(30, at_work))] == [7, 14]
    assert horizon(history(30, at_work)) == 7


def test_too_short_a_history_is_not_tried() -> None:
    known = history(15, at_work)
    tried = backtest(known, world(known))
    assert (tried.best, tried.scores) == (None, {})


def test_nothing_is_known_before_an_origin() -> None:
    known = history(60, at_work)
    past = known.until(known.end - 14)
    assert (len(past.days), len(past.hours)) == (46, 46 * 24)
    assert known.until(known.first_day - 5).days == []
