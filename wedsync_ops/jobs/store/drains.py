"""Drains: scopes that accept no new job. Once nothing of one is under way it is drained, and nothing of it starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.drain import Drain

CAP = 10_000
"""How far jobs are counted."""
_PATIENCE_MS = 50
"""The longest that queueing is held up by a drain that waits to begin, in milliseconds."""
_COLUMNS = "scope, name, reason, begun_by, begun_at, until, drained_at"
_READ = f"SELECT {_COLUMNS} FROM drains WHERE until IS NULL OR until > :now ORDER BY scope, name"
_BEGIN = (
    f"INSERT INTO drains ({_COLUMNS}) VALUES (:scope, :name, :reason, :begun_by, :begun_at, :until, NULL)"
    " ON CONFLICT (scope, name) DO UPDATE SET begun_by = excluded.begun_by,"
    " begun_at = CASE WHEN drains.until <= :begun_at THEN excluded.begun_at ELSE drains.begun_at END,"
    " drained_at = CASE WHEN drains.until <= :begun_at THEN NULL ELSE drains.drained_at END,"
    " reason = CASE WHEN drains.until <= :begun_at THEN excluded.reason"
    " ELSE coalesce(excluded.reason, drains.reason) END,"
    " until = CASE WHEN drains.until <= :begun_at THEN excluded.until ELSE coalesce(excluded.until, drains.until) END"
    f" RETURNING {_COLUMNS}"
)
_MARK = (
    "UPDATE drains SET drained_at = :now WHERE scope = :scope AND name = :name AND begun_at = :begun_at"
    " AND drained_at IS NULL"
)
# What is under way: due and waiting, in the middle of its attempts, or running; each in the words of an index.
_RUNNING = "state = 'running'"
_FREE = "state = 'available' AND held_by IS NULL"
_HELD = "held_by IS NOT NULL"
_BEGUN = "state IN ('scheduled','retryable') AND (due_at <= :now OR state = 'retryable')"
_LATER = "state IN ('scheduled','retryable') AND due_at > :now AND state = 'scheduled'"


_LANES = (
    "SELECT coalesce(sum(available), 0) AS available, coalesce(sum(waiting), 0) AS waiting FROM lane_counts WHERE 1 = 1"
)


class _Lanes(NamedTuple):
    available: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Left:
    """How many jobs of a scope wait, begun and due, and how many run, each to 10,000."""

    waiting: int
    running: int


@dataclass(frozen=True, slots=True)
class Later:
    """How many jobs of a scope are scheduled for later, to 10,000, and when the first of them is due."""

    count: int
    first_at: int | None


def begin(connection: Connection, drain: Drain) -> Drain:
    """Write a drain. One in force goes on, with another reason and end where they are given.

    On PostgreSQL whoever queues ends first. Raises DatabaseConflict when that takes long: whoever wants to queue
    meanwhile waits behind this one, and must get in between.
    """
    if connection.dialect.name == "postgresql":
        db.run(connection, f"SET LOCAL lock_timeout = {_PATIENCE_MS}")
        db.run(connection, "LOCK TABLE drains IN EXCLUSIVE MODE")
    values = {name: getattr(drain, name) for name in Drain.__slots__ if name != "drained_at"}
    return Drain(*tuple(db.run(connection, _BEGIN, values).one()))


def end(connection: Connection, scope: str, name: str) -> bool:
    """Remove a drain; whether there was one."""
    statement = "DELETE FROM drains WHERE scope = :scope AND name = :name"
    return db.run(connection, statement, {"scope": scope, "name": name}).rowcount == 1


def read(connection: Connection, now: int, *, entering: bool = False) -> list[Drain]:
    """The drains in force. Whoever is ``entering`` jobs keeps a new drain from beginning until the transaction ends."""
    locking = " FOR KEY SHARE" if entering and connection.dialect.name == "postgresql" else ""
    return [Drain(*row) for row in map(tuple, db.run(connection, f"{_READ}{locking}", {"now": now}))]


def left(connection: Connection, drain: Drain, now: int) -> Left:
    """What of a scope is under way. Of one that is drained only what runs. May look at all that waits."""
    running = _count(connection, drain, _RUNNING, now)
    return Left(0 if drain.drained_at is not None else _waiting(connection, drain, now), running)


def is_quiet(connection: Connection, drain: Drain, now: int) -> bool:
    """Whether nothing of a scope runs, nor could start, as far as that is seen without looking at what waits."""
    lanes = _lanes(connection, drain)
    return not (lanes is not None and lanes.available) and not _count(connection, drain, _RUNNING, now)


def later(connection: Connection, drain: Drain, now: int) -> Later:
    """What of a scope is scheduled for later."""
    first = f"SELECT min(due_at) FROM jobs WHERE {_LATER}{_of(drain)}"
    count = _count(connection, drain, _LATER, now)
    return Later(count, db.run(connection, first, {"now": now, "name": drain.name}).scalar() if count else None)


def mark_drained(connection: Connection, drain: Drain, now: int) -> bool:
    """Note that nothing of a scope is under way, so that nothing of it starts; whether it was noted now."""
    values = {"scope": drain.scope, "name": drain.name, "begun_at": drain.begun_at, "now": now}
    return db.run(connection, _MARK, values).rowcount == 1


def under_way(connection: Connection, drain: Drain, now: int, *, after: int, most: int) -> Sequence[int]:
    """The ids of the jobs of a scope that wait, begun and due, or run: the next so many after one."""
    kinds = f"({_RUNNING} OR state = 'available' OR {_BEGUN})" if drain.drained_at is None else _RUNNING
    statement = f"SELECT id FROM jobs WHERE {kinds}{_of(drain)} AND id > :after ORDER BY id LIMIT :most"
    values = {"now": now, "name": drain.name, "after": after, "most": most}
    return list(db.run(connection, statement, values).scalars())


def _waiting(connection: Connection, drain: Drain, now: int) -> int:
    """How many jobs of a scope wait, begun and due, to 10,000."""
    lanes = _lanes(connection, drain)
    if lanes is None:
        free, known = _count(connection, drain, _FREE, now), CAP
    else:
        free, known = lanes.available, lanes.waiting
    if known <= 0:
        return 0
    free += _count(connection, drain, _HELD, now)
    begun = _count(connection, drain, _BEGUN, now) if free < known else 0
    return min(free + begun, CAP)


def _lanes(connection: Connection, drain: Drain) -> _Lanes | None:
    """What the counters of a scope's lanes say; ``None`` where none are kept, for a supplier."""
    if drain.scope == "supplier":
        return None
    row = db.run(connection, f"{_LANES}{_of(drain)}", {"name": drain.name}).one()
    return _Lanes(int(row.available), int(row.waiting))


def _count(connection: Connection, drain: Drain, kind: str, now: int) -> int:
    counted = f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {kind}{_of(drain)} LIMIT {CAP}) AS found"
    return int(db.run(connection, counted, {"now": now, "name": drain.name}).scalar_one())


def _of(drain: Drain) -> str:
    return {"module": " AND module_type = :name", "supplier": " AND supplier_id = :name"}.get(drain.scope, "")
