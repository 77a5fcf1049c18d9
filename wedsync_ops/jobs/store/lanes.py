"""Lane counters: how many jobs wait, per module type and priority, without ever counting the backlog.

Every transaction that moves jobs adds its difference here. The counters are split into shards by process, so that
several workers on PostgreSQL don't wait for each other's row; readers add the shards up.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Lane, Priority, State

_SHARDS = 8
# A transaction may save several times, in no common order: whoever shares a shard must take turns, or they deadlock.
_TURN = "SELECT pg_advisory_xact_lock(7102830, :shard)"
_ADD = (
    "INSERT INTO lane_counts (module_type, priority, shard, available, waiting)"
    " VALUES (:module_type, :priority, :shard, :available, :waiting)"
    " ON CONFLICT (module_type, priority, shard) DO UPDATE SET"
    " available = lane_counts.available + excluded.available, waiting = lane_counts.waiting + excluded.waiting"
)
_READ = (
    "SELECT module_type, priority, sum(available) AS available, sum(waiting) AS waiting"
    " FROM lane_counts GROUP BY module_type, priority"
)
# One statement, so that it sees counters and jobs at one moment however many others commit meanwhile.
_OFF = (
    "SELECT module_type, priority, sum(available) AS available, sum(waiting) AS waiting FROM ("
    "SELECT module_type, priority, CASE WHEN state = 'available' THEN 1 ELSE 0 END AS available, 1 AS waiting"
    " FROM jobs WHERE state IN ('scheduled','available','retryable') UNION ALL"
    " SELECT module_type, priority, -available, -waiting FROM lane_counts) AS entries"
    " GROUP BY module_type, priority HAVING sum(available) <> 0 OR sum(waiting) <> 0"
)
_WAITING = frozenset((State.SCHEDULED, State.AVAILABLE, State.RETRYABLE))


@dataclass(frozen=True, slots=True)
class LaneCount:
    """How many jobs of a lane wait in all, and how many of those could start now."""

    lane: Lane
    available: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Moves:
    """The differences that one transaction makes to the counters; ``save`` writes them in a fixed order."""

    available: Counter[tuple[str, int]] = field(default_factory=Counter)
    waiting: Counter[tuple[str, int]] = field(default_factory=Counter)

    def leave(self, module_type: str, priority: int, state: str, count: int = 1) -> None:
        """Count jobs that leave a state."""
        self.enter(module_type, priority, state, -count)

    def enter(self, module_type: str, priority: int, state: str, count: int = 1) -> None:
        """Count jobs that enter a state."""
        if state in _WAITING:
            self.waiting[module_type, priority] += count
            if state == State.AVAILABLE:
                self.available[module_type, priority] += count

    def save(self, connection: Connection) -> None:
        """Add the differences to this process's shard."""
        shard = os.getpid() % _SHARDS
        rows = [
            {
                "module_type": lane[0],
                "priority": lane[1],
                "shard": shard,
                "available": self.available[lane],
                "waiting": self.waiting[lane],
            }
            for lane in sorted(set(self.available) | set(self.waiting))
            if self.available[lane] or self.waiting[lane]
        ]
        if rows:
            if connection.dialect.name == "postgresql":
                db.run(connection, _TURN, {"shard": shard})
            db.run(connection, _ADD, rows)


def read(connection: Connection) -> list[LaneCount]:
    """Every lane that ever held a job, with its counts."""
    return [
        LaneCount(Lane(row.module_type, Priority(row.priority)), int(row.available), int(row.waiting))
        for row in db.run(connection, _READ)
    ]


def waiting_by_module(counts: Iterable[LaneCount]) -> Mapping[str, int]:
    """How many jobs of each module type wait."""
    total: Counter[str] = Counter()
    for count in counts:
        total[count.lane.module_type] += count.waiting
    return total


def recount(connection: Connection) -> int:
    """Set the counters to what the jobs table says; returns how many lanes were off. For maintenance: reads it all."""
    moves = Moves()
    count = 0
    for row in db.run(connection, _OFF):
        moves.available[row.module_type, row.priority] = int(row.available)
        moves.waiting[row.module_type, row.priority] = int(row.waiting)
        count += 1
    moves.save(connection)
    return count
