"""Rows for store tests, and what the tables say of them."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection, text

from wedsync_ops.jobs.model import Claimed, Lane, Priority, Result, State, Transition
from wedsync_ops.jobs.store import claim, insert
from wedsync_ops.jobs.store.finish import Execution, Finish
from wedsync_ops.jobs.store.insert import NewJob, NewPayload
from wedsync_ops.jobs.store.lanes import Moves
from wedsync_ops.jobs.store.workers import Worker

NOW = 1_800_000_000_000_000
"""An instant for tests, in microseconds: 15 January 2027."""
_NUMBERS = count(1)

BLANK = NewJob(
    id=0,
    module_type="email",
    module_version=1,
    state=State.AVAILABLE,
    priority=1,
    priority_requested=1,
    rank=NOW,
    due_at=NOW,
    queued_at=NOW,
    next_change_at=None,
    expires_at=None,
    deadline_at=None,
    max_attempts=3,
    supplier_id="s1",
    wedding_on=None,
    timezone="UTC",
    vendor_type=None,
    key=None,
    payload_hash="00",
)
BARE = NewPayload(0, "c1", "{}", "{}", '{"priority":["asked for: normal"],"due":["at once"],"weekend":false}')


def add(connection: Connection, **values: Any) -> int:
    """Insert one job like ``BLANK`` and ``BARE`` but for ``values``, count it in its lane; returns its id."""
    return add_many(connection, [values])[0]


def add_many(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    ids = list(insert.allocate_ids(connection, len(rows)))
    jobs, payloads = [], []
    for job_id, given in zip(ids, rows, strict=True):
        carried = {name: value for name, value in given.items() if name in NewPayload._fields}
        own = {name: value for name, value in given.items() if name not in carried}
        jobs.append(BLANK._replace(id=job_id, **own))
        payloads.append(BARE._replace(job_id=job_id, **carried))
    insert.insert(connection, jobs, payloads)
    moves = Moves()
    for job in jobs:
        moves.enter(job.module_type, job.priority, job.state)
    moves.save(connection)
    return ids


def take(connection: Connection, count: int = 100, *, worker: str = "w1", **options: Any) -> list[Claimed]:
    """Claim from one lane (``module_type``, ``priority``), by id."""
    lane = Lane(options.pop("module_type", "email"), Priority(options.pop("priority", 1)))
    rows = claim.claim(connection, lane, count, worker_id=worker, **options)
    return sorted(claim.load(connection, rows), key=lambda job: job.id)


def ending(job: Claimed, state: State, *, outcome: Result = Result.OK, at: int = NOW, **values: Any) -> Finish:
    """The end of an execution that takes a job to a state; further values are the execution's."""
    data = values.pop("data", b'{"a":1}' if state is State.COMPLETED else None)
    due_at = values.pop("due_at", None)
    attempt = values.pop("attempt", job.attempt)
    error = values.get("error")
    execution = Execution(
        **{
            "job_id": job.id,
            "attempt": job.attempt,
            "module_type": job.module_type,
            "module_version": job.module_version,
            "worker_id": "w1",
            "priority": job.priority,
            "outcome": outcome,
            "started_at": at,
            "finished_at": at + 1000,
            "duration_us": 1000,
            "queue_wait_us": 0,
            "cpu_us": 500,
            "memory_kb": 10,
            "bytes_sent": 5,
            "wedding_days": None,
            "in_peak": False,
            "vendor_type": None,
            "error": None,
            **values,
        }
    )
    return Finish(job.token, Transition(state, attempt, job.losses, job.kills, due_at, error, ""), execution, data)


def worker(**values: Any) -> Worker:
    """A worker's row."""
    blank: dict[str, Any] = {
        "id": f"w{next(_NUMBERS)}",
        "name": "name",
        "host": "host",
        "pid": 1,
        "version": "1",
        "region": None,
        "modules": None,
        "lock_file": "/nowhere",
        "slots": 2,
        "busy": 0,
        "started_at": NOW,
        "heartbeat_at": NOW,
        "stopped_at": None,
    }
    return Worker(**{**blank, **values})


def row(connection: Connection, job_id: int) -> dict[str, Any]:
    """A job's row."""
    return dict(connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": job_id}).mappings().one())


def number_of(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def counted(connection: Connection) -> dict[tuple[str, int], tuple[int, int]]:
    """The truth of the lanes: available and waiting jobs, counted; lanes without any left out."""
    rows = connection.execute(
        text(
            "SELECT module_type, priority, sum(CASE WHEN state = 'available' AND held_by IS NULL THEN 1 ELSE 0 END) AS"
            " available,"
            " count(*) AS waiting FROM jobs WHERE state IN ('scheduled','available','retryable')"
            " GROUP BY module_type, priority"
        )
    )
    return {(r.module_type, r.priority): (int(r.available), int(r.waiting)) for r in rows}
