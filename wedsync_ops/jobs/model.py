"""Jobs, executions and what becomes of them: the values that flow through the queue, frozen.

Instants are microseconds since the epoch; lengths are named with their unit.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

_OWN_KEY = re.compile(r"job-[0-9]+")


class Priority(IntEnum):
    """How urgent a job is; a higher number runs first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3

    __hash__ = int.__hash__  # Enum's own goes by the name, in Python: it is called for every job of a batch

    @property
    def word(self) -> str:
        """The name that the command line and JSON use."""
        return self.name.lower()


class State(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    RUNNING = "running"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    DISCARDED = "discarded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    __hash__ = str.__hash__  # as above


WAITING = (State.SCHEDULED, State.AVAILABLE, State.RETRYABLE)
FINISHED = (State.COMPLETED, State.DISCARDED, State.CANCELLED, State.EXPIRED)


class Result(StrEnum):
    """How an execution ended."""

    OK = "ok"
    ERROR = "error"
    TIMEOUT = "timeout"
    OOM = "oom"
    KILLED = "killed"
    LOST = "lost"
    CANCELLED = "cancelled"


FAILED = (Result.ERROR, Result.TIMEOUT, Result.OOM, Result.KILLED)


class Lane(NamedTuple):
    """A module type's jobs at one priority."""

    module_type: str
    priority: Priority


class Order(NamedTuple):
    """What a slot is told to run. ``config`` and ``context`` are JSON; the limits
    are seconds, MB, CPU seconds, cores and Mbps; ``core_share`` is what it counts when cores are shared out.
    What leaves over ``routes`` (smtp, sms) takes their backup.
    """

    job_id: int
    token: int
    attempt: int
    handler: str
    config: bytes
    context: bytes
    idempotency_key: str
    timeout_s: float
    memory_mb: int
    cpu_s: float
    in_thread: bool = False
    suppressed: str | None = None
    send_delay_min: float | None = None
    cpu_limit: float = math.inf
    network_mbps: float = math.inf
    routes: frozenset[str] = frozenset()
    core_share: int = 2


class Outcome(NamedTuple):
    """What a slot says of one execution.

    ``result`` is JSON (only when ok); ``permanent`` and ``retry_after_s`` come from the handler, but for a lost one:
    permanently lost is what this worker can never run; ``enqueue`` is a JSON list of rows as ``enqueue --file`` takes
    them. ``bytes_sent`` counts what was delivered, ``delivered`` names the files of the outbox among it.
    """

    job_id: int
    token: int
    attempt: int
    result: Result
    started_at: int
    duration_us: int
    data: bytes | None = None
    error: str | None = None
    traceback: str | None = None
    log: str | None = None
    permanent: bool = False
    retry_after_s: float | None = None
    enqueue: bytes | None = None
    cpu_us: int | None = None
    memory_kb: int | None = None
    bytes_sent: int | None = None
    delivered: tuple[str, ...] = ()

    @property
    def is_beyond_this_worker(self) -> bool:
        """Whether the worker has not got the handler."""
        return self.permanent and self.result is Result.LOST


class Claimed(NamedTuple):
    """A job that this worker has leased and not yet finished, as the claim returned it."""

    id: int
    token: int
    attempt: int
    max_attempts: int
    module_type: str
    module_version: int
    priority: Priority
    rank: int
    due_at: int
    expires_at: int | None
    deadline_at: int | None
    losses: int
    kills: int
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None
    supplier_id: str | None
    key: str | None
    config: bytes
    context: bytes
    suppressed: str | None = None
    send_delay_min: float | None = None


class Transition(NamedTuple):
    """What an outcome makes of a job: its next state, and why."""

    state: State
    attempt: int
    losses: int
    kills: int
    due_at: int | None
    error: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Due:
    """When a job is due, with the reasons in words, and how many minutes of that are the config's ``send_delay``."""

    at: int
    reasons: tuple[str, ...]
    send_delay_min: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What an execution takes, in microseconds: the middle one, and all but one in twenty; of these the peak memory."""

    p50_us: int
    p95_us: int
    memory_kb: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """An effective priority, with the reasons in words and the instant at which it must be looked at again."""

    priority: Priority
    reasons: tuple[str, ...]
    weekend_raised: bool
    next_change_at: int | None


class Request(NamedTuple):
    """A wish to queue one job, as the caller gave it and not yet checked; times are ISO text, ``delay`` minutes."""

    module_type: Any
    config: Any
    context: Any
    priority: Any = None
    at: Any = None
    delay: Any = None
    key: Any = None
    deadline: Any = None
    expires: Any = None
    replace: Any = False


class Queued(NamedTuple):
    """What queueing one job came to; ``job_id`` is ``None`` on a dry run.

    ``queued_as`` is new, duplicate (the key and the payload of an earlier one), kept (an earlier one has the unique
    key) or replaced (an earlier one that waited, and is now what was asked for).
    """

    job_id: int | None
    module_type: str
    state: State
    priority_requested: Priority
    priority_applied: Priority
    priority_reasons: tuple[str, ...]
    weekend_scaling_applied: bool
    due_at: int
    due_reasons: tuple[str, ...]
    rank: int | None
    duplicate: bool
    queued_as: str = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a worker is to run. ``modules`` limits it to some types; ``max_jobs`` ends it after so many executions.

    With ``bounds``, the fewest and the most, it takes on as many slots as are wanted of it; without, it keeps its size.
    """

    slots: int
    name: str | None = None
    region: str | None = None
    modules: Sequence[str] | None = None
    drain: bool = False
    max_jobs: int | None = None
    bounds: tuple[int, int] | None = None

    @property
    def is_sized(self) -> bool:
        """Whether the worker takes on the number of slots that is wanted."""
        return self.bounds is not None


def own_key(job_id: int) -> str:
    """The idempotency key of a job that was queued without one; no other job can have it."""
    return f"job-{job_id}"


def is_own_key(key: str) -> bool:
    """Whether a key is of the kind that jobs without one have."""
    return _OWN_KEY.fullmatch(key) is not None
