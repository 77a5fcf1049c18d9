"""Codes that belong to one couple of one supplier (referrals): who holds which, and taking new ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db

Couple = tuple[str, str]
"""A supplier and one of their couples."""


class Claim(NamedTuple):
    """A code that is claimed for a couple of a supplier."""

    supplier_id: str
    client_id: str
    code: str

    @property
    def couple(self) -> Couple:
        """Whom it is claimed for."""
        return self.supplier_id, self.client_id


@dataclass(slots=True)
class Held:
    """Who holds which code, of those that a transaction asked about, with what it has taken itself."""

    owners: dict[str, Couple] = field(default_factory=dict)
    by_couple: dict[Couple, str] = field(default_factory=dict)

    def owner(self, claim: Claim) -> Couple | None:
        """Who holds the claimed code."""
        return self.owners.get(claim.code)

    def code(self, claim: Claim) -> str | None:
        """The code that the couple holds."""
        return self.by_couple.get(claim.couple)

    def take(self, claim: Claim) -> bool:
        """Note that the couple holds the code; false when it did before."""
        new = claim.code not in self.owners
        self.owners[claim.code] = claim.couple
        self.by_couple[claim.couple] = claim.code
        return new


def lock(connection: Connection, claims: Sequence[Claim]) -> None:
    """Lock codes and couples on PostgreSQL until the transaction ends, in one order, so that two processes that claim
    the same take turns here as BEGIN IMMEDIATE makes them on SQLite. Whoever locks keys as well does so before.
    """
    if claims and connection.dialect.name == "postgresql":
        couples, codes = _named(claims)
        names = [f"code {code}" for code in codes] + [f"couple {len(s)} {s} {c}" for s, c in couples]
        db.run(
            connection,
            (
                "SELECT pg_advisory_xact_lock(number) FROM (SELECT DISTINCT hashtextextended(value, 1) AS number"
                f" FROM {db.texts_source(connection)} AS t ORDER BY 1) AS locks"
            ),
            {"texts": db.many(names)},
        )


def _named(claims: Sequence[Claim]) -> tuple[list[list[str]], list[str]]:
    """The couples and the codes, each once."""
    couples = [list(couple) for couple in dict.fromkeys(claim.couple for claim in claims)]
    return couples, list(dict.fromkeys(claim.code for claim in claims))


def held(connection: Connection, claims: Sequence[Claim]) -> Held:
    """Who holds the claimed codes, and what the claiming couples hold; to be locked before."""
    found = Held()
    if not claims:
        return found
    couples, codes = _named(claims)
    source = db.rows_source(connection, {"s": "text", "c": "text"})
    rows = db.run(
        connection,
        (
            "SELECT supplier_id, client_id, code FROM referral_codes WHERE code IN"
            f" {db.texts_source(connection)} UNION SELECT t.supplier_id, t.client_id, t.code FROM {source}"
            " JOIN referral_codes t ON t.supplier_id = r.s AND t.client_id = r.c"
        ),
        {"texts": db.many(codes), "rows": db.many(couples)},
    )
    for row in rows:
        found.take(Claim(row.supplier_id, row.client_id, row.code))
    return found


def insert(connection: Connection, claims: Sequence[Claim], now: int) -> None:
    """Write new claims, made at the instant ``now``. The table lets each code and each couple be written once."""
    if claims:
        source = db.rows_source(connection, {"s": "text", "c": "text", "code": "text"})
        db.run(
            connection,
            (
                "INSERT INTO referral_codes (supplier_id, client_id, code, made_at)"
                f" SELECT r.s, r.c, r.code, :now FROM {source}"
            ),
            {"rows": db.many([list(claim) for claim in claims]), "now": now},
        )
