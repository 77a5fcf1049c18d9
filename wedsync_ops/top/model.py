"""What a look at the live platform shows, frozen. ``None`` means that it is not known, never zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from wedsync_ops.jobs.model import Lane, Priority


@dataclass(frozen=True, slots=True)
class LaneLine:
    """A lane: how many of its jobs could start now, and how many wait in all."""

    lane: Lane
    available: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Closed:
    """What nothing starts of: paused or drained, by somebody, until an instant."""

    scope: str
    name: str
    reason: str | None
    by: str
    until: int | None


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that has not stopped; ``state`` is the word of ``workers list``."""

    id: str
    name: str
    host: str
    state: str
    slots: int
    busy: int


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a worker has leased; ``started_at`` is ``None`` until a slot has begun it."""

    job_id: int
    module_type: str
    priority: Priority
    started_at: int | None
    worker_id: str
    supplier_id: str | None


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters of a module type that went wrong in the same way, counted among the latest."""

    module_type: str
    fingerprint: str
    count: int
    last_seen: int
    error: str | None


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that is open: since an instant, in a severity's and a state's words."""

    id: int
    type: str
    severity: str
    state: str
    module_type: str | None
    since: int
    message: str


@dataclass(frozen=True, slots=True)
class Pace:
    """The last minute: executions per second, percent failed, times in ms, and how each moved (oldest first).

    ``lately_per_s`` is the rate of the last ten seconds.
    """

    per_s: float
    lately_per_s: float
    error_rate: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    wait_p95_ms: float | None
    rates: Sequence[float]
    error_rates: Sequence[float | None]
    p50s_ms: Sequence[float | None]
    p95s_ms: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Season:
    """The season's word, the load to expect against an off-season weekday, and whether it is a weekend."""

    word: str
    multiplier: float
    is_weekend: bool


@dataclass(frozen=True, slots=True)
class NextWedding:
    """The soonest wedding of the couples that are known, so many days from now in its own zone.

    Where none is known it is the soonest among the jobs that come next, and a job is named instead of a client.
    """

    on: date
    days: int
    job_id: int | None = None
    module_type: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One look at the platform. ``trouble`` says why it could not be taken; all else is then the last one's."""

    at: int
    season: Season
    pace: Pace
    next_wedding: NextWedding | None = None
    lanes: Sequence[LaneLine] = ()
    closed: Sequence[Closed] = ()
    workers: Sequence[Worker] = ()
    running: Sequence[Running] = ()
    dead: Sequence[DeadGroup] = ()
    dead_is_all: bool = True
    alerts: Sequence[OpenAlert] = ()
    trouble: str | None = None
    database: str = ""

    @property
    def slots(self) -> int:
        """The slots of all workers."""
        return sum(worker.slots for worker in self.workers)
