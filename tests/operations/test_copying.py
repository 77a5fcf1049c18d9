"""Rows on their way from SQLite to PostgreSQL: each once, in batches, the same afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from tests.stores.rows import NOW, add_many
from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.metrics.model import Sums
from wedsync_ops.moves import Progress
from wedsync_ops.operations import copying
from wedsync_ops.operations.copying import Table
from wedsync_ops.settings import Settings


@pytest.fixture
def target(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    opened = db.connect(Settings(home=tmp_path, db=postgres_url))
    migrate.ensure(opened)
    yield opened
    opened.close()


def table(database: Database, name: str) -> Table:
    with database.reading() as connection:
        return next(each for each in copying.tables(connection) if each.name == name)


def copied(source: Database, target: Database, name: str) -> list[Progress]:
    """Where each batch of a whole copy ended."""
    one, reached = table(source, name), list[Progress]()
    while True:
        with source.reading() as reading, target.transaction() as writing:
            more = copying.copy_batch(reading, writing, one, reached[-1] if reached else None)
        if more is None:
            return reached
        reached.append(more)


def test_every_table_but_the_marks_is_moved_after_those_that_it_refers_to(sqlite_database: Database) -> None:
    with sqlite_database.reading() as connection:
        names = [each.name for each in copying.tables(connection)]
        everything = set(inspect(connection).get_table_names())
    assert set(names) == everything - {"alembic_version", "moves", "move_progress"}
    assert names.index("jobs") < names.index("payloads")
    assert names.index("module_versions") < names.index("modules")


def test_what_a_column_can_hold_arrives_unchanged(sqlite_database: Database, target: Database) -> None:
    with sqlite_database.transaction() as connection:
        connection.execute(
            text("INSERT INTO host_samples VALUES ('a\tb\\n\nü💍', :at, 0.1, 100.0, NULL)"), {"at": 2**63 - 1}
        )
        connection.execute(text("INSERT INTO module_versions VALUES ('m', 1, 'h', '{\"a\": 1e-7}', 0)"))
        connection.execute(text("INSERT INTO modules VALUES ('m', 1, 1, NULL, -5)"))
    for name in ("host_samples", "module_versions", "modules"):
        (done,) = copied(sqlite_database, target, name)
        with target.reading() as connection:
            found = copying.verify(connection, table(sqlite_database, name))
        assert (done.copied, done.digest) == (found.copied, found.digest)
    with target.reading() as connection:
        (sample,) = connection.execute(text("SELECT * FROM host_samples")).all()
        (module,) = connection.execute(text("SELECT * FROM modules")).all()
    assert tuple(sample) == ("a\tb\\n\nü💍", 2**63 - 1, 0.1, 100.0, None)
    assert tuple(module) == ("m", 1, True, None, -5)


def test_bytes_arrive_unchanged(sqlite_database: Database, target: Database) -> None:
    every_byte = bytes(range(256))
    sums = ", ".join("0" for _ in Sums._fields)
    with sqlite_database.transaction() as connection:
        connection.execute(text(f"INSERT INTO rollups VALUES (1, 2, 3, {sums}, :sketch, x'')"), {"sketch": every_byte})
    (done,) = copied(sqlite_database, target, "rollups")
    with target.reading() as connection:
        found = copying.verify(connection, table(sqlite_database, "rollups"))
        assert connection.execute(text("SELECT durations, waits FROM rollups")).one() == (every_byte, b"")
    assert (done.copied, done.digest) == (found.copied, found.digest)


def test_a_nul_which_postgres_cannot_keep_is_replaced(sqlite_database: Database, target: Database) -> None:
    with sqlite_database.transaction() as connection:
        connection.execute(text("INSERT INTO execution_details VALUES (1, NULL, :log)"), {"log": "a\x00b"})
    (done,) = copied(sqlite_database, target, "execution_details")
    with target.reading() as connection:
        assert copying.verify(connection, table(sqlite_database, "execution_details")).digest == done.digest
        assert connection.execute(text("SELECT log FROM execution_details")).scalars().all() == ["a\ufffdb"]


def test_batches_are_bounded_by_rows_and_by_bytes(sqlite_database: Database, target: Database) -> None:
    with sqlite_database.transaction() as connection:
        add_many(connection, [{}] * (copying.ROWS + 1))
        big = {"text": "x" * (copying.BYTES // 2)}
        for number in range(5):
            connection.execute(
                text("INSERT INTO execution_details VALUES (:id, NULL, :text)"), {"id": number * 10, **big}
            )
    assert [each.copied for each in copied(sqlite_database, target, "jobs")] == [copying.ROWS, copying.ROWS + 1]
    ends = copied(sqlite_database, target, "execution_details")
    assert [(each.after_row, each.copied) for each in ends] == [(10, 2), (30, 4), (40, 5)]


def test_a_batch_that_is_undone_leaves_nothing(sqlite_database: Database, target: Database) -> None:
    with sqlite_database.transaction() as connection:
        add_many(connection, [{}] * 3)
    jobs = table(sqlite_database, "jobs")
    with sqlite_database.reading() as reading, target.transaction() as writing:
        copying.copy_batch(reading, writing, jobs, None)
        writing.rollback()
    with target.reading() as connection:
        assert copying.is_empty(connection, "jobs")
        assert copying.is_empty(connection, "move_progress")


def test_the_digest_depends_on_every_value_and_not_on_the_order(sqlite_database: Database, target: Database) -> None:
    samples = table(sqlite_database, "host_samples")
    with target.transaction() as connection:
        for host, cpu in (("a", 1.5), ("b", 2.5), ("c", None)):
            connection.execute(text("INSERT INTO host_samples VALUES (:h, 1, :c, 0, 0)"), {"h": host, "c": cpu})
        before = copying.verify(connection, samples)
        connection.execute(text("UPDATE host_samples SET host = host WHERE host = 'a'"))  # it now lies at the end
        assert copying.verify(connection, samples) == before
        connection.execute(text("UPDATE host_samples SET cpu_percent = 2.25 WHERE host = 'b'"))
        assert copying.verify(connection, samples).digest != before.digest


def test_ids_go_on_above_all_that_were_ever_given(sqlite_database: Database, target: Database) -> None:
    with sqlite_database.transaction() as connection:
        ids = add_many(connection, [{}] * 5)
        connection.execute(text("DELETE FROM jobs WHERE id > 2"))
        connection.execute(
            text("INSERT INTO events (id, job_id, state, at) VALUES (70, 1, 'completed', :now)"), {"now": NOW}
        )
    for name in ("jobs", "events"):
        copied(sqlite_database, target, name)
    with sqlite_database.reading() as reading, target.transaction() as writing:
        copying.raise_sequences(reading, writing, copying.tables(reading))
    with target.transaction() as connection:
        assert add_many(connection, [{}]) == [ids[-1] + 1]
        event = text("INSERT INTO events (job_id, state, at) VALUES (1, 'completed', 0) RETURNING id")
        assert connection.execute(event).scalar() == 71
        unused = text("SELECT nextval(pg_get_serial_sequence('executions', 'id'))")
        assert connection.execute(unused).scalar() == 1
