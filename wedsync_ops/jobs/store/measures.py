"""What is in force for a while because of an emergency: one row each, until its source takes it back.

Whoever declares emergencies writes here; claims and slots read. So neither knows the other. A row whose ``until`` has
passed is in force no more, whether or not anybody took it back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db


class Kind(StrEnum):
    """What a measure does, to what it names.

    ``module`` and ``priority``: nothing of it starts. ``probe``: of a module type ``value`` jobs run at once, at most.
    ``route``: deliveries go over the backup (smtp, sms). ``recycle``: slots are replaced once, as of the instant
    ``value``. ``watch``: alerts are evaluated every few seconds.
    """

    MODULE = "module"
    PRIORITY = "priority"
    PROBE = "probe"
    ROUTE = "route"
    RECYCLE = "recycle"
    WATCH = "watch"


class Measure(NamedTuple):
    """One measure: its source (such as ``emergency 3``), what it does, since when (µs), and until when at most."""

    source: str
    kind: Kind
    name: str
    value: int | None
    reason: str | None
    set_at: int
    until: int | None


@dataclass(frozen=True, slots=True)
class Tempo:
    """What of the measures a worker minds besides what is closed."""

    probes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    routes: frozenset[str] = frozenset()
    recycle_at: int = 0


NOTHING = Tempo()
_COLUMNS = ", ".join(Measure._fields)
_SET = (
    f"INSERT INTO measures ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in Measure._fields)})"
    " ON CONFLICT (source, kind, name) DO UPDATE SET value = excluded.value, reason = excluded.reason,"
    " set_at = excluded.set_at, until = excluded.until"
)
_IN_FORCE = f"SELECT {_COLUMNS} FROM measures WHERE until IS NULL OR until > :now ORDER BY source, kind, name"
_MINDED = (
    "SELECT kind, name, value FROM measures WHERE (kind = 'probe' OR kind = 'route' OR kind = 'recycle')"
    " AND (until IS NULL OR until > :now)"
)
_WATCHED = "SELECT 1 FROM measures WHERE kind = 'watch' AND (until IS NULL OR until > :now) LIMIT 1"
_RUNNING = "SELECT module_type, count(*) FROM jobs WHERE state = 'running' GROUP BY module_type"


def put(connection: Connection, several: Sequence[Measure]) -> None:
    """Put measures in force, each in place of the same source's for the same."""
    if several:
        db.run(connection, _SET, [{**one._asdict(), "kind": str(one.kind)} for one in several])


def withdraw(connection: Connection, source: str, kind: Kind, names: Collection[str] | None = None) -> int:
    """Take back what a source has put in force of a kind, all or of some names; returns how many measures that were."""
    values = {"source": source, "kind": str(kind)}
    statement = "DELETE FROM measures WHERE source = :source AND kind = :kind"
    if names is None:
        return db.run(connection, statement, values).rowcount
    statement += f" AND name IN {db.texts_source(connection)}"
    return db.run(connection, statement, {**values, "texts": db.many(sorted(names))}).rowcount


def in_force(connection: Connection, now: int) -> list[Measure]:
    """Every measure that is in force."""
    rows = db.run(connection, _IN_FORCE, {"now": now})
    return [Measure._make(row)._replace(kind=Kind(row.kind)) for row in rows]


def tempo(connection: Connection, now: int) -> Tempo:
    """What a worker minds; of several probes of a module type the lowest number counts."""
    rows = db.run(connection, _MINDED, {"now": now}).all()
    if not rows:
        return NOTHING
    probes: dict[str, int] = {}
    for row in rows:
        if row.kind == "probe":
            probes[row.name] = min(probes.get(row.name, row.value), row.value)
    return Tempo(
        MappingProxyType(probes),
        frozenset(row.name for row in rows if row.kind == "route"),
        max((row.value for row in rows if row.kind == "recycle"), default=0),
    )


def is_watched(connection: Connection, now: int) -> bool:
    """Whether somebody wants the alerts evaluated every few seconds."""
    return db.run(connection, _WATCHED, {"now": now}).first() is not None


def running(connection: Connection) -> Mapping[str, int]:
    """How many jobs of each module type are leased."""
    return {name: int(count) for name, count in map(tuple, db.run(connection, _RUNNING))}
