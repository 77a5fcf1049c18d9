"""Whether a job can be done by its deadline, how much time is left, and what would help. Pure.

What remains of a job is every attempt that it has, each as long as nineteen of twenty take. It starts when it is due,
and not before the work that comes first is done. A deadline that not even one attempt can keep is refused; one that
leaves no room for the others is at risk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from wedsync_ops.instants import iso
from wedsync_ops.jobs.model import Priority


class Verdict(StrEnum):
    """What a deadline comes to."""

    ACCEPT = "accept"
    AT_RISK = "at_risk"
    REFUSE = "refuse"


class Help(NamedTuple):
    """Something that would make room: a stable word, and what to do."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A job that is to be done: instants and lengths in microseconds."""

    due_at: int
    deadline_at: int | None
    p95_us: int
    attempts_left: int
    priority: Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes before jobs of each priority, in microseconds of one slot's work, and how many slots there are."""

    ahead_us: Sequence[int]
    """By priority, low first: the work of all that starts before a job that is queued now."""
    slots: int
    """The slots of workers that live; 0 when none does."""
    assumed_slots: int
    """The slots to reckon with where no worker lives."""

    @property
    def reckoned(self) -> int:
        """The slots to reckon with."""
        return max(1, self.slots or self.assumed_slots)

    def clear_at(self, now: int, priority: Priority, slots: int | None = None) -> int:
        """When what comes before a job of a priority is done."""
        return now + -(-self.ahead_us[priority] // (slots or self.reckoned))

    def at_place(self, priority: Priority, before_us: int) -> "Load":
        """The load as a job meets it that has its place in its lane, behind so much work: what comes after is none."""
        ahead = list(self.ahead_us)
        ahead[priority] = before_us + (ahead[priority + 1] if priority + 1 < len(ahead) else 0)
        return replace(self, ahead_us=ahead)


@dataclass(frozen=True, slots=True)
class Promise:
    """What can be promised of a job; ``slack_us`` is ``None`` without a deadline, negative when time lacks."""

    verdict: Verdict
    slack_us: int | None
    earliest_feasible_at: int
    """The earliest deadline that one attempt keeps."""
    helps: tuple[Help, ...]


def promise(demand: Demand, load: Load, now: int) -> Promise:
    """Judge a job that waits, or is about to."""
    start = max(now, demand.due_at, load.clear_at(now, demand.priority))
    earliest = start + demand.p95_us
    if demand.deadline_at is None:
        return Promise(Verdict.ACCEPT, None, earliest, ())
    slack = demand.deadline_at - start - demand.p95_us * max(demand.attempts_left, 1)
    if slack >= 0:
        return Promise(Verdict.ACCEPT, slack, earliest, ())
    verdict = Verdict.REFUSE if earliest > demand.deadline_at else Verdict.AT_RISK
    return Promise(verdict, slack, earliest, tuple(_helps(demand, load, now, -slack)))


def _helps(demand: Demand, load: Load, now: int, lacking: int) -> list[Help]:
    deadline = demand.deadline_at or 0
    last_start = deadline - demand.p95_us * max(demand.attempts_left, 1)
    helps = []
    queued = load.clear_at(now, demand.priority) > max(now, demand.due_at)
    if not load.slots and last_start > max(now, demand.due_at - 1):
        helps.append(Help("start_a_worker", "start a worker: none lives"))
    if queued and last_start > max(now, demand.due_at - 1):
        needed = math.ceil(load.ahead_us[demand.priority] / (last_start - now))
        helps.append(Help("more_slots", f"{needed} slots instead of {load.reckoned}"))
    for higher in Priority:
        if queued and higher > demand.priority and max(demand.due_at, load.clear_at(now, higher)) <= last_start:
            helps.append(Help("higher_priority", f"the priority {higher.word}"))
            break
    if demand.due_at > now and demand.due_at > last_start >= now:
        helps.append(Help("earlier_time", f"a time no later than {iso(last_start)}"))
    helps.append(Help("later_deadline", f"a deadline no earlier than {iso(deadline + lacking)}"))
    return helps
