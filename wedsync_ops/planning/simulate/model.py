"""What a simulation is given and what comes of it: frozen values. Pure; instants and lengths in microseconds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from wedsync_ops.alerts.facts import Targets
from wedsync_ops.alerts.model import Rule
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs.admission import LENT_US, Need
from wedsync_ops.jobs.model import Expected, Priority
from wedsync_ops.metrics.sketch import Sketch
from wedsync_ops.modules.model import Definition
from wedsync_ops.scaling.foresight import Hour
from wedsync_ops.scaling.model import Decision, Policy
from wedsync_ops.weddings.model import Calendar, Wedding


class Chance(Protocol):
    """Where chance comes from: a seeded generator."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class Arrival(NamedTuple):
    """A job that falls due: how long an attempt of it takes, and how many of its attempts ``fail`` by themselves."""

    at: int
    module_type: str
    requested: Priority
    supplier_id: str
    wedding: Wedding | None
    vendor_type: str | None
    duration_us: int
    fails: int = 0
    label: str | None = None
    deadline_at: int | None = None


class Demand(Protocol):
    """What is to be done, and what is known of it beforehand."""

    @property
    def since(self) -> int:
        """When it begins."""
        ...

    @property
    def until(self) -> int:
        """When it is over."""
        ...

    def arrivals(self) -> Iterator[Arrival]:
        """The jobs, in the order in which they fall due."""
        ...

    def foreseen(self, since: int, until: int) -> Iterable[Hour]:
        """What is forecast for the hours that begin in a span."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A module type as the simulation sees it: its definition, and what the platform expects of its executions."""

    definition: Definition
    expected: Expected

    @property
    def need(self) -> Need:
        """What admission must know of its jobs; memory is no matter here."""
        return Need(0, is_short=self.expected.p95_us <= LENT_US)

    @property
    def targets(self) -> Targets:
        """What alerts hold it to."""
        aims = self.definition.performance_targets
        return Targets(aims.error_rate_threshold, aims.max_execution_time, aims.target_throughput)


class Outage(NamedTuple):
    """A module type or a provider, every attempt of which fails from an instant until another."""

    name: str
    since: int
    until: int


class Slow(NamedTuple):
    """A module type or a provider, whose attempts take so many times as long for a while."""

    name: str
    since: int
    until: int
    factor: float


class Loss(NamedTuple):
    """A worker that dies, and another one that takes its place after ``away_us``."""

    at: int
    away_us: int


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong."""

    outages: tuple[Outage, ...] = ()
    slow: tuple[Slow, ...] = ()
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The platform that is simulated.

    Every worker has ``least`` to ``most`` slots; where both are the same nothing is scaled. It starts at ``starts_at``
    (``None``: when the demand begins). ``overhead_us`` is how long a slot is taken before and after an execution.
    """

    calendar: Calendar
    kinds: Mapping[str, Kind]
    policy: Policy = field(default_factory=Policy)
    least: int = 2
    most: int = 50
    cores: int = 2
    workers: int = 1
    starts_at: int | None = None
    every_us: int = 5 * SECOND
    lead_us: int = 15 * MINUTE
    overhead_us: int = 2000
    ageing_us: int = 15 * MINUTE
    lease_us: int = 30 * SECOND
    loss_limit: int = 20
    kill_limit: int = 3
    rules: tuple[Rule, ...] = ()
    faults: Faults = field(default_factory=Faults)

    @property
    def is_fixed(self) -> bool:
        """Whether the number of slots stays as it is."""
        return self.least == self.most


class Turn(NamedTuple):
    """A circuit breaker that moved: of what, to ``open``, ``half_open`` or ``closed``, over which module types, why.

    ``waiting`` is how many jobs of those types waited then.
    """

    at: int
    breaker: str
    state: str
    module_types: tuple[str, ...]
    said: str
    waiting: int = 0


class Guard(Protocol):
    """The circuit breakers. ``every_us`` is how far apart they are looked at."""

    every_us: int

    def ended(self, module_type: str, started_at: int, finished_at: int, *, ok: bool) -> None:
        """An execution has ended by itself."""
        ...

    def look(self, now: int) -> Sequence[Turn]:
        """Move the breakers, and tell which did."""
        ...


class Scaled(NamedTuple):
    """A change of the number of slots."""

    at: int
    before: int
    decision: Decision


class Sample(NamedTuple):
    """A minute: the slots, how many of them were busy on average, and how many jobs waited at its end."""

    at: int
    slots: int
    busy: float
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alert that would have opened."""

    rule: str
    module_type: str | None
    severity: str
    opened_at: int
    resolved_at: int | None
    message: str


class Started(NamedTuple):
    """An execution that began: of which job, and how long after it was due. ``label`` is the job's in a trace."""

    at: int
    job_id: int
    wait_us: int
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a simulation. ``waits`` are from due to start, by priority at the start, of every execution;
    ``free_waits`` of those executions only whose job no breaker held since it was due.

    A deadline is missed by a job that is done after it, fails for good, or still waits when it passes.
    """

    since: int
    until: int
    arrived: int
    done: int
    failed: int
    waiting: int
    executions: int
    failed_executions: int
    lost_executions: int
    missed: int
    missed_in_week: int
    week_arrived: int
    week_failed: int
    waits: Mapping[Priority, Sketch]
    free_waits: Mapping[Priority, Sketch]
    turns: Sequence[Turn]
    samples: Sequence[Sample]
    scaled: Sequence[Scaled]
    slots_at_start: int
    most_running: int
    utilisation: float | None
    alarms: Sequence[Alarm]
    started: Sequence[Started] = field(default=())
