"""Recipients that must not be written to, each by the digest of the address; no address is kept."""

from sqlalchemy import Connection

from wedsync_ops import db


def add(connection: Connection, digest: str, reason: str, note: str | None, now: int) -> bool:
    """Suppress a recipient since ``now``; false when they were before (the first reason stays)."""
    done = db.run(
        connection,
        (
            "INSERT INTO suppressions (recipient, reason, note, since) VALUES (:recipient, :reason, :note, :now)"
            " ON CONFLICT (recipient) DO NOTHING"
        ),
        {"recipient": digest, "reason": reason, "note": note, "now": now},
    )
    return done.rowcount == 1
