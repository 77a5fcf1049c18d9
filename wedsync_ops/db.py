"""The database: engines, pragmas, transactions, and the errors of the drivers in the platform's own words.

SQLite is opened in WAL mode with one writer connection (``BEGIN IMMEDIATE``, so that what a transaction read still
holds when it writes) and readers of their own (deferred ``BEGIN``, so that reading never takes the write lock).
PostgreSQL is reached through psycopg 3. Stores write SQL once; the few places where the dialects differ are here.
"""

import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from wedsync_ops import errors
from wedsync_ops.clock import Clock, OffsetClock, SystemClock
from wedsync_ops.instants import SECOND
from wedsync_ops.settings import Settings

_SQLITE_ERRORS = (
    ("database or disk is full", errors.StorageFull),
    ("disk i/o error", errors.StorageFull),
    ("database is locked", errors.DatabaseLocked),
    ("readonly database", errors.DatabaseReadOnly),
    ("not a database", errors.DatabaseCorrupt),
    ("malformed", errors.DatabaseCorrupt),
)

_CONFLICTS = ("40001", "40P01")
"""PostgreSQL's serialization failure and deadlock: of the transactions that block each other one is undone."""

_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""A server that is gone without a word is noticed within 20 s (the last is in ms), not after the kernel's 15 minutes or
2 hours: a heartbeat must not wait for it as long as that. What the URL says itself comes first."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database: a writer and a reader engine, and the file when it is SQLite."""

    writer: Engine
    reader: Engine
    file: Path | None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the SQLite dialect."""
        return self.file is not None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it is committed, or nothing. Driver errors come out as DatabaseError."""
        with translated(), self.writer.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only view of one moment; never waits for a writer on SQLite."""
        with translated(), self.reader.connect() as connection:
            yield connection

    def server_clock(self) -> Clock:
        """This machine's clock on SQLite; on PostgreSQL the server's, so that all machines agree."""
        if self.is_sqlite:
            return SystemClock()
        with self.reading() as connection:
            return OffsetClock(_server_now(connection))

    def close(self) -> None:
        """Close every connection."""
        self.writer.dispose()
        self.reader.dispose()


def follow(connection: Connection, clock: Clock) -> None:
    """Adjust a clock that is reckoned from this server's; another one is right by itself."""
    if isinstance(clock, OffsetClock):
        asked = clock.monotonic()
        server_now = _server_now(connection)
        clock.adjust(server_now, within_us=round((clock.monotonic() - asked) * SECOND))


def _server_now(connection: Connection) -> int:
    microseconds = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    return int(connection.execute(microseconds).scalar_one())


def connect(settings: Settings) -> Database:
    """Open the engines for the configured URL; no connection is made yet.

    Raises DatabaseUnreachable for a URL that is none or of another database.
    """
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError) as error:
        raise errors.DatabaseUnreachable(
            "the database URL cannot be read", hint="write sqlite:///file or postgresql+psycopg://user@host/name"
        ) from error
    if url.get_backend_name() == "sqlite":
        return _connect_sqlite(url, settings)
    if url.get_backend_name() == "postgresql":
        return _connect_postgres(url)
    raise errors.DatabaseUnreachable(
        f"{url.get_backend_name()!r} databases are not supported", hint="use sqlite:/// or postgresql+psycopg://"
    )


def _connect_sqlite(url: URL, settings: Settings) -> Database:
    if not url.database or url.database == ":memory:":
        raise errors.DatabaseUnreachable("an in-memory database cannot be shared", hint="name a file: sqlite:///FILE")
    arguments: dict[str, Any] = {"timeout": settings.busy_timeout_s, "check_same_thread": False}
    file = Path(url.database.removeprefix("file:")).absolute()
    if url.database.startswith("file:"):
        url = url.update_query_dict({"uri": "true"})
    # One writer per process: SQLite has one write lock, and a second connection would only wait for it.
    writer = create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=1, max_overflow=0)
    reader = create_engine(url, connect_args=arguments, poolclass=QueuePool, pool_size=2, max_overflow=8)
    synchronous = "FULL" if settings.durability == "full" else "NORMAL"
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        _prepare_sqlite(engine, begin, synchronous)
    return Database(writer, reader, file)


def _prepare_sqlite(engine: Engine, begin: str, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late; "begin" below sends ours
        cursor = connection.cursor()
        if begin == "BEGIN IMMEDIATE":
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -32000")
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _connect_postgres(url: URL) -> Database:
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        raise errors.DatabaseUnreachable(f"the driver {url.get_driver_name()!r} is not supported")
    url = url.set(drivername="postgresql+psycopg", query={**_PATIENCE, **url.query})
    try:
        engine = create_engine(url, pool_size=4, max_overflow=8, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise errors.DatabaseUnreachable(
            "the PostgreSQL driver is not installed", hint="pip install 'wedsync-ops[postgres]'"
        ) from error
    return Database(engine, engine, None)


@contextmanager
def translated() -> Iterator[None]:
    """Let errors of the database come out as the platform's own, one line each: the drivers' and SQLAlchemy's."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig, is_lost=error.connection_invalidated) from error
    except _drivers() as error:
        raise _translate(error) from error
    except SQLAlchemyError as error:
        raise errors.DatabaseError(_one_line(error)) from error


def _drivers() -> tuple[type[Exception], ...]:
    """The errors of the drivers that are in use: psycopg's can be met only where it was imported."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error,) if psycopg is None else (sqlite3.Error, psycopg.Error)


def _translate(error: BaseException | None, *, is_lost: bool = False) -> errors.WedsyncError:
    if isinstance(error, sqlite3.Error):
        return _named(str(error))
    if getattr(error, "sqlstate", None) in _CONFLICTS:
        return errors.DatabaseConflict()
    if is_lost or "connection" in str(error).lower():
        return errors.DatabaseUnreachable(f"the database cannot be reached: {_one_line(error)}")
    return errors.DatabaseError(f"the database failed: {_one_line(error)}")


def _named(message: str) -> errors.WedsyncError:
    lowered = message.lower()
    for part, kind in _SQLITE_ERRORS:
        if part in lowered:
            return kind()
    if "unable to open" in lowered:
        return errors.DatabaseUnreachable(
            "the database file cannot be opened", hint="check --db and the permissions of its folder"
        )
    return errors.DatabaseError(f"the database failed: {message}")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]


# The dialects differ in how a statement takes many rows. These give the same SQL two spellings.

_JSON_TYPES = {"bigint": "INTEGER", "text": "TEXT", "double precision": "REAL"}


def rows_source(connection: Connection, columns: Mapping[str, str], name: str = "rows") -> str:
    """A table expression ``(…) AS r`` over the JSON list bound as ``:name``, with typed columns.

    ``columns`` maps a name to one of PostgreSQL's types bigint, text, double precision.
    """
    if connection.dialect.name == "sqlite":
        picks = ", ".join(f"value ->> '{column}' AS {column}" for column in columns)
        return f"(SELECT {picks} FROM json_each(:{name})) AS r"
    typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"json_to_recordset(CAST(:{name} AS json)) AS r({typed})"


def ids_source(connection: Connection, name: str = "ids") -> str:
    """A sub-select over the JSON list of integers bound as ``:name``."""
    if connection.dialect.name == "sqlite":
        return f"(SELECT value FROM json_each(:{name}))"
    return f"(SELECT value::bigint FROM json_array_elements_text(CAST(:{name} AS json)))"


def texts_source(connection: Connection, name: str = "texts") -> str:
    """A sub-select over the JSON list of strings bound as ``:name``."""
    if connection.dialect.name == "sqlite":
        return f"(SELECT value FROM json_each(:{name}))"
    return f"(SELECT value FROM json_array_elements_text(CAST(:{name} AS json)))"


def many(rows: Sequence[Any]) -> str:
    """Rows as the JSON text that the sources above are bound to."""
    return orjson.dumps(rows).decode()
