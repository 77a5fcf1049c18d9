"""Which forms were answered, by the jobs that sent them; an answer can come before its form's job has finished."""

from collections.abc import Sequence

from sqlalchemy import Connection

from wedsync_ops import db


def record(connection: Connection, job_id: int, now: int) -> None:
    """Note that the form that a job sent is answered, at an instant in microseconds; the first answer stays."""
    statement = "INSERT INTO form_answers (job_id, answered_at) VALUES (:id, :now) ON CONFLICT (job_id) DO NOTHING"
    db.run(connection, statement, {"id": job_id, "now": now})


def answered(connection: Connection, job_ids: Sequence[int]) -> set[int]:
    """Those of the jobs whose form is answered."""
    statement = f"SELECT job_id FROM form_answers WHERE job_id IN {db.ids_source(connection)}"
    return set(db.run(connection, statement, {"ids": db.many(job_ids)}).scalars())
