"""Limits, seen from outside: a real worker starts no more than they allow, and what waits holds no slot."""

import json
from datetime import datetime

from tests.acceptance.conftest import Home, definition, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


def test_one_at_a_time_for_each_supplier_while_others_go_on(home: Home) -> None:
    home.environment["WEDSYNC_OPS_LIMITS"] = json.dumps([{"name": "one", "concurrent": 1, "per": "supplier"}])
    home.register(UNTIL_TOLD)
    for supplier, name in (("s1", "a"), ("s1", "b"), ("s2", "c")):
        home.enqueue("until-told", {"folder": str(home.path), "name": name}, supplier_id=supplier)
    worker = home.start("--concurrency", "4")
    eventually(lambda: (home.path / "running-a").exists() and (home.path / "running-c").exists())
    status = home.json("queue", "status")
    (limit,) = status["limits"]
    assert (limit["allows"], limit["per"], limit["held"]) == ("1 at once for each supplier", "supplier", 1)
    assert (limit["modules"], limit["providers"]) == (None, None)
    assert sum(lane["available"] for lane in status["lanes"]) == 0
    assert not (home.path / "running-b").exists()
    (home.path / "go-a").touch()
    eventually((home.path / "running-b").exists)
    for name in "bc":
        (home.path / f"go-{name}").touch()
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == 3)
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_rate_spaces_the_starts(home: Home) -> None:
    limit = {"name": "slow", "rate": "4/1s", "burst": 1, "modules": ["one"]}
    home.environment["WEDSYNC_OPS_LIMITS"] = json.dumps([limit])
    home.register(definition("one", "version_one"), definition("free", "version_one"))
    worker = home.start("--concurrency", "4")
    home.enqueue("free", {}, "--wait")
    for _ in range(5):
        home.enqueue("one", {})
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == 6)
    worker.terminate()
    assert worker.wait(30) == 0
    jobs = home.json("jobs", "list", "--module", "one")["jobs"]
    starts = sorted(datetime.fromisoformat(job["started_at"]) for job in jobs)
    assert (starts[-1] - starts[0]).total_seconds() >= 0.8


def test_a_drain_waits_for_what_a_limit_will_soon_let_go(home: Home) -> None:
    home.environment["WEDSYNC_OPS_LIMITS"] = json.dumps([{"name": "slow", "rate": "10/1s", "burst": 1}])
    home.register(definition("one", "version_one"))
    for _ in range(3):
        home.enqueue("one", {})
    home.run("run-worker", "--drain")
    assert {job["state"] for job in home.json("jobs", "list")["jobs"]} == {"completed"}


def test_a_limit_that_cannot_be_is_refused_in_one_line(home: Home) -> None:
    home.environment["WEDSYNC_OPS_LIMITS"] = json.dumps([{"name": "one", "rate": "often"}])
    answer = home.run("queue", "status", code=2)
    assert answer.stderr.count("\n") == 1
    assert "limits[0].rate (one) must be a number in a time, such as 100/1m" in answer.stderr


def test_no_more_jobs_run_at_once_than_memory_is_there_for_and_explain_says_so(home: Home) -> None:
    home.environment["WEDSYNC_OPS_MEMORY_MB"] = "1100"  # two of 512 MB
    home.register(UNTIL_TOLD)
    jobs = [home.enqueue("until-told", {"folder": str(home.path), "name": name})["job_id"] for name in "abc"]
    worker = home.start("--concurrency", "4")
    eventually(lambda: (home.path / "running-a").exists() and (home.path / "running-b").exists())
    found = home.json("jobs", "explain", str(jobs[2]))["job"]
    assert (found["state"], [reason["code"] for reason in found["reasons"]]) == ("available", ["resources"])
    assert not (home.path / "running-c").exists()
    (home.path / "go-a").touch()
    eventually((home.path / "running-c").exists)
    for name in "bc":
        (home.path / f"go-{name}").touch()
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == 3)
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_drain_ends_only_when_what_memory_kept_back_has_run(home: Home) -> None:
    home.environment["WEDSYNC_OPS_MEMORY_MB"] = "100"  # less than one job may need: one at a time
    home.register(definition("one", "version_one"))
    for _ in range(12):
        home.enqueue("one", {})
    home.run("run-worker", "--drain", "--concurrency", "6")
    assert {job["state"] for job in home.json("jobs", "list")["jobs"]} == {"completed"}
