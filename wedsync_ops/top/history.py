"""The last minute of executions, second by second. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from wedsync_ops.instants import SECOND
from wedsync_ops.metrics.aggregate import percentile
from wedsync_ops.metrics.model import Spread
from wedsync_ops.top.model import Pace

LOOK = 1_000
"""The most executions that one look reads."""
OVERLAP = 100
"""How many ids before the newest are looked at again: on PostgreSQL a smaller one may be committed later."""
SPAN_S = 60
"""How far the figures reach back, in seconds."""
STEP_S = 2
"""The length of a sparkline's step, in seconds."""
_LATELY = 5
"""How many steps are lately."""
_FAILED = frozenset(("error", "timeout", "oom", "killed"))


class Execution(NamedTuple):
    """An execution as the pace needs it; lengths in µs."""

    id: int
    finished_at: int
    outcome: str
    duration_us: int | None
    queue_wait_us: int | None


@dataclass(slots=True)
class _Second:
    ok: int = 0
    failed: int = 0
    unread: float = 0.0
    durations: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)


class History:
    """What ran lately. It is given the newest executions ``after`` some id at every look, and counts each once.

    Where more have finished between two looks than one look reads, the rest are counted by their ids, and spread
    evenly over the seconds in between; the times are then those of a sample.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, _Second] = {}
        self._seen: set[int] = set()
        self._last_id: int | None = None
        self._looked_at = 0

    @property
    def after(self) -> int:
        """Beyond which id the next look has to read."""
        return -1 if self._last_id is None else self._last_id - OVERLAP

    def add(self, newest: Sequence[Execution], now: int) -> None:
        """Take in the newest executions, the newest first."""
        fresh = [one for one in newest if one.id not in self._seen]
        for one in fresh:
            self._count(one)
        if newest:
            self._count_unread(fresh, newest[0].id, now)
            self._last_id = max(newest[0].id, self._last_id or 0)
            seen = self._seen.union(one.id for one in newest)
            self._seen = {number for number in seen if number > self.after}
        self._looked_at = now
        oldest = now // SECOND - SPAN_S - 2 * STEP_S
        for second in [second for second in self._seconds if second < oldest]:
            del self._seconds[second]

    def _count(self, one: Execution) -> None:
        second = self._seconds.setdefault(one.finished_at // SECOND, _Second())
        if one.outcome == "ok":
            second.ok += 1
        elif one.outcome in _FAILED:
            second.failed += 1
        else:
            return
        if one.duration_us is not None:
            second.durations.append(one.duration_us)
        if one.queue_wait_us is not None:
            second.waits.append(one.queue_wait_us)

    def _count_unread(self, fresh: Sequence[Execution], newest_id: int, now: int) -> None:
        if self._last_id is None or len(fresh) < LOOK:
            return
        unread = newest_id - self._last_id - len(fresh)
        seconds = range(self._looked_at // SECOND + 1, now // SECOND + 1) or range(now // SECOND, now // SECOND + 1)
        for second in seconds:
            self._seconds.setdefault(second, _Second()).unread += max(0, unread) / len(seconds)

    def pace(self, now: int) -> Pace:
        """The figures of the last whole minute, in steps of two seconds."""
        end = now // SECOND // STEP_S * STEP_S
        steps = [self._between(start, start + STEP_S) for start in range(end - SPAN_S, end, STEP_S)]
        whole = [second for step in steps for second in step]
        spread = _spread(second.durations for second in whole)
        return Pace(
            per_s=_ran(whole) / SPAN_S,
            lately_per_s=sum(map(_ran, steps[-_LATELY:])) / (_LATELY * STEP_S),
            error_rate=_error_rate(whole),
            p50_ms=_ms(spread, 50),
            p95_ms=_ms(spread, 95),
            p99_ms=_ms(spread, 99),
            wait_p95_ms=_ms(_spread(second.waits for second in whole), 95),
            rates=[_ran(step) / STEP_S for step in steps],
            error_rates=[_error_rate(step) for step in steps],
            p50s_ms=[_ms(_spread(second.durations for second in step), 50) for step in steps],
            p95s_ms=[_ms(_spread(second.durations for second in step), 95) for step in steps],
        )

    def _between(self, start: int, end: int) -> list[_Second]:
        return [self._seconds[second] for second in range(start, end) if second in self._seconds]


def _ran(seconds: Sequence[_Second]) -> float:
    return sum(second.ok + second.failed + second.unread for second in seconds)


def _error_rate(seconds: Sequence[_Second]) -> float | None:
    failed, ran = sum(s.failed for s in seconds), sum(s.ok + s.failed for s in seconds)
    return 100 * failed / ran if ran else None


def _spread(lists: Iterable[Sequence[int]]) -> Spread:
    return Spread(sorted(value for values in lists for value in values))


def _ms(spread: Spread, percent: int) -> float | None:
    found = percentile(spread, percent)
    return None if found is None else found / 1000
