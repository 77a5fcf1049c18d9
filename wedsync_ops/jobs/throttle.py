"""Claiming under limits and pauses: what may not start is held back once, and let go when there is room again.

A job that a limit or its supplier's pause keeps from starting leaves the index that claims read, so that it is walked
past once and not at every claim; it holds no slot while it waits.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import Claimed, Lane
from wedsync_ops.jobs.store import claim, limits
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.jobs.store.limits import GaugeKey, Provider
from wedsync_ops.limits import PAUSE, Gauge, Limit, Subject, free_at, room, taken

CHUNK = 500
"""The most jobs that one transaction holds back, and lets go for each gauge."""
_GAUGES = 50
_POLL_US = SECOND
"""A limit on what runs at once is looked at again after so long, whether or not somebody said that a job ended."""
_GAP_US = SECOND // 50
"""The shortest time between two looks at a gauge: what comes free meanwhile is let go together."""


class Week(NamedTuple):
    """When a wedding is near: surely not outside ``days``, and exactly as ``holds`` says, by its day and its zone."""

    days: tuple[date, date]
    holds: Callable[[date, str | None], bool]


class Throttle:
    """The limits in one transaction: decides for each candidate, and remembers what it has decided until ``save``."""

    def __init__(
        self,
        connection: Connection,
        known: Sequence[Limit],
        pauses: Iterable[Pause],
        now: int,
        *,
        provider: Provider,
        region: str | None = None,
    ) -> None:
        self._provider = provider
        self._region = region
        self._connection = connection
        self._limits = {limit.name: limit for limit in known}
        self._paused = {pause.name: pause for pause in pauses if pause.scope == "supplier"}
        self._now = now
        self._gauges: dict[GaugeKey, Gauge] = {}
        self._changed: set[GaugeKey] = set()
        self._running: dict[str, Counter[str]] = {}
        self._wake_at: dict[GaugeKey, int | None] = {}
        self._held = 0

    @property
    def is_full(self) -> bool:
        """Whether this transaction has held back as much as one should."""
        return self._held >= CHUNK

    def wake(self) -> None:
        """Let go what has room by now."""
        for key, gauge in limits.awake(self._connection, self._now, _GAUGES).items():
            self._gauges[key] = gauge
            limit = self._limits.get(key[0])
            self._wake_at[key] = self._let_go(key) if limit is None else self._let_in(limit, key, gauge)
        limits.wake(self._connection, self._wake_at)
        self._wake_at.clear()

    def lease(
        self, lane: Lane, count: int, worker_id: str, week: Week | None = None
    ) -> tuple[Sequence[Row[Any]], bool]:
        """Lease the first ``count`` jobs of a lane that may start; and whether the lane may have more of them.

        With a ``week`` only those whose wedding is in it, of the first 500 of the lane.
        """
        over = self._provider(lane.module_type)
        covering = [limit for limit in self._limits.values() if limit.covers(lane.module_type, over)]
        if not covering and not self._paused and week is None:
            rows = claim.claim(self._connection, lane, count, worker_id=worker_id, region=self._region)
            return rows, len(rows) == count
        leased: list[Row[Any]] = []
        with_client = any(limit.per == "client" for limit in covering)
        while len(leased) < count:
            if self.is_full:
                return leased, True
            wanted = count - len(leased)
            found = self._found(lane, wanted, week, with_client=with_client)
            if over is not None:
                found = [one._replace(subject=one.subject._replace(provider=over)) for one in found]
            leased += self._sort(lane, covering, found, worker_id)
            if len(found) < wanted:
                return leased, False
        return leased, True

    def _found(self, lane: Lane, wanted: int, week: Week | None, *, with_client: bool) -> Sequence[limits.Candidate]:
        if week is None:
            return limits.candidates(self._connection, lane, wanted, with_client=with_client, region=self._region)
        near = limits.with_wedding(self._connection, lane, week.days, with_client=with_client, region=self._region)
        return [one for one, on, zone in near if week.holds(on, zone)][:wanted]

    def save(self) -> None:
        """Write what was decided."""
        limits.save(self._connection, {key: self._gauges[key] for key in self._changed})
        limits.wake(self._connection, self._wake_at)

    def _sort(
        self, lane: Lane, covering: Sequence[Limit], found: Sequence[limits.Candidate], worker_id: str
    ) -> Sequence[Row[Any]]:
        """Lease what may start and hold what may not."""
        wanted = {(limit.name, limit.key_of(one.subject)) for limit in covering for one in found}
        self._gauges |= limits.gauges(self._connection, wanted - self._gauges.keys())
        held: dict[int, str] = {}
        free: list[int] = []
        for one in found:
            holder = self._holder(covering, one.subject)
            if holder is None:
                free.append(one.id)
            else:
                held[one.id] = limits.held_by(*holder)
        limits.hold(self._connection, lane, held)
        self._held += len(held)
        return limits.lease(self._connection, free, worker_id)

    def _holder(self, covering: Sequence[Limit], subject: Subject) -> GaugeKey | None:
        """What keeps a job from starting; when nothing does, it is counted."""
        pause = self._paused.get(subject.supplier_id or "") if self._paused else None
        if pause is not None:
            key = (PAUSE, pause.name)
            self._wake_at[key] = pause.until
            return key
        keys = [(limit, (limit.name, limit.key_of(subject))) for limit in covering]
        for limit, key in keys:
            gauge = self._gauges.get(key, Gauge())
            if room(limit, gauge, self._count(limit)[key[1]], self._now) <= 0:
                self._wake_at.setdefault(key, self._next(limit, gauge))
                return key
        for limit, key in keys:
            self._take(limit, key)
        return None

    def _take(self, limit: Limit, key: GaugeKey) -> None:
        if limit.kind == "concurrent":
            self._running[limit.name][key[1]] += 1
        else:
            self._gauges[key] = taken(limit, self._gauges.get(key, Gauge()), 1, self._now)
            self._changed.add(key)

    def _count(self, limit: Limit) -> Counter[str]:
        """How many jobs run for each key; nothing for limits that do not count that."""
        if limit.name not in self._running:
            counted = (
                limits.running(self._connection, limit, self._provider)
                if limit.kind == "concurrent"
                else Counter[str]()
            )
            self._running[limit.name] = counted
        return self._running[limit.name]

    def _let_go(self, key: GaugeKey) -> int | None:
        """Free what a pause that is over, or a limit that is no more, still holds; when to go on."""
        pause = self._paused.get(key[1]) if key[0] == PAUSE else None
        if pause is not None:
            return pause.until
        return self._now if limits.let_go(self._connection, key, CHUNK) == CHUNK else self._unless_locked(key)

    def _let_in(self, limit: Limit, key: GaugeKey, gauge: Gauge) -> int | None:
        """Free as many jobs as a limit has room for; when to look again."""
        free = min(room(limit, gauge, self._count(limit)[key[1]], self._now), CHUNK)
        gone = limits.let_go(self._connection, key, free)
        if gone < free:
            return self._unless_locked(key)
        return self._next(limit, taken(limit, gauge, gone, self._now))

    def _unless_locked(self, key: GaugeKey) -> int | None:
        """When to look again at a gauge of which no more could be let go: soon, if others have locked jobs of it."""
        return self._now + _POLL_US if limits.holds(self._connection, key) else None

    def _next(self, limit: Limit, gauge: Gauge) -> int:
        at = free_at(limit, gauge, self._now)
        return self._now + _POLL_US if at is None else max(at, self._now + _GAP_US)


def freed(
    connection: Connection, known: Sequence[Limit], ended: Iterable[Claimed], now: int, *, provider: Provider
) -> None:
    """Look at once at what is held by limits on what runs at once, for those for whom a job has ended."""
    at_once = [limit for limit in known if limit.kind == "concurrent"]
    if not at_once:
        return
    jobs = list(ended)
    subjects = [
        Subject(job.module_type, job.supplier_id, None, job.vendor_type, provider(job.module_type)) for job in jobs
    ]
    keys = {
        (limit.name, limit.key_of(subject))
        for limit in at_once
        if limit.per != "client"
        for subject in subjects
        if limit.covers(subject.module_type, subject.provider)
    }
    apart = [limit.name for limit in at_once if limit.per == "client"]
    if apart and jobs:
        keys |= {(name, client) for client in limits.clients(connection, [job.id for job in jobs]) for name in apart}
    limits.freed(connection, keys, now)
