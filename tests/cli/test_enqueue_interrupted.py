"""Ctrl-C during ``enqueue --file``: what is begun is ended, and the answer says how far it came."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ROOT, Answer, Cli, definitions, environment_for

CHUNK = 1000


@pytest.fixture
def interrupting(cli: Cli, tmp_path: Path) -> Cli:
    """A command line whose module type ``note`` interrupts this process while a line of a certain text is checked."""
    file = tmp_path / "definitions.yaml"
    file.write_text(definitions().replace("tests.cli.handlers:note", "tests.cli.handlers:interrupting", 1))
    assert cli("register", str(file)).code == 0
    return cli


def line(text: str = "x", **more: Any) -> bytes:
    context = {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}
    return json.dumps({"module_type": "note", "config": {"text": text}, "context": context, **more}).encode() + b"\n"


def queued(cli: Cli) -> int:
    return len(cli("jobs", "list", "--limit", "0", "--json").document["jobs"])


@pytest.mark.parametrize("form", ["", "--json"])
def test_it_says_how_many_were_queued_and_how_to_go_on(registered: Cli, home: Path, form: str) -> None:
    reading = subprocess.Popen(
        [sys.executable, "-m", "wedsync_ops", "enqueue", "--file", "-", *([form] if form else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment_for(home),
    )
    assert reading.stdin is not None
    reading.stdin.write(b"".join(line(key=f"k{number}") for number in range(CHUNK + CHUNK // 2)))
    reading.stdin.flush()  # and not closed: it waits for the rest of the second thousand
    while not queued(registered):
        assert reading.poll() is None
    reading.send_signal(signal.SIGINT)
    out, err = reading.communicate(timeout=30)
    answer = Answer(reading.returncode, out.decode(), err.decode())
    assert answer.code == 130
    assert answer.err.count("\n") == 1
    message = answer.error["message"] if form else answer.err
    assert "interrupted after line 1000; 1000 jobs were queued (send the lines after that one, or " in message
    if form:
        assert answer.error["code"] == "interrupted"
        assert (answer.document["queued"], len(answer.document["jobs"])) == (CHUNK, CHUNK)
    again = registered("enqueue", "--file", "-", stdin=b"".join(line(key=f"k{number}") for number in range(CHUNK + 5)))
    assert (again.code, queued(registered)) == (0, CHUNK + 5)


@pytest.mark.parametrize("options", [(), ("--atomic",)])
def test_a_transaction_that_is_under_way_is_ended_and_counted(interrupting: Cli, options: tuple[str, ...]) -> None:
    answer = interrupting(
        "enqueue", "--file", "-", "--json", *options, stdin=line() * 2 + line("interrupt") + line() * 4
    )
    assert (answer.code, answer.document["queued"], queued(interrupting)) == (130, 7, 7)
    assert answer.error["message"].startswith("interrupted after line 7; 7 jobs were queued")


def test_a_second_one_is_heard_at_once_and_leaves_nothing_half_written(interrupting: Cli) -> None:
    answer = interrupting("enqueue", "--file", "-", "--json", stdin=line("interrupt") + line("interrupt") + line())
    assert (answer.code, answer.document["queued"], queued(interrupting)) == (130, 0, 0)
    assert answer.error["message"] == "interrupted; nothing was queued (send the file again)"


def test_a_dry_run_queues_nothing_all_the_same(interrupting: Cli) -> None:
    answer = interrupting("enqueue", "--file", "-", "--json", "--dry-run", stdin=line("interrupt"))
    assert (answer.code, queued(interrupting)) == (130, 0)
    assert answer.error["message"].startswith("interrupted; nothing was queued")


def test_ctrl_c_is_left_as_it_was(interrupting: Cli) -> None:
    before = signal.getsignal(signal.SIGINT)
    interrupting("enqueue", "--file", "-", stdin=line("interrupt"))
    assert signal.getsignal(signal.SIGINT) is before
