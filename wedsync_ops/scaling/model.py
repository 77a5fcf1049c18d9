"""How many slots are wanted, and what that is decided by: frozen values. Pure.

Slots are counted over all the workers that are sized together (a *scope*); a slot runs one job at a time, so the work
of a second, in seconds, is the number of slots that it keeps busy. Instants are microseconds since the epoch.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from wedsync_ops.instants import SECOND

ALL = "all"
"""The scope of the workers that take every job."""
LEAST_URGENT = 2
"""From this priority (high) on, what waits is to start within ``Policy.urgent_drain_s``."""


class Reason(StrEnum):
    """Why so many slots are wanted: one word that does not change."""

    STEADY = "steady"
    LOAD = "load"
    QUEUE = "queue"
    WAIT = "wait"
    EXPECTED = "expected"
    WEDDING_WEEK = "wedding_week"
    IDLE = "idle"
    PINNED = "pinned"
    EMERGENCY = "emergency"
    BOUNDS = "bounds"


class Limit(StrEnum):
    """What kept the decision from what was recommended."""

    STABILISING = "stabilising"
    COOLDOWN = "cooldown"
    STEP = "step"
    LEAST = "min"
    MOST = "max"
    MEMORY = "memory"
    CPU = "cpu"


class Waiting(NamedTuple):
    """The jobs of one priority that could start now, and the seconds of work that they are expected to be."""

    priority: int
    jobs: int
    work_s: float


class Seen(NamedTuple):
    """So many slots were recommended at an instant."""

    at: int
    slots: int


class Pin(NamedTuple):
    """Somebody's word: exactly or ``at_least`` so many slots, until an instant (``None``: until it is undone)."""

    slots: int
    at_least: bool
    until: int | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When slots are added and given back, and how fast; each is a setting.

    Loads are shares of the slots: ``target_load`` is what a change aims at, between the other two. ``tolerance`` is the
    share by which a recommendation must differ. What waits is to have started within ``drain_s`` seconds, from
    high on within ``urgent_drain_s``; nothing that could start should wait for longer than ``wait_s``.
    """

    up_load: float = 0.8
    down_load: float = 0.2
    target_load: float = 0.6
    tolerance: float = 0.1
    drain_s: float = 30.0
    urgent_drain_s: float = 5.0
    wait_s: float = 60.0
    up_window_us: int = 10 * SECOND
    down_window_us: int = 300 * SECOND
    up_pause_us: int = 0
    down_pause_us: int = 30 * SECOND
    cpu_percent: float = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier decisions have left: enough to look back over both windows, and never more than that.

    ``highs`` are recommendations that no later one reached, ``lows`` those that no later one undercut, both with the
    oldest first; ``since`` is when they began, ``None`` before the first.
    """

    since: int | None = None
    highs: tuple[Seen, ...] = ()
    lows: tuple[Seen, ...] = ()
    raised_at: int | None = None
    lowered_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a decision depends on, besides the moment and the policy.

    ``least`` and ``most`` bound the slots; beyond ``memory_slots`` the machines' memory would not hold the jobs
    (``None``: no matter). ``fixed`` are the slots of workers that take the same jobs and keep their size. ``busy`` is
    how many slots have been at work (a mean may be a fraction), ``offered`` the work that arrives, in slots.
    ``expected`` is the most work, in slots, that is foreseen for the next minutes, ``expected_by`` what foresees it.
    ``week_busy`` is how many slots wedding-week jobs have kept busy, given when an alert has asked for more.
    ``cpu_percent`` is how busy the hosts are.
    """

    slots: int
    least: int
    most: int
    memory_slots: int | None = None
    fixed: int = 0
    busy: float = 0.0
    offered: float = 0.0
    waiting: tuple[Waiting, ...] = ()
    oldest_wait_s: float = 0.0
    expected: float | None = None
    expected_by: str = "forecast"
    week_busy: float | None = None
    cpu_percent: float | None = None
    is_weekend: bool = False
    pins: tuple[Pin, ...] = ()
    past: Past = Past()

    @property
    def jobs_waiting(self) -> int:
        """How many jobs could start now, of all priorities."""
        return sum(one.jobs for one in self.waiting)

    @property
    def capacity(self) -> int:
        """The slots that share the work, those of fixed workers included."""
        return self.slots + self.fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How many slots are wanted from now on, and why.

    ``recommended`` is what the moment alone calls for, ``demanded`` the same over the windows, both without
    any bound; ``limits`` are what kept ``wanted`` from it. ``load`` is the demand's share of the slots (``None``: there
    are none), ``said`` the decision in a sentence.
    """

    wanted: int
    reason: Reason
    limits: tuple[Limit, ...]
    recommended: int
    demanded: int
    demand: float
    load: float | None
    said: str


def up(slots: float) -> int:
    """A number of slots that holds so much work: the next whole one, past what floats make of a whole number."""
    return math.ceil(slots - 1e-9)
