"""What the platform measures, as frozen values. ``None`` means that it is not known, never zero.

Instants are microseconds since the epoch; every other field says its unit in its name or its docstring.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

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

    values: Sequence[int] = ()
    counts: Sequence[int] | None = None
    total_us: int = 0

    @property
    def size(self) -> int:
        """How many durations these are."""
        return len(self.values) if self.counts is None else sum(self.counts)


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

    ``spread`` has the wall times of those that ran; ``cpu_us`` is CPU time against ``cpu_wall_us``, the wall time of
    the same executions; the last three are averages over the executions that ran and have the figure.
    """

    counts: Counts = Counts()
    spread: Spread = Spread()
    cpu_us: int = 0
    cpu_wall_us: int = 0
    memory_kb: float | None = None
    bytes_sent: float | None = None
    queue_wait_us: float | None = None
    weddings: WeddingCounts = WeddingCounts()


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
    """The figures of one module type; ``error_rate`` in percent, ``throughput`` in executions per minute."""

    module_type: str
    counts: Counts
    times: Times
    error_rate: float | None
    throughput: float | None
    queue_length: int
    usage: Usage
    weddings: WeddingCounts


@dataclass(frozen=True, slots=True)
class PlatformMetrics:
    """The figures of all module types together; units as in ModuleMetrics."""

    counts: Counts
    times: Times
    error_rate: float | None
    throughput: float | None
    queue_length: int
    utilization: Utilization


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything measured over a range."""

    range: Range
    platform: PlatformMetrics
    modules: tuple[ModuleMetrics, ...]
