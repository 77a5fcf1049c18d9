"""``jobs failures``, ``jobs retry`` and ``jobs discard`` with filters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Cli, child, enqueue, environment_for

RETRY = ("jobs", "retry", "--state", "discarded")


@pytest.fixture
def dead(registered: Cli, home: Path) -> Cli:
    """Three dead letters of one kind, of two suppliers."""
    for number, supplier in enumerate(("s1", "s1", "s2")):
        context = {"client_id": "c1", "supplier_id": supplier, "journey_instance_id": "j1"}
        config = {"text": f"hello {number}"}
        answer = enqueue(registered, module="refuse", config=json.dumps(config), context=json.dumps(context))
        assert answer.code == 0
    assert child(home, "run-worker", "--drain").code == 0
    return registered


def test_failures_are_grouped(dead: Cli) -> None:
    (group,) = dead("jobs", "failures", "--json").document["failures"]
    listed = dead("jobs", "list", "--json").document["jobs"]
    assert {job["error_fingerprint"] for job in listed} == {group["error_fingerprint"]}
    assert (group["module_type"], group["count"], group["soonest_wedding"]) == ("refuse", 3, None)
    assert group["first_seen"] <= group["last_seen"]
    shown = dead("jobs", "failures").out
    assert group["error_fingerprint"] in shown
    assert dead("jobs", "failures", "--supplier", "s3", "--json").document["failures"] == []


def test_a_dry_run_counts_and_changes_nothing(dead: Cli) -> None:
    fingerprint = dead("jobs", "failures", "--json").document["failures"][0]["error_fingerprint"]
    for command in (RETRY, ("jobs", "discard")):
        document = dead(*command, "--fingerprint", fingerprint, "--dry-run", "--json").document
        assert (document["count"], document["dry_run"]) == (3, True)
        assert document["groups"] == [{"module_type": "refuse", "error_fingerprint": fingerprint, "count": 3}]
        assert "3 jobs would be" in dead(*command, "--error", "NO ROOM", "--dry-run").out
        assert "0 jobs would be" in dead(*command, "--until", "2020-01-01", "--dry-run").out
    assert {job["state"] for job in dead("jobs", "list", "--json").document["jobs"]} == {"discarded"}


def test_retry_at_a_rate(dead: Cli) -> None:
    answer = dead(*RETRY, "--supplier", "s1", "--rate", "1/min", "--json")
    assert answer.document == {
        "schema": "wedsync-ops/jobs-retry@1",
        "count": 2,
        "unique_conflicts": 0,
        "draining": 0,
        "dry_run": False,
    }
    first, second = sorted(
        job["due_at"] for job in dead("jobs", "list", "--state", "scheduled", "--json").document["jobs"]
    )
    assert first[:19] < second[:19]
    assert dead(*RETRY, "--rate", "60").out.strip() == "1 jobs were queued again"


def test_what_is_being_drained_is_left_and_said(dead: Cli) -> None:
    dead("queue", "drain", "--supplier", "s1")
    document = dead(*RETRY, "--dry-run", "--json").document
    assert [document[key] for key in ("count", "unique_conflicts", "draining", "dry_run")] == [1, 0, 2, True]
    assert sum(group["count"] for group in document["groups"]) == 1
    assert "1 jobs would be queued again; 2 not, because they are being drained" in dead(*RETRY, "--dry-run").out
    assert dead(*RETRY).out.strip() == "1 jobs were queued again; 2 not, because they are being drained"
    assert dead(*RETRY, "--json").document["draining"] == 2


def test_discard_asks_first(dead: Cli) -> None:
    refused = dead("jobs", "discard", "--module", "refuse")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    answer = dead("jobs", "discard", "--supplier", "s2", "--yes", "--json").document
    assert answer == {"schema": "wedsync-ops/jobs-discard@1", "count": 1, "untold": 0, "dry_run": False}
    assert dead("jobs", "discard", "1", "--yes", "--json").document["discarded"] == [1]
    partly = dead("jobs", "discard", "1", "2", "--yes")
    assert (partly.code, "1 of 2 jobs discarded" in partly.out) == (6, True)
    assert dead("jobs", "discard", "1", "--yes").code == 5
    assert dead("jobs", "failures", "--json").document["failures"] == []
    assert len(dead("jobs", "list", "--state", "discarded", "--json").document["jobs"]) == 3


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["retry", "1", "--supplier", "s1"], 2),
        (["retry", "--state", "discarded", "--rate", "0/min"], 2),
        (["retry", "--state", "discarded", "--rate", "fast"], 2),
        (["retry", "--state", "discarded", "--error", "x", "--fingerprint", "00000000"], 2),
        (["retry", "--state", "discarded", "--fingerprint", "xyz"], 2),
        (["retry", "--state", "discarded", "--since", "soon"], 2),
        (["discard"], 2),
        (["discard", "1", "--module", "note"], 2),
        (["discard", "1", "--dry-run"], 2),
        (["discard", "--module", "nothing", "--yes"], 4),
        (["discard", "7", "--yes"], 4),
        (["failures", "--module", "nothing"], 4),
    ],
)
def test_what_is_wrong(registered: Cli, arguments: list[str], code: int) -> None:
    answer = registered("jobs", *arguments)
    assert (answer.code, answer.err.count("\n")) == (code, 1)
    assert answer.err.startswith("error: ")


@pytest.mark.slow
def test_two_processes_that_retry_everything_double_nothing(dead: Cli, home: Path) -> None:
    command = [sys.executable, "-m", "wedsync_ops", *RETRY, "--json"]
    both = [
        subprocess.Popen(command, cwd=ROOT, env=environment_for(home), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    counts = [json.loads(one.communicate(timeout=60)[0])["count"] for one in both]
    assert sum(counts) == 3
    assert len(dead("jobs", "list", "--state", "scheduled", "--json").document["jobs"]) == 3
