"""Buckets: what executions came to, minute by minute, hour by hour, day by day, and since ever.

Every execution up to an id is in the buckets of each width, and none above it. That id moves in the transaction that
writes the buckets, and only from where the writer saw it: so each execution is counted once, whoever rolls up, however
many at once, and after whatever death.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.metrics.levels import Kept, Level
from wedsync_ops.metrics.model import Bucket, Kind, Series, Sums

Place = tuple[int, Level, int]
"""Where a bucket is: its series' number, its level, its start."""


class State(NamedTuple):
    """How far executions are rolled up, and since when there is everything."""

    up_to: int
    kept: Kept


class Top(NamedTuple):
    """The end of the next chunk of executions: its last id, how many there are, and the latest finish in it."""

    id: int
    size: int
    finished_at: int


class Horizon(NamedTuple):
    """An id, and the number of the first transaction that had not begun when that was the highest."""

    id: int
    transaction: int


class Within(NamedTuple):
    """Which buckets of a kind are meant: of a level, that start in a range, of one module type when that is named."""

    level: Level
    from_at: int
    to_at: int
    module_type: str | None = None

    @property
    def only(self) -> str:
        """The condition for the module type."""
        return "" if self.module_type is None else " AND s.module_type = :module_type"

    def values(self, kind: Kind) -> dict[str, Any]:
        """What the statement's names are bound to."""
        found = {"kind": kind, **self._asdict()}
        return {name: value for name, value in found.items() if value is not None}


_KEPT = ", ".join(f"kept_{name}" for name in Kept._fields)
_SUMS = ", ".join(f"r.{name}" for name in Sums._fields)
_NAMES = ("series", "level", "start_at", *Sums._fields, "durations", "waits")
_SAVE = (
    f"INSERT INTO rollups ({', '.join(_NAMES)}) VALUES ({{marks}}) ON CONFLICT (series, level, start_at) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES[3:])
)
_IN = (
    " FROM rollup_series s JOIN rollups r ON r.series = s.id AND r.level = :level AND r.start_at >= :from_at"
    " AND r.start_at < :to_at WHERE s.kind = :kind"
)
_TOTAL = " + ".join(f"r.{name}" for name in Sums._fields[:7])
_ADVANCE = (
    f"INSERT INTO rollup_state (id, up_to, {_KEPT}) VALUES (1, :after, 0, 0, 0, 0) ON CONFLICT (id)"
    " DO UPDATE SET up_to = excluded.up_to WHERE rollup_state.up_to = :before"
)
_KEEP = (
    f"INSERT INTO rollup_state (id, up_to, {_KEPT}) VALUES (1, 0, {', '.join(f':{name}' for name in Kept._fields)})"
    " ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(
        f"kept_{name} = CASE WHEN rollup_state.kept_{name} < excluded.kept_{name} THEN excluded.kept_{name}"
        f" ELSE rollup_state.kept_{name} END"
        for name in Kept._fields
    )
)
_TOP = (
    "SELECT max(id) AS id, count(*) AS many, max(finished_at) AS finished_at FROM"
    " (SELECT id, finished_at FROM executions WHERE id > :above AND id <= :bound ORDER BY id LIMIT :most) AS chunk"
)
_HORIZON = (
    "SELECT coalesce((SELECT max(id) FROM executions), 0),"
    " CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"
)
_SETTLED = "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) >= :transaction"


def state(connection: Connection) -> State:
    """How far executions are rolled up."""
    row = db.run(connection, f"SELECT up_to, {_KEPT} FROM rollup_state").first()
    return State(0, Kept()) if row is None else State(row[0], Kept(*row[1:]))


def advance(connection: Connection, before: int, after: int) -> bool:
    """Move on to an id; ``False``, and nothing is changed, when somebody else has moved on meanwhile."""
    return db.run(connection, _ADVANCE, {"before": before, "after": after}).rowcount == 1


def keep(connection: Connection, kept: Kept) -> None:
    """Raise floors; none is ever lowered."""
    db.run(connection, _KEEP, kept._asdict())


# -- which executions are next ---------------------------------------------------------------------------------------


def horizon(connection: Connection) -> Horizon:
    """The highest id there is, and which transactions may still come with a lower one.

    On SQLite none may, since they write one after the other. On PostgreSQL those that had begun, since ids are given
    before the commit, and only to transactions that have written before.
    """
    if connection.dialect.name == "sqlite":
        return Horizon(db.run(connection, "SELECT coalesce(max(id), 0) FROM executions").scalar_one(), 0)
    return Horizon._make(db.run(connection, _HORIZON).one())


def is_settled(connection: Connection, mark: Horizon) -> bool:
    """Whether no id up to a horizon's can appear any more: every transaction that had begun then has ended."""
    if connection.dialect.name == "sqlite":
        return True
    return bool(db.run(connection, _SETTLED, {"transaction": mark.transaction}).scalar_one())


def top(connection: Connection, above: int, bound: int, most: int) -> Top | None:
    """The end of the next ``most`` executions above an id, up to a bound; ``None`` when there are none."""
    row = db.run(connection, _TOP, {"above": above, "bound": bound, "most": most}).one()
    return None if row.id is None else Top(row.id, row.many, row.finished_at)


# -- reading ---------------------------------------------------------------------------------------------------------


def module_types(connection: Connection) -> list[str]:
    """Every module type that has buckets."""
    return list(
        db.run(connection, "SELECT module_type FROM rollup_series WHERE kind = :kind", {"kind": Kind.ALL}).scalars()
    )


def sums(connection: Connection, kind: Kind, within: Within) -> Iterator[tuple[Series, Sums]]:
    """What the buckets of each series of a kind come to."""
    added = ", ".join(f"CAST(sum(r.{name}) AS bigint)" for name in Sums._fields)
    statement = f"SELECT s.module_type, s.name, {added}{_IN}{within.only} GROUP BY s.id, s.module_type, s.name"
    for row in _rows(connection, statement, within.values(kind)):
        yield Series(kind, row[0], row[1]), Sums._make(row[2:])


def sketches(
    connection: Connection, kind: Kind, within: Within, *, waits: bool = True
) -> Iterator[tuple[Series, bytes, bytes]]:
    """The sketches of durations and of waits, where these are wanted, of the buckets of a kind."""
    second = "r.waits" if waits else "r.durations"
    statement = f"SELECT s.module_type, s.name, r.durations, {second}{_IN}{within.only}"
    series: dict[tuple[str, str], Series] = {}
    for module_type, name, durations, waited in _rows(connection, statement, within.values(kind)):
        key = (module_type, name)
        if key not in series:
            series[key] = Series(kind, module_type, name)
        yield series[key], bytes(durations), bytes(waited) if waits else b""


def totals(connection: Connection, kind: Kind, within: Within) -> dict[tuple[str, str], int]:
    """How many executions the buckets hold, by module type and name of a kind."""
    statement = f"SELECT s.module_type, s.name, sum({_TOTAL}){_IN}{within.only} GROUP BY s.id, s.module_type, s.name"
    return {(row[0], row[1]): int(row[2]) for row in _rows(connection, statement, within.values(kind))}


def starts(connection: Connection, within: Within) -> dict[tuple[str, int], int]:
    """How many executions each bucket holds, by module type and start."""
    statement = f"SELECT s.module_type, r.start_at, {_TOTAL}{_IN}{within.only}"
    return {(row[0], row[1]): row[2] for row in _rows(connection, statement, within.values(Kind.ALL))}


def series(connection: Connection) -> dict[Series, int]:
    """The numbers of all series."""
    rows = _rows(connection, "SELECT kind, module_type, name, id FROM rollup_series")
    return {Series(Kind(row[0]), row[1], row[2]): row[3] for row in rows}


def at(connection: Connection, places: Sequence[Place]) -> dict[Place, Bucket]:
    """The buckets at these places, as far as there are any."""
    source = db.rows_source(connection, {"series": "bigint", "level": "bigint", "start_at": "bigint"}, "places")
    statement = (
        f"SELECT r.series, r.level, r.start_at, {_SUMS.replace('r.', 'b.')}, b.durations, b.waits FROM {source}"
        " CROSS JOIN rollups b WHERE b.series = r.series AND b.level = r.level AND b.start_at = r.start_at"
    )
    rows = _rows(connection, statement, {"places": db.many(places)})
    return {(row[0], Level(row[1]), row[2]): _bucket(row[3:]) for row in rows}


def _rows(connection: Connection, statement: str, values: Mapping[str, Any] | None = None) -> Iterator[Sequence[Any]]:
    return iter(db.run(connection, statement, values))


def _bucket(values: Sequence[Any]) -> Bucket:
    return Bucket(Sums._make(values[:-2]), bytes(values[-2]), bytes(values[-1]))


# -- writing ---------------------------------------------------------------------------------------------------------


def name(connection: Connection, wanted: Iterable[Series]) -> Mapping[Series, int]:
    """Give every series a number that has none; returns all numbers."""
    known = series(connection)
    new = [one for one in wanted if one not in known]
    if new:
        db.run(
            connection,
            "INSERT INTO rollup_series (kind, module_type, name) VALUES (:kind, :module_type, :name)"
            " ON CONFLICT (kind, module_type, name) DO NOTHING",
            [{**one._asdict(), "kind": str(one.kind)} for one in new],
        )
        known = series(connection)
    return known


def save(connection: Connection, buckets: Mapping[Place, Bucket]) -> None:
    """Write buckets, in place of those that are there."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    statement = _SAVE.format(marks=", ".join([mark] * len(_NAMES)))
    rows = [(*place, *bucket.sums, bucket.durations, bucket.waits) for place, bucket in buckets.items()]
    if rows:
        connection.exec_driver_sql(statement, rows)


def drop(connection: Connection, numbers: Sequence[int], level: Level, before: int) -> int:
    """Forget the buckets of these series that start before an instant; returns how many."""
    statement = (
        f"DELETE FROM rollups WHERE series IN {db.ids_source(connection)} AND level = :level AND start_at < :before"
    )
    return db.run(connection, statement, {"ids": db.many(numbers), "level": level, "before": before}).rowcount
