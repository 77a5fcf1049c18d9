"""The SQL of demand: what waits for its time, hour by hour, read in the order of an index."""

from collections.abc import Mapping

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import HOUR

_DUE = (
    f"SELECT due_at - due_at % {HOUR} AS hour, module_type, count(*) AS jobs FROM jobs"
    " WHERE state IN ('scheduled','retryable') AND due_at >= :since AND due_at < :until GROUP BY 1, 2"
)


def due(connection: Connection, since: int, until: int) -> Mapping[tuple[int, str], int]:
    """How many jobs wait for a time in a range, by the hour in which that lies and by module type."""
    rows = db.run(connection, _DUE, {"since": since, "until": until})
    return {(row.hour, row.module_type): row.jobs for row in rows}
