"""The autoscaler is ready before what the forecast expects: the two together, on real databases."""

from datetime import date

from tests.scaling.conftest import Platform
from tests.scaling.ran import fill
from tests.scaling.worlds import history
from wedsync_ops.scaling.forecaster import refresh
from wedsync_ops.scaling.store import forecasts


def ten_slots_from_one_o_clock(_on: date, hour: int) -> float:
    """36,000 jobs of a second keep ten slots busy for an hour."""
    return 36_000 if hour == 13 else 0


def test_slots_are_there_before_the_hour_that_history_knows_of(platform: Platform) -> None:
    platform.configure(scale_up_window_s=0.0, peak_multiplier=1.0, weekend_multiplier=1.0)
    fill(platform.database, [history(60, ten_slots_from_one_o_clock, end=date(2027, 1, 13))])
    refresh(platform.database, platform.queue.rules, platform.clock.now(), platform.database.transaction)
    platform.start("a")
    autoscaler = platform.autoscaler(forecasts.expected)
    platform.clock.set("2027-01-13T12:30:00Z")
    platform.follow()
    assert platform.decide(autoscaler).decisions["all"].recommended <= 4
    platform.clock.set("2027-01-13T12:50:00Z")
    platform.follow()
    decision = platform.decide(autoscaler).decisions["all"]
    assert decision.reason == "expected"
    assert 16 <= decision.recommended <= 20
    assert "the forecast expects" in decision.said
