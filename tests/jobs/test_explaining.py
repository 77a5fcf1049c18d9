"""Explanations from the database, on both of them."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import take, worker
from wedsync_ops.db import Database
from wedsync_ops.errors import UnknownJob
from wedsync_ops.instants import HOUR
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.explain import Explanation
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.model import Queued
from wedsync_ops.jobs.store import workers
from wedsync_ops.limits import limits_from


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("explaining")
    yield from databases.opened(request.param, request, home, f"explaining_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    limits = limits_from([{"name": "one", "concurrent": 1, "per": "supplier", "modules": ["free"]}])
    return queue_on(databases.emptied(shared), tmp_path, limits=limits)


def add(queue: Queue, count: int = 1, **values: Any) -> int:
    answers = actions.enqueue_many(queue, [request(**values)] * count)
    last = answers[-1]
    assert isinstance(last, Queued), last
    return last.job_id or 0


def employ(queue: Queue, **values: Any) -> None:
    with queue.database.transaction() as connection:
        workers.register(connection, worker(host="elsewhere", **values))


def why(queue: Queue, job_id: int) -> Explanation:
    return explained(queue, job_id)[1]


def test_no_worker_is_alive(queue: Queue) -> None:
    job_id = add(queue)
    assert [reason.code for reason in why(queue, job_id).reasons] == ["no_worker"]
    employ(queue, modules="review")
    assert "none of the 1 living workers takes email in its region" in why(queue, job_id).summary
    employ(queue, region="midwest")
    assert why(queue, job_id).reasons[0].code == "next"
    far = add(queue, location="Boston, MA")
    assert [reason.code for reason in why(queue, far).reasons] == ["no_worker"]
    employ(queue, heartbeat_at=NOW - HOUR)
    assert [reason.code for reason in why(queue, far).reasons] == ["no_worker"]


def test_its_place_and_its_suppliers(queue: Queue) -> None:
    employ(queue, slots=2, busy=2)
    job_id = add(queue, 5, supplier_id="large")
    found = why(queue, job_id)
    assert (found.position, [reason.code for reason in found.reasons]) == (5, ["fairness"])
    assert "5 jobs of large wait there" in found.summary
    add(queue, 2, module_type="free", priority="high")
    found = why(queue, job_id)
    assert (found.position, found.reasons[0].code) == (7, "behind")
    assert found.estimate is not None


def test_a_pause_and_a_limit(queue: Queue) -> None:
    employ(queue)
    ids = [add(queue, module_type="free", supplier_id="s1") for _ in range(2)]
    with queue.database.transaction() as connection:
        Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=NOW, slots=4, room=4)
    found = why(queue, ids[1])
    assert found.position is None
    assert "the limit one for s1 is used up (1 at once for each supplier)" in found.summary
    actions.pause(queue, "supplier", "s1", reason="asked for it")
    codes = [reason.code for reason in why(queue, ids[1]).reasons]
    assert codes == ["paused", "limit"]


def test_a_job_whose_worker_is_gone(queue: Queue) -> None:
    job_id = add(queue)
    with queue.database.transaction() as connection:
        Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=NOW, slots=4, room=4)
    assert why(queue, job_id).reasons[0].code == "worker_gone"


def test_there_is_no_such_job(queue: Queue) -> None:
    with pytest.raises(UnknownJob, match="there is no job 99"):
        explained(queue, 99)


def test_memory_and_kept_slots(queue: Queue) -> None:
    employ(queue, id="w", slots=5, busy=4, memory_kb=10 * 512 * 1024)
    running = [add(queue, module_type="free") for _ in range(4)]
    job_id = add(queue, module_type="free")
    with queue.database.transaction() as connection:
        take(connection, 4, module_type="free", worker="w")
    assert running
    found = why(queue, job_id)
    assert [reason.code for reason in found.reasons] == ["resources"]
    assert "1 of 5 slots are kept for wedding-week jobs" in found.summary
    soon = add(queue, module_type="free", wedding_date="2027-01-15")
    assert why(queue, soon).reasons[0].code != "resources"
    employ(queue, id="x", slots=5, memory_kb=1024)
    assert why(queue, job_id).reasons[0].code == "behind"


def test_a_worker_without_memory_left(queue: Queue) -> None:
    employ(queue, id="w", slots=4, busy=1, memory_kb=600 * 1024)
    add(queue, module_type="free")
    job_id = add(queue, module_type="free")
    with queue.database.transaction() as connection:
        take(connection, 1, module_type="free", worker="w")
    found = why(queue, job_id)
    assert found.reasons[0].code == "resources"
    assert "it needs about 512 MB, and 512 of 600 MB are promised" in found.summary


def test_what_runs_for_a_memory_optimised_vendor_type_promises_more(queue: Queue) -> None:
    measured = (
        "INSERT INTO durations (module_type, p50_us, p95_us, memory_kb, measured_at) VALUES ('free', 1, 1, 102400, 1)"
    )
    with queue.database.transaction() as connection:
        connection.execute(text(measured))
    employ(queue, id="w", slots=4, busy=1, memory_kb=240 * 1024)
    add(queue, module_type="free", vendor_type="venue")
    job_id = add(queue, module_type="free")
    with queue.database.transaction() as connection:
        take(connection, 1, module_type="free", worker="w")
    assert "it needs about 100 MB, and 150 of 240 MB are promised" in why(queue, job_id).summary
