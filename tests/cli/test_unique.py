"""``enqueue --replace`` and unique jobs on the command line."""

import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen

from tests.cli.conftest import CONFIG, CONTEXT, ROOT, Cli, definitions, enqueue, environment_for

OTHER = '{"text": "other"}'


def unique(cli: Cli, tmp_path: Path, **values: str) -> None:
    """Register ``note`` as unique by client."""
    said = ", ".join(f"{name}: {value}" for name, value in {"key": "[client_id]", **values}.items())
    file = tmp_path / "unique.yaml"
    file.write_text(definitions(note=f"    unique: {{{said}}}\n"))
    assert cli("register", str(file)).code == 0


def test_replace_makes_a_waiting_job_another(registered: Cli) -> None:
    first = enqueue(registered, "--key", "k", "--at", "2090-01-02T03:04:05Z").document
    again = enqueue(registered, "--key", "k", "--replace", "--at", "2091-01-02T03:04:05Z", config=OTHER)
    assert again.code == 0
    assert (again.document["job_id"], again.document["duplicate"]) == (first["job_id"], False)
    assert (first["queued_as"], again.document["queued_as"]) == ("new", "replaced")
    job = registered("jobs", "show", "1", "--json").document["job"]
    assert (job["config"], job["due_at"]) == ({"text": "other"}, "2091-01-02T03:04:05.000000Z")


def test_replace_refuses_what_no_longer_waits(registered: Cli) -> None:
    enqueue(registered, "--key", "k")
    assert registered("jobs", "cancel", "1").code == 0
    answer = enqueue(registered, "--key", "k", "--replace", config=OTHER)
    assert (answer.code, answer.error["code"]) == (5, "wrong_state")
    assert "job 1 is cancelled, and so cannot be replaced" in answer.error["message"]


def test_replace_needs_a_key_and_one_job(registered: Cli, tmp_path: Path) -> None:
    answer = enqueue(registered, "--replace")
    assert (answer.code, answer.error["code"]) == (3, "invalid")
    assert "replace needs a key" in answer.error["message"]
    file = tmp_path / "jobs"
    file.write_text("")
    assert registered("enqueue", "--file", str(file), "--replace").code == 2


def test_a_file_says_how_each_line_was_queued(registered: Cli, tmp_path: Path) -> None:
    unique(registered, tmp_path)
    line = {"module_type": "note", "config": json.loads(CONFIG), "context": json.loads(CONTEXT)}
    lines = [
        line,
        line,
        {**line, "replace": True, "config": {"text": "new"}},
        {**line, "module_type": "refuse", "replace": 5, "key": "x"},
    ]
    file = tmp_path / "jobs.ndjson"
    file.write_text("\n".join(map(json.dumps, lines)))
    answer = registered("enqueue", "--file", str(file), "--json")
    assert answer.code == 6
    assert answer.document["jobs"] == [
        {"line": 1, "job_id": 1, "duplicate": False, "queued_as": "new"},
        {"line": 2, "job_id": 1, "duplicate": True, "queued_as": "kept"},
        {"line": 3, "job_id": 1, "duplicate": False, "queued_as": "replaced"},
    ]
    assert answer.document["errors"][0]["message"] == "replace must be true or false, not a number"


def test_a_conflict_is_refused_with_the_other_job(registered: Cli, tmp_path: Path) -> None:
    unique(registered, tmp_path, on_conflict="refuse")
    enqueue(registered)
    answer = enqueue(registered, config=OTHER)
    assert (answer.code, answer.error["code"], answer.error["details"]) == (5, "unique_conflict", [{"job_id": 1}])
    assert registered("jobs", "cancel", "1").code == 0
    enqueue(registered)
    retried = registered("jobs", "retry", "1", "--json")
    assert retried.code == 5
    assert retried.error["code"] == "unique_conflict"


def test_of_many_processes_at_once_one_wins(registered: Cli, home: Path, tmp_path: Path) -> None:
    unique(registered, tmp_path, on_conflict="refuse")
    command = [sys.executable, "-m", "wedsync_ops", "enqueue", "note", "--context", CONTEXT, "--json", "--config"]
    children = [
        Popen([*command, json.dumps({"text": f"{n}"})], stdout=PIPE, stderr=PIPE, env=environment_for(home), cwd=ROOT)
        for n in range(4)
    ]
    codes = []
    for each in children:
        each.communicate(timeout=60)
        codes.append(each.returncode)
    assert sorted(codes) == [0, 5, 5, 5]
