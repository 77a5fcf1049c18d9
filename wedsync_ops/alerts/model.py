"""What is watched and what is told, as frozen values: rules, readings, alerts, their events, silences.

Instants are microseconds since the epoch, lengths end in ``_us``. Values and thresholds are in the unit of the rule's
metric (percent, ms, jobs, executions a minute: see ``METRICS``); ``None`` means that it is not known, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from wedsync_ops.instants import HOUR, MINUTE

RUNBOOKS = "docs/runbooks/"
"""Where the runbook of each alert type lies in the project."""


class Severity(StrEnum):
    """How bad it is: a warning can wait for the morning, a critical alert cannot."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlertType(StrEnum):
    """What an alert is about. Each has a runbook of its name."""

    HIGH_ERROR_RATE = "high_error_rate"
    HIGH_RESPONSE_TIME = "high_response_time"
    QUEUE_LENGTH = "queue_length"
    WEDDING_WEEK_ERRORS = "wedding_week_errors"
    CAPACITY = "capacity"
    LOW_THROUGHPUT = "low_throughput"
    EXPIRED = "expired"
    ANOMALY = "anomaly"
    ERROR_BUDGET_BURN = "error_budget_burn"
    NO_WORKER = "no_worker"
    WORKER_SILENT = "worker_silent"
    SCHEDULE_LATE = "schedule_late"
    JOB_QUARANTINED = "job_quarantined"
    WEBHOOK_FAILING = "webhook_failing"
    PROMISE_BROKEN = "promise_broken"
    CUSTOM = "custom"


class AlertState(StrEnum):
    """Where an alert stands.

    Pending: the condition holds, but not for long enough yet; nobody is told. Firing; acknowledged (somebody is at it)
    and silenced (nobody wants to hear of it): not told again. No-data: it fired, and what it is judged by is missing,
    so that nobody knows whether it is over. Resolved: over.
    """

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    NO_DATA = "no-data"
    RESOLVED = "resolved"


class EventKind(StrEnum):
    """What happened to an alert. ``escalated`` is for whoever tells people: nobody acknowledged in time."""

    OPENED = "opened"
    WORSENED = "worsened"
    REPEATED = "repeated"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    UNSILENCED = "unsilenced"
    NO_DATA = "no_data"
    DATA_BACK = "data_back"
    RESOLVED = "resolved"


class Verdict(StrEnum):
    """What a reading says: over the line, between the line and the one below which it clears, clear, or nothing."""

    BREACH = "breach"
    HOLD = "hold"
    CLEAR = "clear"
    MISSING = "missing"


METRICS: Mapping[str, str] = MappingProxyType(
    {
        "error_rate": "percent of the executions of the window that failed",
        "longest_execution": "the longest execution of the window, in ms",
        "average_execution": "the average execution of the window, in ms",
        "volume": "executions that ran to an end in the window",
        "throughput": "executions that ran to an end per minute of the window, while jobs wait",
        "queue_length": "jobs that wait now and are due",
        "wedding_week_error_rate": "percent of the wedding-week executions of the window that failed",
        "wedding_week_load": "percent of the slots' time in the window that wedding-week executions took",
        "error_budget_burn": "how many times faster than allowed errors come, in a long and a short window both",
        "deviation": "how far from what this hour of this weekday usually is, in robust standard deviations",
        "expired_jobs": "jobs of the window that expired unstarted",
        "quarantined_jobs": "jobs of the window that were discarded because they kill what runs them",
        "broken_promises": "jobs that wait although no execution ends before their deadline any more",
        "jobs_without_worker": "jobs that are due while no worker lives",
        "silent_workers": "workers that died or are silent, and were not replaced",
        "schedule_lateness": "seconds that the fire of a schedule has been due",
        "webhook_failures": "failed attempts in a row to post an event to the webhook",
    }
)
"""Everything a rule can watch, with its unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition that is watched.

    ``threshold`` is ``None`` where the module type's own target counts. ``clears_at`` is the value at which it starts
    to be over (hysteresis); ``clear_for_us`` how long it must stay there, ``for_us`` how long the condition must hold
    before the alert opens, ``repeat_us`` after which an open alert is told again. With fewer than ``minimum``
    executions in the window it never opens. ``critical`` is a second threshold, beyond which a warning becomes
    critical. ``modules`` is ``None`` for every one. ``short_us`` and ``slo_percent`` belong to error_budget_burn.
    """

    name: str
    type: AlertType
    metric: str
    severity: Severity = Severity.WARNING
    threshold: float | None = None
    clears_at: float | None = None
    critical: float | None = None
    below: bool = False
    per_module: bool = True
    modules: frozenset[str] | None = None
    window_us: int = 5 * MINUTE
    short_us: int | None = None
    slo_percent: float | None = None
    minimum: int = 1
    for_us: int = 0
    clear_for_us: int = 2 * MINUTE
    repeat_us: int = 4 * HOUR
    runbook: str | None = None
    enabled: bool = True

    @property
    def runbook_of(self) -> str:
        """Its own runbook, or that of its type."""
        return self.runbook or f"{RUNBOOKS}{self.type}.md"


@dataclass(frozen=True, slots=True)
class Wedding:
    """A wedding that is affected: its date (YYYY-MM-DD), whose it is, and one job of it."""

    wedding_on: str
    client_id: str | None
    supplier_id: str | None
    job_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that is wrong, from when it began to when it was over.

    ``key`` says which alert this is: of the open ones no two have the same. ``group`` is what alerts are told together
    by. ``since`` is when the condition began; ``opened_at`` when the alert did, ``None`` while it is pending.
    ``weddings`` are those affected, the soonest first; ``command`` is what to run next. ``told_at`` is the instant of
    the last event that people should hear of.
    """

    id: int
    key: str
    group: str
    rule: str
    type: AlertType
    severity: Severity
    state: AlertState
    module_type: str | None
    subject: str | None
    since: int
    opened_at: int | None
    updated_at: int
    resolved_at: int | None = None
    value: float | None = None
    worst: float | None = None
    threshold: float | None = None
    message: str = ""
    runbook: str = ""
    command: str = ""
    weddings: tuple[Wedding, ...] = ()
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    silenced_until: int | None = None
    missing_since: int | None = None
    clear_since: int | None = None
    told_at: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it fires, in whatever way: neither pending nor resolved."""
        return self.state is not AlertState.PENDING and self.state is not AlertState.RESOLVED


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """One thing that happened to an alert, in the order of ``id``; never changed once it is written.

    ``alert`` is the alert as it was just after it. ``actor`` is who did it, ``None`` for the evaluation.
    """

    id: int
    alert_id: int
    kind: EventKind
    at: int
    alert: Alert
    actor: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What nobody wants to hear of until an instant: one alert, or all of a type, of a module type, or of both."""

    id: int
    alert_id: int | None
    type: str | None
    module_type: str | None
    reason: str
    created_by: str
    created_at: int
    until: int
    ended_at: int | None = None
    ended_by: str | None = None

    def covers(self, alert: Alert) -> bool:
        """Whether it is about this alert."""
        return (
            (self.alert_id is None or self.alert_id == alert.id)
            and (self.type is None or self.type == alert.type)
            and (self.module_type is None or self.module_type == alert.module_type)
        )
