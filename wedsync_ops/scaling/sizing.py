"""How many slots and workers an expected load needs, which hour is the worst, and when capacity runs out. Pure.

By Little's law the executions of a second times the seconds that one takes are the slots that are busy. Slots are
planned to be busy for a share of the time only, and of five or more a share is kept for wedding week.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import NamedTuple

from wedsync_ops.instants import HOUR
from wedsync_ops.scaling.forecast_model import Expected

RESERVE = 0.2
"""The share of slots that is kept for wedding week, of ``RESERVE_FROM`` or more."""
RESERVE_FROM = 5


@dataclass(frozen=True, slots=True)
class Capacity:
    """What there is: workers that live, the most slots that a further one may have, the share of the time that slots
    are to be busy; ``most`` are the slots that those that live may have, where they may not all have as many.
    """

    workers: int
    slots_per_worker: int
    load: float = 0.8
    most: int | None = None

    @property
    def slots(self) -> int:
        """The most slots of all of them; of one, where none lives."""
        if self.workers and self.most is not None:
            return self.most
        return max(1, self.workers) * self.slots_per_worker


class Need(NamedTuple):
    """What an hour needs: the executions of all module types, and slots and workers for what is expected.

    ``slots_high`` are those for the upper bound.
    """

    hour: int
    expected: float
    low: float
    high: float
    booked: int
    slots: int
    slots_high: int
    workers: int


def slots_for(busy: float, load: float) -> int:
    """The slots that are needed where so many are busy on average, and each is to be for that share of the time."""
    plain = _ceil(busy / load)
    return plain if plain < RESERVE_FROM else _ceil(busy / load / (1 - RESERVE))


def _ceil(value: float) -> int:
    return ceil(value - 1e-9)


def needs(rows: Iterable[Expected], durations: Mapping[str, float], capacity: Capacity) -> list[Need]:
    """What each hour needs. ``durations`` are mean lengths of an execution in microseconds, by module type."""
    ordered = sorted(rows)
    return [_need(hour, list(some), durations, capacity) for hour, some in groupby(ordered, lambda row: row.hour)]


def _need(hour: int, rows: Sequence[Expected], durations: Mapping[str, float], capacity: Capacity) -> Need:
    busy = sum(row.expected * durations.get(row.module_type, 0.0) for row in rows) / HOUR
    busy_high = sum(row.high * durations.get(row.module_type, 0.0) for row in rows) / HOUR
    slots = slots_for(busy, capacity.load)
    return Need(
        hour,
        sum(row.expected for row in rows),
        sum(row.low for row in rows),
        sum(row.high for row in rows),
        sum(row.booked for row in rows),
        slots,
        slots_for(busy_high, capacity.load),
        max(1, -(-slots // capacity.slots_per_worker)),
    )


def worst(found: Sequence[Need]) -> Need | None:
    """The hour that needs the most slots, of several the one that expects most, then the first; ``None`` of none."""
    return max(found, key=lambda need: (need.slots, need.expected, need.slots_high, -need.hour), default=None)


@dataclass(frozen=True, slots=True)
class Shortage:
    """The first hour in which the slots do not suffice for what is expected, and for the upper bound, if any."""

    runs_out_at: int | None
    may_run_out_at: int | None


def shortage(found: Iterable[Need], capacity: Capacity) -> Shortage:
    """When capacity runs out."""
    ordered = sorted(found)
    return Shortage(
        next((need.hour for need in ordered if need.slots > capacity.slots), None),
        next((need.hour for need in ordered if need.slots_high > capacity.slots), None),
    )


def by_day(found: Iterable[Need], day_of: Mapping[int, str]) -> Iterator[tuple[str, list[Need]]]:
    """The hours of each day, in order; ``day_of`` names the day of every hour."""
    for day, some in groupby(sorted(found), lambda need: day_of[need.hour]):
        yield day, list(some)
