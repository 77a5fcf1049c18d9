"""What executions of each module type take, of time and memory: a small table for ranks, estimates and claim sizes."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Expected

_LATEST = 500
_READ = "SELECT module_type, p50_us, p95_us, memory_kb FROM durations"
_TYPES = "SELECT DISTINCT module_type FROM lane_counts"
_SAMPLE = (
    "SELECT duration_us FROM executions WHERE module_type = :module_type AND outcome = 'ok'"
    " AND duration_us IS NOT NULL ORDER BY finished_at DESC LIMIT :latest"
)
_PEAKS = (
    "SELECT memory_kb FROM executions WHERE module_type = :module_type AND memory_kb IS NOT NULL"
    " ORDER BY finished_at DESC LIMIT :latest"
)
_SAVE = (
    "INSERT INTO durations (module_type, p50_us, p95_us, memory_kb, measured_at)"
    " VALUES (:module_type, :p50, :p95, :memory, :now)"
    " ON CONFLICT (module_type) DO UPDATE SET"
    " p50_us = excluded.p50_us, p95_us = excluded.p95_us, memory_kb = excluded.memory_kb,"
    " measured_at = excluded.measured_at"
)


def read(connection: Connection) -> Mapping[str, Expected]:
    """The measured module types."""
    return {row.module_type: Expected(row.p50_us, row.p95_us, row.memory_kb) for row in db.run(connection, _READ)}


def measure(connection: Connection, now: int) -> None:
    """Take the durations anew from the latest 500 successful executions of each module type, peaks from all of them."""
    for module_type in sorted(db.run(connection, _TYPES).scalars()):
        sample = sorted(db.run(connection, _SAMPLE, {"module_type": module_type, "latest": _LATEST}).scalars())
        if sample:
            peaks = sorted(db.run(connection, _PEAKS, {"module_type": module_type, "latest": _LATEST}).scalars())
            row = {"p50": sample[(len(sample) - 1) // 2], "p95": _p95(sample), "memory": _p95(peaks) if peaks else None}
            db.run(connection, _SAVE, {"module_type": module_type, "now": now, **row})


def _p95(ascending: Sequence[int]) -> int:
    return ascending[-(-len(ascending) * 95 // 100) - 1]
