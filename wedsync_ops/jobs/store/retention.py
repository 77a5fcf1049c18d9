"""What is forgotten when: payloads first, then details, then whole rows. In chunks, so that nobody waits.

Of completed jobs the latest ones per module type keep config, context and result, of failed executions the latest keep
traceback and log; discarded jobs keep what a retry needs for longer; measurements stay until the rows go.
"""

from sqlalchemy import Connection, text

from wedsync_ops import db

CHUNK = 1000
"""The most rows that one transaction forgets."""

_STRIP = "UPDATE payloads SET config = NULL, context = NULL, result = NULL WHERE job_id IN {ids}"


def strip_completed(connection: Connection, keep: int) -> int:
    """Forget config, context and result of completed jobs beyond the latest ``keep`` of each module type."""
    ids = connection.execute(
        text(
            "SELECT job_id FROM (SELECT payloads.job_id, row_number() OVER"
            " (PARTITION BY jobs.module_type ORDER BY jobs.finished_at DESC, jobs.id DESC) AS place"
            # CROSS JOIN holds SQLite to this order, so that it reads the few results that are kept, not every job.
            " FROM payloads CROSS JOIN jobs WHERE jobs.id = payloads.job_id"
            " AND payloads.result IS NOT NULL AND jobs.state = 'completed') AS ranked"
            " WHERE place > :keep ORDER BY job_id LIMIT :chunk"
        ),
        {"keep": keep, "chunk": CHUNK},
    ).scalars()
    return _strip(connection, list(ids))


def strip_dead(connection: Connection, before: int) -> int:
    """Forget config and context of jobs that were discarded, cancelled or expired before an instant."""
    ids = connection.execute(
        text(
            "SELECT jobs.id FROM jobs JOIN payloads ON payloads.job_id = jobs.id"
            " WHERE state IN ('discarded','cancelled','expired') AND finished_at < :before"
            " AND payloads.config IS NOT NULL ORDER BY jobs.id LIMIT :chunk"
        ),
        {"before": before, "chunk": CHUNK},
    ).scalars()
    return _strip(connection, list(ids))


def drop_details(connection: Connection, keep: int) -> int:
    """Forget traceback and log of executions beyond the latest ``keep`` of each module type."""
    ids = connection.execute(
        text(
            "SELECT execution_id FROM (SELECT execution_id, row_number() OVER"
            " (PARTITION BY module_type ORDER BY executions.id DESC) AS place"
            " FROM execution_details JOIN executions ON executions.id = execution_id) AS ranked"
            " WHERE place > :keep ORDER BY execution_id LIMIT :chunk"
        ),
        {"keep": keep, "chunk": CHUNK},
    ).scalars()
    return _delete(connection, "execution_details", "execution_id", list(ids))


def drop_executions(connection: Connection, before: int) -> int:
    """Forget executions that finished before an instant, with their details."""
    ids: list[int] = []
    for module_type in connection.execute(text("SELECT DISTINCT module_type FROM lane_counts")).scalars():
        found = connection.execute(
            text(
                "SELECT id FROM executions WHERE module_type = :module_type AND finished_at < :before"
                " ORDER BY finished_at LIMIT :chunk"
            ),
            {"module_type": module_type, "before": before, "chunk": CHUNK - len(ids)},
        )
        ids.extend(found.scalars())
    _delete(connection, "execution_details", "execution_id", ids)
    return _delete(connection, "executions", "id", ids)


def drop_jobs(connection: Connection, before: int) -> int:
    """Forget jobs that finished before an instant, with their payloads and so their keys."""
    ids = list(
        connection.execute(
            text(
                "SELECT id FROM jobs WHERE state IN ('completed','discarded','cancelled','expired')"
                " AND finished_at < :before ORDER BY id LIMIT :chunk"
            ),
            {"before": before, "chunk": CHUNK},
        ).scalars()
    )
    _delete(connection, "payloads", "job_id", ids)
    return _delete(connection, "jobs", "id", ids)


def drop_leftovers(connection: Connection, *, now: int, samples_before: int, workers_before: int) -> int:
    """Forget old samples, stopped workers, ended pauses, and fair starts that have passed."""
    total = 0
    for statement, values in (
        ("DELETE FROM host_samples WHERE sampled_at < :before", {"before": samples_before}),
        ("DELETE FROM workers WHERE stopped_at < :before", {"before": workers_before}),
        ("DELETE FROM pauses WHERE until < :before", {"before": now}),
        ("DELETE FROM supplier_tags WHERE tag < :before", {"before": now}),
    ):
        total += connection.execute(text(statement), values).rowcount
    return total


def _strip(connection: Connection, ids: list[int]) -> int:
    if ids:
        connection.execute(text(_STRIP.format(ids=db.ids_source(connection))), {"ids": db.many(ids)})
    return len(ids)


def _delete(connection: Connection, table: str, column: str, ids: list[int]) -> int:
    if ids:
        connection.execute(
            text(f"DELETE FROM {table} WHERE {column} IN {db.ids_source(connection)}"), {"ids": db.many(ids)}
        )
    return len(ids)
