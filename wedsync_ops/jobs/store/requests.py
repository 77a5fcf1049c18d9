"""Who asks for how many slots: a person, an emergency, an alert. One row for each, until it ends or is withdrawn.

The asking is here, upstream of those who ask and of the one who decides, so that they need not know one another.
"""

from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db

EVERY = ""
"""The scope of a request that is about all workers, whatever they take."""


class Kind(StrEnum):
    """What is asked for: so many slots; no fewer than so many; enough for work that keeps so many busy."""

    EXACTLY = "exactly"
    AT_LEAST = "at_least"
    BUSY = "busy"


class Request(NamedTuple):
    """One who asks (``source``) for slots of a scope, why, and until when (``None``: until it is withdrawn)."""

    scope: str
    source: str
    kind: Kind
    slots: float
    said: str
    actor: str | None
    at: int
    until: int | None


_COLUMNS = ", ".join(Request._fields)
_ASK = (
    f"INSERT INTO slot_requests ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in Request._fields)})"
    " ON CONFLICT (scope, source) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in Request._fields[2:])
)
_IN_FORCE = f"SELECT {_COLUMNS} FROM slot_requests WHERE until IS NULL OR until > :now ORDER BY at, scope, source"


def ask(connection: Connection, request: Request) -> None:
    """Ask, in place of what the same source asked before for the same scope."""
    db.run(connection, _ASK, {**request._asdict(), "kind": str(request.kind)})


def withdraw(connection: Connection, source: str, scope: str | None = None) -> int:
    """End what a source asks for, of one scope when that is named; returns how many requests that were."""
    only = "" if scope is None else " AND scope = :scope"
    values = {"source": source} if scope is None else {"source": source, "scope": scope}
    return db.run(connection, f"DELETE FROM slot_requests WHERE source = :source{only}", values).rowcount


def in_force(connection: Connection, now: int) -> list[Request]:
    """What is asked for at an instant, the oldest first."""
    rows = db.run(connection, _IN_FORCE, {"now": now})
    return [Request._make(row)._replace(kind=Kind(row.kind)) for row in rows]


def drop(connection: Connection, now: int) -> int:
    """Forget what has ended; returns how many requests that were."""
    return db.run(
        connection, "DELETE FROM slot_requests WHERE until IS NOT NULL AND until <= :now", {"now": now}
    ).rowcount
