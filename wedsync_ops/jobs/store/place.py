"""Where a job stands: its row as an explanation needs it, and what comes before it."""

from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.model import Priority, State
from wedsync_ops.jobs.store.view import POSITION_CAP

_PLACE = (
    "SELECT id, module_type, module_version, state, priority, rank, due_at, next_change_at, expires_at, deadline_at,"
    " attempt, max_attempts, leased_by, held_by, started_at, finished_at, error, supplier_id, region, wedding_on,"
    " timezone, vendor_type, reasons, (SELECT requested_by FROM stops WHERE job_id = jobs.id) AS asked_by"
    " FROM jobs JOIN payloads ON payloads.job_id = jobs.id WHERE jobs.id = :id"
)
_HIGHER = "SELECT coalesce(sum(available), 0) FROM lane_counts WHERE priority > :priority"
_IN_LANE = "state = 'available' AND held_by IS NULL AND module_type = :module_type AND priority = :priority"
_BEFORE = f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {_IN_LANE} AND (rank, id) < (:rank, :id) LIMIT :cap) AS b"
_OF_SUPPLIER = (
    f"SELECT count(*) FROM (SELECT supplier_id FROM jobs WHERE {_IN_LANE} AND (rank, id) <= (:rank, :id)"
    " ORDER BY rank DESC, id DESC LIMIT :cap) AS b WHERE supplier_id = :supplier"
)
_LEASED = "SELECT leased_by, module_type, wedding_on, timezone, vendor_type FROM jobs WHERE state = 'running'"
_GAUGE = "SELECT wake_at FROM limit_gauges WHERE name = :name AND key = :key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A job's row, and the jobs that come before it.

    ``before`` is ``None`` when more do in its lane than anybody counts; ``of_supplier`` are those of its own supplier.
    """

    id: int
    module_type: str
    module_version: int
    state: State
    priority: Priority
    rank: int | None
    due_at: int
    next_change_at: int | None
    expires_at: int | None
    deadline_at: int | None
    attempt: int
    max_attempts: int
    leased_by: str | None
    held_by: str | None
    started_at: int | None
    finished_at: int | None
    error: str | None
    supplier_id: str | None
    region: str
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None
    asked_by: str | None
    priority_reasons: tuple[str, ...]
    due_reasons: tuple[str, ...]
    higher: int = 0
    before: int | None = 0
    of_supplier: int = 0


class Leased(NamedTuple):
    """A leased job, as far as it tells what its worker has to do."""

    leased_by: str | None
    module_type: str
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None


def find(connection: Connection, job_id: int) -> Place | None:
    """Where a job stands, ``None`` when there is none."""
    row = db.run(connection, _PLACE, {"id": job_id}).mappings().first()
    if row is None:
        return None
    values: dict[str, Any] = dict(row)
    reasons = orjson.loads(values.pop("reasons"))
    values |= {"state": State(row["state"]), "priority": Priority(row["priority"])}
    values["wedding_on"] = _day(row["wedding_on"])
    values |= {"priority_reasons": tuple(reasons["priority"]), "due_reasons": tuple(reasons["due"])}
    if values["state"] is State.AVAILABLE and row["held_by"] is None:
        values |= _queue(connection, values)
    return Place(**values)


def _queue(connection: Connection, row: dict[str, Any]) -> dict[str, Any]:
    lane = {"module_type": row["module_type"], "priority": int(row["priority"])}
    here = {**lane, "rank": row["rank"], "id": row["id"], "cap": POSITION_CAP + 1}
    before = int(db.run(connection, _BEFORE, here).scalar_one())
    own = db.run(connection, _OF_SUPPLIER, {**here, "supplier": row["supplier_id"]}).scalar_one()
    return {
        "higher": int(db.run(connection, _HIGHER, {"priority": lane["priority"]}).scalar_one()),
        "before": before if before <= POSITION_CAP else None,
        "of_supplier": int(own),
    }


def leased(connection: Connection) -> list[Leased]:
    """Every job that a worker has leased."""
    rows = map(tuple, db.run(connection, _LEASED))
    return [Leased(worker, name, _day(on), zone, vendor) for worker, name, on, zone, vendor in rows]


def _day(value: str | None) -> date | None:
    return None if value is None else parse_date(value)


def wake_at(connection: Connection, name: str, key: str) -> int | None:
    """When what a gauge holds is looked at next."""
    moment: int | None = db.run(connection, _GAUGE, {"name": name, "key": key}).scalar()
    return moment
