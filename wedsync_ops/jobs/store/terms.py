"""Terms: who does what only one may do in the whole platform, under a number that grows with every change of hands.

A term ends by itself unless its holder renews it. The number is a fencing token: whoever writes as the holder does so
in a transaction that asks for it first, so that a holder who was stopped, and has been replaced, changes nothing.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.errors import TermOver


class Term(NamedTuple):
    """The right to do something alone until an instant, in microseconds; ``number`` is its fencing token."""

    name: str
    holder: str
    number: int
    renewed_at: int
    expires_at: int


_COLUMNS = "name, holder, term, renewed_at, expires_at"
# A term that was renewed later than now, by more than its length, was so before the clock was set back: it would last
# for as long as that. Differences between machines are far below a length.
_OVER = "(terms.expires_at <= :now OR terms.renewed_at - :now > terms.expires_at - terms.renewed_at)"
_TAKE = (
    f"INSERT INTO terms ({_COLUMNS}) VALUES (:name, :holder, 1, :now, :until) ON CONFLICT (name) DO UPDATE SET"
    f" term = terms.term + CASE WHEN terms.holder = excluded.holder AND NOT {_OVER} THEN 0 ELSE 1 END,"
    " holder = excluded.holder, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at"
    f" WHERE terms.holder = excluded.holder OR {_OVER} RETURNING {_COLUMNS}"
)


def take(connection: Connection, name: str, holder: str, *, now: int, until: int) -> Term | None:
    """Take a term, or renew one's own, until an instant; ``None`` while somebody else holds it.

    One's own that has ended in between begins anew, with another number: somebody else may have had it meanwhile.
    """
    row = db.run(connection, _TAKE, {"name": name, "holder": holder, "now": now, "until": until}).first()
    return None if row is None else Term._make(row)


def fence(connection: Connection, term: Term) -> None:
    """Make sure that a term is still that of its holder, until the transaction ends. Raises TermOver.

    Time does not matter here: a term that has ended and that nobody took over does no harm.
    """
    locking = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    statement = f"SELECT term, holder FROM terms WHERE name = :name{locking}"
    row = db.run(connection, statement, {"name": term.name}).first()
    if row is None or (row.term, row.holder) != (term.number, term.holder):
        holder = "nobody" if row is None else row.holder
        raise TermOver(f"the term {term.number} of {term.holder} for {term.name!r} is over; {holder} has it now")


def vacate(connection: Connection, holder: str) -> int:
    """End every term of somebody who stopped or died, so that nobody waits for it; returns how many."""
    statement = "UPDATE terms SET expires_at = renewed_at WHERE holder = :holder AND expires_at > renewed_at"
    return db.run(connection, statement, {"holder": holder}).rowcount


def read(connection: Connection) -> list[Term]:
    """Every term that was ever taken, by name."""
    return [Term._make(row) for row in db.run(connection, f"SELECT {_COLUMNS} FROM terms ORDER BY name")]
