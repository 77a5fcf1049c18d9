"""The database itself refuses what no job can be."""

import pytest
from sqlalchemy import text

from tests.stores.rows import NOW, add, number_of
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError


@pytest.mark.parametrize(
    "nonsense",
    [
        "state = 'lost'",
        "state = NULL",
        "priority = 4",
        "priority = -1",
        "priority_requested = 9",
        "attempt = -1",
        "attempt = 4",
        "state = 'running'",
        "leased_by = 'w1'",
        "state = 'completed'",
        "state = 'discarded'",
        "state = 'cancelled'",
        "state = 'expired'",
        "rank = NULL",
        "module_type = NULL",
        "payload_hash = NULL",
    ],
)
def test_a_job_cannot_be(database: Database, nonsense: str) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
    with pytest.raises(DatabaseError), database.transaction() as connection:
        connection.execute(text(f"UPDATE jobs SET {nonsense} WHERE id = :id"), {"id": job_id})


@pytest.mark.parametrize(
    "sense",
    [
        "state = 'running', leased_by = 'w1', attempt = 3",
        "state = 'completed', finished_at = 5",
        "state = 'scheduled', rank = NULL",
        "state = 'retryable', priority = 0, priority_requested = 3",
    ],
)
def test_a_job_can_be(database: Database, sense: str) -> None:
    with database.transaction() as connection:
        job_id = add(connection)
        assert connection.execute(text(f"UPDATE jobs SET {sense} WHERE id = :id"), {"id": job_id}).rowcount == 1


@pytest.mark.parametrize(
    "statement",
    [
        """INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome,
        started_at, finished_at, in_peak) VALUES (1, 1, 'email', 1, 'w', 1, 'fine', 1, 1, 0)""",
        f"INSERT INTO pauses (scope, name, paused_by, paused_at) VALUES ('lane', 'x', 'me', {NOW})",
        "INSERT INTO module_versions VALUES ('a', 0, 'h', '{}', 1)",
        "INSERT INTO modules (module_id, version, is_held, updated_at) VALUES ('nothing', 1, FALSE, 1)",
        "INSERT INTO payloads (job_id, client_id, reasons) VALUES (99999999, 'c', '{}')",
    ],
)
def test_other_nonsense_is_refused(database: Database, statement: str) -> None:
    with pytest.raises(DatabaseError), database.transaction() as connection:
        connection.execute(text(statement))


def test_a_payload_goes_with_its_job(database: Database) -> None:
    with database.transaction() as connection:
        add(connection)
        connection.execute(text("DELETE FROM jobs"))
        assert number_of(connection, "payloads") == 0
