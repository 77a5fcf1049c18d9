"""The simulated queue: what waits, by lane, in the order in which it is claimed. What it decides, the queue decides."""

from collections import Counter, deque
from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from wedsync_ops.jobs import priority, rank
from wedsync_ops.jobs.admission import WEEK
from wedsync_ops.jobs.model import Lane, Priority
from wedsync_ops.planning.simulate.model import Arrival, Kind
from wedsync_ops.weddings.model import Calendar, Wedding
from wedsync_ops.weddings.proximity import days_until

_PRIORITIES = tuple(Priority)
_SPARE = 1024


class Job:
    """A job and where it is. It changes; one is made for each of many, so it is no more than its fields."""

    __slots__ = (
        "attempt",
        "boost",
        "change_at",
        "deadline_at",
        "due_at",
        "duration_us",
        "fails",
        "held_us",
        "id",
        "is_in_week",
        "kills",
        "kind",
        "label",
        "losses",
        "module_type",
        "priority",
        "rank",
        "requested",
        "stamp",
        "supplier_id",
        "wedding",
    )

    def __init__(self, job_id: int, arrival: Arrival, kind: Kind, boost: int) -> None:
        at, name, wedding = arrival.at, arrival.module_type, arrival.wedding
        self.id = job_id
        self.module_type = name
        self.kind = kind
        self.requested = self.priority = arrival.requested
        self.boost = boost
        self.supplier_id = arrival.supplier_id
        self.wedding: Wedding | None = wedding
        self.due_at = at
        self.deadline_at = rank.deadline(arrival.deadline_at, wedding, at, name)
        self.is_in_week = wedding is not None and days_until(wedding, at) in WEEK
        self.duration_us = arrival.duration_us
        self.fails = arrival.fails
        self.label = arrival.label
        self.attempt = self.losses = self.kills = 0
        self.rank = -1
        self.held_us = 0
        self.change_at: int | None = None
        self.stamp = 0  # odd while it waits; every entry of it in a heap is that of one stamp


_Entry = tuple[int, int, int, Job]


class Queue:
    """The jobs that could start now.

    A job that was moved leaves its old entries behind, which are known by their stamp.
    """

    def __init__(self, calendar: Calendar, kinds: Mapping[str, Kind], ageing_us: int) -> None:
        self._calendar = calendar
        self._ageing_us = ageing_us
        self._long = frozenset(name for name, kind in kinds.items() if not kind.need.is_short)
        self._lanes: dict[Lane, list[_Entry]] = {}
        self._weeks: dict[Lane, list[_Entry]] = {}
        self._arrived: dict[Lane, deque[tuple[int, int, Job]]] = {}
        self._names = {(name, step): Lane(name, step) for name in kinds for step in _PRIORITIES}
        self._tags: dict[tuple[str, int, str], int] = {}
        self._changes: list[_Entry] = []
        self._counts: dict[Lane, int] = {}
        self._held: dict[str, bool] = {}
        self._held_since: dict[str, int] = {}
        self._held_us: Counter[str] = Counter()
        self._out: Counter[str] = Counter()

    @property
    def available(self) -> dict[Lane, int]:
        """How many jobs could start of each lane that has any; do not change it."""
        if not self._held:
            return self._counts
        found = {lane: many for lane, many in self._counts.items() if lane.module_type not in self._held}
        for name, is_probed in self._held.items():
            if is_probed and not self._out[name]:
                here = [lane for lane in self._counts if lane.module_type == name]
                if here:
                    found[max(here, key=lambda lane: lane.priority)] = 1
        return found

    @property
    def waiting(self) -> int:
        """How many jobs are due and have not been claimed."""
        return sum(self._counts.values())

    @property
    def is_held(self) -> bool:
        """Whether a breaker holds anything."""
        return bool(self._held)

    def hold(self, module_type: str, now: int, *, is_probed: bool) -> None:
        """Nothing of a module type starts any more, or one job at a time."""
        self._held[module_type] = is_probed
        self._held_since.setdefault(module_type, now)

    def free(self, module_type: str, now: int) -> None:
        """Jobs of a module type start again."""
        self._held.pop(module_type, None)
        since = self._held_since.pop(module_type, None)
        if since is not None:
            self._held_us[module_type] += now - since

    def held_us(self, job: Job, now: int) -> int:
        """How long its module type has been held since it was due."""
        return self._held_until(job.module_type, now) - job.held_us

    def back(self, job: Job) -> None:
        """A job that was taken has ended, or its worker has."""
        self._out[job.module_type] -= 1

    def _held_until(self, name: str, now: int) -> int:
        since = self._held_since.get(name)
        return self._held_us[name] + (0 if since is None else now - since)

    def by_module(self) -> Counter[str]:
        """How many jobs could start, by module type."""
        found: Counter[str] = Counter()
        for lane, count in self._counts.items():
            found[lane.module_type] += count
        return found

    def enter(self, job: Job, now: int) -> None:
        """A job becomes available: its priority is decided for now; its rank only the first time."""
        self._decide(job, now)
        if job.due_at == now:
            job.held_us = self._held_until(job.module_type, now)
        if job.rank < 0:
            retry = job.kind.definition.retry
            job.rank = rank.ranked(
                self._tags,
                (job.module_type, job.priority, job.supplier_id),
                job.kind.expected,
                deadline_at=job.deadline_at,
                attempts_left=retry.attempts - job.attempt,
                now=now,
                weight=1.0,
            )
        self._add(job, now)

    def ripen(self, now: int) -> None:
        """Decide anew for jobs that have aged or neared their wedding while they waited."""
        changes = self._changes
        while changes and changes[0][0] <= now:
            _, _, stamp, job = heappop(changes)
            if job.stamp == stamp:
                self._leave(job)
                self._decide(job, now)
                self._add(job, now)

    def take(self, lane: Lane, count: int) -> list[Job]:
        """The first jobs of a lane, which leave it."""
        return self._pop(self._lanes.get(lane, []), count)

    def take_in_week(self, lane: Lane, count: int) -> list[Job]:
        """The first of those jobs of a lane that take long and whose wedding is within a week."""
        return self._pop(self._weeks.get(lane, []), count)

    def jobs(self) -> list[Job]:
        """All of them."""
        return [job for entries in self._lanes.values() for _, _, stamp, job in entries if job.stamp == stamp]

    def oldest_due(self) -> int | None:
        """When the job that waits longest was due."""
        oldest = None
        for lane in self.available:
            arrived = self._arrived[lane]
            while arrived and arrived[0][2].stamp != arrived[0][1]:
                arrived.popleft()
            if arrived and (oldest is None or arrived[0][0] < oldest):
                oldest = arrived[0][0]
        return oldest

    def _decide(self, job: Job, now: int) -> None:
        decision = priority.decide(
            job.requested,
            now,
            wedding=job.wedding,
            calendar=self._calendar,
            rules=job.kind.definition.wedding_optimizations,
            boost=job.boost,
            waited_us=now - job.due_at,
            ageing_us=self._ageing_us,
        )
        job.priority = decision.priority
        job.change_at = decision.next_change_at

    def _add(self, job: Job, now: int) -> None:
        lane = self._names[job.module_type, job.priority]
        job.stamp += 1
        entry = (job.rank, job.id, job.stamp, job)
        if lane not in self._lanes:
            self._lanes[lane], self._weeks[lane], self._arrived[lane] = [], [], deque()
        here = self._counts[lane] = self._counts.get(lane, 0) + 1
        heappush(self._lanes[lane], entry)
        if lane.module_type in self._long and in_week(job, now):
            _push(self._weeks[lane], entry, here)
        arrived = self._arrived[lane]
        arrived.append((job.due_at, job.stamp, job))
        if len(arrived) > _SPARE + 4 * here:
            self._arrived[lane] = deque(one for one in arrived if one[2].stamp == one[1])
        if job.change_at is not None:
            _push(self._changes, (job.change_at, job.id, job.stamp, job), self.waiting)

    def _leave(self, job: Job) -> None:
        lane = self._names[job.module_type, job.priority]
        job.stamp += 1
        left = self._counts[lane] - 1
        if left:
            self._counts[lane] = left
        else:
            del self._counts[lane]

    def _pop(self, entries: list[_Entry], count: int) -> list[Job]:
        taken: list[Job] = []
        while entries and len(taken) < count:
            _, _, stamp, job = heappop(entries)
            if job.stamp == stamp:
                self._leave(job)
                self._out[job.module_type] += 1
                taken.append(job)
        return taken


def _push(entries: list[_Entry], entry: _Entry, waiting: int) -> None:
    """Push an entry; where most are of jobs that have left, those go."""
    heappush(entries, entry)
    if len(entries) > _SPARE + 4 * waiting:
        entries[:] = [one for one in entries if one[3].stamp == one[2]]
        heapify(entries)


def in_week(job: Job, now: int) -> bool:
    """Whether a job's wedding is within a week."""
    return job.wedding is not None and days_until(job.wedding, now) in WEEK
