"""``queue drain``: its answers, its exit codes, and what other commands say of it."""

import json

import pytest

from tests.cli.conftest import Cli, enqueue


def progress(err: str) -> list[dict[str, int]]:
    return [json.loads(line)["progress"] for line in err.splitlines() if line.startswith('{"progress"')]


def test_new_jobs_are_refused_until_it_is_resumed(registered: Cli) -> None:
    answer = registered("queue", "drain", "note", "--reason", "moving", "--until", "2099-01-01T00:00:00Z", "--json")
    assert answer.code == 0, answer.err
    drain = answer.document["drain"]
    assert (drain["scope"], drain["name"], drain["state"], drain["reason"]) == ("module", "note", "draining", "moving")
    assert drain["until"] == "2099-01-01T00:00:00.000000Z"
    refused = enqueue(registered)
    assert (refused.code, refused.error["code"]) == (5, "draining")
    assert refused.error["details"][0]["retry_after_s"] > 0
    assert enqueue(registered, module="refuse").code == 0
    assert registered("queue", "resume", "note", "--json").document["changed"] is True
    assert enqueue(registered).code == 0


def test_an_urgent_job_is_told_that_a_wedding_cannot_wait(registered: Cli) -> None:
    registered("queue", "drain", "--all")
    refused = enqueue(registered, "--priority", "critical")
    assert refused.code == 5
    assert "a wedding date cannot be moved" in refused.error["message"]
    assert "wedsync-ops queue resume --all" in refused.error["message"]


def test_queue_status_shows_it(registered: Cli) -> None:
    registered("queue", "drain", "--supplier", "s1", "--reason", "asked for it")
    (drain,) = registered("queue", "status", "--json").document["drains"]
    assert (drain["scope"], drain["name"], drain["drained_at"]) == ("supplier", "s1", None)
    assert "draining: supplier s1, by " in registered("queue", "status").out
    registered("maintenance", "run", "drains")
    assert registered("queue", "status", "--json").document["drains"][0]["state"] == "drained"
    assert "drained since " in registered("queue", "status").out


def test_waiting_ends_when_nothing_is_left(registered: Cli) -> None:
    answer = registered("queue", "drain", "note", "--wait", "--json")
    assert (answer.code, answer.document["drain"]["state"]) == (0, "drained")
    assert progress(answer.err) == [{"waiting": 0, "running": 0}]


def test_waiting_for_longer_than_asked_answers_and_exits_1(registered: Cli) -> None:
    enqueue(registered)
    enqueue(registered, "--delay", "60")
    answer = registered("queue", "drain", "note", "--wait", "--timeout", "0", "--json")
    assert (answer.code, answer.error["code"]) == (1, "wait_timeout")
    assert (answer.document["waiting"], answer.document["scheduled"]) == (1, 1)
    assert progress(answer.err) == [{"waiting": 1, "running": 0}]
    assert enqueue(registered).error["code"] == "draining"
    shown = registered("queue", "drain", "note", "--wait", "--timeout", "0")
    assert "module note: 1 wait, 0 run" in shown.err
    assert "1 are scheduled for later, the first at " in shown.out


def test_what_is_left_is_cancelled_only_with_a_yes(registered: Cli) -> None:
    job_id = enqueue(registered).document["job_id"]
    asked = registered("queue", "drain", "note", "--wait", "--cancel-after", "0")
    assert asked.code == 2
    assert registered("queue", "status", "--json").document["drains"] == []
    answer = registered("queue", "drain", "note", "--wait", "--cancel-after", "0", "--yes", "--json")
    assert (answer.code, answer.document["cancelled"]) == (0, 1)
    assert registered("jobs", "show", str(job_id), "--json").document["job"]["state"] == "cancelled"


def test_a_dry_run_counts_and_changes_nothing(registered: Cli) -> None:
    enqueue(registered)
    answer = registered("queue", "drain", "note", "--dry-run", "--json")
    assert (answer.code, answer.document["waiting"], answer.document["dry_run"]) == (0, 1, True)
    assert enqueue(registered).code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("note", "--all"), 2),
        (("note", "--timeout", "5"), 2),
        (("note", "--cancel-after", "5"), 2),
        (("note", "--wait", "--dry-run"), 2),
        (("note", "--wait", "--timeout", "nan"), 2),
        (("note", "--until", "soon"), 2),
        (("note", "--until", "2001-01-01T00:00:00Z"), 3),
        (("nothing",), 4),
    ],
)
def test_bad_input_is_one_line(registered: Cli, arguments: tuple[str, ...], code: int) -> None:
    answer = registered("queue", "drain", *arguments)
    assert answer.code == code
    assert len(answer.err.strip().splitlines()) == 1
    assert registered("queue", "status", "--json").document["drains"] == []
