"""Standard streams that are closed, full, or whose reader has gone: nothing is done by halves, and nothing is lost."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, CONTEXT, ROOT, Answer, Cli, environment_for

ENQUEUE = f"enqueue note --config '{CONFIG}' --context '{CONTEXT}'"


def shell(home: Path, line: str, **environment: str) -> Answer:
    """Run a line of bash in which ``OPS`` is the command line."""
    line = line.replace("OPS", f"{sys.executable} -m wedsync_ops")
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        cwd=ROOT,
        env=environment_for(home, environment),
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def jobs(cli: Cli) -> list[int]:
    return [job["job_id"] for job in cli("jobs", "list", "--json").document["jobs"]]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "season", "season --json", "metrics --watch"])
def test_a_reader_that_goes_away_ends_it_quietly(home: Path, command: str, unbuffered: str) -> None:
    gone = shell(home, f"OPS {command} | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered)
    assert (gone.code, gone.err) == (0, "")
    early = shell(home, f"OPS {command} | head -1; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=unbuffered)
    assert (early.code, early.err) == (0, "")


def test_a_reader_that_goes_away_stops_no_work_and_hides_no_failure(registered: Cli, home: Path) -> None:
    line = json.dumps({"module_type": "note", "config": json.loads(CONFIG), "context": json.loads(CONTEXT)})
    (home / "jobs.ndjson").write_text("{\n" * 1500 + f"{line}\n")
    gone = shell(home, f"OPS enqueue --file {home}/jobs.ndjson | true; exit ${{PIPESTATUS[0]}}")
    assert gone.code == 6
    assert "1500 of 1501 lines were refused" in gone.err
    assert jobs(registered) == [1]
    assert shell(home, "OPS modules validate note --config {} --json | true; exit ${PIPESTATUS[0]}").code == 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["--help", "season", "season --json"])
def test_a_full_standard_output_is_said_in_a_line(home: Path, command: str, unbuffered: str) -> None:
    answer = shell(home, f"OPS {command} >/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert answer.code == 1
    assert "standard output cannot be written" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (ENQUEUE, "job 2 was queued, but "),
        (f"{ENQUEUE} --key k --json", "job 1 had been queued before, but "),
        (f"{ENQUEUE} --wait --timeout 0", "job 2 was queued, but "),
        (f"{ENQUEUE} --dry-run", "standard output cannot"),
        ("queue pause note --json", "module note was paused, but "),
        ("queue resume --all", "everything was not paused or drained, but "),
        ("jobs cancel 1 9", "1 of 2 jobs were cancelled, but "),
        ("jobs retry --state discarded", "0 jobs were queued again, but "),
        ("modules rollback note 1 --json", "version 1 of note was put in force, but "),
        ("modules retire note --yes", "note is retired, but "),
        ("maintenance run rescue", "maintenance was done (rescue), but "),
        ("modules validate note --config {} --json", "the config does not fit note: config.text: is required, but "),
    ],
)
def test_what_was_done_is_said_when_the_answer_cannot_be_written(
    registered: Cli, home: Path, command: str, done: str
) -> None:
    registered("enqueue", "note", "--config", CONFIG, "--context", CONTEXT, "--key", "k")
    answer = shell(home, f"OPS {command} >/dev/full")
    assert answer.code == 1
    assert done in answer.err
    assert answer.err.count("\n") == 1
    if command.endswith("--json"):
        assert answer.error["code"] == "output"


def test_closed_streams_are_the_empty_device(registered: Cli, home: Path) -> None:
    assert shell(home, "OPS season >&-").code == 0
    assert shell(home, f"OPS {ENQUEUE} <&- >&- 2>&-").code == 0
    assert jobs(registered) == [1]
    assert shell(home, f"OPS enqueue note --config - --context '{CONTEXT}' --json <&-").error["code"] == "invalid_json"
    assert shell(home, "OPS enqueue --file - <&-").code == 3
    assert shell(home, "OPS modules retire note <&-").code == 2
    assert shell(home, "OPS run-worker --drain <&- >&- 2>&-").code == 0
    assert registered("jobs", "show", "1", "--json").document["job"]["state"] == "completed"


@pytest.mark.parametrize("way", [">&-", ">/dev/full"])
def test_a_standard_error_that_takes_nothing_leaves_the_exit_code(home: Path, way: str) -> None:
    assert shell(home, f"OPS nothing 2{way}") == Answer(2, "", "")


@pytest.mark.parametrize("form", ["", "--json"])
def test_ctrl_c_while_waiting_tells_the_job(registered: Cli, home: Path, form: str) -> None:
    command = [sys.executable, "-m", "wedsync_ops", "enqueue", "note", "--config", CONFIG, "--context", CONTEXT]
    waiting = subprocess.Popen(
        [*command, "--wait", *([form] if form else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment_for(home),
        text=True,
    )
    while not jobs(registered):
        assert waiting.poll() is None
    waiting.send_signal(signal.SIGINT)
    answer = Answer(130, *waiting.communicate(timeout=30))
    assert waiting.returncode == 130
    if form:
        assert (answer.document["job_id"], answer.document["state"]) == (1, "available")
        assert answer.error["code"] == "interrupted"
    else:
        assert "job id" in answer.out
        assert answer.err.startswith("error: interrupted; job 1 was queued")
