"""The jobs of couples, as far as their readiness takes: read through the index on the client."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row

from wedsync_ops import db

_JOBS = (
    "SELECT payloads.client_id, jobs.id, jobs.module_type, jobs.module_version, jobs.state, jobs.priority, jobs.due_at,"
    " jobs.deadline_at, jobs.max_attempts - jobs.attempt AS attempts_left, jobs.error, jobs.supplier_id"
    " FROM payloads JOIN jobs ON jobs.id = payloads.job_id"
)


def jobs_of(connection: Connection, client_ids: Sequence[str]) -> Sequence[Row[tuple[object, ...]]]:
    """Every job of these couples."""
    statement = f"{_JOBS} WHERE payloads.client_id IN {db.texts_source(connection)}"
    return db.run(connection, statement, {"texts": db.many(list(client_ids))}).all()
