"""The SQL of journeys: their immutable versions, of which one of each is current until the file no longer has it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db

_COLUMNS = "id, version, definition, is_current, registered_at"
_SELECT = f"SELECT {_COLUMNS} FROM journeys"
# Readers go on; a second writer waits, so that two registrations never give the same number.
_LOCK = "LOCK TABLE journeys IN SHARE ROW EXCLUSIVE MODE"


class Stored(NamedTuple):
    """A version of a journey, its definition as JSON text; ``registered_at`` is an instant in microseconds."""

    id: str
    version: int
    definition: str
    is_current: bool
    registered_at: int


def lock(connection: Connection) -> None:
    """Let no other transaction change journeys until this one ends."""
    if connection.dialect.name == "postgresql":
        db.run(connection, _LOCK)


def current(connection: Connection) -> list[Stored]:
    """The version in force of every journey, by id."""
    return _read(db.run(connection, f"{_SELECT} WHERE is_current ORDER BY id"))


def versions(connection: Connection, ids: Sequence[str]) -> list[Stored]:
    """Every version of these journeys, those that the file no longer has included."""
    statement = f"{_SELECT} WHERE id IN {db.texts_source(connection)} ORDER BY id, version"
    return _read(db.run(connection, statement, {"texts": db.many(list(ids))}))


def everything(connection: Connection) -> list[Stored]:
    """Every version of every journey there ever was."""
    return _read(db.run(connection, f"{_SELECT} ORDER BY id, version"))


def save(connection: Connection, journey: Stored) -> None:
    """Put a version in force, which may be a new one, in place of the one that is."""
    retire(connection, [journey.id])
    db.run(
        connection,
        f"INSERT INTO journeys ({_COLUMNS}) VALUES (:id, :version, :definition, :is_current, :registered_at)"
        " ON CONFLICT (id, version) DO UPDATE SET is_current = excluded.is_current,"
        " registered_at = excluded.registered_at",
        journey._asdict(),
    )


def retire(connection: Connection, ids: Sequence[str]) -> None:
    """Let journeys apply to nobody any more; what was planned of them stays."""
    statement = f"UPDATE journeys SET is_current = false WHERE is_current AND id IN {db.texts_source(connection)}"
    db.run(connection, statement, {"texts": db.many(list(ids))})


def _read(rows: Iterable[Sequence[object]]) -> list[Stored]:
    found = [Stored._make(row) for row in rows]
    return [one._replace(is_current=bool(one.is_current)) for one in found]
