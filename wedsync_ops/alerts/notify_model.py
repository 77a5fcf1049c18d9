"""Who is told of what, when, over which channel: the values of notification. Pure."""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from wedsync_ops.alerts.model import Alert
from wedsync_ops.instants import SECOND


class Kind(StrEnum):
    """What a page says of its alerts."""

    OPENED = "opened"
    WORSENED = "worsened"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    TEST = "test"


CALLS = frozenset({Kind.OPENED, Kind.WORSENED, Kind.ESCALATED, Kind.REPEATED})
"""The pages that ask somebody to act; an acknowledgement, a silence and the end of the alert call them off."""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENT = "sent"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is found: a variable of the environment, or a file. Never the secret itself."""

    env: str | None = None
    file: str | None = None
    plain: str | None = None
    """An address that was written out because nothing in it is secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to tell somebody, as configured. ``timeout_s`` bounds one attempt, in seconds."""

    name: str
    kind: str
    events: frozenset[Kind]
    timeout_s: float = 10.0
    url: Secret | None = None
    secret: Secret | None = None
    to: tuple[str, ...] = ()
    sender: str | None = None
    file: str | None = None

    @property
    def is_grouping(self) -> bool:
        """Whether one message may tell of several alerts; an incident tracker wants each by itself."""
        return self.kind != "pagerduty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which alerts a route is for; what is ``None`` does not matter. ``days`` count from Monday, 0."""

    severities: frozenset[str] | None = None
    types: frozenset[str] | None = None
    modules: frozenset[str] | None = None
    rules: frozenset[str] | None = None
    between: tuple[time, time] | None = None
    days: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an escalation: who is told when nobody has acknowledged for so long, in microseconds."""

    after_us: int
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Whom the alerts of one kind go to. Lengths in microseconds.

    ``repeat_us`` is after how long an alert is told again that nobody has acknowledged: 0 for never, ``None`` for
    whenever its rule says so.
    """

    name: str
    match: Match
    channels: tuple[str, ...]
    goes_on: bool = False
    steps: tuple[Step, ...] = ()
    repeat_us: int | None = None
    group_window_us: int = 30 * SECOND


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The dead man's signal: an address that hears every so many microseconds that alerts are evaluated."""

    url: Secret
    every_us: int
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that was configured. Hours and weekdays of routes are those of ``zone``."""

    channels: tuple[Channel, ...]
    routes: tuple[Route, ...]
    heartbeat: Heartbeat | None
    zone: ZoneInfo

    def channel(self, name: str) -> Channel | None:
        """The channel of that name."""
        return next((channel for channel in self.channels if channel.name == name), None)


class Planned(NamedTuple):
    """A page that is to be sent over a channel at an instant, and again every ``repeat_us`` until it is called off.

    Pages of one ``group`` may go together, at the instant of the first; ``None`` for one that goes by itself.
    """

    channel: str
    kind: Kind
    at: int
    route: str
    repeat_us: int | None = None
    group: str | None = None


class Decision(NamedTuple):
    """What follows from an event: whether the pages that wait are called off, and those that are planned."""

    calls_off: bool
    planned: tuple[Planned, ...] = ()


class Message(NamedTuple):
    """One message to a channel, about one alert or several; ``id`` is the same at every attempt."""

    id: str
    kind: Kind
    at: int
    alerts: tuple[Alert, ...]


class Outcome(NamedTuple):
    """What became of an attempt; without an error it was taken.

    A ``final`` error is one that the same message would meet again. ``retry_after_s`` is what the receiver asked for.
    """

    error: str | None = None
    final: bool = False
    retry_after_s: float | None = None


TAKEN = Outcome()
