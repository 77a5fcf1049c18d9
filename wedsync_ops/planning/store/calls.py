"""The SQL of the call sheet: what people did by hand, and what the jobs that they did it for would have done."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection

from wedsync_ops import db


def made(connection: Connection, client_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """What people did for couples: by couple the keys of the promises, each with who did it."""
    statement = f"SELECT client_id, key, made_by, note FROM calls_made WHERE client_id IN {db.texts_source(connection)}"
    found: dict[str, dict[str, str]] = {}
    for row in db.run(connection, statement, {"texts": db.many(list(client_ids))}):
        note = f": {row.note}" if row.note else ""
        found.setdefault(row.client_id, {})[row.key] = f"done by hand by {row.made_by}{note}"
    return found


def record(connection: Connection, key: str, client_id: str, *, by: str, note: str | None, now: int) -> None:
    """Write that somebody did what was promised; the latest word counts."""
    db.run(
        connection,
        "INSERT INTO calls_made (key, client_id, made_at, made_by, note) VALUES (:key, :client_id, :now, :by, :note)"
        " ON CONFLICT (key) DO UPDATE SET made_at = excluded.made_at, made_by = excluded.made_by, note = excluded.note",
        {"key": key, "client_id": client_id, "now": now, "by": by, "note": note},
    )


def configs(connection: Connection, job_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """The configs of jobs, of those that still have one."""
    statement = (
        f"SELECT job_id, config FROM payloads WHERE config IS NOT NULL AND job_id IN {db.ids_source(connection)}"
    )
    rows = db.run(connection, statement, {"ids": db.many(list(job_ids))})
    return {job_id: orjson.loads(config) for job_id, config in map(tuple, rows)}


def client_of(connection: Connection, job_id: int) -> str | None:
    """The couple of a job."""
    statement = "SELECT client_id FROM payloads WHERE job_id = :id"
    found: str | None = db.run(connection, statement, {"id": job_id}).scalar()
    return found
