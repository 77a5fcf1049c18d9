"""The database: engines, pragmas, transactions, and the errors of the drivers in the platform's own words.

SQLite is opened in WAL mode with one writer connection (``BEGIN IMMEDIATE``, so that what a transaction read still
holds when it writes) and readers of their own (deferred ``BEGIN``, so that reading never takes the write lock).
PostgreSQL is reached through psycopg 3. Stores write SQL once; the few places where the dialects differ are here.
"""

import re
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import orjson
from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SAWarning, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from wedsync_ops import errors
from wedsync_ops.clock import Clock, OffsetClock, SystemClock
from wedsync_ops.instants import SECOND
from wedsync_ops.settings import Settings, shown

_T = TypeVar("_T")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")
_URL_HINT = "write sqlite:///FILE, such as sqlite:////srv/ops.db, or postgresql+psycopg://user@host/name"
_SQLITE_DRIVERS = ("sqlite", "sqlite+pysqlite")
_NAP_S = 0.001
_PRIMARY = 0xFF
"""Of SQLite's extended error codes the part that names the kind."""
# SQLite calls only a disk without space full; a quota and a limit on the size of files come as these I/O errors.
_CANNOT_GROW = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_SQLITE_ERRORS = (
    ("database or disk is full", errors.StorageFull),
    ("disk i/o error", errors.DatabaseIo),
    ("unable to open", errors.DatabaseUnreachable),
    ("database is locked", errors.DatabaseLocked),
    ("readonly database", errors.DatabaseReadOnly),
    ("not a database", errors.DatabaseCorrupt),
    ("malformed", errors.DatabaseCorrupt),
)

MOVING = "this platform moves to "
"""How the refusal of a database begins that may not be written because its platform moves to another (``moves``)."""
_CONFLICTS = ("40001", "40P01", "55P03")
"""PostgreSQL's serialization failure and deadlock, of which one transaction is undone, and a lock not had in time."""

CONFLICTS = 4
"""How often a transaction is repeated that another got in the way of."""

_SILENT: dict[str, Any] = {"hide_parameters": True}
"""What statements were given holds personal data, and errors are logged."""
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
    """An open database: a writer and a reader engine, and the file when it is SQLite.

    ``where`` names it in messages: the file, or the server's URL without what is secret.
    """

    writer: Engine
    reader: Engine
    file: Path | None
    where: str

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the SQLite dialect."""
        return self.file is not None

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """A write transaction: all of it is committed, or nothing. Driver errors come out as DatabaseError.

        On SQLite one that need not be ``durable`` does not wait for the disk: the next that must be waits for both.
        """
        with (
            translated(self.where),
            self.writer.connect() as connection,
            _hasty(connection, durable=durable),
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only view of one moment; never waits for a writer on SQLite."""
        with translated(self.where), self.reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only view of one moment, however many statements look at it, on PostgreSQL, too."""
        with self.reading() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
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


@contextmanager
def _hasty(connection: Connection, *, durable: bool) -> Iterator[None]:
    raw = None if durable else connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        yield
        return
    (before,) = raw.execute("PRAGMA synchronous").fetchone()
    raw.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA synchronous = {before}")


def connect(settings: Settings) -> Database:
    """Open the engines for the configured URL; no connection is made yet.

    Raises SettingError for a URL that is none or of another database, DatabaseUnreachable without the driver.
    """
    try:
        url = make_url(settings.database_url)
    except (ArgumentError, ValueError) as error:
        raise errors.SettingError("the database URL (--db) cannot be read", hint=_URL_HINT) from error
    if url.drivername in _SQLITE_DRIVERS:
        return _connect_sqlite(url, settings)
    if url.drivername in ("postgresql", "postgresql+psycopg", "postgresql+psycopg2"):
        return _connect_postgres(url, shown(settings, "db"))
    raise errors.SettingError(
        f"the database URL (--db) is of a kind that is not supported: {errors.quoted(url.drivername)}", hint=_URL_HINT
    )


@contextmanager
def _options_checked() -> Iterator[None]:
    """A URL's host and options that its database has no use for are no mere warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SAWarning)
            yield
    except (ArgumentError, ValueError, TypeError, SAWarning) as error:
        raise errors.SettingError(
            "the database URL (--db) holds a host or options that cannot be used", hint=_URL_HINT
        ) from error


def _connect_sqlite(url: URL, settings: Settings) -> Database:
    name = (url.database or "").removeprefix("file:")
    if name in ("", ":memory:") or url.query.get("mode") == "memory":
        raise errors.SettingError("an in-memory database cannot be shared", hint="name a file: --db sqlite:///FILE")
    arguments: dict[str, Any] = {"timeout": settings.busy_timeout_s, "check_same_thread": False}
    file = Path(name).absolute()
    if url.database != name:
        url = url.update_query_dict({"uri": "true"})
    # One writer per process: SQLite has one write lock, and a second connection would only wait for it.
    with _options_checked():
        writer = create_engine(url, **_SILENT, connect_args=arguments, poolclass=QueuePool, pool_size=1, max_overflow=0)
        reader = create_engine(url, **_SILENT, connect_args=arguments, poolclass=QueuePool, pool_size=2, max_overflow=8)
    synchronous = "FULL" if settings.durability == "full" else "NORMAL"
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        _prepare_sqlite(engine, begin, synchronous, settings.busy_timeout_s)
    return Database(writer, reader, file, str(file))


def _prepare_sqlite(engine: Engine, begin: str, synchronous: str, patience_s: float) -> None:
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
        cursor.execute("PRAGMA wal_autocheckpoint = 1500")  # 6 MB: copying them back takes a commit some 5 ms
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        raw = connection.connection.driver_connection
        if begin == "BEGIN IMMEDIATE" and isinstance(raw, sqlite3.Connection):
            _begin_to_write(raw, patience_s)
        else:
            connection.exec_driver_sql(begin)


def _begin_to_write(raw: sqlite3.Connection, patience_s: float) -> None:
    """Take SQLite's write lock, looking for it every few milliseconds.

    SQLite itself naps for up to 100 ms between two looks: beside somebody who writes again and again it finds the lock
    free only by luck.
    """
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        until = time.monotonic() + patience_s
        while not _has_begun(raw, is_last=time.monotonic() >= until):
            time.sleep(_NAP_S)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")


def _has_begun(raw: sqlite3.Connection, *, is_last: bool) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _connect_postgres(url: URL, where: str) -> Database:
    url = url.set(drivername="postgresql+psycopg", query={**_PATIENCE, **url.query})
    try:
        with _options_checked():
            engine = create_engine(url, **_SILENT, pool_size=4, max_overflow=8, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise errors.DatabaseUnreachable(
            "the PostgreSQL driver is not installed", hint="pip install 'wedsync-ops[postgres]'"
        ) from error
    return Database(engine, engine, None, where)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let errors of the database that ``where`` names come out as ours, one line each: the drivers', SQLAlchemy's."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error.orig, where, is_lost=error.connection_invalidated) from error
    except _drivers() as error:
        raise _translate(error, where) from error
    except SQLAlchemyError as error:
        raise errors.DatabaseError(f"{where}: {_one_line(error)}") from error


def _drivers() -> tuple[type[Exception], ...]:
    """The errors of the drivers that are in use: psycopg's can be met only where it was imported."""
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error,) if psycopg is None else (sqlite3.Error, psycopg.Error)


def _translate(error: BaseException | None, where: str, *, is_lost: bool = False) -> errors.WedsyncError:
    if isinstance(error, sqlite3.Error):
        return _named(error, where)
    if getattr(error, "sqlstate", None) in _CONFLICTS:
        return errors.DatabaseConflict()
    said = _one_line(_primary(error))
    if is_lost or "connection" in str(error).lower():
        return errors.DatabaseUnreachable(f"{where}: the database cannot be reached: {said}", hint="")
    return errors.DatabaseError(f"{where}: the database failed: {said}")


def _primary(error: BaseException | None) -> object:
    """What PostgreSQL says in the first place; its details quote rows, and with them personal data."""
    return getattr(getattr(error, "diag", None), "message_primary", None) or error


def _named(error: sqlite3.Error, where: str) -> errors.WedsyncError:
    if getattr(error, "sqlite_errorcode", None) in _CANNOT_GROW:
        return errors.StorageFull.of(where)
    if str(error).startswith(MOVING):
        return errors.DatabaseMoved(f"{where}: {error}")
    lowered = str(error).lower()
    for part, kind in _SQLITE_ERRORS:
        if part in lowered:
            return kind.of(where)
    return errors.DatabaseError(f"{where}: the database failed: {error}")


def _one_line(error: object) -> str:
    return errors.shortened(" ".join(str(error).split()))


def repeated(work: Callable[[], _T], *, times: int = CONFLICTS, between: Callable[[], object] = lambda: None) -> _T:
    """What ``work`` gives, which is a whole transaction, repeated when another got in its way.

    What is met by chance passes; raises DatabaseConflict when it does not. ``between`` is done before each repetition.
    """
    for _ in range(times):
        with suppress(errors.DatabaseConflict):
            return work()
        between()
    return work()


def run(
    connection: Connection, sql: str, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
) -> CursorResult[Any]:
    """Execute SQL with ``:name`` parameters; many sets of values execute it as often.

    It goes to the driver as it is: building an expression of it anew for each call would take longer than the call.
    """
    return connection.exec_driver_sql(_spelt(sql, connection.dialect.name), values)


@lru_cache(maxsize=1024)
def _spelt(sql: str, dialect: str) -> str:
    """The statement with the driver's own marks for parameters."""
    return sql if dialect == "sqlite" else _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


# The dialects differ in how a statement takes many rows. These give the same SQL two spellings.

_JSON_TYPES = {"bigint": "INTEGER", "text": "TEXT", "double precision": "REAL"}


def rows_source(connection: Connection, columns: Mapping[str, str], name: str = "rows") -> str:
    """A table expression ``(…) AS r`` over the JSON list of lists bound as ``:name``, with typed columns.

    ``columns`` maps a name to one of PostgreSQL's types bigint, text, double precision.
    """
    if connection.dialect.name == "sqlite":
        picks = ", ".join(f"value ->> {place} AS {column}" for place, column in enumerate(columns))
        return f"(SELECT {picks} FROM json_each(:{name})) AS r"
    picks = ", ".join(
        f"(value ->> {place})::{kind} AS {column}" for place, (column, kind) in enumerate(columns.items())
    )
    return f"(SELECT {picks} FROM json_array_elements(CAST(:{name} AS json))) AS r"


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


def number_in(connection: Connection, column: str, name: str) -> str:
    """An expression for the number of that name in a column's JSON object; NULL when there is none."""
    if connection.dialect.name == "sqlite":
        return f"({column} ->> '{name}')"
    return f"(CAST({column} AS json) ->> '{name}')::double precision"


def many(rows: Sequence[Any]) -> str:
    """Rows as the JSON text that the sources above are bound to."""
    return orjson.dumps(rows).decode()
