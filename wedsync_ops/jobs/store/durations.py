"""How long executions of each module type take: a small table for ranks, estimates and claim sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops import db

_LATEST = 500
_READ = "SELECT module_type, p50_us, p95_us FROM durations"
_TYPES = "SELECT DISTINCT module_type FROM lane_counts"
_SAMPLE = (
    "SELECT duration_us FROM executions WHERE module_type = :module_type AND outcome = 'ok'"
    " AND duration_us IS NOT NULL ORDER BY finished_at DESC LIMIT :latest"
)
_SAVE = (
    "INSERT INTO durations (module_type, p50_us, p95_us, measured_at) VALUES (:module_type, :p50, :p95, :now)"
    " ON CONFLICT (module_type) DO UPDATE SET"
    " p50_us = excluded.p50_us, p95_us = excluded.p95_us, measured_at = excluded.measured_at"
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an execution takes, in microseconds: the middle one, and all but one in twenty."""

    p50_us: int
    p95_us: int


def read(connection: Connection) -> Mapping[str, Expected]:
    """The measured module types."""
    return {row.module_type: Expected(row.p50_us, row.p95_us) for row in db.run(connection, _READ)}


def measure(connection: Connection, now: int) -> None:
    """Take the durations anew from the latest 500 successful executions of each module type."""
    for module_type in sorted(db.run(connection, _TYPES).scalars()):
        sample = sorted(db.run(connection, _SAMPLE, {"module_type": module_type, "latest": _LATEST}).scalars())
        if sample:
            row = {"p50": sample[(len(sample) - 1) // 2], "p95": sample[-(-len(sample) * 95 // 100) - 1]}
            db.run(connection, _SAVE, {"module_type": module_type, "now": now, **row})
