"""The SQL of forecasts: what is expected, hour by hour and module type by module type, and by which method."""

from collections.abc import Sequence

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.scaling.forecast_model import Expected, Method, Quality

CHUNK = 250
"""The most rows that should be written, or are dropped, in one transaction."""
_HOURS = {
    "hour": "bigint",
    "module_type": "text",
    "expected": "double precision",
    "low": "double precision",
    "high": "double precision",
    "booked": "bigint",
}
_METHODS = {
    "module_type": "text",
    "method": "text",
    "history_days": "bigint",
    "duration_us": "bigint",
    "wape": "double precision",
    "mase": "double precision",
    "inside": "double precision",
}
_READ = (
    "SELECT hour, module_type, expected, low, high, booked FROM forecasts"
    " WHERE hour >= :since AND hour < :until ORDER BY hour, module_type"
)
_DROP = (
    "DELETE FROM forecasts WHERE (hour, module_type) IN (SELECT hour, module_type FROM forecasts"
    f" WHERE hour < :before OR (hour >= :since AND made_at < :made_at) LIMIT {CHUNK})"
)


def expected(connection: Connection, since: int, until: int) -> list[Expected]:
    """What is expected in the hours that begin from ``since`` on and before ``until``, in order."""
    values = {"since": since, "until": until}
    return [Expected._make(row) for row in db.run(connection, _READ, values)]


def quality(connection: Connection) -> list[Quality]:
    """How each module type is foretold, by its name."""
    rows = db.run(connection, f"SELECT {', '.join(_METHODS)} FROM forecast_methods ORDER BY module_type")
    return [Quality._make(row)._replace(method=Method(row.method)) for row in rows]


def made_at(connection: Connection) -> int | None:
    """When the forecast was made last; ``None`` when it never was."""
    found: int | None = db.run(connection, "SELECT max(made_at) FROM forecast_methods").scalar()
    return found


def replace(connection: Connection, rows: Sequence[Expected], made_at: int) -> None:
    """Write what is expected, in place of what was for the same hours and module types."""
    _upsert(connection, "forecasts", _HOURS, ("hour", "module_type"), rows, made_at)


def replace_quality(connection: Connection, rows: Sequence[Quality], made_at: int) -> None:
    """Write how module types are foretold, and forget those that are not any more."""
    _upsert(connection, "forecast_methods", _METHODS, ("module_type",), rows, made_at)
    db.run(connection, "DELETE FROM forecast_methods WHERE made_at < :made_at", {"made_at": made_at})


def drop(connection: Connection, *, before: int, since: int, made_at: int) -> int:
    """Forget a chunk of hours before an instant, and of those from ``since`` on that were written before ``made_at``.

    Returns how many; fewer than a chunk means that none is left.
    """
    return db.run(connection, _DROP, {"before": before, "since": since, "made_at": made_at}).rowcount


def _upsert(
    connection: Connection,
    table: str,
    columns: dict[str, str],
    key: Sequence[str],
    rows: Sequence[tuple[object, ...]],
    made_at: int,
) -> None:
    if not rows:
        return
    names = [*columns, "made_at"]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    picked = ", ".join(f"r.{name}" for name in columns)
    statement = (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {picked}, CAST(:made_at AS bigint)"
        f" FROM {db.rows_source(connection, columns)} WHERE true"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"
    )
    db.run(connection, statement, {"rows": db.many([list(row) for row in rows]), "made_at": made_at})
