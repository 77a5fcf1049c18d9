"""Limits in the database: the gauges, what they hold back, and how much of what is limited runs.

How much runs is counted from the leases themselves, so that no crash can leave a place taken.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from wedsync_ops import db
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.model import Lane
from wedsync_ops.jobs.store import claim, lanes
from wedsync_ops.jobs.store.lanes import Moves
from wedsync_ops.limits import Gauge, Limit, Subject

Provider = Callable[[str], str | None]
"""Tells what the jobs of a module type are delivered over."""
GaugeKey = tuple[str, str]
"""The name of a limit (or ``pause``) and for whom it counts."""

_LOCK = "SELECT pg_advisory_xact_lock(7102831)"
_GAUGES = (
    "SELECT g.name, g.key, full_at, window_number, used FROM {source} JOIN limit_gauges AS g"
    " ON g.name = r.name AND g.key = r.key"
)
_SAVE = (
    "INSERT INTO limit_gauges (name, key, full_at, window_number, used) SELECT r.name, r.key, r.full_at, r.number,"
    " r.used FROM {source} WHERE true ON CONFLICT (name, key) DO UPDATE SET full_at = excluded.full_at,"
    " window_number = excluded.window_number, used = excluded.used"
)
_WAKE = (
    "INSERT INTO limit_gauges (name, key, full_at, window_number, used, wake_at)"
    " SELECT r.name, r.key, 0, 0, 0, r.wake_at FROM {source} WHERE true"
    " ON CONFLICT (name, key) DO UPDATE SET wake_at = excluded.wake_at"
)
_AWAKE = (
    "SELECT name, key, full_at, window_number, used FROM limit_gauges WHERE wake_at IS NOT NULL AND wake_at <= :now"
    " ORDER BY wake_at LIMIT :chunk"
)
_FREED = (
    "UPDATE limit_gauges SET wake_at = :now FROM {source} WHERE limit_gauges.name = r.name AND limit_gauges.key = r.key"
    " AND wake_at IS NOT NULL"
)
_WALKS_PAST = (
    "SELECT EXISTS (SELECT 1 FROM pauses WHERE scope = 'supplier')"
    " OR EXISTS (SELECT 1 FROM drains WHERE scope = 'supplier')"
    " OR EXISTS (SELECT 1 FROM limit_gauges WHERE name = 'pause' AND wake_at IS NOT NULL)"
)
_COLUMN = {
    "provider": "''",
    "all": "''",
    "module": "module_type",
    "supplier": "supplier_id",
    "vendor_type": "vendor_type",
}
_AMONG = 500
_HEAD = (
    "SELECT id FROM jobs WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
    " AND priority = :priority ORDER BY rank, id LIMIT :chunk"
)
_LET_GO = (
    "UPDATE jobs SET held_by = NULL WHERE id IN (SELECT id FROM jobs WHERE held_by = :held AND held_by IS NOT NULL"
    " ORDER BY priority DESC, rank, id LIMIT :count{locking}) RETURNING module_type, priority"
)


class Candidate(NamedTuple):
    """A job that would be next, and for whom it counts."""

    id: int
    subject: Subject


def held_by(name: str, key: str) -> str:
    """What a held job says of what holds it."""
    return f"{name}:{key}"


def lock(connection: Connection, *, limited: bool) -> None:
    """Let one transaction at a time decide about limits and paused suppliers. On SQLite there is but one writer.

    ``limited`` says that there are limits. To be taken before every other lock of the transaction.
    """
    if connection.dialect.name == "postgresql" and (limited or db.run(connection, _WALKS_PAST).scalar_one()):
        db.run(connection, _LOCK)


def gauges(connection: Connection, keys: Collection[GaugeKey]) -> dict[GaugeKey, Gauge]:
    """The gauges of these keys that there are."""
    if not keys:
        return {}
    statement = _GAUGES.format(source=db.rows_source(connection, {"name": "text", "key": "text"}))
    rows = db.run(connection, statement, {"rows": db.many(sorted(keys))})
    return {(name, key): Gauge(full_at, number, used) for name, key, full_at, number, used in map(tuple, rows)}


def save(connection: Connection, changed: Mapping[GaugeKey, Gauge]) -> None:
    """Write gauges; when they wake stays as it is."""
    if changed:
        columns = {"name": "text", "key": "text", "full_at": "bigint", "number": "bigint", "used": "bigint"}
        rows = [(*key, *changed[key]) for key in sorted(changed)]
        db.run(connection, _SAVE.format(source=db.rows_source(connection, columns)), {"rows": db.many(rows)})


def wake(connection: Connection, times: Mapping[GaugeKey, int | None]) -> None:
    """Set when to look again at what a gauge holds; ``None`` for not by the clock."""
    if times:
        columns = {"name": "text", "key": "text", "wake_at": "bigint"}
        rows = [(*key, times[key]) for key in sorted(times)]
        db.run(connection, _WAKE.format(source=db.rows_source(connection, columns)), {"rows": db.many(rows)})


def awake(connection: Connection, now: int, chunk: int) -> dict[GaugeKey, Gauge]:
    """The gauges whose time to look has come, at most ``chunk``."""
    rows = db.run(connection, _AWAKE, {"now": now, "chunk": chunk})
    return {(name, key): Gauge(full_at, number, used) for name, key, full_at, number, used in map(tuple, rows)}


def freed(connection: Connection, keys: Collection[GaugeKey], now: int) -> None:
    """Look at once at what these gauges hold: something that they count has ended."""
    if keys:
        statement = _FREED.format(source=db.rows_source(connection, {"name": "text", "key": "text"}))
        db.run(connection, statement, {"rows": db.many(sorted(keys)), "now": now})


def running(connection: Connection, limit: Limit, provider: Provider) -> Counter[str]:
    """How many leased jobs count for each key of a limit."""
    column, source = _COLUMN.get(limit.per, "client_id"), "jobs"
    if limit.per == "client":
        source = "jobs JOIN payloads ON payloads.job_id = jobs.id"
    rows = db.run(
        connection,
        f"SELECT module_type, coalesce({column}, ''), count(*) FROM {source} WHERE state = 'running' GROUP BY 1, 2",
    )
    counted: Counter[str] = Counter()
    for module_type, key, count in map(tuple, rows):
        over = provider(module_type)
        if limit.covers(module_type, over):
            counted[over or "" if limit.per == "provider" else key] += count
    return counted


def clients(connection: Connection, ids: Sequence[int]) -> list[str]:
    """The clients of these jobs."""
    statement = f"SELECT DISTINCT client_id FROM payloads WHERE job_id IN {db.ids_source(connection)}"
    return list(db.run(connection, statement, {"ids": db.many(ids)}).scalars())


def candidates(
    connection: Connection, lane: Lane, count: int, *, with_client: bool, region: str | None = None
) -> list[Candidate]:
    """The first ``count`` free jobs of a lane, with a ``region`` of it or of none; locked on PostgreSQL."""
    columns, locking = _candidate(connection, with_client=with_client)
    values: dict[str, Any] = {"module_type": lane.module_type, "priority": int(lane.priority), "count": count}
    if region is None:
        statement = (
            f"{columns} WHERE state = 'available' AND held_by IS NULL AND module_type = :module_type"
            f" AND priority = :priority ORDER BY rank, jobs.id LIMIT :count{locking}"
        )
    else:
        picked = f"WITH picked(id) AS MATERIALIZED {claim.in_region(connection)}"
        statement = f"{picked} {columns} JOIN picked ON picked.id = jobs.id ORDER BY rank, jobs.id"
        values |= {"region": region, "unknown": lanes.without_region(region)}
    rows = db.run(connection, statement, values)
    return [Candidate(job_id, Subject(*subject)) for job_id, *subject, _, _ in map(tuple, rows)]


def with_wedding(
    connection: Connection, lane: Lane, days: tuple[date, date], *, with_client: bool, region: str | None = None
) -> list[tuple[Candidate, date, str | None]]:
    """Of the first 500 free jobs of a lane those whose wedding is on these two days or between, with day and zone.

    With a ``region`` only its own and those of none; locked on PostgreSQL.
    """
    columns, locking = _candidate(connection, with_client=with_client)
    values: dict[str, Any] = {"module_type": lane.module_type, "priority": int(lane.priority), "chunk": _AMONG}
    values |= {"first": days[0].isoformat(), "last": days[1].isoformat()}
    here = ""
    if region is not None:
        here = " AND region IN (:region, :unknown)"
        values |= {"region": region, "unknown": lanes.without_region(region)}
    statement = (
        f"{columns} WHERE jobs.id IN ({_HEAD}) AND state = 'available' AND held_by IS NULL"
        f" AND wedding_on BETWEEN :first AND :last{here} ORDER BY rank, jobs.id{locking}"
    )
    rows = db.run(connection, statement, values)
    return [
        (Candidate(job_id, Subject(*subject)), parse_date(on), zone) for job_id, *subject, on, zone in map(tuple, rows)
    ]


def _candidate(connection: Connection, *, with_client: bool) -> tuple[str, str]:
    client, source = ("client_id", "jobs JOIN payloads ON payloads.job_id = jobs.id") if with_client else ("''", "jobs")
    locking = " FOR UPDATE OF jobs SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    own = f"jobs.id, module_type, supplier_id, {client}, vendor_type, wedding_on, timezone"
    return f"SELECT {own} FROM {source}", locking


def lease(connection: Connection, ids: Sequence[int], worker_id: str) -> Sequence[Row[Any]]:
    """Lease these jobs, which are free, to a worker, as ``claim.claim`` does."""
    if not ids:
        return []
    return claim.lease(connection, db.ids_source(connection), {"ids": db.many(ids), "worker": worker_id})


def hold(connection: Connection, lane: Lane, reasons: Mapping[int, str]) -> None:
    """Take free jobs of a lane out of the way of claims; each value says what holds it."""
    if not reasons:
        return
    source = db.rows_source(connection, {"id": "bigint", "held": "text"})
    statement = f"UPDATE jobs SET held_by = r.held FROM {source} WHERE jobs.id = r.id AND jobs.state = 'available'"
    db.run(connection, statement, {"rows": db.many(list(reasons.items()))})
    moves = Moves()
    moves.hold(*lane, len(reasons))
    moves.save(connection)


def holds(connection: Connection, key: GaugeKey) -> bool:
    """Whether a gauge holds any job, be it locked by another transaction."""
    found = db.run(connection, "SELECT 1 FROM jobs WHERE held_by = :held LIMIT 1", {"held": held_by(*key)})
    return found.first() is not None


def let_go(connection: Connection, key: GaugeKey, count: int) -> int:
    """Free the most urgent ``count`` jobs that a gauge holds; returns how many there were."""
    if count <= 0:
        return 0
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    values = {"held": held_by(*key), "count": count}
    rows = db.run(connection, _LET_GO.format(locking=locking), values).all()
    moves = Moves()
    for lane, many in Counter((row.module_type, row.priority) for row in rows).items():
        moves.hold(*lane, -many)
    moves.save(connection)
    return len(rows)


def held(connection: Connection, name: str, most: int) -> int:
    """How many jobs a limit holds for everybody together, counted up to ``most``."""
    found = "SELECT 1 FROM jobs WHERE held_by >= :first AND held_by < :last LIMIT :most"
    values = {"first": f"{name}:", "last": f"{name};", "most": most}
    return int(db.run(connection, f"SELECT count(*) FROM ({found}) AS h", values).scalar_one())
