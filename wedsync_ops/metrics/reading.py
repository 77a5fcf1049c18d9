"""Answers a range from buckets, and from executions where no bucket fits or none is made yet.

All of it is read from one view of the database: what is rolled up in it, and what is not, is each execution once.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection

from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.levels import WIDTHS, Level, answerable, pieces, start_of
from wedsync_ops.metrics.model import Kind, Range, Series
from wedsync_ops.metrics.store import buckets, executions, suppliers
from wedsync_ops.metrics.store.buckets import Within
from wedsync_ops.metrics.store.executions import Scope
from wedsync_ops.metrics.trend import divided, level_for

FEW = 50_000
"""Up to so many ids after the last that is rolled up, executions are read by their ids, all module types at once."""


class Reading:
    """A view of what ``connection`` sees, over the part of a range that can be told: ``over``.

    ``module_types`` are those there may be executions of. ``singly`` narrows the range to where there are executions,
    so that suppliers can be told apart in all of it.
    """

    def __init__(
        self, connection: Connection, asked: Range, module_types: Sequence[str], *, singly: bool = False
    ) -> None:
        self._connection = connection
        self._types = module_types
        self._state = buckets.state(connection)
        kept = self._state.kept
        self.over = _since(asked, kept.raw) if singly else answerable(asked, kept)
        self._pieces = pieces(self.over, kept) if self._state.up_to else []

    def sums(self, kind: Kind, module_type: str | None = None, *, waits: bool = True) -> Mapping[Series, Sum]:
        """What the executions of each series come to, of one module type when that is named.

        Without ``waits`` there are none of those.
        """
        found: defaultdict[Series, Sum] = defaultdict(Sum)
        for within in self._rolled(module_type):
            _add_buckets(found, self._connection, kind, within, waits=waits)
        for scope in self._scopes(module_type):
            for part in executions.parts(self._connection, scope, kind):
                if module_type in (None, part.series.module_type):
                    found[part.series].add(part)
        return found

    def suppliers(self, module_type: str | None = None) -> Mapping[str, Sum]:
        """What the executions of each supplier come to; of no range but one that is read ``singly``."""
        return suppliers.sums(self._connection, self.over, self._types if module_type is None else [module_type])

    def totals(self, kind: Kind) -> Counter[tuple[str, str]]:
        """How many executions there are, by module type and name of a kind."""
        found: Counter[tuple[str, str]] = Counter()
        for within in self._rolled(None):
            found.update(buckets.totals(self._connection, kind, within))
        for scope in self._scopes(None):
            found.update(executions.totals(self._connection, scope, kind))
        return found

    def trend(self) -> Mapping[str, Sequence[int]]:
        """How many executions of each module type there are in the parts of the range, in order."""
        level = level_for(self.over, self._state.kept)
        whole = Range(start_of(level, self.over.from_at), self.over.to_at)
        counted = Counter(buckets.starts(self._connection, Within(level, whole.from_at, whole.to_at)))
        counted.update(executions.starts(self._connection, executions.after(self._state.up_to, whole), WIDTHS[level]))
        return {
            name: divided({start: many for (owner, start), many in counted.items() if owner == name}, self.over, level)
            for name in self._types
        }

    def _rolled(self, module_type: str | None) -> Iterator[Within]:
        for level, from_at, to_at in self._pieces:
            if level is not None:
                yield Within(level, from_at, to_at, module_type)

    def _scopes(self, module_type: str | None) -> Iterator[Scope]:
        types = self._types if module_type is None else [module_type]
        up_to = self._state.up_to
        for piece in self._pieces:
            if piece.level is None:
                over = Range(piece.from_at, piece.to_at)
                yield from (executions.in_range(name, over, up_to=up_to) for name in types)
        if up_to and buckets.horizon(self._connection).id - up_to <= FEW:
            yield executions.after(up_to, self.over)
        else:
            yield from (executions.in_range(name, self.over, above=up_to) for name in types)


def _since(asked: Range, raw: int) -> Range:
    return Range(min(max(asked.from_at, raw), asked.to_at), asked.to_at)


def _add_buckets(
    found: defaultdict[Series, Sum], connection: Connection, kind: Kind, within: Within, *, waits: bool
) -> None:
    for series, sums in buckets.sums(connection, kind, within):
        found[series].add_sums(sums)
    for series, durations, waited in buckets.sketches(connection, kind, within, waits=waits):
        there = found[series]
        there.durations.add_encoded(durations)
        there.waits.add_encoded(waited)


def ever(connection: Connection) -> Mapping[str, Sum]:
    """What all executions since the first one come to, by module type: none of it ever falls."""
    series: defaultdict[Series, Sum] = defaultdict(Sum)
    _add_buckets(series, connection, Kind.ALL, Within(Level.EVER, 0, 1), waits=True)
    found = defaultdict(Sum, {key.module_type: added for key, added in series.items()})
    above, highest = buckets.state(connection).up_to, buckets.horizon(connection).id
    while above < highest:
        # Bit by bit, so that times need not be grouped: what is in one bin now must not be in another later.
        for part in executions.parts(connection, executions.between(above, above + FEW), Kind.ALL):
            found[part.series.module_type].add(part)
        above += FEW
    return found
