"""Recipients that must not be written to, each by the digest of the address; no address is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops import db

REASONS = ("bounce", "complaint", "unsubscribed", "manual")
"""Why somebody is not written to."""
_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Suppression:
    """A recipient's digest, why they are not written to, since which instant, and whoever noted it had to say."""

    recipient: str
    reason: str
    note: str | None
    since: int


_COLUMNS = {"recipient": "text", "reason": "text", "note": "text"}


def add(connection: Connection, digest: str, reason: str, note: str | None, now: int) -> bool:
    """Suppress a recipient since ``now``; false when they were before (the first reason stays)."""
    return bool(add_many(connection, [(digest, reason, note)], now))


def add_many(connection: Connection, rows: Sequence[tuple[str, str, str | None]], now: int) -> set[str]:
    """Suppress recipients given as (digest, reason, note); returns the digests that were not suppressed before."""
    first = {digest: (digest, reason, note) for digest, reason, note in reversed(rows)}
    ordered = [first[digest] for digest in sorted(first)]  # two imports lock their rows in one order
    done = db.run(
        connection,
        (
            "INSERT INTO suppressions (recipient, reason, note, since) SELECT r.recipient, r.reason, r.note, :now"
            f" FROM {db.rows_source(connection, _COLUMNS)} WHERE true"
            " ON CONFLICT (recipient) DO NOTHING RETURNING recipient"
        ),
        {"rows": db.many(ordered), "now": now},
    )
    return set(done.scalars())


def remove(connection: Connection, digest: str) -> bool:
    """Let a recipient be written to again; whether they were suppressed."""
    statement = "DELETE FROM suppressions WHERE recipient = :digest"
    return db.run(connection, statement, {"digest": digest}).rowcount == 1


def find(connection: Connection, digest: str) -> Suppression | None:
    """A recipient's entry, ``None`` when they may be written to."""
    statement = "SELECT recipient, reason, note, since FROM suppressions WHERE recipient = :digest"
    row = db.run(connection, statement, {"digest": digest}).mappings().one_or_none()
    return None if row is None else Suppression(**row)


def list_all(connection: Connection, limit: int = 0) -> list[Suppression]:
    """Every entry, the latest first; at most ``limit`` of them (0 = all)."""
    rows = db.run(
        connection,
        "SELECT recipient, reason, note, since FROM suppressions ORDER BY since DESC, recipient LIMIT :limit",
        {"limit": limit or _ALL},
    ).mappings()
    return [Suppression(**row) for row in rows]
