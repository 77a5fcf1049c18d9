"""The SQL of couples that no journey was planned for yet."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db

_EPOCH = date(1970, 1, 1).toordinal()
_PAGE = (
    "SELECT clients.wedding_on, clients.client_id FROM clients"
    " LEFT JOIN plans ON plans.client_id = clients.client_id"
    " WHERE clients.wedding_on >= :first AND clients.wedding_on <= :last"
    " AND (clients.wedding_on, clients.client_id) > (:after_day, :after_id) AND plans.client_id IS NULL"
    " ORDER BY clients.wedding_on, clients.client_id LIMIT :limit"
)


class Place(NamedTuple):
    """Where a couple stands among all, by wedding day (counted since 1970-01-01) and id."""

    wedding_on: int
    client_id: str


def page(connection: Connection, first: date, last: date, after: Place | None, limit: int) -> list[Place]:
    """The next couples without a plan who marry from one day to another, the soonest first."""
    day, client_id = after or Place(first.toordinal() - _EPOCH - 1, "")
    values = {
        "first": max(day, first.toordinal() - _EPOCH),
        "last": last.toordinal() - _EPOCH,
        "after_day": day,
        "after_id": client_id,
        "limit": limit,
    }
    return [Place._make(row) for row in db.run(connection, _PAGE, values)]
