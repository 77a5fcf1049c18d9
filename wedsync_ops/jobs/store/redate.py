"""Waiting jobs of couples whose wedding is on another day: their rows, locked, and what they become."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import stops
from wedsync_ops.jobs.store.lanes import Moves


class Dated(NamedTuple):
    """A job that waits, or runs, for a couple; ``config``, ``context`` and ``reasons`` are JSON, ``None`` when gone."""

    id: int
    client_id: str
    module_type: str
    module_version: int
    state: str
    held_by: str | None
    priority: int
    priority_requested: int
    due_at: int
    expires_at: int | None
    deadline_at: int | None
    supplier_id: str | None
    wedding_on: str | None
    timezone: str | None
    vendor_type: str | None
    unique_key: str | None
    config: str | None
    context: str | None
    reasons: str


class Redated(NamedTuple):
    """What a waiting job becomes, in the order of the statements' columns; instants in microseconds."""

    id: int
    due_at: int
    priority: int
    deadline_at: int | None
    expires_at: int | None
    wedding_on: str
    timezone: str
    unique_key: str | None
    context: str
    reasons: str


_COLUMNS = ", ".join(Dated._fields)
_JOB = {
    "id": "bigint",
    "due_at": "bigint",
    "priority": "bigint",
    "deadline_at": "bigint",
    "expires_at": "bigint",
    "wedding_on": "text",
    "timezone": "text",
    "unique_key": "text",
}
_SET = ", ".join(f"{name} = r.{name}" for name in _JOB if name != "id")


def unfinished(connection: Connection, client_ids: Sequence[str], *, lock: bool) -> list[Dated]:
    """The jobs of couples that wait or run, by id; with ``lock`` those that wait go on waiting until the commit."""
    locking = " FOR UPDATE OF jobs" if lock and connection.dialect.name == "postgresql" else ""
    states = "state IN ('scheduled','available','retryable','running')"
    statement = (
        f"SELECT {_COLUMNS} FROM payloads JOIN jobs ON jobs.id = payloads.job_id"
        f" WHERE client_id IN {db.texts_source(connection)} AND {states} ORDER BY jobs.id{locking}"
    )
    return [Dated._make(row) for row in db.run(connection, statement, {"texts": db.many(list(client_ids))})]


def of_ids(connection: Connection, ids: Sequence[int]) -> list[Dated]:
    """Those of the jobs that wait."""
    statement = (
        f"SELECT {_COLUMNS} FROM payloads JOIN jobs ON jobs.id = payloads.job_id"
        f" WHERE jobs.id IN {db.ids_source(connection)} AND state IN ('scheduled','available','retryable')"
    )
    return [Dated._make(row) for row in db.run(connection, statement, {"ids": db.many(list(ids))})]


def write(connection: Connection, jobs: Sequence[Dated], becoming: Sequence[Redated]) -> None:
    """Make locked waiting jobs what they become: scheduled, so that promotion ranks them anew; nothing holds them."""
    if not becoming:
        return
    before = {job.id: job for job in jobs}
    moves = Moves()
    for after in becoming:
        job = before[after.id]
        moves.leave(job.module_type, job.priority, job.state)
        if job.held_by is not None:
            moves.hold(job.module_type, job.priority, -1)
        moves.enter(job.module_type, after.priority, State.SCHEDULED)
    stops.forget(connection, [after.id for after in becoming])
    rows = [after[: len(_JOB)] for after in becoming]
    statement = (
        f"UPDATE jobs SET state = 'scheduled', held_by = NULL, rank = NULL, next_change_at = NULL, {_SET}"
        f" FROM {db.rows_source(connection, _JOB)} WHERE jobs.id = r.id"
    )
    db.run(connection, statement, {"rows": db.many(rows)})
    source = db.rows_source(connection, {"id": "bigint", "context": "text", "reasons": "text"})
    statement = (
        f"UPDATE payloads SET context = r.context, reasons = r.reasons FROM {source} WHERE payloads.job_id = r.id"
    )
    db.run(connection, statement, {"rows": db.many([(after.id, after.context, after.reasons) for after in becoming])})
    moves.save(connection)
