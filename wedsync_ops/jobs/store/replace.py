"""Waiting jobs that become other ones: same id, another payload."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import stops
from wedsync_ops.jobs.store.insert import NewJob, NewPayload, placeholders

_DECIDING = ("supplier_id", "priority_requested", "wedding_on", "timezone", "vendor_type")
_STANDING = (
    "SELECT id, module_type, state, priority, rank, due_at, next_change_at, held_by, key, unique_key,"
    f" {', '.join(_DECIDING)} FROM jobs"
)
_SET = (
    "module_version",
    "state",
    "priority",
    "priority_requested",
    "rank",
    "due_at",
    "next_change_at",
    "expires_at",
    "deadline_at",
    "max_attempts",
    "supplier_id",
    "wedding_on",
    "timezone",
    "vendor_type",
    "key",
    "payload_hash",
    "region",
    "unique_key",
    "unique_within_us",
)
_REPLACE_JOB = (
    f"UPDATE jobs SET {', '.join(f'{column} = ?' for column in _SET)}, held_by = NULL, attempt = 0, losses = 0,"
    " kills = 0, error = NULL WHERE id = ?"
)
_CARRIED = ("client_id", "config", "context", "reasons", "recipient")
_REPLACE_PAYLOAD = f"UPDATE payloads SET {', '.join(f'{column} = ?' for column in _CARRIED)} WHERE job_id = ?"


@dataclass(frozen=True, slots=True)
class Standing:
    """A job that may be replaced while it waits, with what decides its turn; instants in microseconds."""

    id: int
    module_type: str
    state: State
    priority: int
    rank: int | None
    due_at: int
    next_change_at: int | None
    held_by: str | None
    key: str | None
    unique_key: str | None
    decided_by: tuple[Any, ...]
    """Supplier, priority asked for, day and zone of the wedding, vendor type."""

    @property
    def supplier_id(self) -> str | None:
        """The supplier that it is of."""
        supplier_id: str | None = self.decided_by[0]
        return supplier_id


class Replacement(NamedTuple):
    """What a job becomes; the row's ``id`` says which one."""

    job: NewJob
    payload: NewPayload


def standing(connection: Connection, ids: Sequence[int], *, lock: bool) -> dict[int, Standing]:
    """Those of the jobs that wait; with ``lock`` they go on waiting until the transaction ends."""
    if not ids:
        return {}
    locking = " ORDER BY id FOR UPDATE" if lock and connection.dialect.name == "postgresql" else ""
    waiting = "state IN ('scheduled','available','retryable')"
    statement = f"{_STANDING} WHERE id IN {db.ids_source(connection)} AND {waiting}{locking}"
    rows = db.run(connection, statement, {"ids": db.many(sorted(set(ids)))}).mappings()
    return {row["id"]: _to_standing(dict(row)) for row in rows}


def _to_standing(row: dict[str, Any]) -> Standing:
    decided_by = tuple(row.pop(column) for column in _DECIDING)
    return Standing(**{**row, "state": State(row["state"])}, decided_by=decided_by)


def write(connection: Connection, replacements: Sequence[Replacement]) -> None:
    """Make waiting jobs, which are locked, what they become: with every attempt before them, and held by nothing.

    ``queued_at`` and the executions that there were stay.
    """
    if not replacements:
        return
    jobs = [(*(getattr(one.job, column) for column in _SET), one.job.id) for one in replacements]
    payloads = [(*(getattr(one.payload, name) for name in _CARRIED), one.job.id) for one in replacements]
    stops.forget(connection, [one.job.id for one in replacements])  # what was asked of the request before
    connection.exec_driver_sql(placeholders(connection, _REPLACE_JOB), jobs)
    connection.exec_driver_sql(placeholders(connection, _REPLACE_PAYLOAD), payloads)
