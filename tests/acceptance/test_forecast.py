"""A worker keeps the forecast fresh while it works, and one that is told not to does not."""

import pytest

from tests.acceptance.conftest import Home, definition, eventually

WELL = definition("one", "version_one")


@pytest.mark.slow
def test_a_worker_makes_the_forecast_and_what_is_booked_is_in_it(home: Home) -> None:
    home.environment["WEDSYNC_OPS_FORECAST_EVERY_S"] = "0.1"
    home.register(WELL)
    worker = home.start("--concurrency", "1")
    home.enqueue("one", {}, "--wait")
    home.enqueue("one", {}, "--delay", "1500")
    eventually(lambda: home.json("forecast")["is_stored"] and home.json("forecast")["worst_hour"]["booked"] == 1)
    found = home.json("forecast", "--days", "2")
    assert found["capacity"]["live_workers"] == 1
    assert sum(hour["booked"] for hour in found["hours"]) == 1
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_worker_that_is_told_not_to_makes_none(home: Home) -> None:
    home.environment["WEDSYNC_OPS_FORECAST_EVERY_S"] = "0"
    home.register(WELL)
    worker = home.start("--concurrency", "1")
    home.enqueue("one", {}, "--wait")
    assert home.json("forecast")["is_stored"] is False
    worker.terminate()
    assert worker.wait(30) == 0
