"""``events``: the feed of finished jobs at the command line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, enqueue, environment_for
from tests.jobs.receivers import SECRET, receiving

KEYS = [
    "id",
    "job_id",
    "module_type",
    "state",
    "at",
    "client_id",
    "supplier_id",
    "journey_instance_id",
    "key",
    "attempt",
    "result_data",
    "error",
    "next_step",
]


def cancelled(cli: Cli, count: int) -> None:
    for _ in range(count):
        job_id = enqueue(cli).document["job_id"]
        assert cli("jobs", "cancel", str(job_id)).code == 0


def follow(home: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "wedsync_ops", "events", "--follow", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment_for(home),
    )


def test_a_finished_job_is_told_with_its_result_and_the_step_that_follows(registered: Cli) -> None:
    context = {
        "client_id": "c1",
        "supplier_id": "s1",
        "journey_instance_id": "j1",
        "step_data": {"next_step": {"id": "form"}},
    }
    enqueue(registered, "--key", "k1", context=json.dumps(context))
    enqueue(registered, module="refuse")
    assert registered("run-worker", "--drain", "--concurrency", "1").code == 0
    answer = registered("events", "--json").document
    assert list(answer) == ["schema", "events", "next_after", "webhook"]
    assert (answer["schema"], answer["webhook"]) == ("wedsync-ops/events@1", None)
    done, refused = sorted(answer["events"], key=lambda event: event["job_id"])
    assert list(done) == KEYS
    assert answer["next_after"] == answer["events"][-1]["id"]
    assert (done["state"], done["key"], done["attempt"], done["error"]) == ("completed", "k1", 1, None)
    assert (done["client_id"], done["supplier_id"], done["journey_instance_id"]) == ("c1", "s1", "j1")
    assert done["next_step"] == done["result_data"]["next_step"] == {"id": "form"}
    assert (refused["state"], refused["result_data"], refused["next_step"]) == ("discarded", None, None)
    assert refused["error"]
    shown = registered("jobs", "show", str(done["job_id"]), "--json").document["job"]
    assert shown["result_data"] == done["result_data"]
    assert shown["finished_at"] == done["at"]


def test_reading_on(registered: Cli) -> None:
    cancelled(registered, 3)
    whole = registered("events", "--json").document["events"]
    assert [event["job_id"] for event in whole] == [1, 2, 3]
    some = registered("events", "--after", str(whole[0]["id"]), "--limit", "1", "--json").document
    assert (some["events"], some["next_after"]) == ([whole[1]], whole[1]["id"])
    end = registered("events", "--after", "99", "--json").document
    assert (end["events"], end["next_after"]) == ([], 99)
    assert registered("events", "--limit", "0", "--json").document["events"] == whole


def test_a_hundred_unless_more_are_asked_for(registered: Cli) -> None:
    line = json.dumps(
        {
            "module_type": "note",
            "config": {"text": "x"},
            "context": {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"},
        }
    )
    registered("enqueue", "--file", "-", stdin="\n".join([line] * 103).encode())
    registered("jobs", "cancel", *map(str, range(1, 104)))
    assert len(registered("events", "--json").document["events"]) == 100
    assert len(registered("events", "--json", "--limit", "0").document["events"]) == 103


def test_a_table_for_people(registered: Cli) -> None:
    cancelled(registered, 1)
    answer = registered("events")
    assert "cancelled" in answer.out
    assert "note" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["--after", "-1"], ["--limit", "-1"], ["--after", "x"], ["--after", str(2**63)]])
def test_wrong_usage(registered: Cli, arguments: list[str]) -> None:
    assert registered("events", *arguments).code == 2


def test_following_waits_for_what_comes_until_interrupted(registered: Cli, home: Path) -> None:
    cancelled(registered, 1)
    with follow(home) as reader:
        assert reader.stdout is not None
        assert json.loads(reader.stdout.readline())["job_id"] == 1
        cancelled(registered, 1)
        second = json.loads(reader.stdout.readline())
        assert (list(second), second["job_id"]) == (KEYS, 2)
        reader.send_signal(signal.SIGINT)
        assert reader.wait(20) == 130
        assert reader.stderr is not None
        assert reader.stderr.read() == ""


def test_following_ends_after_as_many_as_asked_for(registered: Cli, home: Path) -> None:
    cancelled(registered, 3)
    with follow(home, "--limit", "2", "--after", "1", "--json") as reader:
        out, _ = reader.communicate(timeout=20)
    assert [json.loads(line)["job_id"] for line in out.splitlines()] == [2, 3]
    assert reader.returncode == 0


def test_following_ends_quietly_when_nobody_reads(registered: Cli, home: Path) -> None:
    """At once, not with the next event, which may never come."""
    cancelled(registered, 1)
    with follow(home) as reader:
        assert reader.stdout is not None
        assert reader.stderr is not None
        os.read(reader.stdout.fileno(), 1)
        reader.stdout.close()
        reader.wait(20)
        assert reader.stderr.read() == ""


def test_how_far_the_webhook_has_got(registered: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_OPS_WEBHOOK_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("WEDSYNC_OPS_WEBHOOK_SECRET", "a secret that nobody guesses")
    cancelled(registered, 1)
    assert registered("events", "--json").document["webhook"] is None
    done = registered("maintenance", "run", "webhooks", "--json").document["tasks"]
    assert done == [{"task": "webhooks", "counts": {"delivered": 0, "failed": 1}, "skipped": None}]
    webhook = registered("events", "--json").document["webhook"]
    assert (webhook["after"], webhook["failures"]) == (0, 1)
    assert webhook["error"]
    assert webhook["next_at"]


def test_an_event_that_the_receiver_refuses_is_skipped_once_asked_for(
    registered: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled(registered, 2)
    first = registered("events", "--json").document["events"][0]["id"]
    assert registered("webhook", "skip", str(first), "--yes").code == 5
    with receiving(["422"]) as receiver:
        monkeypatch.setenv("WEDSYNC_OPS_WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("WEDSYNC_OPS_WEBHOOK_SECRET", SECRET)
        registered("maintenance", "run", "webhooks")
        assert registered("webhook", "skip", str(first)).code == 2  # there is nobody to ask
        counted = registered("webhook", "skip", str(first), "--dry-run", "--json").document
        skipped = registered("webhook", "skip", str(first), "--yes", "--json").document
        assert counted == {**skipped, "dry_run": True}
        assert skipped["schema"] == "wedsync-ops/webhook-skip@1"
        assert registered("webhook", "skip", str(first), "--yes").code == 5
        assert registered("maintenance", "run", "webhooks").code == 0
        assert [post.document["id"] for post in receiver.taken] == [first + 1]
