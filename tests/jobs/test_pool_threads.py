"""Jobs in threads of the worker, with real threads."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.pool_helpers import order, outcomes, pool, result, run
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Pool]:
    with pool(tmp_path, 2) as opened:
        yield opened


def test_a_job_runs_in_this_process(slots: Pool) -> None:
    import os

    outcome = run(slots, order("echo", {"a": 1}, in_thread=True))
    said = result(outcome)
    assert (said["pid"], said["config"], said["key"]) == (os.getpid(), {"a": 1}, "key-1")
    assert said["now"] == outcome.started_at
    assert (outcome.token, outcome.attempt, outcome.memory_kb) == (11, 2, None)
    assert not slots.pids()


def test_cpu_time_is_that_of_the_thread(slots: Pool) -> None:
    outcome = run(slots, order("burns", {"cpu_s": 0.05}, in_thread=True))
    assert outcome.cpu_us is not None
    assert 20_000 <= outcome.cpu_us <= outcome.duration_us + 1000


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("raises", "ValueError: the cake is late and so are the flowers\\0"),
        ("leaves", "SystemExit: 3"),
        ("permanent", "PermanentError: no such couple"),
        ("returns_nan", "InvalidJson: the handler's result holds nan, which JSON has no word for"),
    ],
)
def test_errors_are_told_as_in_a_process(slots: Pool, handler: str, error: str) -> None:
    outcome = run(slots, order(handler, in_thread=True))
    assert (outcome.result, outcome.error) == (Result.ERROR, error)
    assert outcome.permanent == (handler == "permanent")
    assert not slots.needs_recycle


def test_further_jobs_and_logs_are_handed_over(slots: Pool) -> None:
    assert run(slots, order("queues", in_thread=True)).enqueue is not None
    assert run(slots, order("logs_much", in_thread=True)).log is not None


def test_the_log_is_bounded(slots: Pool) -> None:
    log = run(slots, order("logs_much", in_thread=True)).log
    assert log is not None
    assert 64 * 1024 <= len(log) < 65 * 1024
    assert log.endswith("longer than 64 KiB]\n")


def test_a_thread_that_overruns_its_limit_is_left_behind(slots: Pool) -> None:
    before = set(threading.enumerate())
    slots.start(order("sleeps", {"seconds": 1.0}, job_id=1, timeout_s=0.1, in_thread=True))
    (late,) = outcomes(slots)
    assert (late.job_id, late.result) == (1, Result.TIMEOUT)
    assert late.error == "the attempt ran into its limit of 0.1 s; its thread cannot be stopped"
    assert late.traceback is not None
    assert "in sleeps" in late.traceback
    assert slots.needs_recycle
    assert slots.free == 2
    left = [thread for thread in threading.enumerate() if thread not in before]
    slots.start(order("echo", job_id=2, in_thread=True))
    assert outcomes(slots)[0].job_id == 2
    left[0].join(10)
    assert slots.wait(0.05) == ([], set())


def test_a_job_is_cancelled_by_leaving_it_behind(slots: Pool) -> None:
    slots.start(order("sleeps", {"seconds": 0.5}, job_id=1, in_thread=True))
    slots.wait(0.05)
    assert slots.cancel(1, "no more")
    (outcome,) = outcomes(slots)
    assert (outcome.result, outcome.error) == (Result.CANCELLED, "no more")
    assert slots.needs_recycle


def test_what_has_not_begun_is_just_dropped(slots: Pool) -> None:
    slots.start(order("sleeps", job_id=1, in_thread=True))
    assert slots.running.keys() == {1}
    assert slots.abort() == [1]
    assert not slots.needs_recycle
    assert slots.wait(0.01) == ([], set())


def test_threads_and_processes_share_the_slots(slots: Pool) -> None:
    slots.start(order("sleeps", {"seconds": 0.1}, job_id=1, in_thread=True))
    slots.start(order("sleeps", {"seconds": 0.1}, job_id=2))
    assert slots.free == 0
    assert {outcome.job_id for outcome in outcomes(slots, 2)} == {1, 2}
    assert slots.free == 2


def test_a_blocked_thread_does_not_hold_up_the_others(tmp_path: Path) -> None:
    with pool(tmp_path, 3) as three:
        three.start(order("sleeps", {"seconds": 1.0}, job_id=1, in_thread=True))
        three.start(order("nothing", job_id=2, in_thread=True))
        three.start(order("nothing", job_id=3, in_thread=True))
        assert {outcome.job_id for outcome in outcomes(three, 2)} == {2, 3}
        three.start(order("nothing", job_id=4, in_thread=True))
        assert outcomes(three)[0].job_id == 4
        assert outcomes(three)[0].job_id == 1


def test_many_jobs_through_few_threads(tmp_path: Path) -> None:
    with pool(tmp_path, 4) as four:
        waiting = list(range(3000))
        found: list[int] = []
        while len(found) < 3000:
            while waiting and four.free:
                four.start(order("nothing", job_id=waiting.pop(), in_thread=True))
            got, _ = four.wait(60)
            assert {outcome.result for outcome in got} <= {Result.OK}
            found += [outcome.job_id for outcome in got]
        assert sorted(found) == list(range(3000))


def test_closing_ends_the_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pool(tmp_path, 2) as two:
        assert run(two, order("nothing", in_thread=True)).result is Result.OK
        assert set(threading.enumerate()) - before
    assert not set(threading.enumerate()) - before
