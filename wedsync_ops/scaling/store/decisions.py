"""The SQL of decisions: each that changed something or was kept from it, and what the next one must know."""

from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db


class State(NamedTuple):
    """What the next decision on a scope must know: the past as JSON, and which decision was written last (``told``)."""

    scope: str
    at: int
    past: str
    told: str | None
    told_at: int | None


class Row(NamedTuple):
    """A decision as it is kept; ``limits`` with commas, ``inputs`` as JSON."""

    id: int
    at: int
    scope: str
    slots_before: int
    wanted: int
    reason: str
    limits: str
    said: str
    inputs: str


_STATE = ", ".join(State._fields)
_COLUMNS = ", ".join(Row._fields)
_WRITTEN = Row._fields[1:]
_SAVE = (
    f"INSERT INTO scale_states ({_STATE}) VALUES ({', '.join(f':{name}' for name in State._fields)})"
    " ON CONFLICT (scope) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in State._fields[1:])
)
_RECORD = (
    f"INSERT INTO scale_decisions ({', '.join(_WRITTEN)}) VALUES ({', '.join(f':{name}' for name in _WRITTEN)})"
    " RETURNING id"
)
_LATEST = (
    f"SELECT {_COLUMNS} FROM scale_decisions WHERE at >= :since AND (:scope = '' OR scope = :scope)"
    " ORDER BY id DESC LIMIT :limit"
)


def states(connection: Connection) -> dict[str, State]:
    """What is known of every scope."""
    return {row.scope: State._make(row) for row in db.run(connection, f"SELECT {_STATE} FROM scale_states")}


def save_state(connection: Connection, state: State) -> None:
    """Write what is known of a scope."""
    db.run(connection, _SAVE, state._asdict())


def drop_states(connection: Connection, before: int) -> None:
    """Forget the scopes of which nothing was decided since an instant."""
    db.run(connection, "DELETE FROM scale_states WHERE at < :before", {"before": before})


def record(connection: Connection, row: Row) -> int:
    """Keep a decision; returns the id that it got."""
    values = {name: getattr(row, name) for name in _WRITTEN}
    return int(db.run(connection, _RECORD, values).scalar_one())


def latest(connection: Connection, *, since: int = 0, scope: str = "", limit: int) -> list[Row]:
    """The latest decisions since an instant, of one scope when that is named, the newest first."""
    values = {"since": since, "scope": scope, "limit": limit}
    return [Row._make(row) for row in db.run(connection, _LATEST, values)]
