"""The SQL of silences and of own rules."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts.model import Silence

_NAMES = tuple(Silence.__slots__)
_COLUMNS = ", ".join(_NAMES)
_WRITTEN = tuple(name for name in _NAMES if name != "id")


def insert(connection: Connection, silence: Silence) -> int:
    """Write a silence; returns the id that it got."""
    statement = (
        f"INSERT INTO alert_silences ({', '.join(_WRITTEN)}) VALUES ({', '.join(f':{name}' for name in _WRITTEN)})"
        " RETURNING id"
    )
    return int(db.run(connection, statement, {name: getattr(silence, name) for name in _WRITTEN}).scalar_one())


def in_force(connection: Connection, now: int) -> list[Silence]:
    """The silences that hold at an instant, in the order of their ids."""
    statement = f"SELECT {_COLUMNS} FROM alert_silences WHERE ended_at IS NULL AND until > :now ORDER BY id"
    return [Silence(**row) for row in db.run(connection, statement, {"now": now}).mappings()]


def get(connection: Connection, silence_id: int) -> Silence | None:
    """One silence, ``None`` when there is none of this id."""
    row = db.run(connection, f"SELECT {_COLUMNS} FROM alert_silences WHERE id = :id", {"id": silence_id}).mappings()
    found = row.first()
    return None if found is None else Silence(**found)


def end(connection: Connection, ids: Sequence[int], now: int, by: str) -> int:
    """End silences that hold; returns how many did."""
    statement = (
        "UPDATE alert_silences SET ended_at = :now, ended_by = :by"
        f" WHERE ended_at IS NULL AND until > :now AND id IN {db.ids_source(connection)}"
    )
    return db.run(connection, statement, {"now": now, "by": by, "ids": db.many(list(ids))}).rowcount


def own_rules(connection: Connection) -> Mapping[str, str]:
    """The rules that were registered, each as the JSON text of its definition, by name."""
    rows = db.run(connection, "SELECT name, definition FROM alert_rules ORDER BY name")
    return {row.name: row.definition for row in rows}


def save_rule(connection: Connection, name: str, definition: str, now: int) -> None:
    """Write a rule in place of the one of the same name."""
    values: dict[str, Any] = {"name": name, "definition": definition, "now": now}
    statement = (
        "INSERT INTO alert_rules (name, definition, registered_at) VALUES (:name, :definition, :now)"
        " ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, registered_at = excluded.registered_at"
    )
    db.run(connection, statement, values)


def delete_rules(connection: Connection, names: Sequence[str]) -> None:
    """Forget rules that a definition file does not name any more."""
    if names:
        statement = f"DELETE FROM alert_rules WHERE name IN {db.texts_source(connection)}"
        db.run(connection, statement, {"texts": db.many(list(names))})
