"""Alerts with real workers: raised while they work, once for all of them, and over a worker's death."""

from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually

FAILING = definition("failing", "failing", retry="{attempts: 1}")
WELL = definition("one", "version_one")


def events(home: Home, kind: str) -> list[str]:
    found: list[dict[str, Any]] = home.json("alerts", "history", "--limit", "0")["events"]
    return [one["kind"] for one in reversed(found) if one["type"] == kind]


@pytest.mark.slow
def test_ten_failures_raise_one_alert_that_a_killed_worker_neither_loses_nor_repeats(home: Home) -> None:
    home.environment["WEDSYNC_OPS_ALERTS_EVERY_S"] = "0.1"
    home.environment["WEDSYNC_OPS_LEASE_S"] = "2"
    home.register(FAILING, WELL)
    for _ in range(10):
        home.enqueue("failing", {})
    workers = [home.start("--concurrency", "1") for _ in range(2)]
    eventually(lambda: events(home, "high_error_rate") == ["opened"])
    (alert,) = [one for one in home.json("alerts", "list")["alerts"] if one["type"] == "high_error_rate"]
    assert (alert["module_type"], alert["state"]) == ("failing", "firing")
    home.run("alerts", "ack", str(alert["id"]))

    for worker in workers:
        worker.kill()
        worker.wait(30)
    fresh = home.start("--concurrency", "1")
    done = home.enqueue("one", {}, "--wait")
    assert done["job_id"] == 11
    evaluated = home.json("alerts", "list")["evaluated_at"]
    eventually(lambda: bool(home.json("alerts", "list")["evaluated_at"] > evaluated))
    assert events(home, "high_error_rate") == ["opened", "acknowledged"]
    fresh.terminate()
    assert fresh.wait(30) == 0


def test_a_worker_that_is_told_not_to_evaluate_does_not(home: Home) -> None:
    home.environment["WEDSYNC_OPS_ALERTS_EVERY_S"] = "0"
    home.register(WELL)
    worker = home.start("--concurrency", "1")
    home.enqueue("one", {}, "--wait")
    assert home.json("alerts", "list")["evaluated_at"] is None
    worker.terminate()
    assert worker.wait(30) == 0
