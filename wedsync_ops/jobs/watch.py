"""Has anybody else committed since we last looked? Asked before every hand-out, so it must cost next to nothing."""

import contextlib
import logging
import select
import sqlite3
from typing import Any, Protocol

from sqlalchemy import Connection, text

from wedsync_ops.db import Database, translated
from wedsync_ops.errors import DatabaseError
from wedsync_ops.jobs.wakeup import CHANNEL

_LOG = logging.getLogger(__name__)


class Watch(Protocol):
    """Tells whether the queue may have changed since ``mark``."""

    def mark(self, connection: Connection) -> None:
        """Take the state that the running write transaction sees as known."""
        ...

    def changed(self) -> bool:
        """Whether another connection has committed since."""
        ...

    def fileno(self) -> int | None:
        """A descriptor that becomes readable on a change, where there is one; ``changed`` takes up what it tells."""
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
    """LISTEN on a connection of its own; a notification arrives with the commit that it belongs to.

    While that connection is lost everything may have changed, and each mark tries to listen anew.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pooled: Connection | None = None
        self._pending = True
        # What is waited for stays one descriptor while sockets come and go: a new socket often gets the number of the
        # one that was lost, and whoever waits for a number would not notice that it is another.
        self._socket = select.epoll()
        self._listen()

    def mark(self, connection: Connection) -> None:  # noqa: ARG002 - the same for both dialects
        """Everything notified so far is seen by this transaction; and all else, where listening only begins."""
        self._drain()
        if self._pooled is None:
            with contextlib.suppress(DatabaseError):  # no connection to be had: then everything may have changed
                self._listen()
        self._pending = self._pooled is None

    def changed(self) -> bool:
        """Whether a notification has come; also when it cannot be told."""
        self._drain()
        return self._pending

    def fileno(self) -> int | None:
        """The same descriptor whether or not there is a connection; it is readable when one has something to say."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the listening connection."""
        self._let_go()
        self._socket.close()

    def _listen(self) -> None:
        with translated(self._database.where):
            pooled = self._database.writer.connect()
            try:
                pooled.execution_options(isolation_level="AUTOCOMMIT").execute(text(f"LISTEN {CHANNEL}"))
                self._socket.register(_driver(pooled).fileno(), select.EPOLLIN)
            except BaseException:
                pooled.close()
                raise
        self._pooled = pooled

    def _drain(self) -> None:
        try:
            # A lost connection is told in two parts, the server's last words and the end of the stream.
            while self._pooled is not None and self._socket.poll(0):
                with translated(self._database.where):
                    for _ in _driver(self._pooled).notifies(timeout=0):
                        self._pending = True
        except DatabaseError as error:
            _LOG.warning("the connection that wakes this worker was lost: %s", error)
            self._let_go()

    def _let_go(self) -> None:
        """Close the connection, and with it its socket: it must not come back from the pool, listening or lost."""
        if self._pooled is not None:
            self._pooled.invalidate()
            self._pooled.close()
        self._pooled = None
        self._pending = True


def _driver(pooled: Connection) -> Any:
    return pooled.connection.driver_connection
