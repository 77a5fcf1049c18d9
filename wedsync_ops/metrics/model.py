"""What the platform measures, as frozen values. ``None`` means that it is not known, never zero.

Instants are microseconds since the epoch; every other field says its unit in its name or its docstring.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import add
from types import MappingProxyType
from typing import NamedTuple

from wedsync_ops.instants import MINUTE

NO_VENDORS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time, ``from_at`` included and ``to_at`` not."""

    from_at: int
    to_at: int

    @property
    def minutes(self) -> float:
        """Its length in minutes."""
        return (self.to_at - self.from_at) / MINUTE


@dataclass(frozen=True, slots=True)
class Counts:
    """How many executions finished with each outcome."""

    ok: int = 0
    error: int = 0
    timeout: int = 0
    oom: int = 0
    killed: int = 0
    lost: int = 0
    cancelled: int = 0

    @property
    def failed(self) -> int:
        """Those that failed by themselves: error, timeout, oom, killed."""
        return self.error + self.timeout + self.oom + self.killed

    @property
    def ran(self) -> int:
        """Those that ran to an end of their own, well or not: what rates, times and averages are taken over."""
        return self.ok + self.failed

    @property
    def total(self) -> int:
        """All of them."""
        return self.ran + self.lost + self.cancelled


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations in ascending order, in µs; ``counts`` says how often each occurs, once each when ``None``.

    ``total_us`` is their exact sum, also where ``values`` are rounded.
    """

    values: Sequence[float] = ()
    counts: Sequence[int] | None = None
    total_us: int = 0

    @property
    def size(self) -> int:
        """How many durations these are."""
        return len(self.values) if self.counts is None else sum(self.counts)


class Kind(StrEnum):
    """What executions are told apart by, beside their module type."""

    ALL = "all"
    VENDOR_TYPE = "vendor-type"
    PRIORITY = "priority"
    REGION = "region"
    SUPPLIER = "supplier"


class Series(NamedTuple):
    """A module type's executions of one name of a kind; the name is empty where it is not known, or there is none."""

    kind: Kind
    module_type: str
    name: str


class Sums(NamedTuple):
    """What adds up over executions: counts of each outcome, and sums over those that ran and have the figure.

    ``cpu_wall_us`` is the wall time of those whose CPU time is in ``cpu_us``; ``week``, ``day`` and ``peak`` are of
    every outcome; ``urgent`` ones are critical and have a known wait, of which the late ones waited too long.
    """

    ok: int = 0
    error: int = 0
    timeout: int = 0
    oom: int = 0
    killed: int = 0
    lost: int = 0
    cancelled: int = 0
    cpu_us: int = 0
    cpu_wall_us: int = 0
    memory_known: int = 0
    memory_kb: int = 0
    bytes_known: int = 0
    bytes_sent: int = 0
    week: int = 0
    day: int = 0
    peak: int = 0
    week_ran: int = 0
    week_failed: int = 0
    urgent: int = 0
    urgent_late: int = 0

    @property
    def counts(self) -> Counts:
        """The counts of each outcome."""
        return Counts(*self[:7])

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums._make(map(add, self, other))


class Part(NamedTuple):
    """What the executions of a series come to; of the bucket that starts at ``start``, where they are divided by one.

    ``durations`` and ``waits`` (due to start) are of those that ran.
    """

    start: int
    series: Series
    sums: Sums
    durations: Spread
    waits: Spread


class Bucket(NamedTuple):
    """What the executions of a series come to, as it is kept: sums, and sketches of durations and waits as bytes."""

    sums: Sums
    durations: bytes
    waits: bytes


@dataclass(frozen=True, slots=True)
class WeddingCounts:
    """Executions by their nearness to the wedding, of every outcome. A vendor type that is not known is left out."""

    week: int = 0
    day: int = 0
    peak_season: int = 0
    by_vendor: Mapping[str, int] = field(default_factory=lambda: NO_VENDORS)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the database holds of one module type's executions in a range.

    ``spread`` has the wall times of those that ran, ``waits`` their times from due to start; ``cpu_us`` is CPU time
    against ``cpu_wall_us``, the wall time of the same executions; the three after that are averages over the
    executions that ran and have the figure. Of the ``urgent`` (critical) ones the late waited too long.
    """

    counts: Counts = Counts()
    spread: Spread = Spread()
    cpu_us: int = 0
    cpu_wall_us: int = 0
    memory_kb: float | None = None
    bytes_sent: float | None = None
    queue_wait_us: float | None = None
    weddings: WeddingCounts = WeddingCounts()
    waits: Spread = Spread()
    urgent: int = 0
    urgent_late: int = 0


@dataclass(frozen=True, slots=True)
class Times:
    """Wall times of executions in ms."""

    average_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """Averages per execution: percent of one core, MB at its peak, KB sent, ms from due to start."""

    cpu_percent: float | None
    memory_mb: float | None
    network_kb: float | None
    queue_wait_ms: float | None
    queue_wait_p95_ms: float | None


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What the workers' hosts reported lately: percent of all cores, percent of memory, Mbps."""

    cpu_percent: float | None
    memory_percent: float | None
    network_mbps: float | None


@dataclass(frozen=True, slots=True)
class Utilization:
    """The load of the hosts in percent of what they have, and executions finished per second of the last minute."""

    cpu_percent: float | None
    memory_percent: float | None
    network_percent: float | None
    executions_per_s: float | None


@dataclass(frozen=True, slots=True)
class ModuleMetrics:
    """The figures of one module type; ``error_rate`` and ``availability`` in percent, ``throughput`` in executions per
    minute.
    """

    module_type: str
    counts: Counts
    times: Times
    error_rate: float | None
    throughput: float | None
    queue_length: int
    usage: Usage
    weddings: WeddingCounts
    availability: float | None = None
    trend: Sequence[int] = ()
    """Executions in each of the equal parts of the range, in order; empty unless asked for."""


@dataclass(frozen=True, slots=True)
class PlatformMetrics:
    """The figures of all module types together; units as in ModuleMetrics."""

    counts: Counts
    times: Times
    error_rate: float | None
    throughput: float | None
    queue_length: int
    utilization: Utilization
    availability: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The figures of the executions that have something in common, a vendor type, say; units as in ModuleMetrics."""

    name: str | None
    counts: Counts
    times: Times
    error_rate: float | None
    throughput: float | None
    availability: float | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything measured over a range; ``groups`` by a kind when asked for."""

    range: Range
    platform: PlatformMetrics
    modules: tuple[ModuleMetrics, ...]
    by: Kind | None = None
    groups: tuple[Group, ...] = ()
