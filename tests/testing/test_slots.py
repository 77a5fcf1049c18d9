"""The same, with handlers in slots of their own, as a worker runs them."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.testing.handlers import WRITE, definition, write
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.testing.draining import HandlerFailed
from wedsync_ops.testing.harness import Harness

pytestmark = pytest.mark.slow


def test_retries_and_further_jobs_run_when_they_are_due(slots: Harness) -> None:
    slots.enqueue("flaky", {"until": 3})
    slots.enqueue("chain", {"left": 3})
    drained = slots.drain(until="4h", raising=False)
    assert len(drained) == 7
    job = slots.job(1)
    assert (job.state, job.result) == (State.COMPLETED, {"attempt": 3})
    chain = [one.at for one in drained.executions if one.module_type == "chain"]
    for before, after in pairwise(chain):
        assert timedelta(hours=1) <= after - before < timedelta(hours=1, minutes=1)


def test_slots_stay_warm_from_drain_to_drain(slots: Harness) -> None:
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    slots.enqueue("write")
    slots.drain()
    warm = {process.pid for process in psutil.Process().children(recursive=True)} - before
    slots.enqueue("write", delay="1d")
    slots.drain(until="2d")
    assert {process.pid for process in psutil.Process().children(recursive=True)} - before == warm
    slots.close()
    assert not [pid for pid in warm if psutil.pid_exists(pid)]


def test_on_postgresql_too(tmp_path: Path, postgres_url: str) -> None:
    with Harness(tmp_path / "home", db=postgres_url) as harness:
        harness.register(WRITE)
        harness.enqueue("write", delay="3d")
        harness.assert_queued("write", within="3d")
        assert len(harness.drain(until="4d")) == 1


def test_a_failure_comes_with_the_traceback_of_the_slot(slots: Harness) -> None:
    slots.enqueue("flaky", {"until": 2})
    with pytest.raises(HandlerFailed) as caught:
        slots.drain()
    said = str(caught.value)
    assert said.startswith("attempt 1 at job 1, by tests.testing.handlers:flaky: error: ConnectionError: the server")
    assert "raise ConnectionError(f" in said
    assert slots.job(1).state is State.RETRYABLE


def test_limits_hold_there(slots: Harness) -> None:
    slots.enqueue("sleeps")
    slots.enqueue("dies")
    drained = slots.drain(raising=False)
    assert {(one.module_type, one.outcome) for one in drained.executions} == {
        ("sleeps", Result.TIMEOUT),
        ("dies", Result.KILLED),
    }


def test_threads_are_slots_too(tmp_path: Path) -> None:
    with Harness(tmp_path / "home", mode="slots", slots=3) as harness:
        harness.register({**WRITE, "isolation": "thread"}, definition(write, id="other"))
        for _ in range(20):
            harness.enqueue("write")
            harness.enqueue("other")
        assert {one.outcome for one in harness.drain().executions} == {Result.OK}
        assert len(harness.outbox.pages) == 40


def test_a_thread_that_cannot_be_stopped_is_left_behind(tmp_path: Path) -> None:
    with Harness(tmp_path / "home", mode="slots") as harness:
        limits = {"execution_timeout": 0.1}
        harness.register(WRITE, {**definition(sleeps_a_little), "isolation": "thread", "resource_requirements": limits})
        harness.enqueue("sleeps-a-little", priority="high")
        harness.enqueue("write")
        outcomes = [(one.module_type, one.outcome) for one in harness.drain(raising=False).executions]
        assert outcomes == [("sleeps-a-little", Result.TIMEOUT), ("write", Result.OK)]


def sleeps_a_little(config: object, context: object, run: object) -> dict[str, object]:
    import time

    time.sleep(1)
    return {}
