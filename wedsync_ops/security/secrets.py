"""Secrets that the platform makes for itself: random, once per database, so that all its machines have the same."""

import secrets

from sqlalchemy import Connection

from wedsync_ops import db

LINKS = "links"
"""Signs the links in mails and pages."""
_BYTES = 32


def read(connection: Connection, name: str) -> str | None:
    """A secret as hex digits, ``None`` when it was never made."""
    value: str | None = db.run(connection, "SELECT value FROM secrets WHERE name = :name", {"name": name}).scalar()
    return value


def make(connection: Connection, name: str, now: int) -> str:
    """The secret of that name, made now (an instant) when there is none."""
    db.run(
        connection,
        "INSERT INTO secrets (name, value, made_at) VALUES (:name, :value, :now) ON CONFLICT (name) DO NOTHING",
        {"name": name, "value": secrets.token_hex(_BYTES), "now": now},
    )
    return read(connection, name) or ""
