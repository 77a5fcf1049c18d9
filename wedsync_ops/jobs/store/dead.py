"""Dead letters: discarded jobs that keep what a retry needs."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.store import control
from wedsync_ops.jobs.store.control import Retryable

CHUNK = 500
"""The most jobs that one look reads."""
NEVER = 2**63 - 1


class Letter(NamedTuple):
    """A discarded job, as it is found. ``finished_at`` tells one discarding of it from the next."""

    id: int
    finished_at: int
    module_type: str
    supplier_id: str | None
    wedding_on: str | None
    timezone: str | None
    error: str | None
    unique_key: str | None


def page(
    connection: Connection, *, after: tuple[int, int], until: int = NEVER
) -> tuple[list[Letter], tuple[int, int] | None]:
    """Dead letters that were discarded before an instant, after a place (when, id); and the next place, if any."""
    rows = db.run(
        connection,
        (
            "SELECT id, finished_at, module_type, supplier_id, wedding_on, timezone, error, unique_key, state,"
            " EXISTS (SELECT 1 FROM payloads WHERE job_id = jobs.id AND config IS NOT NULL) AS has_payload FROM jobs"
            # In the words of the index, which SQLite uses for no others.
            " WHERE (state = 'discarded' OR state = 'cancelled' OR state = 'expired')"
            " AND finished_at < :until AND (finished_at, id) > (:at, :last) ORDER BY finished_at, id LIMIT :chunk"
        ),
        {"until": until, "at": after[0], "last": after[1], "chunk": CHUNK},
    ).all()
    found = [Letter._make(row[:8]) for row in rows if row.state == "discarded" and row.has_payload]
    return found, (rows[-1].finished_at, rows[-1].id) if len(rows) == CHUNK else None


def still_dead(connection: Connection, found: Collection[tuple[int, int]]) -> dict[int, Retryable]:
    """Those of the letters (id, when) that nobody has retried since; locked on PostgreSQL."""
    ids = [job_id for job_id, _ in found]
    locked = {job.id: job for job in control.retryable(connection, ids) if job.has_payload}
    rows = db.run(
        connection,
        f"SELECT id, finished_at FROM jobs WHERE id IN {db.ids_source(connection)} AND state = 'discarded'",
        {"ids": db.many(list(locked))},
    )
    same = set(found)
    return {row.id: locked[row.id] for row in rows if (row.id, row.finished_at) in same}


def standing(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """When those of the jobs were discarded that are dead letters."""
    rows = db.run(
        connection,
        (
            f"SELECT id, finished_at FROM jobs WHERE id IN {db.ids_source(connection)} AND state = 'discarded'"
            " AND EXISTS (SELECT 1 FROM payloads WHERE job_id = jobs.id AND config IS NOT NULL)"
        ),
        {"ids": db.many(list(ids))},
    )
    return {row.id: row.finished_at for row in rows}
