"""The SQL of the change freeze: open jobs of weddings that are near, and what was changed all the same.

There is no index by wedding, because every job would pay for it. The indexes of the queue name the wedding at their
end: what is open is found by reading them through, and only the jobs of near weddings are looked up.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.emergencies.model import Override
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.store import lanes

COUNTED = 20_000
"""The most jobs of near weddings that are counted in a lane, among those scheduled, and among those held."""
_NEAR = "wedding_on BETWEEN :first AND :last"
_FOUND = (
    "SELECT wedding_on, timezone, client_id, supplier_id, module_type, count(*) AS many FROM ({rows}) AS near"
    " LEFT JOIN payloads ON payloads.job_id = near.id GROUP BY wedding_on, timezone, client_id, supplier_id,"
    " module_type"
)
_ROWS = "SELECT id, wedding_on, timezone, supplier_id, module_type FROM"
_LANE = (
    f"{_ROWS} jobs WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
    f" AND priority = :priority AND {_NEAR} LIMIT :most"
)
_SCHEDULED = f"{_ROWS} jobs WHERE state IN ('scheduled','retryable') AND due_at <= :until AND {_NEAR} LIMIT :most"
_RUNNING = f"{_ROWS} jobs WHERE state = 'running' AND {_NEAR} LIMIT :most"
_HELD = f"{_ROWS} jobs WHERE held_by IS NOT NULL AND {_NEAR} LIMIT :most"
_INSERT = (
    "INSERT INTO freeze_overrides (at, by, change, reason, weddings) VALUES (:at, :by, :change, :reason, :weddings)"
)
_SELECT = "SELECT id, at, by, change, reason, weddings FROM freeze_overrides ORDER BY id DESC LIMIT :limit"
_ALL = 2**62


class Open(NamedTuple):
    """Open jobs of one module type for one couple's wedding."""

    wedding_on: date
    timezone: str | None
    client_id: str | None
    supplier_id: str | None
    module_type: str
    jobs: int


def open_jobs(connection: Connection, days: tuple[date, date], until: int) -> list[Open]:
    """The open jobs of weddings on these two days or between, that wait, run, or fall due by an instant."""
    near = {"first": days[0].isoformat(), "last": days[1].isoformat(), "most": COUNTED}
    found = _found(connection, _RUNNING, near) + _found(connection, _HELD, near)
    found += _found(connection, _SCHEDULED, {**near, "until": until})
    for count in lanes.read(connection):
        if count.available > 0:
            lane = {"module_type": count.lane.module_type, "priority": int(count.lane.priority)}
            found += _found(connection, _LANE, {**near, **lane})
    return found


def _found(connection: Connection, rows: str, values: dict[str, Any]) -> list[Open]:
    found = db.run(connection, _FOUND.format(rows=rows), values)
    return [Open(parse_date(on), *rest) for on, *rest in map(tuple, found)]


def record(connection: Connection, *, at: int, by: str, change: str, reason: str, weddings: Sequence[str]) -> None:
    """Keep that somebody made a change that was frozen, and why."""
    values = {"at": at, "by": by, "change": change, "reason": reason, "weddings": orjson.dumps(weddings).decode()}
    db.run(connection, _INSERT, values)


def overrides(connection: Connection, limit: int) -> list[Override]:
    """The latest changes that were made although they were frozen, the newest first, at most ``limit`` (0: all)."""
    rows = db.run(connection, _SELECT, {"limit": limit or _ALL}).mappings()
    return [Override(**{**row, "weddings": tuple(orjson.loads(row["weddings"]))}) for row in rows]
