"""Opening databases, transactions, and the drivers' errors in the platform's own words."""

import socket
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    DatabaseError,
    DatabaseIo,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseUnreachable,
    SettingError,
    StorageFull,
    WedsyncError,
)
from wedsync_ops.settings import Settings

ADD = text("INSERT INTO supplier_tags VALUES ('email', 1, :name, 1)")
NAMES = text("SELECT supplier_id FROM supplier_tags ORDER BY supplier_id")


def names(database: Database) -> list[str]:
    with database.reading() as connection:
        return list(connection.execute(NAMES).scalars())


class TestTransaction:
    def test_is_all_or_nothing(self, database: Database) -> None:
        with database.transaction() as connection:
            connection.execute(ADD, {"name": "kept"})

        def fail() -> None:
            with database.transaction() as connection:
                connection.execute(ADD, {"name": "lost"})
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        with pytest.raises(DatabaseError), database.transaction() as connection:
            connection.execute(ADD, [{"name": "lost too"}, {"name": "kept"}])
        assert names(database) == ["kept"]

    def test_readers_see_what_is_committed_and_do_not_wait(self, database: Database) -> None:
        with database.transaction() as connection:
            connection.execute(ADD, {"name": "x"})
            assert names(database) == []
        assert names(database) == ["x"]

    def test_what_was_read_still_holds_when_writing(self, sqlite_database: Database) -> None:
        """Two that read, add one and write: no update is lost."""
        with sqlite_database.transaction() as connection:
            connection.execute(ADD, {"name": "x"})

        def add() -> None:
            for _ in range(20):
                with sqlite_database.transaction() as connection:
                    tag = connection.execute(text("SELECT tag FROM supplier_tags")).scalar_one()
                    connection.execute(text("UPDATE supplier_tags SET tag = :tag"), {"tag": tag + 1})

        threads = [threading.Thread(target=add) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with sqlite_database.reading() as connection:
            assert connection.execute(text("SELECT tag FROM supplier_tags")).scalar_one() == 61

    def test_reading_on_sqlite_is_of_one_moment(self, sqlite_database: Database) -> None:
        with sqlite_database.reading() as reader:
            assert list(reader.execute(NAMES).scalars()) == []
            with sqlite_database.transaction() as connection:
                connection.execute(ADD, {"name": "x"})
            assert list(reader.execute(NAMES).scalars()) == []
        assert names(sqlite_database) == ["x"]


class TestSqlite:
    @pytest.mark.parametrize(("durability", "synchronous"), [("full", 2), ("normal", 1)])
    def test_pragmas(self, settings: Settings, durability: str, synchronous: int) -> None:
        database = db.connect(replace(settings, durability=durability))
        migrate.ensure(database)
        for engine in (database.writer, database.reader):
            with engine.connect() as connection:
                found = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous", "foreign_keys")
                ]
            assert found == ["wal", synchronous, 1]
        database.close()

    def test_a_lock_that_another_process_holds_is_waited_for_and_then_named(self, settings: Settings) -> None:
        database = db.connect(replace(settings, busy_timeout_s=0.05))
        migrate.ensure(database)
        assert database.file is not None
        with closing(sqlite3.connect(database.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DatabaseLocked, match=f"^{database.file}: "), database.transaction() as connection:
                connection.execute(ADD, {"name": "x"})
            assert names(database) == []
        with database.transaction() as connection:
            connection.execute(ADD, {"name": "y"})
        assert names(database) == ["y"]
        database.close()

    def test_the_file_is_the_one_of_the_url(self, tmp_path: Path) -> None:
        for url in (f"sqlite:///{tmp_path}/a.db", f"sqlite:///file:{tmp_path}/a.db?mode=rw"):
            database = db.connect(Settings(home=tmp_path, db=url))
            assert (database.file, database.is_sqlite) == (tmp_path / "a.db", True)
            database.close()

    def test_mode_ro_cannot_write(self, sqlite_database: Database) -> None:
        database = db.connect(Settings(db=f"sqlite:///file:{sqlite_database.file}?mode=ro"))
        with pytest.raises(DatabaseReadOnly), database.transaction() as connection:
            connection.execute(ADD, {"name": "x"})
        assert names(database) == []
        database.close()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:",
        "sqlite:///file:x.db?mode=memory",
        "sqlite://host/x.db",
        "sqlite:///x.db?mode=ro",
        "sqlite:///x.db?timeout=soon",
        "sqlite+aiosqlite:///x.db",
        "/some/path.db",
        "file:x?mode=ro",
        ".",
        "mysql://root@localhost/x",
        "postgresql+asyncpg://localhost/x",
        "oracle://x",
        "://",
        "postgresql+psycopg://u@localhost:port/x",
    ],
)
def test_urls_that_cannot_be_used_are_refused_in_one_line(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="database") as caught:
        db.connect(Settings(home=tmp_path, db=url))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("disk I/O error", DatabaseIo),
        ("database or disk is full", StorageFull),
        ("unable to open database file", DatabaseUnreachable),
        ("no such vfs: x", DatabaseError),
    ],
)
def test_every_error_says_where(message: str, kind: type[WedsyncError]) -> None:
    with pytest.raises(kind, match=r"^/srv/ops\.db: the "), db.translated("/srv/ops.db"):
        raise sqlite3.OperationalError(message)


def test_a_server_that_is_not_there_is_unreachable_and_its_password_not_shown(tmp_path: Path) -> None:
    database = db.connect(Settings(home=tmp_path, db="postgresql+psycopg://ann:s3cret@127.0.0.1:1/x?connect_timeout=2"))
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1:1/x\?connect_timeout=2: ") as caught:
        migrate.ensure(database)
    assert "s3cret" not in str(caught.value)
    assert "--db" not in str(caught.value)
    assert "\n" not in str(caught.value)
    database.close()


def test_a_short_postgres_url_gets_the_driver_that_is_installed(postgres_url: str) -> None:
    database = db.connect(Settings(db=postgres_url.replace("postgresql+psycopg", "postgresql")))
    assert database.writer.driver == "psycopg"
    assert not database.is_sqlite
    with database.reading() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    database.close()


def test_a_server_that_says_nothing_is_not_waited_for_longer_than_the_url_says(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        database = db.connect(Settings(home=tmp_path, db=f"postgresql+psycopg://u@{address}/x?connect_timeout=2"))
        with pytest.raises(DatabaseUnreachable), database.reading():
            pass
        query = database.writer.url.query
        assert (query["connect_timeout"], query["tcp_user_timeout"]) == ("2", "20000")
        database.close()


def test_errors_of_the_database_come_out_as_one_line(database: Database) -> None:
    for statement in ("SELECT * FROM nothing", "SELEC", "INSERT INTO jobs (id) VALUES (1)"):
        with pytest.raises(DatabaseError) as caught, database.transaction() as connection:
            connection.execute(text(statement))
        assert "\n" not in str(caught.value)


def test_what_need_not_be_durable_does_not_wait_for_the_disk(sqlite_database: Database) -> None:
    seen = []
    for durable in (True, False, True):
        with sqlite_database.transaction(durable=durable) as connection:
            seen.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert seen == [2, 1, 2]
    with pytest.raises(DatabaseError), sqlite_database.transaction(durable=False) as connection:
        connection.exec_driver_sql("SELEC")
    with sqlite_database.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


class TestSources:
    """Many rows in one statement, on both dialects."""

    ROWS = (
        (1, "ü 'x' \\ \" 💍", 0.5),
        (2**62, None, None),
        (-1, "007", 3.0),
        (None, "", 1e300),
    )

    def test_rows_come_back_typed(self, database: Database) -> None:
        columns = {"id": "bigint", "word": "text", "share": "double precision"}
        with database.reading() as connection:
            source = db.rows_source(connection, columns, "mine")
            found = db.run(connection, f"SELECT * FROM {source}", {"mine": db.many(self.ROWS)})
            assert sorted(map(str, found)) == sorted(map(str, self.ROWS))

    def test_parameters_are_named_and_may_be_used_twice(self, database: Database) -> None:
        with database.reading() as connection:
            kind = "::text" if connection.dialect.name == "postgresql" else ""
            row = db.run(connection, f"SELECT :a{kind}, :a{kind}, '50 %', 7 % 4", {"a": "x:y"}).one()
        assert tuple(row) == ("x:y", "x:y", "50 %", 3)

    def test_lists_are_looked_up_in(self, database: Database) -> None:
        with database.reading() as connection:
            ids, texts = db.ids_source(connection), db.texts_source(connection)
            statement = text(
                f"SELECT CASE WHEN 5 IN {ids} THEN 1 ELSE 0 END, CASE WHEN 'a''ü' IN {texts} THEN 1 ELSE 0 END"
            )
            for numbers, words, expected in (([5, 6], ["a'ü"], (1, 1)), ([], [], (0, 0)), ([50], ["b"], (0, 0))):
                values = {"ids": db.many(numbers), "texts": db.many(words)}
                assert tuple(connection.execute(statement, values).one()) == expected


def test_who_waits_for_the_lock_gets_it_between_the_transactions_of_one_who_writes_on_and_on(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with closing(db.connect(settings)) as busy, closing(db.connect(settings)) as other:
        written, got = 0, threading.Event()

        def wait_for_it() -> None:
            with other.transaction():
                got.set()

        waiter = threading.Thread(target=wait_for_it)
        with busy.transaction():
            waiter.start()
            got.wait(0.35)  # so long that SQLite itself would look again every 100 ms only
        while not got.wait(0.004) and written < 100:
            with busy.transaction():
                got.wait(0.01)
            written += 1
        waiter.join()
    assert written <= 4
