"""Lane counters: how many jobs wait, per module type and priority, without ever counting the backlog.

Every transaction that moves jobs adds its difference here. The counters are split into shards by process, so that
several workers on PostgreSQL don't wait for each other's row; readers add the shards up.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import Lane, Priority, State
from wedsync_ops.weddings.model import Region

_SHARDS = 8
_CORRECTIONS = _SHARDS
"""The shard that only corrections change."""
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
_COUNTED = (
    "(SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'available' AND held_by IS NULL"
    " AND module_type = lane.module_type AND priority = lane.priority AND region = :{region} LIMIT :most)"
    " AS {region}_jobs)"
)
_WITHIN = (
    f"SELECT module_type, priority, {_COUNTED.format(region='region')} + {_COUNTED.format(region='unknown')}"
    " AS available FROM (SELECT module_type, priority FROM lane_counts"
    " GROUP BY module_type, priority HAVING sum(available) > 0) AS lane"
)
# One statement, so that it sees counters and jobs at one moment however many others commit meanwhile.
_ERRORS = (
    "SELECT module_type, priority, sum(available) AS available, sum(waiting) AS waiting,"
    " sum(corrected_available) AS corrected_available, sum(corrected_waiting) AS corrected_waiting FROM ("
    "SELECT module_type, priority, count(*) AS available, count(*) AS waiting,"
    " 0 AS corrected_available, 0 AS corrected_waiting"
    " FROM jobs WHERE state = 'available' AND held_by IS NULL GROUP BY module_type, priority UNION ALL"
    " SELECT module_type, priority, 0, 1, 0, 0 FROM jobs WHERE held_by IS NOT NULL UNION ALL"
    " SELECT module_type, priority, 0, 1, 0, 0 FROM jobs WHERE state IN ('scheduled','retryable') UNION ALL"
    " SELECT module_type, priority, -available, -waiting,"
    " CASE WHEN shard = :shard THEN available ELSE 0 END, CASE WHEN shard = :shard THEN waiting ELSE 0 END"
    " FROM lane_counts) AS entries"
    " GROUP BY module_type, priority HAVING sum(available) <> 0 OR sum(waiting) <> 0 ORDER BY module_type, priority"
)
_CORRECT = f"{_ADD} WHERE lane_counts.available = :corrected_available AND lane_counts.waiting = :corrected_waiting"
_WAITING = frozenset((State.SCHEDULED, State.AVAILABLE, State.RETRYABLE))


@dataclass(frozen=True, slots=True)
class LaneCount:
    """How many jobs of a lane wait in all, and how many of those could start now."""

    lane: Lane
    available: int
    waiting: int


@dataclass(frozen=True, slots=True)
class LaneError:
    """What is to be added to a lane's counters so that they are right, and what corrections had added until then."""

    lane: Lane
    available: int
    waiting: int
    corrected_available: int
    corrected_waiting: int


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

    def hold(self, module_type: str, priority: int, count: int = 1) -> None:
        """Count jobs that wait as available and are held back."""
        self.available[module_type, priority] -= count

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


def without_region(region: str) -> str:
    """What else than its own jobs a worker of a region takes: those whose region nobody knows, unless it is that."""
    return "" if region == Region.UNKNOWN else Region.UNKNOWN


def within(connection: Connection, region: str, most: int) -> list[LaneCount]:
    """The lanes with jobs that a worker of a region could start: its own and those without one, ``most`` of each.

    Counted through the index of the region's own jobs; however many others wait, none of them is looked at.
    """
    return [
        LaneCount(Lane(row.module_type, Priority(row.priority)), int(row.available), int(row.available))
        for row in db.run(connection, _WITHIN, {"region": region, "unknown": without_region(region), "most": most})
    ]


def waiting_by_module(counts: Iterable[LaneCount]) -> Mapping[str, int]:
    """How many jobs of each module type wait."""
    total: Counter[str] = Counter()
    for count in counts:
        total[count.lane.module_type] += count.waiting
    return total


def errors(connection: Connection) -> list[LaneError]:
    """The lanes whose counters differ from the jobs, seen at one moment. For maintenance: reads all that waits."""
    return [
        LaneError(
            Lane(row.module_type, Priority(row.priority)),
            int(row.available),
            int(row.waiting),
            int(row.corrected_available),
            int(row.corrected_waiting),
        )
        for row in db.run(connection, _ERRORS, {"shard": _CORRECTIONS})
    ]


def correct(connection: Connection, found: Sequence[LaneError]) -> int:
    """Add what was found to be missing; returns how many lanes were corrected.

    Jobs and counters move together, so a difference stays what it was, however much of both moves meanwhile. Only
    another correction takes it away; so a lane that has been corrected since it was looked at is left alone.
    """
    return sum(
        db.run(
            connection,
            _CORRECT,
            {
                "module_type": error.lane.module_type,
                "priority": error.lane.priority,
                "shard": _CORRECTIONS,
                "available": error.available,
                "waiting": error.waiting,
                "corrected_available": error.corrected_available,
                "corrected_waiting": error.corrected_waiting,
            },
        ).rowcount
        for error in found
    )
