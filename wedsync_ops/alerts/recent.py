"""The latest executions, added up by ten seconds and remembered, so that each is read about once.

Executions are only ever added: what was read is still right while there are as many as there were, which an index alone
tells. One that is seen late, because its worker's database was away, is so found, and its module type read anew.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops.alerts.facts import Point
from wedsync_ops.alerts.store import points
from wedsync_ops.instants import SECOND

SPAN_US = 10 * SECOND
"""What a point covers, in microseconds."""
LATE_US = 5 * SECOND
"""How long after its end an execution is usually seen; what is younger is not remembered, in microseconds."""


class _Known(NamedTuple):
    """The points of a range of time (its end not included)."""

    from_at: int
    to_at: int
    points: tuple[Point, ...] = ()


class Recent:
    """Points of the latest executions of each module type. Whatever it remembers, it answers as if it read all anew."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def read(self, connection: Connection, module_types: Iterable[str], from_at: int, to_at: int) -> list[Point]:
        """The points of a range, which begins where one of them does."""
        return [point for name in module_types for point in self._read(connection, name, from_at, to_at)]

    def remember(self, module_types: Iterable[str], found: Iterable[Point], from_at: int, now: int) -> None:
        """Keep what was read of a range that ends now."""
        to_at = max(from_at, (now - LATE_US) // SPAN_US * SPAN_US)
        kept: Mapping[str, list[Point]] = {name: [] for name in module_types}
        for point in found:
            if point.from_at < to_at:
                kept[point.module_type].append(point)
        self._known = {name: _Known(from_at, to_at, tuple(several)) for name, several in kept.items()}

    def _read(self, connection: Connection, module_type: str, from_at: int, to_at: int) -> list[Point]:
        known = self._known.get(module_type)
        found: list[Point] = []
        until = from_at
        if known is not None and known.from_at <= from_at < known.to_at:
            until = min(known.to_at, to_at)
            found = [point for point in known.points if from_at <= point.from_at < until]
            if points.count(connection, module_type, from_at, until) != sum(point.rows for point in found):
                found, until = [], from_at
        return found + points.executed(connection, [module_type], SPAN_US, until, to_at)
