"""Versions, order and measurements, seen from outside through the command line."""

import json
import statistics
import subprocess
from typing import Any

from tests.acceptance.conftest import Home, definition, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


def test_registering_twice_changes_nothing(home: Home) -> None:
    first, second = home.json("register"), home.json("register")
    assert all(item["changed"] and item["version"] == 1 for item in first["registered"])
    assert not any(item["changed"] for item in second["registered"])
    assert [item["version"] for item in second["registered"]] == [1] * 7


def test_a_queued_job_runs_as_the_version_it_was_queued_with(home: Home) -> None:
    other = definition("other", "version_one")
    home.register(definition("letterhead", "version_one"), other)
    home.enqueue("letterhead", {})
    changed = home.register(definition("letterhead", "version_two"), other)["registered"]
    assert [(item["platform_module_id"], item["version"]) for item in changed] == [("letterhead", 2), ("other", 1)]
    home.enqueue("letterhead", {})
    home.json("modules", "rollback", "letterhead", "1")
    home.enqueue("letterhead", {})
    home.run("run-worker", "--drain")
    ran = [home.json("jobs", "show", str(number))["job"] for number in (1, 2, 3)]
    assert [(job["module_version"], job["result_data"]["ran"]) for job in ran] == [(1, 1), (2, 2), (1, 1)]


def test_a_critical_job_starts_before_every_lower_one_that_has_not_started(home: Home) -> None:
    home.register(UNTIL_TOLD, definition("one", "version_one"))
    home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    for _ in range(5):
        home.enqueue("one", {}, "--priority", "normal")
    home.enqueue("one", {}, "--priority", "high")
    urgent = home.enqueue("one", {}, "--priority", "critical")
    (home.path / "go-a").touch()
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == 8)
    worker.terminate()
    assert worker.wait(30) == 0
    started = sorted(home.json("jobs", "list")["jobs"], key=lambda job: job["started_at"])
    assert started[1]["job_id"] == urgent["job_id"]
    assert [job["priority_requested"] for job in started[2:]] == ["high"] + ["normal"] * 5


def test_an_idempotency_key_gives_one_job(home: Home) -> None:
    home.register(definition("one", "version_one"))
    first = home.enqueue("one", {}, "--key", "k")
    again = home.enqueue("one", {}, "--key", "k")
    assert (again["job_id"], again["duplicate"]) == (first["job_id"], True)
    other = {"client_id": "other", "supplier_id": "s1", "journey_instance_id": "j1"}
    refused = home.run(
        "enqueue", "one", "--config", "{}", "--context", json.dumps(other), "--key", "k", "--json", code=5
    )
    error = json.loads(refused.stderr.splitlines()[-1])["error"]
    assert error["code"] == "key_conflict"
    assert str(first["job_id"]) in error["message"]


def test_two_workers_share_the_work_without_doing_any_twice(home: Home) -> None:
    home.register(definition("one", "version_one"))
    lines = [
        json.dumps(
            {
                "module_type": "one",
                "config": {},
                "context": {"client_id": f"c{number}", "supplier_id": "s", "journey_instance_id": "j"},
            }
        )
        for number in range(600)
    ]
    home.json("enqueue", "--file", "-", "--quiet", stdin="\n".join(lines))
    workers: list[subprocess.Popen[str]] = [home.start("--drain", "--concurrency", "2") for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    metrics = home.json("metrics")
    assert metrics["platform"]["total_executions"] == metrics["platform"]["successful_executions"] == 600


def test_metrics_equal_what_the_executions_say(home: Home) -> None:
    home.register(
        definition("one", "version_one"),
        definition("stuck", "stuck", resource_requirements="{execution_timeout: 0.1}", retry="{attempts: 2, delay: 1}"),
    )
    for number in range(25):
        home.enqueue("one", {}, wedding_date="2030-06-15", vendor_type="florist" if number % 2 else "venue")
    home.enqueue("stuck", {})
    while home.json("jobs", "list", "--state", "discarded")["jobs"] == []:
        home.run("run-worker", "--drain", "--concurrency", "2")
    executions: list[dict[str, Any]] = []
    for job in home.json("jobs", "list", "--limit", "0")["jobs"]:
        executions += home.json("jobs", "show", str(job["job_id"]))["job"]["executions"]
    times = sorted(e["duration_ms"] for e in executions)
    failed = [e for e in executions if e["outcome"] == "timeout"]
    platform = home.json("metrics", "--range", "1h")["platform"]
    assert platform["total_executions"] == len(executions) == 27
    assert platform["failed_executions"] == len(failed) == 2
    assert abs(platform["error_rate"] - 100 * 2 / 27) < 1e-6
    assert abs(platform["average_execution_time_ms"] - statistics.fmean(times)) < 0.01
    for percent in (50, 95, 99):
        rank = -(-len(times) * percent // 100)
        assert abs(platform[f"p{percent}_execution_time_ms"] - times[rank - 1]) <= 0.01 * times[rank - 1]
    assert abs(platform["throughput"] - 27 / 60) < 1e-6
    assert platform["current_queue_length"] == 0
    one = next(m for m in home.json("metrics", "--module", "one")["modules"] if m["module_type"] == "one")
    waits = [e["queue_wait_ms"] for e in executions if e["outcome"] == "ok"]
    assert abs(one["resource_usage"]["queue_wait_time_avg"] - statistics.fmean(waits)) < 0.01
    assert one["wedding_specific_metrics"]["vendor_type_breakdown"] == {"florist": 12, "venue": 13}


def test_a_number_of_jobs_is_kept_to_exactly_however_short_they_are(home: Home) -> None:
    home.register(definition("one", "version_one"))
    context = {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}
    line = json.dumps({"module_type": "one", "config": {}, "context": context})
    home.json("enqueue", "--file", "-", "--quiet", stdin="\n".join([line] * 200))
    home.run("run-worker", "--max-jobs", "57", "--concurrency", "2")
    assert home.json("metrics")["platform"]["total_executions"] == 57
    states = [(job["state"], job["attempt"]) for job in home.json("jobs", "list", "--limit", "0")["jobs"]]
    assert (states.count(("completed", 1)), states.count(("available", 0))) == (57, 143)
