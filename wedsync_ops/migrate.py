"""Brings a database to this version's schema, once, whoever comes first.

A start costs one small query when there is nothing to do; Alembic is imported only when there is. Two processes that
meet an empty home take turns: a file lock beside a SQLite database, an advisory lock on PostgreSQL.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from wedsync_ops import moves
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseCorrupt, DatabaseNewer, DatabaseReadOnly, DatabaseUnreachable

HEAD = "0020"
"""The newest revision that this version knows; a test compares it with the migrations."""
KNOWN = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
)
_ADVISORY_LOCK = 0x57454453


def ensure(database: Database) -> None:
    """Create or upgrade the schema when needed.

    Raises DatabaseNewer, with nothing touched, when a newer version wrote it; DatabaseCorrupt when the file is a
    database of something else; DatabaseMoved when the platform is elsewhere now, or not yet here.
    """
    if revision(database, moved=False) == HEAD:
        return
    with _alone(database), database.transaction() as connection:
        if _revision_of(connection, database.where, moved=False) != HEAD:
            _upgrade(connection)


def revision(database: Database, *, moved: bool = True) -> str | None:
    """The revision of a database, ``None`` when it is empty; nothing is created. Without ``moved`` it must be in use.

    Raises as ``ensure`` does.
    """
    try:
        if database.file is not None and not database.file.exists():
            return None
    except OSError as error:  # a folder above it keeps this user out
        hint = "check --db and the permissions of its folder"
        raise DatabaseUnreachable(f"{database.where}: {error.strerror}", hint=hint) from error
    with database.reading() as connection:
        return _revision_of(connection, database.where, moved=moved)


def _revision_of(connection: Connection, where: str, *, moved: bool) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" not in tables:
        if tables & {"jobs", "modules", "executions"} or (tables and connection.dialect.name == "sqlite"):
            raise DatabaseCorrupt(f"{where}: the database belongs to another program")
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in KNOWN:
        if "jobs" not in tables:  # Alembic made it, but not from migrations of ours
            raise DatabaseCorrupt(f"{where}: the database belongs to another program")
        raise DatabaseNewer(f"{where}: it has revision {revision}; this version knows revisions up to {HEAD}")
    if "moves" in tables and not moved:
        moves.check(connection, where)
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    if database.file is None:
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            yield
        return
    with _file_lock(database.file.with_name(database.file.name + ".migrate")):
        yield


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if path.parent.is_dir():
            raise DatabaseReadOnly(f"the folder {path.parent} cannot be written: {error.strerror}") from error
        raise DatabaseUnreachable(f"the folder {path.parent} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
