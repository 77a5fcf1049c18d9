"""``jobs``, ``queue``, ``workers``, ``metrics``, ``maintenance``, and a worker that drains."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, child, enqueue, environment_for

JOB_KEYS = [
    "job_id",
    "module_type",
    "module_version",
    "state",
    "priority_requested",
    "priority_applied",
    "attempt",
    "max_attempts",
    "queued_at",
    "due_at",
    "started_at",
    "finished_at",
    "error",
    "error_fingerprint",
]
EXECUTION_KEYS = [
    "attempt",
    "outcome",
    "started_at",
    "finished_at",
    "duration_ms",
    "queue_wait_ms",
    "cpu_ms",
    "memory_mb",
    "bytes_sent",
    "error",
    "result_data",
]


def _ids(cli: Cli, *options: str) -> list[int]:
    return [job["job_id"] for job in cli("jobs", "list", "--json", *options).document["jobs"]]


def test_jobs_list(registered: Cli) -> None:
    enqueue(registered)
    enqueue(registered, module="refuse")
    enqueue(registered, "--at", "2090-01-01T00:00:00Z")
    found = registered("jobs", "list", "--json").document["jobs"]
    assert list(found[0]) == JOB_KEYS
    assert [job["job_id"] for job in found] == [3, 2, 1]
    assert _ids(registered, "--state", "scheduled") == [3]
    assert _ids(registered, "--state", "scheduled", "--state", "available") == [3, 2, 1]
    assert _ids(registered, "--state", "scheduled,completed") == [3]
    assert _ids(registered, "--module", "refuse") == [2]
    assert _ids(registered, "--client", "c1", "--supplier", "s1") == [3, 2, 1]
    assert _ids(registered, "--client", "nobody") == []
    assert _ids(registered, "--limit", "1") == [3]
    assert _ids(registered, "--limit", "0") == [3, 2, 1]
    assert _ids(registered, "--since", "2090-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["list", "--state", "sleeping"], 2),
        (["list", "--limit", "-1"], 2),
        (["list", "--limit", "many"], 2),
        (["list", "--since", "soon"], 2),
        (["list", "--module", "nothing"], 4),
        (["show", "one"], 2),
        (["show", "7"], 4),
        (["show", "99999999999999999999999"], 4),
        (["cancel", "7"], 4),
        (["cancel", "7", "8"], 3),
        (["cancel", "x"], 2),
        (["cancel"], 2),
        (["retry"], 2),
        (["retry", "7"], 4),
        (["retry", "7", "--state", "discarded"], 2),
        (["retry", "--state", "completed"], 2),
        (["retry", "7", "--dry-run"], 2),
        (["retry", "--state", "discarded", "--module", "nothing"], 4),
    ],
)
def test_jobs_and_what_is_wrong(registered: Cli, arguments: list[str], code: int) -> None:
    answer = registered("jobs", *arguments)
    assert answer.code == code
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1


def test_jobs_show(registered: Cli) -> None:
    enqueue(registered)
    job = registered("jobs", "show", "1", "--json").document["job"]
    assert list(job)[: len(JOB_KEYS)] == JOB_KEYS
    assert (job["config"], job["context"]["client_id"]) == ({"text": "hello"}, "c1")
    assert (job["result_data"], job["executions"]) == (None, [])


def test_jobs_explain(registered: Cli) -> None:
    job_id = enqueue(registered).document["job_id"]
    later = enqueue(registered, "--at", "2090-01-01T00:00:00Z").document["job_id"]
    document = registered("jobs", "explain", str(job_id), "--json").document
    assert document["schema"] == "wedsync-ops/jobs-explain@1"
    assert document["job"]["reasons"][0]["code"] == "no_worker"
    assert (document["job"]["queue_position"], document["job"]["estimated_start"]) == (1, None)
    told = registered("jobs", "explain", str(later)).out
    assert "it is not due before 2090-01-01" in " ".join(told.split())
    assert "wedsync-ops run-worker" in " ".join(told.split())
    assert registered("jobs", "explain", "99").code == 4


def test_reschedule(registered: Cli) -> None:
    job_id = enqueue(registered).document["job_id"]
    answer = registered(
        "jobs", "reschedule", str(job_id), "--at", "2090-01-01T00:00:00Z", "--priority", "high", "--json"
    )
    assert answer.document == {"schema": "wedsync-ops/jobs-reschedule@1", "rescheduled": [job_id], "errors": []}
    (job,) = registered("jobs", "list", "--json").document["jobs"]
    assert (job["state"], job["priority_requested"], job["due_at"][:10]) == ("scheduled", "high", "2090-01-01")
    assert registered("jobs", "reschedule", str(job_id)).code == 2
    assert registered("jobs", "reschedule", str(job_id), "--priority", "urgent").code == 3


def test_cancel_and_retry(registered: Cli) -> None:
    enqueue(registered)
    enqueue(registered)
    one = registered("jobs", "cancel", "1", "--json")
    assert (one.code, one.document["cancelled"]) == (0, [1])
    some = registered("jobs", "cancel", "1", "2", "9", "--json")
    assert (some.code, some.document["cancelled"]) == (6, [2])
    assert [(e["job_id"], e["code"]) for e in some.document["errors"]] == [(1, "wrong_state"), (9, "unknown_job")]
    again = registered("jobs", "cancel", "1", "--json")
    assert (again.code, again.error["code"]) == (5, "wrong_state")
    back = registered("jobs", "retry", "1", "2", "--json")
    assert (back.code, back.document["retried"]) == (0, [1, 2])


def test_pause_and_resume(registered: Cli) -> None:
    enqueue(registered, "--priority", "high")
    assert registered("queue", "pause", "note", "--reason", "flood", "--json").code == 0
    assert registered("queue", "pause", "--supplier", "s1", "--until", "2090-01-01T00:00:00Z").code == 0
    assert registered("queue", "pause", "--all").code == 0
    status = registered("queue", "status", "--json").document
    assert [(p["scope"], p["name"], p["reason"]) for p in status["pauses"]] == [
        ("all", None, None),
        ("module", "note", "flood"),
        ("supplier", "s1", None),
    ]
    assert status["lanes"] == [{"module_type": "note", "priority": "high", "available": 1, "waiting": 1}]
    assert enqueue(registered).code == 0
    assert registered("queue", "resume", "note", "--json").document["changed"] is True
    assert registered("queue", "resume", "note", "--json").document["changed"] is False


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["pause"], 2),
        (["pause", "note", "--all"], 2),
        (["resume", "--supplier", "s", "--all"], 2),
        (["pause", "nothing"], 4),
        (["resume", "nothing"], 4),
        (["pause", "--supplier", ""], 2),
        (["resume", "--supplier", " "], 2),
        (["pause", "note", "--until", "soon"], 2),
        (["pause", "note", "--until", "2020-01-01T00:00:00Z"], 3),
    ],
)
def test_pauses_and_what_is_wrong(registered: Cli, arguments: list[str], code: int) -> None:
    assert registered("queue", *arguments).code == code


def test_every_list_for_people_fits_80_columns(registered: Cli) -> None:
    enqueue(registered, config='{"text": "[red]\\u001b[31m' + "long " * 50 + '"}')
    for command in (
        ["jobs", "list"],
        ["jobs", "show", "1"],
        ["queue", "status"],
        ["workers", "list", "--all"],
        ["metrics"],
        ["maintenance", "list"],
        ["maintenance", "run"],
        ["modules", "list"],
    ):
        answer = registered(*command)
        assert answer.code == 0, answer.err
        assert max(map(len, answer.out.splitlines())) <= 80
        assert "\x1b" not in answer.out


def test_maintenance(registered: Cli) -> None:
    found = registered("maintenance", "run", "rescue", "retention", "--json").document["tasks"]
    assert [item["task"] for item in found] == ["rescue", "retention"]
    assert registered("maintenance", "run", "dishes").code == 2
    assert "rescue" in [t["task"] for t in registered("maintenance", "list", "--json").document["tasks"]]


def test_metrics_without_data(registered: Cli) -> None:
    document = registered("metrics", "--range", "5m", "--json").document
    assert list(document) == ["schema", "range", "platform", "modules"]
    assert (document["platform"]["total_executions"], document["platform"]["error_rate"]) == (0, None)
    assert [m["module_type"] for m in registered("metrics", "--module", "note", "--json").document["modules"]] == [
        "note"
    ]
    assert registered("metrics", "--module", "nothing").code == 4
    assert registered("metrics", "--range", "long").code == 2
    assert registered("metrics", "--interval", "nan").code == 2
    assert registered("metrics", "--prometheus", "--json").code == 2
    assert registered("metrics", "--prometheus").out.startswith("# HELP wedsync_ops_")


def test_watching_prints_json_lines_until_ctrl_c(registered: Cli, home: Path) -> None:
    command = [sys.executable, "-m", "wedsync_ops", "metrics", "--watch", "--interval", "0.1", "--json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment_for(home), text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert all(line.startswith('{"schema":"wedsync-ops/metrics@1"') for line in lines)
    assert (process.returncode, err) == (130, "")


def test_a_worker_drains_what_was_queued(registered: Cli, home: Path) -> None:
    for _ in range(3):
        enqueue(registered)
    enqueue(registered, module="refuse")
    answer = child(home, "run-worker", "--drain", "--concurrency", "2")
    assert answer.code == 0, answer.err
    assert answer.out == ""
    assert _ids(registered, "--state", "completed") == [3, 2, 1]
    job = registered("jobs", "show", "1", "--json").document["job"]
    assert (job["attempt"], job["result_data"]) == (1, {"noted": "hello", "attempt": 1})
    assert list(job["executions"][0])[: len(EXECUTION_KEYS)] == EXECUTION_KEYS
    assert (job["executions"][0]["outcome"], job["executions"][0]["result_data"]["noted"]) == ("ok", "hello")
    refused = registered("jobs", "show", "4", "--json").document["job"]
    assert (refused["state"], refused["executions"][0]["outcome"]) == ("discarded", "error")
    assert "no room for hello" in refused["error"]
    assert registered("jobs", "show", "4").code == 0
    counted = registered("metrics", "--json").document["platform"]
    assert (counted["total_executions"], counted["failed_executions"]) == (4, 1)
    dry = registered("jobs", "retry", "--state", "discarded", "--error", "ROOM", "--dry-run", "--json").document
    assert (dry["schema"], dry["count"], dry["dry_run"]) == ("wedsync-ops/jobs-retry@1", 1, True)
    assert [(group["module_type"], group["count"]) for group in dry["groups"]] == [("refuse", 1)]
    assert registered("jobs", "retry", "--state", "discarded", "--module", "refuse", "--json").document["count"] == 1
    waited = enqueue(registered, "--key", "again", "--wait", "--timeout", "0")
    assert waited.code == 1
    assert child(home, "run-worker", "--drain").code == 0
    done = enqueue(registered, "--key", "again", "--wait", "--timeout", "5")
    assert (done.code, done.document["state"], done.document["duplicate"]) == (0, "completed", True)
    assert done.document["result_data"]["noted"] == "hello"
    failed = enqueue(registered, "--key", "x", module="refuse")
    assert failed.code == 0
    assert child(home, "run-worker", "--drain").code == 0
    ended = enqueue(registered, "--key", "x", "--wait", module="refuse")
    assert (ended.code, ended.document["state"]) == (1, "discarded")
    assert "no room" in ended.error["message"]
    workers = registered("workers", "list", "--all", "--json").document["workers"]
    assert {worker["state"] for worker in workers} == {"stopped"}
    assert registered("workers", "list", "--json").document["workers"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--concurrency", "0"], 2),
        (["--max-jobs", "0"], 2),
        (["--min-slots", "9", "--max-slots", "3"], 2),
        (["--concurrency", "5", "--max-slots", "3"], 2),
        (["--concurrency", "5", "--min-slots", "9"], 2),
        (["--modules", ","], 2),
        (["--modules", "note,nothing"], 4),
    ],
)
def test_workers_that_cannot_start(registered: Cli, arguments: list[str], code: int) -> None:
    assert registered("run-worker", "--drain", *arguments).code == code


def test_slots_outside_a_limit_are_told_which(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_MAX_SLOTS", "3")
    told = registered("run-worker", "--drain", "--concurrency", "5").err
    assert "--concurrency is 5, and the setting max_slots (environment) is 3" in told


def test_what_retention_took_is_null(registered: Cli, home: Path) -> None:
    enqueue(registered)
    connection = sqlite3.connect(home / "wedsync-ops.db")
    connection.execute("UPDATE payloads SET config = NULL, context = NULL, result = NULL")
    connection.commit()
    connection.close()
    job = registered("jobs", "show", "1", "--json").document["job"]
    assert (job["config"], job["context"], job["result_data"]) == (None, None, None)


def test_queue_status_says_for_whom_a_limit_holds(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [
        {"name": "gate", "rate": "5/1s", "providers": ["prov", "other"], "modules": ["email"]},
        {"name": "each", "concurrent": 2, "per": "provider"},
    ]
    monkeypatch.setenv("WEDSYNC_OPS_LIMITS", json.dumps(limits))
    one, two = registered("queue", "status", "--json").document["limits"]
    assert (one["providers"], one["modules"], one["per"]) == (["other", "prov"], ["email"], "all")
    assert (two["providers"], two["modules"], two["per"]) == (None, None, "provider")
    shown = registered("queue", "status").out
    assert "limit gate: 5 in 1 s, of email over other, prov; holds 0" in shown
    assert "limit each: 2 at once for each provider; holds 0" in shown


def test_cancelling_says_what_was_only_asked_to_stop(registered: Cli, home: Path) -> None:
    ids = [enqueue(registered).document["job_id"] for _ in range(2)]
    with closing(sqlite3.connect(home / "wedsync-ops.db")) as connection, connection:
        connection.execute("UPDATE jobs SET state = 'running', leased_by = 'w' WHERE id = ?", ids[:1])
    answer = registered("jobs", "cancel", *map(str, ids), "--running")
    assert (answer.code, answer.out.strip()) == (0, "1 of 2 jobs cancelled, 1 asked to stop")
    document = registered("jobs", "cancel", str(ids[0]), "--running", "--json").document
    assert (document["cancelled"], document["asked"]) == ([], ids[:1])
    reasons = registered("jobs", "explain", str(ids[0]), "--json").document["job"]["reasons"]
    assert "asked_to_stop" in [reason["code"] for reason in reasons]
