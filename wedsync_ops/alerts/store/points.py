"""The SQL of points: executions added up by minute and by hour, so that evaluation reads each execution about once.

The minutes that are over are written down; the last few are read from the executions themselves every time, because a
row becomes visible a little after its ``finished_at``. Points can be thrown away at any time and are made again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts.facts import Point, Sums
from wedsync_ops.instants import HOUR, MINUTE

_SUMS = Sums._fields
_COLUMNS = {"span_us": "bigint", "from_at": "bigint", "module_type": "text", **dict.fromkeys(_SUMS, "bigint")}
# Most are well: that is asked first.
_RAN = "(outcome = 'ok' OR outcome NOT IN ('lost', 'cancelled'))"
_FAILED = "outcome <> 'ok' AND outcome NOT IN ('lost', 'cancelled')"
_WEEK = "wedding_days BETWEEN 0 AND 7"
_ADDED = (
    f"count(*) FILTER (WHERE {_RAN}), count(*) FILTER (WHERE {_FAILED}), count(*) FILTER (WHERE {_WEEK} AND {_RAN}),"
    f" count(*) FILTER (WHERE {_WEEK} AND {_FAILED}), sum(duration_us) FILTER (WHERE {_WEEK} AND {_RAN}),"
    f" sum(duration_us) FILTER (WHERE {_RAN}), max(duration_us) FILTER (WHERE {_RAN})"
)
_RANGE = "FROM executions WHERE module_type = :module_type AND finished_at >= :from_at AND finished_at < :to_at"
_READ = f"SELECT finished_at - finished_at % :span_us AS from_at, count(*), {_ADDED} {_RANGE} GROUP BY 1"
_COUNT = f"SELECT count(*) {_RANGE}"
_KEPT = ", ".join(("module_type", "from_at", *_SUMS))
_TOGETHER = ", ".join(f"{'max' if name == 'longest_us' else 'sum'}({name})" for name in _SUMS)


def executed(
    connection: Connection, module_types: Iterable[str], span_us: int, from_at: int, to_at: int
) -> list[Point]:
    """The points of executions that finished in a range (its end not included), read from the executions."""
    values = {"span_us": span_us, "from_at": from_at, "to_at": to_at}
    return [
        _counted(name, row)
        for name in module_types
        for row in db.run(connection, _READ, {**values, "module_type": name})
    ]


def _counted(module_type: str, row: Any) -> Point:
    return Point(module_type, row[0], Sums._make(int(value or 0) for value in row[2:]), row[1])


def count(connection: Connection, module_type: str, from_at: int, to_at: int) -> int:
    """How many executions finished in a range (its end not included), whatever became of them; read from an index."""
    values = {"module_type": module_type, "from_at": from_at, "to_at": to_at}
    return int(db.run(connection, _COUNT, values).scalar_one())


def write(connection: Connection, span_us: int, points: Sequence[Point]) -> None:
    """Write points down, each in place of the one that was there."""
    if not points:
        return
    names = ", ".join(_COLUMNS)
    changes = ", ".join(f"{name} = excluded.{name}" for name in _SUMS)
    picked = ", ".join(f"r.{name}" for name in _COLUMNS)
    statement = (
        f"INSERT INTO alert_points ({names}) SELECT {picked} FROM {db.rows_source(connection, _COLUMNS)} WHERE true"
        f" ON CONFLICT (span_us, from_at, module_type) DO UPDATE SET {changes}"
    )
    rows = [[span_us, point.from_at, point.module_type, *point.sums] for point in points]
    db.run(connection, statement, {"rows": db.many(rows)})


def kept(connection: Connection, span_us: int, from_at: int, to_at: int) -> list[Point]:
    """The points that were written down for a range (its end not included), in the order of time."""
    statement = (
        f"SELECT {_KEPT} FROM alert_points WHERE span_us = :span_us AND from_at >= :from_at AND from_at < :to_at"
        " ORDER BY from_at, module_type"
    )
    rows = db.run(connection, statement, {"span_us": span_us, "from_at": from_at, "to_at": to_at})
    return [_point(row) for row in rows]


def added(connection: Connection, from_at: int, to_at: int) -> Mapping[str, Sums]:
    """The minutes that were written down for a range, added up by module type."""
    statement = (
        f"SELECT module_type, {_TOGETHER} FROM alert_points"
        " WHERE span_us = :span_us AND from_at >= :from_at AND from_at < :to_at GROUP BY module_type"
    )
    rows = db.run(connection, statement, {"span_us": MINUTE, "from_at": from_at, "to_at": to_at})
    return {row[0]: Sums._make(map(int, row[1:])) for row in rows}


def hours(connection: Connection, starts: Sequence[int]) -> list[Point]:
    """The hours that began at these instants."""
    statement = f"SELECT {_KEPT} FROM alert_points WHERE span_us = :span_us AND from_at IN {db.ids_source(connection)}"
    rows = db.run(connection, statement, {"span_us": HOUR, "ids": db.many(list(starts))})
    return [_point(row) for row in rows]


def _point(row: Any) -> Point:
    return Point(row.module_type, row.from_at, Sums._make(row[2:]))


def drop(connection: Connection, span_us: int, before: int) -> int:
    """Forget the points of before an instant; returns how many."""
    statement = "DELETE FROM alert_points WHERE span_us = :span_us AND from_at < :before"
    return db.run(connection, statement, {"span_us": span_us, "before": before}).rowcount


def mark(connection: Connection, name: str) -> int | None:
    """How far something has come; ``None`` before its beginning."""
    found = db.run(connection, "SELECT at FROM alert_marks WHERE name = :name", {"name": name}).scalar()
    return None if found is None else int(found)


def set_mark(connection: Connection, name: str, at: int) -> None:
    """Note how far something has come."""
    statement = (
        "INSERT INTO alert_marks (name, at) VALUES (:name, :at) ON CONFLICT (name) DO UPDATE SET at = excluded.at"
    )
    db.run(connection, statement, {"name": name, "at": at})
