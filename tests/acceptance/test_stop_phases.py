"""A worker's stop in three phases: jobs may end, are asked to, and are broken off; nothing is lost or left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Home, definition, descendants, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")
HEEDING = definition("heeding", "heeding", "{folder: {type: string}, then: {type: string}}")
STUBBORN = definition("stubborn", "stubborn", "{folder: {type: string}, closes: {type: boolean}}")


def patient(home: Home, grace_s: float, notice_s: float) -> None:
    home.environment |= {"WEDSYNC_OPS_STOP_GRACE_S": str(grace_s), "WEDSYNC_OPS_STOP_NOTICE_S": str(notice_s)}


def only(home: Home) -> dict[str, object]:
    (job,) = home.json("jobs", "list")["jobs"]
    return dict(job)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_handler_that_is_asked_ends_in_good_order(home: Home, isolation: str) -> None:
    patient(home, 0.2, 30)
    home.register(HEEDING + f"    isolation: {isolation}\n")
    home.enqueue("heeding", {"folder": str(home.path), "then": "return"})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running").exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert only(home)["state"] == "completed"
    assert 0 < float((home.path / "time-left").read_text()) <= 30


def test_one_that_puts_its_job_off_costs_no_attempt(home: Home) -> None:
    patient(home, 0.2, 30)
    home.register(HEEDING)
    home.enqueue("heeding", {"folder": str(home.path), "then": "put off"})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running").exists)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert (only(home)["state"], only(home)["attempt"]) == ("scheduled", 0)


@pytest.mark.parametrize("closes", [False, True])
def test_one_that_clings_to_life_is_killed_with_all_it_started(home: Home, closes: bool) -> None:
    patient(home, 0.2, 0.2)
    home.register(STUBBORN)
    home.enqueue("stubborn", {"folder": str(home.path), "closes": closes})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running").exists)
    eventually(lambda: len(list(home.path.glob("pid-*"))) == 3)
    children = descendants(worker.pid)
    worker.send_signal(signal.SIGTERM)
    code = worker.wait(30)
    pids = [int(path.name.removeprefix("pid-")) for path in home.path.glob("pid-*")]
    assert [pid for pid in pids if not gone(pid)] == []
    assert not any(child.is_running() for child in children)
    job = only(home)
    if not closes:  # a slot whose pipe is closed is killed before, for that
        assert code == 1
        assert (job["state"], job["attempt"]) == ("available", 0)
        (execution,) = home.json("jobs", "show", str(job["job_id"]))["job"]["executions"]
        assert (execution["outcome"], execution["error"]) == ("lost", "interrupted: its worker was stopped")
    assert job["state"] != "running"


TOLD_EARLY = """
import os, signal, sys

class Early:
    def find_spec(name, path=None, target=None):
        if name == "typer":  # what takes longest to import
            os.kill(os.getpid(), signal.SIGUSR1)

sys.meta_path.insert(0, Early)
sys.argv = ["wedsync-ops", "run-worker", "--concurrency", "1"]
from wedsync_ops.cli.main import run
sys.exit(run())
"""


def test_a_signal_to_the_whole_group_leaves_running_jobs_their_grace(home: Home) -> None:
    home.register(UNTIL_TOLD)
    home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    for child in descendants(worker.pid):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(child.pid, number)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.3)  # what the signals could do wrong they do at once
    (home.path / "go-a").touch()
    assert worker.wait(30) == 0
    assert (only(home)["state"], only(home)["attempt"]) == ("completed", 1)


@pytest.mark.parametrize("options", [(), ("--drain",)])
def test_a_quiet_worker_starts_nothing_and_stays_until_it_is_stopped(home: Home, options: tuple[str, ...]) -> None:
    home.register(UNTIL_TOLD)
    for name in "ab":
        home.enqueue("until-told", {"folder": str(home.path), "name": name})
    worker = home.start("--concurrency", "1", *options)
    eventually((home.path / "running-a").exists)
    worker.send_signal(signal.SIGUSR1)
    eventually(lambda: len(home.json("jobs", "list", "--state", "available")["jobs"]) == 1)
    (home.path / "go-a").touch()
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed")["jobs"]) == 1)
    home.enqueue("until-told", {"folder": str(home.path), "name": "c"}, "--priority", "critical")
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(1)
    assert not Path(home.path / "running-b").exists()
    assert not Path(home.path / "running-c").exists()
    (row,) = home.json("workers", "list")["workers"]
    assert (row["state"], row["phase"]) == ("alive", "quiet")
    why = home.json("jobs", "explain", "3")["job"]
    assert [reason["code"] for reason in why["reasons"]] == ["no_worker"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_worker_is_quiet_that_was_told_so_while_it_started(home: Home) -> None:
    home.register(UNTIL_TOLD)
    home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = subprocess.Popen([sys.executable, "-c", TOLD_EARLY], env=home.environment, text=True, cwd=home.path)
    home.workers.append(worker)
    eventually(lambda: worker.poll() is not None or home.json("workers", "list")["workers"] != [])
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(1)
    assert only(home)["state"] == "available"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_thread_that_never_ends_does_not_keep_its_worker(home: Home) -> None:
    patient(home, 0.1, 0.1)
    home.register(definition("stuck", "stuck", isolation="thread"))
    home.enqueue("stuck", {})
    worker = home.start("--concurrency", "1")
    eventually(lambda: only(home)["state"] == "running")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 1
    assert (only(home)["state"], only(home)["attempt"]) == ("available", 0)
