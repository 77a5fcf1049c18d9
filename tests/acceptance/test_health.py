"""Health of a platform with real workers: one whose loop hangs while its heart beats is found, a busy one is not."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually

NOTE = definition("note", "version_one")
FOREIGN = (
    "  - id: foreign\n    display_name: foreign\n    category: test\n    handler: elsewhere:handle\n"
    "    config_schema: {type: object}\n"
)
WAITER = definition("waiter", "until_told", "{folder: {type: string}, name: {type: string}}")
pytestmark = pytest.mark.slow


def start_with_full_stderr(home: Home) -> tuple[subprocess.Popen[str], int]:
    """A worker whose standard error nobody reads and that holds no more: its first line of log never ends."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write, b"x" * 4095)
    quiet = ("--log-level", "warning")  # its start would be a line, too
    command = [sys.executable, "-m", "wedsync_ops", *quiet, "run-worker", "--concurrency", "2", "--name", "hung"]
    worker = subprocess.Popen(
        command, env=home.environment, stdout=subprocess.PIPE, stderr=write, text=True, cwd=home.path
    )
    os.close(write)
    home.workers.append(worker)
    return worker, read


def checked(home: Home) -> tuple[int, Any]:
    answer = home.run("check", "workers", "--stuck-after", "0.5", "--json", code=None)
    return answer.returncode, json.loads(answer.stdout)


def test_a_worker_whose_loop_hangs_is_critical_and_well_again_when_it_goes_on(home: Home, tmp_path: Path) -> None:
    """It hangs at a real line of log: that it has not got a handler, which was there where the job was queued."""
    (tmp_path / "elsewhere.py").write_text("def handle(config, context, run):\n    return {}\n")
    home.environment |= {"WEDSYNC_OPS_HEARTBEAT_S": "0.1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        home.register(NOTE, FOREIGN)
        home.enqueue("foreign", {})
    worker, unread = start_with_full_stderr(home)
    eventually(lambda: home.json("jobs", "list")["jobs"][0]["state"] == "running")
    queued: list[int] = []

    def is_found() -> bool:
        queued.append(home.enqueue("note", {})["job_id"])  # one of them comes when it hangs
        return checked(home)[0] == 2

    eventually(is_found)
    code, found = checked(home)
    (reason,) = found["reasons"]
    assert (code, reason["code"], reason["status"]) == (2, "stuck", "critical")
    assert "of its 2 slots are free, and it does not take job" in reason["message"]
    assert home.json("workers", "list")["workers"][0]["state"] == "alive"
    os.read(unread, 4096)
    eventually(lambda: home.json("jobs", "show", str(queued[-1]))["job"]["state"] == "completed")
    assert checked(home)[0] == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    os.close(unread)


def test_a_worker_whose_slots_are_all_busy_is_not_stuck_nor_is_a_quiet_one(home: Home) -> None:
    home.environment |= {"WEDSYNC_OPS_HEARTBEAT_S": "0.1"}
    home.register(WAITER)
    for name in ("a", "b"):
        home.enqueue("waiter", {"folder": str(home.path), "name": name})
    worker = home.start("--concurrency", "1", "--name", "busy")
    eventually((home.path / "running-a").exists)
    eventually(lambda: home.json("workers", "list")["workers"][0]["busy"] == 1)
    late = home.run("check", "queue", "--warning", "0.01", "--json", code=None)
    assert (late.returncode, json.loads(late.stdout)["reasons"][0]["code"]) == (1, "late")
    assert checked(home)[0] == 0
    worker.send_signal(signal.SIGUSR1)
    (home.path / "go-a").touch()
    eventually(lambda: home.json("workers", "list")["workers"][0]["phase"] == "quiet")
    eventually(lambda: home.json("check", "queue", "--warning", "0.6", code=None)["status"] == "warning")
    assert checked(home)[0] == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_suspended_worker_is_first_silent_then_dead(home: Home) -> None:
    home.environment |= {"WEDSYNC_OPS_HEARTBEAT_S": "0.1", "WEDSYNC_OPS_LEASE_S": "2"}
    home.register(NOTE)
    worker = home.start("--name", "suspended")
    eventually(lambda: checked(home)[0] == 0)
    home.suspend(worker)
    eventually(lambda: [each["code"] for each in checked(home)[1]["reasons"]] == ["silent"])
    eventually(lambda: [each["code"] for each in checked(home)[1]["reasons"]] == ["dead", "too_few"])
    assert home.run("health", code=2).stdout.startswith("critical: workers: 0 workers live, 1 are wanted; ")
    worker.send_signal(signal.SIGCONT)
