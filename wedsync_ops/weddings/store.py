"""Couples as their suppliers know them: one row each, read by the day of the wedding or by supplier.

A day is kept as the number of days since 1970-01-01. A row changes only when what is known of the couple does: its
digest tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.weddings.model import Client, KnownClient, Region

_EPOCH = date(1970, 1, 1).toordinal()
_ALL = 2**63 - 1
_FACTS = {
    "client_id": "text",
    "couple_name": "text",
    "email": "text",
    "phone": "text",
    "wedding_on": "bigint",
    "location": "text",
    "region": "text",
    "supplier_id": "text",
    "vendor_type": "text",
    "timezone": "text",
    "booked_on": "bigint",
}
"""What is known of a couple, in the order of ``Client``'s fields."""
_LISTED = ", ".join(_FACTS)
_facts_of = attrgetter(*_FACTS)
_SELECT = f"SELECT {_LISTED}, revision, imported_at, updated_at FROM clients"


class Written(NamedTuple):
    """The ids of the couples that an upsert made, and of those that it changed; the others were as they are."""

    imported: frozenset[str]
    updated: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which couples to list: first and last day of the wedding, supplier, region; at most ``limit`` (0 = all).

    ``after`` is the wedding and the id of the last couple of the page before.
    """

    first: date | None = None
    last: date | None = None
    supplier_id: str | None = None
    region: Region | None = None
    limit: int = 0
    after: tuple[date, str] | None = None


class DayCount(NamedTuple):
    """How many couples marry on a day, in a region and a time zone (``None``: the platform's)."""

    wedding_on: date
    region: Region
    timezone: str | None
    weddings: int


def digest_of(client: Client) -> int:
    """What tells one state of knowledge of a couple from another: 64 bits, signed."""
    return _digest(_values(client))


def upsert(connection: Connection, clients: Iterable[Client], now: int) -> Written:
    """Make or change the rows of couples, each id once among them; rows that would stay the same are not touched."""
    values = sorted(_values(client) for client in clients)  # two imports lock their rows in one order
    if not values:
        return Written(frozenset(), frozenset())
    columns = {**_FACTS, "digest": "bigint"}
    listed = ", ".join(columns)
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name != "client_id")
    done = db.run(
        connection,
        (
            f"INSERT INTO clients ({listed}, revision, imported_at, updated_at)"
            f" SELECT {', '.join(f'r.{name}' for name in columns)}, 1, :now, :now"
            f" FROM {db.rows_source(connection, columns)} WHERE true"
            f" ON CONFLICT (client_id) DO UPDATE SET {changes}, revision = clients.revision + 1,"
            " updated_at = excluded.updated_at WHERE clients.digest <> excluded.digest"
            " RETURNING client_id, revision"
        ),
        {"rows": db.many([(*row, _digest(row)) for row in values]), "now": now},
    ).all()
    return Written(
        frozenset(row.client_id for row in done if row.revision == 1),
        frozenset(row.client_id for row in done if row.revision > 1),
    )


def digests(connection: Connection, client_ids: Iterable[str]) -> dict[str, int]:
    """The digests of those couples that are known."""
    statement = f"SELECT client_id, digest FROM clients WHERE client_id IN {db.texts_source(connection)}"
    rows = db.run(connection, statement, {"texts": db.many(list(client_ids))})
    return {row.client_id: row.digest for row in rows}


def find_many(connection: Connection, client_ids: Iterable[str]) -> dict[str, KnownClient]:
    """Those couples that are known, by id."""
    statement = f"{_SELECT} WHERE client_id IN {db.texts_source(connection)}"
    rows = db.run(connection, statement, {"texts": db.many(list(client_ids))})
    return {known.client.client_id: known for known in map(_known, rows)}


def find(connection: Connection, client_id: str) -> KnownClient | None:
    """A couple, ``None`` when it is not known."""
    return find_many(connection, [client_id]).get(client_id)


def list_clients(connection: Connection, wanted: Wanted) -> list[KnownClient]:
    """The couples that are wanted, by the day of the wedding, then by id."""
    conditions: dict[str, tuple[str, Any]] = {
        "first": ("wedding_on >= :first", None if wanted.first is None else _day(wanted.first)),
        "last": ("wedding_on <= :last", None if wanted.last is None else _day(wanted.last)),
        "supplier": ("supplier_id = :supplier", wanted.supplier_id),
        "region": ("region = :region", None if wanted.region is None else wanted.region.value),
    }
    values = {name: value for name, (_, value) in conditions.items() if value is not None}
    asked = [conditions[name][0] for name in values]
    if wanted.after is not None:
        asked.append("(wedding_on, client_id) > (:after_day, :after_id)")
        values |= {"after_day": _day(wanted.after[0]), "after_id": wanted.after[1]}
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    statement = f"{_SELECT}{where} ORDER BY wedding_on, client_id LIMIT :limit"
    return [_known(row) for row in db.run(connection, statement, {**values, "limit": wanted.limit or _ALL})]


def counts(connection: Connection, first: date, last: date) -> list[DayCount]:
    """How many couples marry on each day from ``first`` to ``last``, by region and time zone."""
    rows = db.run(
        connection,
        (
            "SELECT wedding_on, region, timezone, count(*) AS weddings FROM clients"
            " WHERE wedding_on BETWEEN :first AND :last GROUP BY wedding_on, region, timezone"
        ),
        {"first": _day(first), "last": _day(last)},
    )
    return [DayCount(_date(row.wedding_on), Region(row.region), row.timezone, row.weddings) for row in rows]


def is_empty(connection: Connection) -> bool:
    """Whether no couple is known."""
    return db.run(connection, "SELECT 1 FROM clients LIMIT 1").first() is None


def _values(client: Client) -> tuple[Any, ...]:
    """A couple's facts as they are kept."""
    return tuple(_day(fact) if isinstance(fact, date) else fact for fact in _facts_of(client))


def _digest(values: Sequence[Any]) -> int:
    return int.from_bytes(blake2b(db.many(values).encode(), digest_size=8).digest(), signed=True)


def _known(row: Any) -> KnownClient:
    facts: Mapping[str, Any] = dict(zip(_FACTS, row, strict=False))
    booked = facts["booked_on"]
    client = Client(
        **{
            **facts,
            "wedding_on": _date(facts["wedding_on"]),
            "region": Region(facts["region"]),
            "booked_on": None if booked is None else _date(booked),
        }
    )
    return KnownClient(client, *row[len(_FACTS) :])


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH


def _date(days: int) -> date:
    return date.fromordinal(days + _EPOCH)
