"""Has anybody else committed since we last looked? Asked before every hand-out, so it must cost next to nothing."""

import sqlite3
from typing import Any, Protocol

from sqlalchemy import Connection, text

from wedsync_ops.db import Database, translated
from wedsync_ops.jobs.wakeup import CHANNEL


class Watch(Protocol):
    """Tells whether the queue may have changed since ``mark``."""

    def mark(self, connection: Connection) -> None:
        """Take the state that the running write transaction sees as known."""
        ...

    def changed(self) -> bool:
        """Whether another connection has committed since."""
        ...

    def fileno(self) -> int | None:
        """A descriptor that becomes readable on a change, where there is one."""
        ...

    def close(self) -> None:
        """Let go of what the watch holds."""
        ...


def watch(database: Database) -> Watch:
    """The watch for a database's dialect."""
    return SqliteWatch(database) if database.is_sqlite else PostgresWatch(database)


class SqliteWatch:
    """``PRAGMA data_version`` on the writer connection: it moves when another connection commits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._raw: sqlite3.Connection | None = None
        self._seen = -1

    def mark(self, connection: Connection) -> None:
        """Remember the version inside a write transaction, where nobody else can move it."""
        raw = connection.connection.driver_connection
        self._raw = raw if isinstance(raw, sqlite3.Connection) else None
        self._seen = self._version()

    def changed(self) -> bool:
        """Whether the version has moved; also when it cannot be told."""
        try:
            return self._raw is None or self._version() != self._seen
        except sqlite3.Error:
            return True

    def fileno(self) -> int | None:
        """There is none: the file says nothing by itself."""
        return None

    def close(self) -> None:
        """Forget the connection; the pool owns it."""
        self._raw = None

    def _version(self) -> int:
        if self._raw is None:
            return -1
        return int(self._raw.execute("PRAGMA data_version").fetchone()[0])


class PostgresWatch:
    """LISTEN on a connection of its own; a notification arrives with the commit that it belongs to."""

    def __init__(self, database: Database) -> None:
        with translated(database.where):
            self._pooled = database.writer.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._pooled.execute(text(f"LISTEN {CHANNEL}"))
        self._driver: Any = self._pooled.connection.driver_connection
        self._pending = True

    def mark(self, connection: Connection) -> None:  # noqa: ARG002 - the same for both dialects
        """Everything notified so far is seen by this transaction."""
        self._drain()
        self._pending = False

    def changed(self) -> bool:
        """Whether a notification has come."""
        self._drain()
        return self._pending

    def fileno(self) -> int | None:
        """The connection's socket."""
        return int(self._driver.fileno())

    def close(self) -> None:
        """Close the listening connection."""
        self._pooled.close()

    def _drain(self) -> None:
        for _ in self._driver.notifies(timeout=0):
            self._pending = True
