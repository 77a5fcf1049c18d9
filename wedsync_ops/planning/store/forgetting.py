"""The SQL that forgets plans, moves and calls of couples whose wedding is long over.

As long as anything of a couple's plan may still matter (a step whose time is not long past, a job that is still there),
all that is known of the couple stays: it is what keeps a step from being done twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import DAY
from wedsync_ops.jobs.store.retention import CHUNK, Key, Sweep
from wedsync_ops.planning.store import plans

_OVER = "NOT EXISTS (SELECT 1 FROM clients AS c WHERE c.client_id = t.client_id AND c.wedding_on >= :day)"
_UNPLANNED = "NOT EXISTS (SELECT 1 FROM plans AS p WHERE p.client_id = t.client_id)"
_AT_REST = (
    "NOT EXISTS (SELECT 1 FROM plan_steps AS s LEFT JOIN jobs ON jobs.id = s.job_id"
    " WHERE s.client_id = t.client_id AND (s.planned_at >= :old OR jobs.id IS NOT NULL))"
)


class _Table(NamedTuple):
    """A table, its key, and which of its rows are long over."""

    name: str
    key: str
    is_old: str


_PLANS = _Table("plans", "client_id", f"t.wedding_on < :day AND {_OVER} AND {_AT_REST}")
_OTHERS = (
    _Table("wedding_moves", "id", f"t.moved_at < :old AND t.to_on < :day AND {_OVER} AND {_UNPLANNED}"),
    _Table("calls_made", "key", f"t.made_at < :old AND {_OVER} AND {_UNPLANNED}"),
)


def sweeps(old: int, days_after: int) -> Iterator[Sweep]:
    """What is forgotten of weddings before an instant for which no journey has a step to come.

    ``days_after`` is for how many days after a wedding there may be one. Plans first: while a couple has one, its moves
    and calls stay.
    """
    values = {"old": old, "day": old // DAY - days_after}
    for table in (_PLANS, *_OTHERS):
        yield _sweep(table, values)


def _sweep(table: _Table, values: Mapping[str, int]) -> Sweep:
    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        onward = f" WHERE t.{table.key} > :after" if after else ""
        statement = (
            f"SELECT t.{table.key}, {table.is_old} FROM {table.name} AS t{onward} ORDER BY t.{table.key} LIMIT :chunk"
        )
        given = {**values, "chunk": CHUNK} | ({"after": after[0]} if after else {})
        rows = list(map(tuple, db.run(connection, statement, given)))
        return [(key,) for key, is_old in rows if is_old], (rows[-1][0],) if len(rows) == CHUNK else None

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        names = [key for (key,) in keys]
        if table is _PLANS:
            plans.lock_clients(connection, names)
        among = db.ids_source(connection) if table.key == "id" else db.texts_source(connection)
        given = {**values, "ids" if table.key == "id" else "texts": db.many(names)}
        gone = db.run(
            connection,
            f"DELETE FROM {table.name} AS t WHERE t.{table.key} IN {among} AND {table.is_old} RETURNING {table.key}",
            given,
        ).scalars()
        if table is not _PLANS:
            return {"leftovers_dropped": len(list(gone))}
        steps = f"DELETE FROM plan_steps WHERE client_id IN {db.texts_source(connection)}"
        given = {"texts": db.many(sorted(gone))}
        return {"plan_steps_dropped": db.run(connection, steps, given).rowcount}

    return Sweep(look, forget)
