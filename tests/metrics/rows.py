"""Writes rows as plainly as can be, so that what is measured is known beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from wedsync_ops.db import Database
from wedsync_ops.instants import parse_instant

NOW = parse_instant("2027-06-19T12:00:00Z")

_EXECUTION: Mapping[str, Any] = {
    "job_id": 1,
    "attempt": 1,
    "module_type": "email",
    "module_version": 1,
    "worker_id": "w1",
    "priority": 1,
    "outcome": "ok",
    "started_at": NOW - 2_000_000,
    "finished_at": NOW - 1_000_000,
    "duration_us": 1000,
    "queue_wait_us": None,
    "cpu_us": None,
    "memory_kb": None,
    "bytes_sent": None,
    "wedding_days": None,
    "in_peak": 0,
    "vendor_type": None,
    "error": None,
}
_JOB: Mapping[str, Any] = {
    "module_type": "email",
    "module_version": 1,
    "state": "scheduled",
    "priority": 1,
    "priority_requested": 1,
    "rank": 0,
    "due_at": NOW,
    "queued_at": NOW,
    "finished_at": None,
    "attempt": 0,
    "max_attempts": 3,
    "losses": 0,
    "kills": 0,
    "token": 0,
    "payload_hash": "x",
}


def executions(database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
    _insert(database, "executions", _EXECUTION, rows)


def jobs(database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
    _insert(database, "jobs", _JOB, rows)


def lanes(database: Database, *rows: tuple[str, int, int, int]) -> None:
    """Each a module type, a priority, a shard, and how many are available."""
    names = ("module_type", "priority", "shard", "available")
    _insert(database, "lane_counts", {"waiting": 0}, [dict(zip(names, row, strict=True)) for row in rows])


def samples(database: Database, rows: Sequence[Mapping[str, Any]]) -> None:
    plain = {"host": "a", "sampled_at": NOW, "cpu_percent": None, "memory_percent": None, "network_mbps": None}
    _insert(database, "host_samples", plain, rows)


def forget(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("DELETE FROM executions"))


def _insert(database: Database, table: str, defaults: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    full = [{**defaults, **row} for row in rows]
    columns = ", ".join(full[0])
    values = ", ".join(f":{name}" for name in full[0])
    with database.transaction() as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), full)
