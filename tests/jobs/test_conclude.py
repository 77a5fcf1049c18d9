"""From a slot's outcome to what is written."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import row, take
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import Conclusion, conclude, wedding_days
from wedsync_ops.jobs.model import Claimed, Outcome, Result, State
from wedsync_ops.jobs.store import finish, view


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def database(shared: Database) -> Database:
    """Both dialects in turn, without a row."""
    return databases.emptied(shared)


@pytest.fixture
def queue(database: Database, tmp_path: Path) -> Queue:
    return queue_on(database, tmp_path)


def claimed(queue: Queue, **values: Any) -> Claimed:
    module_type = values.get("module_type", "email")
    answer = actions.enqueue(queue, request(**values))
    with queue.database.transaction() as connection:
        return take(connection, module_type=module_type, priority=answer.priority_applied)[0]


def outcome(job: Claimed, result: Result = Result.OK, **values: Any) -> Outcome:
    data = values.pop("data", b"{}" if result is Result.OK else None)
    return Outcome(
        job.id, job.token, job.attempt, result, values.pop("started_at", NOW + SECOND), 2 * SECOND, data=data, **values
    )


def concluded(queue: Queue, job: Claimed, result: Result = Result.OK, **values: Any) -> Conclusion:
    return conclude(queue.rules, "w1", job, outcome(job, result, **values), rand=0.5)


def test_a_success_is_written_with_its_measurements(queue: Queue) -> None:
    job = claimed(queue, wedding_date="2027-01-20", vendor_type="venue")
    conclusion = concluded(queue, job, data=b'{"a":1}', cpu_us=5, memory_kb=6, bytes_sent=7, log="said")
    execution = conclusion.finish.execution
    assert (conclusion.finish.token, conclusion.finish.data, conclusion.further) == (job.token, b'{"a":1}', ())
    assert (execution.started_at, execution.finished_at, execution.duration_us) == (
        NOW + SECOND,
        NOW + 3 * SECOND,
        2 * SECOND,
    )
    assert (execution.queue_wait_us, execution.wedding_days, execution.in_peak) == (SECOND, 7, False)
    assert (execution.cpu_us, execution.memory_kb, execution.bytes_sent, execution.log) == (5, 6, 7, "said")
    assert (execution.vendor_type, execution.worker_id, execution.outcome) == ("venue", "w1", "ok")
    with queue.database.transaction() as connection:
        assert finish.apply(connection, [conclusion.finish]) == {job.id}
        found = row(connection, job.id)
    assert (found["state"], found["error"]) == ("completed", None)


def test_a_failure_is_tried_again_after_the_module_s_backoff(queue: Queue) -> None:
    job = claimed(queue, module_type="info", client_data={"email": "a@b.example"})
    conclusion = concluded(queue, job, Result.TIMEOUT, error="too slow", traceback="t")
    transition = conclusion.finish.transition
    assert (transition.state, transition.due_at) == (State.RETRYABLE, NOW + 3 * SECOND + SECOND)
    assert (transition.error, conclusion.finish.execution.traceback) == ("too slow", "t")
    last = concluded(queue, job._replace(attempt=5), Result.ERROR, error="no")
    assert last.finish.transition.state is State.DISCARDED


def test_a_quarantined_job_says_so(queue: Queue) -> None:
    job = claimed(queue)._replace(kills=2)
    transition = concluded(queue, job, Result.KILLED, error="signal 9").finish.transition
    assert transition.state is State.DISCARDED
    assert transition.error == "quarantined: its execution was killed 3 times; signal 9"


@pytest.mark.parametrize(("result", "state"), [(Result.CANCELLED, State.CANCELLED), (Result.LOST, State.AVAILABLE)])
def test_stopped_executions_are_recorded_as_such(queue: Queue, result: Result, state: State) -> None:
    job = claimed(queue)
    conclusion = concluded(queue, job, result, error="stopped")
    assert (conclusion.finish.transition.state, conclusion.finish.execution.outcome) == (state, result)
    with queue.database.transaction() as connection:
        assert finish.apply(connection, [conclusion.finish]) == {job.id}
        assert row(connection, job.id)["attempt"] == (0 if result is Result.LOST else 1)


def test_a_job_that_started_before_its_due_time_waited_nothing(queue: Queue) -> None:
    job = claimed(queue)
    assert concluded(queue, job, started_at=NOW - 5).finish.execution.queue_wait_us == 0


def test_the_season_is_that_of_the_end(queue: Queue) -> None:
    job = claimed(queue)
    assert concluded(queue, job, started_at=NOW + 150 * DAY).finish.execution.in_peak


class TestFurther:
    def test_take_the_job_s_context_unless_given_one(self, queue: Queue) -> None:
        job = claimed(queue, x=1)
        rows = [
            {"module_type": "email", "config": {"n": 5}},
            {
                "module_type": "review",
                "config": {},
                "context": {"client_id": "c9", "supplier_id": "s9", "journey_instance_id": "j"},
                "priority": "high",
                "delay": 5,
                "key": "k",
            },
        ]
        first, second = concluded(queue, job, enqueue=orjson.dumps(rows)).further
        assert (first.module.module_id, first.config, orjson.loads(first.context)["x"]) == ("email", '{"n":5}', 1)
        assert (second.client_id, second.requested.word, second.key) == ("c9", "high", "k")

    @pytest.mark.parametrize(
        "rows", [[{"module_type": "nothing", "config": {}}], [{"module_type": "email", "config": {"m": 1}}]]
    )
    def test_that_are_not_acceptable_fail_it_for_good(self, queue: Queue, rows: list[Any]) -> None:
        conclusion = concluded(queue, claimed(queue), enqueue=orjson.dumps(rows))
        assert (conclusion.further, conclusion.finish.data) == ((), None)
        assert conclusion.finish.transition.state is State.DISCARDED
        assert conclusion.finish.execution.outcome is Result.ERROR
        assert "a further job was refused" in (conclusion.finish.transition.error or "")

    def test_of_a_failed_execution_are_dropped(self, queue: Queue) -> None:
        rows = orjson.dumps([{"module_type": "email", "config": {}}])
        assert concluded(queue, claimed(queue), Result.ERROR, enqueue=rows).further == ()


def test_days_to_the_wedding_are_counted_in_its_zone(queue: Queue) -> None:
    job = claimed(queue, wedding_date="2027-01-14", timezone="Pacific/Kiritimati")
    assert wedding_days(queue.rules, job.wedding_on, "Pacific/Kiritimati", NOW) == 0
    assert wedding_days(queue.rules, job.wedding_on, "Pacific/Pago_Pago", NOW) == 1
    assert wedding_days(queue.rules, job.wedding_on, None, NOW) == 1
    assert wedding_days(queue.rules, None, "UTC", NOW) is None
    with queue.database.reading() as connection:
        assert view.state_of(connection, job.id)
