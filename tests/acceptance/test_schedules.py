"""Recurring schedules with real worker processes: fired once whoever dies, caught up without a flood."""

import json
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually
from wedsync_ops.instants import HOUR, SECOND, parse_instant

CONTEXT = json.dumps({"client_id": "c1", "supplier_id": "s1", "journey_instance_id": "j1"})


def register(home: Home, when: str, **fields: str) -> None:
    more = "".join(f"    {name}: {value}\n" for name, value in fields.items())
    file = home.path / "schedules.yaml"
    file.write_text(
        f"schema_version: 1\nmodules:\n{definition('one', 'version_one')}schedules:\n  - id: often\n"
        f"    module_type: one\n    config: {{}}\n    context: {CONTEXT}\n    timezone: UTC\n    {when}\n{more}"
    )
    home.json("register", str(file))


def fires(home: Home) -> list[dict[str, Any]]:
    """The fires, oldest first."""
    found: list[dict[str, Any]] = home.json("schedules", "history", "often", "--limit", "0")["fires"]
    return found[::-1]


def completed(home: Home) -> set[int]:
    return {job["job_id"] for job in home.json("jobs", "list", "--state", "completed", "--limit", "0")["jobs"]}


def set_back(home: Home, length_us: int) -> None:
    """As if nobody had worked for so long."""
    with closing(sqlite3.connect(home.path / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute(
            "UPDATE schedules SET next_fire_at = next_fire_at - :us, next_due_at = next_due_at - :us", {"us": length_us}
        )


@pytest.mark.slow
def test_two_workers_fire_each_time_once_though_one_is_killed(home: Home) -> None:
    workers = [home.start("--concurrency", "1") for _ in range(2)]
    register(home, "interval: 1s", overlap="queue", coalesce="false")
    eventually(lambda: len(fires(home)) >= 2)
    workers[0].send_signal(signal.SIGKILL)
    so_far = len(fires(home))
    eventually(lambda: len(fires(home)) >= so_far + 2)
    workers[1].terminate()
    assert workers[1].wait(30) == 0
    home.run("run-worker", "--drain")
    found = fires(home)
    assert {fire["outcome"] for fire in found} == {"queued"}
    assert len({fire["fire_at"] for fire in found}) == len({fire["job_id"] for fire in found}) == len(found)
    assert completed(home) == {fire["job_id"] for fire in found}


@pytest.mark.slow
def test_a_night_asleep_is_one_job_and_eleven_rows(home: Home) -> None:
    register(home, "cron: 0 * * * *", grace="90m")
    set_back(home, 11 * HOUR)
    home.run("run-worker", "--drain")
    outcomes = [fire["outcome"] for fire in fires(home)]
    assert outcomes[:9] == ["missed"] * 9
    assert (outcomes[-1], outcomes.count("queued")) == ("queued", 1)
    assert len(completed(home)) == 1
    assert home.json("schedules", "list")["schedules"][0]["state"] == "active"
    home.run("run-worker", "--drain")
    assert len(fires(home)) == len(outcomes)


@pytest.mark.slow
def test_a_worker_that_idles_learns_of_a_schedule_and_of_its_pause(home: Home) -> None:
    worker = home.start("--concurrency", "1")
    eventually(lambda: bool(home.json("workers", "list")["workers"]))
    register(home, "interval: 1s", overlap="queue")
    eventually(lambda: len(fires(home)) >= 1)
    held = home.json("schedules", "pause", "often", "--reason", "enough")["schedule"]
    assert (held["state"], held["next_fire_at"]) == ("paused", None)
    manual = home.json("schedules", "run", "often")["fire"]
    eventually(lambda: manual["job_id"] in completed(home))
    assert fires(home)[-1] == manual
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.mark.slow
def test_a_worker_fires_soon_after_the_time_and_never_before(home: Home) -> None:
    register(home, "interval: 1s", overlap="queue")
    home.start("--concurrency", "1")
    eventually(lambda: any(late < SECOND // 10 for late in lateness(home)))
    assert min(lateness(home)) >= 0


def lateness(home: Home) -> list[int]:
    """How much later than due each fire was decided, in microseconds."""
    return [parse_instant(fire["decided_at"]) - parse_instant(fire["due_at"]) for fire in fires(home)]


@pytest.mark.slow
def test_on_postgresql_a_worker_that_idles_is_told(home: Home, postgres_url: str) -> None:
    home.environment["WEDSYNC_OPS_DB"] = postgres_url
    worker = home.start("--concurrency", "1")
    eventually(lambda: bool(home.json("workers", "list")["workers"]))
    register(home, "interval: 1s", overlap="queue")
    eventually(lambda: len(completed(home)) >= 2)
    worker.terminate()
    assert worker.wait(30) == 0
    assert {fire["outcome"] for fire in fires(home)} == {"queued"}
