"""A queue that is drained, and what tests do with it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import worker
from wedsync_ops.db import Database
from wedsync_ops.errors import Draining
from wedsync_ops.instants import DAY
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.model import Claimed, State
from wedsync_ops.jobs.store import control, workers


def queue_with_worker(database: Database, home: Path) -> Queue:
    """An empty queue with a worker ``w``, who lives."""
    with databases.emptied(database).transaction() as connection:
        workers.register(connection, worker(id="w", host="elsewhere", heartbeat_at=NOW + 9 * DAY))
    return queue_on(database, home)


def add(queue: Queue, **values: Any) -> int:
    return actions.enqueue(queue, request(**values)).job_id or 0


def refusal(queue: Queue, **values: Any) -> Draining:
    with pytest.raises(Draining) as caught:
        actions.enqueue(queue, request(**values))
    return caught.value


def claimed(queue: Queue, room: int = 9) -> list[int]:
    return [job.id for job in jobs_claimed(queue, room)]


def jobs_claimed(queue: Queue, room: int = 9) -> list[Claimed]:
    with queue.database.transaction() as connection:
        now = queue.clock.now()
        taken = Dispatcher(None).claim(connection, queue.rules, worker_id="w", now=now, slots=room, room=room)
    return list(taken.jobs)


def state(queue: Queue, job_id: int) -> State:
    with queue.database.reading() as connection:
        return control.states(connection, [job_id])[job_id]


def end(queue: Queue, job_id: int, how: str = "completed") -> None:
    with queue.database.transaction() as connection:
        connection.execute(
            text("UPDATE jobs SET state = :how, leased_by = NULL, finished_at = :now WHERE id = :id"),
            {"how": how, "id": job_id, "now": NOW},
        )
