"""Limits, violent ends and what they must not leave behind, with real slots."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.pool_helpers import LONG_S, dies, gone, order, outcomes, pool, result, run, site, watch
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("pool")) as shared:
        yield shared


def test_an_endless_loop_ends_at_its_limit(slots: Pool) -> None:
    outcome = run(slots, order("loops", timeout_s=0.2))
    assert outcome.result is Result.TIMEOUT
    assert outcome.error == "the attempt ran into its limit of 0.2 s"
    assert outcome.traceback is not None
    assert "in loops" in outcome.traceback
    assert outcome.log == "looping\n"
    assert 200_000 <= outcome.duration_us < 600_000


def test_a_slot_is_replaced_after_a_timeout(slots: Pool) -> None:
    before = result(run(slots, order("echo")))["pid"]
    pidfd = watch(before)
    assert run(slots, order("sleeps", timeout_s=0.1)).result is Result.TIMEOUT
    assert dies(pidfd)
    os.close(pidfd)
    assert result(run(slots, order("echo")))["pid"] != before
    assert gone(before)


def test_a_limit_cannot_be_swallowed(slots: Pool) -> None:
    outcome = run(slots, order("swallows", timeout_s=0.1))
    assert (outcome.result, outcome.data) == (Result.TIMEOUT, None)


def test_whoever_blocks_all_signals_is_killed(slots: Pool) -> None:
    outcome = run(slots, order("deaf", timeout_s=0.2))
    assert outcome.result is Result.TIMEOUT
    assert outcome.error == "the attempt did not stop at its limit of 0.2 s, and was killed"
    assert outcome.duration_us >= 280_000


def test_cpu_seconds_are_limited(slots: Pool) -> None:
    outcome = run(slots, order("loops", cpu_s=0.5))
    assert outcome.result is Result.TIMEOUT
    assert outcome.error == "the attempt used more than its limit of 0.5 CPU seconds"


def test_memory_is_limited_for_each_job(slots: Pool) -> None:
    outcome = run(slots, order("allocates", {"mb": 300}, memory_mb=200))
    assert outcome.result is Result.OOM
    assert outcome.error is not None
    assert "200 MB" in outcome.error
    assert result(run(slots, order("allocates", {"mb": 300}, memory_mb=400))) == {"size": 300 * 1024 * 1024}
    assert run(slots, order("allocates", {"mb": 300}, memory_mb=100)).result is Result.OOM


@pytest.mark.parametrize(
    ("handler", "config", "error"),
    [
        ("exits", {}, "the slot exited with code 7 in the middle of the job"),
        ("kills_itself", {"signal": "SIGKILL"}, "the slot was killed by SIGKILL"),
        ("segfaults", {}, "the slot was killed by SIGSEGV"),
        ("closes_pipe", {"seconds": 60}, "the slot closed its pipe in the middle of the job, and was killed"),
        ("closes_pipe", {"seconds": 0}, "the slot exited with code 2 in the middle of the job"),
        ("talks_rubbish", {"hex": "ffffffffff"}, "the slot announced a frame of 4,294,967,295 bytes, and was killed"),
        ("talks_rubbish", {"hex": "0000000000"}, "the slot announced a frame of 0 bytes, and was killed"),
        ("talks_rubbish", {"hex": "0600000004ff"}, "the slot sent a broken report"),
        ("talks_rubbish", {"hex": "0500000009"}, "the slot sent a frame of kind 9 that was not expected"),
        ("talks_rubbish", {"hex": "090000000101000000"}, "the slot sent a frame of kind 1 that was not expected"),
    ],
)
def test_a_slot_that_breaks_is_killed_and_replaced(
    slots: Pool, handler: str, config: dict[str, Any], error: str
) -> None:
    outcome = run(slots, order(handler, config))
    assert outcome.result is Result.KILLED
    assert outcome.error is not None
    assert error in outcome.error
    assert run(slots, order("nothing")).result is Result.OK


def test_the_log_of_a_killed_job_is_kept(slots: Pool) -> None:
    assert run(slots, order("kills_itself", {"signal": "SIGKILL"})).log == "last words\n"


def test_a_forked_child_cannot_speak_for_its_slot(slots: Pool) -> None:
    assert result(run(slots, order("forks_and_returns_twice"))) == {"child": False}


@pytest.mark.parametrize("own_session", [True, False])
@pytest.mark.parametrize(("then", "ends"), [("return", Result.OK), ("hang", Result.TIMEOUT), ("die", Result.KILLED)])
def test_nothing_that_a_handler_started_outlives_its_job(
    slots: Pool, tmp_path: Path, then: str, ends: Result, *, own_session: bool
) -> None:
    pid_file = tmp_path / "pid"
    config = {"pid_file": str(pid_file), "then": then, "own_session": own_session}
    assert run(slots, order("daemon", config, timeout_s=1.0)).result is ends
    stray = int(pid_file.read_text())
    until = time.monotonic() + LONG_S
    while not gone(stray) and time.monotonic() < until:
        slots.wait(0.01)
    assert gone(stray)


def test_a_stray_that_cannot_be_told_at_first_is_looked_at_again(slots: Pool, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert run(slots, order("daemon_in_disguise", {"pid_file": str(pid_file)})).result is Result.KILLED
    stray = int(pid_file.read_text())
    until = time.monotonic() + LONG_S
    while not gone(stray) and time.monotonic() < until:
        slots.wait(0.01)
    assert gone(stray)


def test_children_that_are_none_of_the_pool_are_left_alone(slots: Pool) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert run(slots, order("exits")).result is Result.KILLED
        assert run(slots, order("nothing")).result is Result.OK
        assert other.poll() is None
        other.communicate(b"\n")
    assert other.returncode == 0


def test_a_slot_that_dies_idle_costs_no_job(slots: Pool) -> None:
    pid = result(run(slots, order("echo")))["pid"]
    pidfd = watch(pid)
    os.kill(pid, signal.SIGKILL)
    assert dies(pidfd)
    os.close(pidfd)
    assert run(slots, order("nothing")).result is Result.OK
    assert gone(pid)


def test_slots_are_replaced_after_so_many_jobs(tmp_path: Path) -> None:
    with pool(tmp_path, recycle_jobs=3) as few:
        pids = [result(run(few, order("echo", job_id=job)))["pid"] for job in range(7)]
    assert len(set(pids)) == 3
    assert all(gone(pid) for pid in pids)


def test_slots_that_keep_much_memory_are_replaced(tmp_path: Path) -> None:
    with pool(tmp_path, recycle_mb=100) as few:
        peak = [result(run(few, order("keeps", {"mb": 60}, job_id=job)))["pid"] for job in range(4)]
    assert peak[0] == peak[1] != peak[2] == peak[3]


def test_cancelling_kills_the_job(slots: Pool) -> None:
    slots.start(order("sleeps", job_id=3))
    slots.wait(0.05)
    assert slots.cancel(3, "the couple said no")
    assert not slots.cancel(4, "never heard of")
    (outcome,) = outcomes(slots)
    assert (outcome.job_id, outcome.result, outcome.error) == (3, Result.CANCELLED, "the couple said no")
    assert not slots.cancel(3, "again")
    assert slots.free == 1


def test_a_job_can_be_cancelled_before_its_slot_lives(tmp_path: Path) -> None:
    with pool(tmp_path) as cold:
        cold.start(order("nothing"))
        assert cold.cancel(1, "at once")
        assert outcomes(cold)[0].result in (Result.CANCELLED, Result.OK)


def test_aborting_kills_everything_now(tmp_path: Path) -> None:
    with pool(tmp_path, 3) as several:
        several.warm()
        while len(several.pids()) < 3:
            several.wait(0.01)
        pids = several.pids()
        several.start(order("sleeps", job_id=1))
        several.start(order("deaf", job_id=2))
        assert sorted(several.abort()) == [1, 2]
        assert all(gone(pid) for pid in pids)
        assert several.free == 3
        assert several.wait(0.05) == ([], set())
        assert run(several, order("nothing")).result is Result.OK


def test_a_smaller_pool_lets_jobs_finish(tmp_path: Path) -> None:
    with pool(tmp_path, 3) as several:
        for job in (1, 2, 3):
            several.start(order("sleeps", {"seconds": 0.2}, job_id=job))
        several.resize(1)
        assert several.free == 0
        assert {outcome.result for outcome in outcomes(several, 3)} == {Result.OK}
        assert several.free == several.size == 1
        several.resize(2)
        assert several.free == 2


def test_closing_ends_even_the_deaf(tmp_path: Path) -> None:
    several = pool(tmp_path, 2)
    several.start(order("deaf", job_id=1))
    assert run(several, order("nothing", job_id=2)).result is Result.OK
    pids = several.pids()
    several.close()
    several.close()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_a_pool_can_be_closed_while_it_starts(tmp_path: Path) -> None:
    several = pool(tmp_path, 2)
    several.warm()
    several.close()
    assert not several.pids()


def _server(slots: Pool) -> int:
    pid = slots._processes._server.pid
    assert pid is not None
    return pid


def test_a_dead_fork_server_is_replaced(tmp_path: Path) -> None:
    with pool(tmp_path, 2, recycle_jobs=1) as several:
        assert run(several, order("nothing")).result is Result.OK
        first = _server(several)
        for job in range(3):
            os.kill(_server(several), signal.SIGKILL)
            several.start(order("nothing", job_id=job))
            several.start(order("nothing", job_id=10 + job))
            assert {outcome.result for outcome in outcomes(several, 2)} == {Result.OK}
        assert _server(several) != first
    assert gone(first)


def test_handlers_that_kill_the_fork_server_are_not_preloaded_again(tmp_path: Path) -> None:
    (tmp_path / "fatal_to_import.py").write_text("import os\nos._exit(1)\n")
    (tmp_path / "starts_threads.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        for name in ("fatal_to_import", "starts_threads"):
            with pool(tmp_path, preload=[f"{name}:handle"]) as one:
                assert run(one, order("nothing")).result is Result.OK
    finally:
        sys.path.remove(str(tmp_path))


_WORKER = """
import sys, time
from pathlib import Path
from tests.jobs.pool_helpers import order, pool
slots = pool(Path(sys.argv[1]), 3)
slots.start(order("sleeps", job_id=1))
slots.start(order("deaf", job_id=2))
slots.warm()
while len(slots.pids()) < 3:
    slots.wait(0.01)
print(slots._processes._server.pid, *slots.pids(), flush=True)
slots.wait(600)
"""


def test_slots_die_with_their_worker(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    with worker:
        assert worker.stdout is not None
        pids = [int(pid) for pid in worker.stdout.readline().split()]
        assert len(pids) == 4
        pidfds = [watch(pid) for pid in pids]
        worker.kill()
        assert all(dies(pidfd) for pidfd in pidfds)
        for pidfd in pidfds:
            os.close(pidfd)


def test_waiting_costs_nothing(slots: Pool) -> None:
    slots.start(order("sleeps", {"seconds": 0.5}))
    slots.wait(0.05)
    before = time.process_time()
    outcomes(slots)
    assert time.process_time() - before < 0.05


def test_site_reaches_the_slot(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        assert result(run(one, order("echo")))["outbox"] == str(site(tmp_path).outbox)


def test_modules_in_the_current_folder_are_not_taken_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit('code of the current folder ran')\n")
    monkeypatch.chdir(tmp_path)
    with pool(tmp_path) as one:
        assert run(one, order("nothing")).result is Result.OK
