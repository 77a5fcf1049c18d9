"""What a report says, frozen. ``None`` means that it is not known, never zero; instants in µs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from wedsync_ops.metrics.model import Counts, Metrics


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day that is reported on, ``from_at`` included and ``to_at`` not, cut into buckets."""

    kind: str
    from_at: int
    to_at: int
    step_us: int
    zone: str

    @property
    def buckets(self) -> int:
        """How many buckets there are; the last may be shorter."""
        return -(-(self.to_at - self.from_at) // self.step_us)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's executions by outcome; percentiles of their wall time and of their wait, in ms."""

    at: int
    counts: Counts
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    error_rate: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a module type should hold: ms, percent, executions per minute."""

    max_execution_ms: float | None
    error_rate: float | None
    throughput: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Failed executions of a module type that went wrong in the same way."""

    module_type: str
    fingerprint: str
    count: int
    last_seen: int
    wedding_week: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Nearness:
    """Executions so many days before the wedding."""

    days: int
    ok: int
    failed: int


@dataclass(frozen=True, slots=True)
class Weddings:
    """How many weddings had something done for them, how many in their last week; and the executions of that week."""

    served: int
    served_in_week: int
    by_days: Sequence[Nearness]


@dataclass(frozen=True, slots=True)
class Season:
    """The season on a day, and the load to expect against an off-season weekday."""

    on: date
    word: str
    multiplier: float
    is_weekend: bool


@dataclass(frozen=True, slots=True)
class Availability:
    """Minutes of the period, and those in which a due critical job had waited for longer than a minute.

    It is not known where nothing was executed and nothing critical was late: whether anything would have run then.
    """

    minutes: int
    late: int
    is_known: bool = True

    @property
    def percent(self) -> float | None:
        """The share of minutes that were well."""
        return None if not self.is_known else 100 * (self.minutes - self.late) / self.minutes


@dataclass(frozen=True, slots=True)
class Report:
    """A report."""

    period: Period
    made_at: int
    season: Season
    metrics: Metrics
    targets: dict[str, Target]
    buckets: Sequence[Bucket]
    weddings: Weddings
    failures: Sequence[Failure]
    availability: Availability
    wait_p95_ms: float | None
