"""Writing new jobs: ids, keys, the supplier's place in the lane, rows in bulk."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Priority, Queued, State
from wedsync_ops.weddings.model import Region

TagKey = tuple[str, int, str]
"""Module type, priority, supplier: the lane in which a supplier's last fair start is remembered."""

_JOB_COLUMNS = (
    "id, module_type, module_version, state, priority, priority_requested, rank, due_at, queued_at, next_change_at,"
    " expires_at, deadline_at, attempt, max_attempts, losses, kills, token, supplier_id, wedding_on, timezone,"
    " vendor_type, key, payload_hash, region, unique_key, unique_within_us"
)
_VALUES = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?"
_INSERT_JOB = f"INSERT INTO jobs ({_JOB_COLUMNS}) VALUES ({_VALUES})"
_INSERT_PAYLOAD = (
    "INSERT INTO payloads (job_id, client_id, config, context, reasons, recipient) VALUES (?, ?, ?, ?, ?, ?)"
)
_SAVE_TAG = (
    "INSERT INTO supplier_tags (module_type, priority, supplier_id, tag) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (module_type, priority, supplier_id) DO UPDATE SET tag = excluded.tag"
)


class NewJob(NamedTuple):
    """A job that is about to be written, in the order of the statement's columns; instants in microseconds.

    A tuple and no dataclass, because the driver takes it as it is: thousands are written at once.
    """

    id: int
    module_type: str
    module_version: int
    state: str
    priority: int
    priority_requested: int
    rank: int | None
    due_at: int
    queued_at: int
    next_change_at: int | None
    expires_at: int | None
    deadline_at: int | None
    max_attempts: int
    supplier_id: str | None
    wedding_on: str | None
    timezone: str | None
    vendor_type: str | None
    key: str | None
    payload_hash: str
    region: str = Region.UNKNOWN
    unique_key: str | None = None
    unique_within_us: int | None = None


class NewPayload(NamedTuple):
    """What a new job carries: ``config``, ``context`` and ``reasons`` are JSON text."""

    job_id: int
    client_id: str
    config: str
    context: str
    reasons: str
    recipient: str | None = None


@dataclass(frozen=True, slots=True)
class Keyed:
    """The job that holds an idempotency key, as its queueing was answered, and the digest of its payload."""

    payload_hash: str
    job: Queued


def placeholders(connection: Connection, sql: str) -> str:
    """A driver-level statement with this driver's parameter marks (``?`` becomes ``%s`` for psycopg)."""
    return sql if connection.dialect.name == "sqlite" else sql.replace("?", "%s")


def allocate_ids(connection: Connection, count: int) -> Sequence[int]:
    """The next ``count`` job ids, growing, never used before."""
    if connection.dialect.name == "sqlite":
        # Safe under BEGIN IMMEDIATE: inserting an explicit id moves AUTOINCREMENT's own mark along.
        last = db.run(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").scalar() or 0
        return range(last + 1, last + 1 + count)
    rows = db.run(
        connection,
        ("SELECT nextval(pg_get_serial_sequence('jobs', 'id')) FROM generate_series(1, :count)"),
        {"count": count},
    )
    return sorted(row[0] for row in rows)


def take_turns(connection: Connection, keys: Sequence[str]) -> None:
    """Lock keys, be they idempotency or unique ones, on PostgreSQL until the transaction ends: all of them at once."""
    if keys and connection.dialect.name == "postgresql":
        # Two processes with one key take turns here, as BEGIN IMMEDIATE makes them do on SQLite.
        db.run(
            connection,
            (
                "SELECT pg_advisory_xact_lock(number) FROM (SELECT DISTINCT hashtextextended(value, 0) AS number"
                f" FROM {db.texts_source(connection)} AS t ORDER BY 1) AS locks"
            ),
            {"texts": db.many(keys)},
        )


def keyed(connection: Connection, keys: Sequence[str], *, lock: bool = True) -> Mapping[str, Keyed]:
    """The jobs that hold any of these keys, which are locked by this unless they are already."""
    if not keys:
        return {}
    if lock:
        take_turns(connection, keys)
    rows = db.run(
        connection,
        f"SELECT {QUEUED_COLUMNS} FROM jobs JOIN payloads ON job_id = id WHERE key IN {db.texts_source(connection)}",
        {"texts": db.many(keys)},
    )
    return {row.key: keyed_from(row) for row in rows}


QUEUED_COLUMNS = "key, id, payload_hash, module_type, state, priority, priority_requested, due_at, rank, reasons"
"""What ``keyed_from`` reads."""


def keyed_from(row: Any) -> Keyed:
    """A job's row as the answer to whoever meets it."""
    reasons = orjson.loads(row.reasons)
    queued = Queued(
        job_id=row.id,
        module_type=row.module_type,
        state=State(row.state),
        priority_requested=Priority(row.priority_requested),
        priority_applied=Priority(row.priority),
        priority_reasons=tuple(reasons["priority"]),
        weekend_scaling_applied=reasons["weekend"],
        due_at=row.due_at,
        due_reasons=tuple(reasons["due"]),
        rank=row.rank,
        duplicate=True,
        queued_as="duplicate",
    )
    return Keyed(row.payload_hash, queued)


def tags(connection: Connection, keys: Iterable[TagKey]) -> dict[TagKey, int]:
    """The last fair start of each supplier in each lane."""
    wanted = list(keys)
    if not wanted:
        return {}
    source = db.rows_source(connection, {"m": "text", "p": "bigint", "s": "text"})
    rows = db.run(
        connection,
        (
            f"SELECT t.module_type, t.priority, t.supplier_id, t.tag FROM {source} JOIN supplier_tags t"
            " ON t.module_type = r.m AND t.priority = r.p AND t.supplier_id = r.s"
        ),
        {"rows": db.many(wanted)},
    )
    return {(row.module_type, row.priority, row.supplier_id): row.tag for row in rows}


def save_tags(connection: Connection, latest: Mapping[TagKey, int]) -> None:
    """Remember the last fair start of each supplier in each lane, in a fixed order (so that nobody deadlocks)."""
    if latest:
        rows = [(*key, latest[key]) for key in sorted(latest)]
        connection.exec_driver_sql(placeholders(connection, _SAVE_TAG), rows)


def insert(connection: Connection, jobs: Sequence[NewJob], payloads: Sequence[NewPayload]) -> None:
    """Write jobs with their payloads."""
    if jobs:
        connection.exec_driver_sql(placeholders(connection, _INSERT_JOB), list(jobs))
        connection.exec_driver_sql(placeholders(connection, _INSERT_PAYLOAD), list(payloads))
