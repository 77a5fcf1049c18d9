"""Each way in which a job in a process can end, with real slots."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.pool_helpers import HANDLERS, order, outcomes, pool, result, run
from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("pool"), preload=[f"{HANDLERS}:nothing", "no.such:handler"]) as shared:
        yield shared


def test_a_handler_gets_what_was_ordered(slots: Pool) -> None:
    before = time.time_ns() // 1000
    outcome = run(slots, order("echo", {"a": [1, "ü"]}, job_id=77))
    said = result(outcome)
    assert (outcome.job_id, outcome.token, outcome.attempt, outcome.result) == (77, 11, 2, Result.OK)
    assert (said["config"], said["context"]) == ({"a": [1, "ü"]}, {"client_id": "c1"})
    assert (said["job_id"], said["attempt"], said["key"]) == (77, 2, "key-77")
    assert said["now"] == outcome.started_at >= before
    assert 29 < said["time_left"] <= 30
    assert said["outbox"].endswith("/outbox")
    assert not any((outcome.error, outcome.traceback, outcome.log, outcome.enqueue, outcome.retry_after_s))


def test_an_execution_is_measured(slots: Pool) -> None:
    burnt = run(slots, order("burns", {"cpu_s": 0.05}))
    assert burnt.cpu_us is not None
    assert 50_000 <= burnt.cpu_us <= burnt.duration_us * 2
    much = run(slots, order("allocates", {"mb": 150}))
    little = run(slots, order("nothing"))
    assert much.memory_kb is not None
    assert little.memory_kb is not None
    assert much.memory_kb > 150_000 > little.memory_kb


def test_a_slot_is_alone_with_its_pipe(slots: Pool) -> None:
    said = result(run(slots, order("echo")))
    assert said["leader"]
    assert said["parent"] == os.getpid()
    assert said["pid"] in slots.pids()
    assert len(said["fds"]) <= 7  # three standard ones, the pipe, the channel, the memory's reset, this very listing


def test_one_slot_runs_many_jobs(slots: Pool) -> None:
    first, second = (result(run(slots, order("echo", job_id=job)))["pid"] for job in (1, 2))
    assert first == second


def test_what_is_printed_and_logged_is_kept_in_order(slots: Pool) -> None:
    outcome = run(slots, order("chatty"))
    assert outcome.log == "printed\nlogged guests=3\ncomplained\nraw\\0bytes\ufffd"
    assert run(slots, order("nothing")).log is None


@pytest.mark.parametrize("handler", ["closes_stdout", "detaches_stdout"])
def test_a_handler_cannot_break_printing_for_the_next(slots: Pool, handler: str) -> None:
    assert run(slots, order(handler)).result is Result.OK
    log = run(slots, order("chatty")).log
    assert log is not None
    assert log.startswith("printed\nlogged")


def test_a_flood_of_output_is_bounded(slots: Pool) -> None:
    outcome = run(slots, order("floods"))
    assert outcome.result is Result.OK
    assert outcome.log is not None
    assert 64 * 1024 <= len(outcome.log) < 65 * 1024
    assert outcome.log.endswith("longer than 64 KiB]\n")


def test_an_exception_is_an_error_on_one_line(slots: Pool) -> None:
    outcome = run(slots, order("raises"))
    assert outcome.result is Result.ERROR
    assert outcome.error == "ValueError: the cake is late and so are the flowers\\0"
    assert outcome.traceback is not None
    assert "in raises" in outcome.traceback
    assert "in perform" not in outcome.traceback
    assert not outcome.permanent


@pytest.mark.parametrize("handler", ["raises_at_length", "recurses", "raises_unprintable"])
def test_error_and_traceback_are_bounded(slots: Pool, handler: str) -> None:
    outcome = run(slots, order(handler))
    assert outcome.result is Result.ERROR
    assert outcome.error is not None
    assert outcome.traceback is not None
    assert len(outcome.error) <= 500
    assert len(outcome.traceback) <= 16 * 1024


def test_permanent_and_retry_after_are_passed_on(slots: Pool) -> None:
    outcome = run(slots, order("permanent"))
    assert (outcome.result, outcome.permanent, outcome.error) == (Result.ERROR, True, "PermanentError: no such couple")
    outcome = run(slots, order("retry_after", {"seconds": 90}))
    assert (outcome.result, outcome.retry_after_s) == (Result.ERROR, 90.0)
    assert outcome.error == "RetryAfter: the gateway is busy"
    assert run(slots, order("retry_after", {"seconds": 1e300})).retry_after_s == 366 * 86_400


@pytest.mark.parametrize(("seconds", "wait"), [(90, 90.0), (-5, 1.0), (1e300, 366 * 86_400.0)])
def test_what_is_put_off_is_no_failure(slots: Pool, seconds: float, wait: float) -> None:
    outcome = run(slots, order("not_now", {"seconds": seconds}))
    assert (outcome.result, outcome.retry_after_s) == (Result.CANCELLED, wait)
    assert (outcome.error, outcome.traceback) == ("held until morning", None)


@pytest.mark.parametrize(("handler", "error"), [("leaves", "SystemExit: 3"), ("interrupts", "KeyboardInterrupt")])
def test_leaving_is_an_error_too(slots: Pool, handler: str, error: str) -> None:
    outcome = run(slots, order(handler))
    assert (outcome.result, outcome.error) == (Result.ERROR, error)


@pytest.mark.parametrize(
    ("handler", "config", "error"),
    [
        ("returns_none", {}, "a handler must return a JSON object, not NoneType"),
        ("returns_list", {}, "not list"),
        ("returns_nan", {}, "the handler's result holds nan"),
        ("returns_set", {}, "the handler's result holds a set"),
        ("returns_cycle", {}, "more than 64 levels"),
        ("returns_much", {"size": 50_000_000}, "the handler's result is too large (at most 1,048,576 bytes"),
        ("returns_much", {"size": 600_000, "of": "ü"}, "measures 1,200,011 bytes"),
        ("queues_no_json", {}, "the list of jobs that the handler queued holds a set"),
        ("queues_wrongly", {}, "enqueue has no option 'colour'"),
        ("changes_config", {"a": 1}, "does not support item assignment"),
    ],
)
def test_what_is_no_result_is_an_error(slots: Pool, handler: str, config: dict[str, Any], error: str) -> None:
    outcome = run(slots, order(handler, config))
    assert outcome.result is Result.ERROR
    assert outcome.error is not None
    assert error in outcome.error
    assert outcome.data is None


def test_a_handler_that_is_not_installed_here_leaves_the_job_to_others(slots: Pool) -> None:
    outcome = run(slots, order("no.such.module:handle"))
    assert outcome.is_beyond_this_worker
    assert outcome.error is not None
    assert outcome.error.startswith("this worker cannot run it: the handler 'no.such.module:handle' does not exist")


def test_large_documents_pass_both_ways(slots: Pool) -> None:
    config, context = {"text": "x" * 900_000}, {"text": "y" * 1_000_000}
    said = result(run(slots, order("sizes", config, context=json.dumps(context).encode())))
    assert said == {"config": 900_000, "context": 1_000_000}
    assert len(result(run(slots, order("returns_much", {"size": 1_000_000})))["text"]) == 1_000_000


def test_further_jobs_are_handed_over_only_on_success(slots: Pool) -> None:
    outcome = run(slots, order("queues"))
    assert outcome.enqueue is not None
    assert json.loads(outcome.enqueue) == [
        {
            "module_type": "email",
            "config": {"template": "thanks"},
            "context": {"client_id": "c1"},
            "delay": 5,
            "key": "thanks-1",
        },
        {"module_type": "sms", "config": {"text": "hi"}, "context": {"client_id": "other"}},
    ]
    assert run(slots, order("queues", {"fail": True})).enqueue is None


def test_signals_for_everybody_are_not_for_slots(slots: Pool) -> None:
    assert result(run(slots, order("hears_signals"))) == {"alive": True}


def test_programs_of_a_handler_are_not_deaf(slots: Pool) -> None:
    assert result(run(slots, order("terminates_a_program"))) == {"code": -15}


def test_more_orders_than_slots_are_refused(slots: Pool) -> None:
    slots.start(order("sleeps", {"seconds": 0.05}, job_id=5))
    assert slots.free == 0
    assert list(slots.running) == [5]
    with pytest.raises(WedsyncError, match="all 1 slots are busy"):
        slots.start(order("nothing", job_id=6))
    assert outcomes(slots)[0].job_id == 5
    assert slots.free == 1
    assert not slots.running


def test_waiting_ends_with_its_time_or_a_descriptor(slots: Pool) -> None:
    assert slots.wait(0.01) == ([], set())
    reader, writer = os.pipe()
    try:
        assert slots.wait(0, (reader,)) == ([], set())
        os.write(writer, b"x")
        assert slots.wait(60, (reader,)) == ([], {reader})
        assert slots.wait(0.01) == ([], set())
    finally:
        os.close(reader)
        os.close(writer)


def test_many_jobs_in_many_slots(tmp_path: Path) -> None:
    with pool(tmp_path, 4, recycle_jobs=50, preload=[f"{HANDLERS}:nothing"]) as many:
        waiting = list(range(1000))
        found: list[int] = []
        while len(found) < 1000:
            while waiting and many.free:
                many.start(order("nothing", job_id=waiting.pop()))
            got, _ = many.wait(60)
            assert {outcome.result for outcome in got} <= {Result.OK}
            found += [outcome.job_id for outcome in got]
        assert sorted(found) == list(range(1000))


def test_a_slot_of_our_handlers_has_imported_what_they_need(tmp_path: Path) -> None:
    look = order("imported", {"names": ["icalendar", "zxingcpp", "jinja2"]})
    for preload, imported in (("wedsync_ops.handlers.meeting:handle", True), (f"{HANDLERS}:nothing", False)):
        with pool(tmp_path, preload=[preload]) as one:
            assert set(result(run(one, look)).values()) == {imported}
