"""What comes: the work that is foreseen for the next minutes, by a forecast where there is one, else by the calendar.

The autoscaler is given whatever foresees; it knows of hours and jobs only. Pure.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from wedsync_ops.instants import HOUR, SECOND
from wedsync_ops.weddings.model import Calendar
from wedsync_ops.weddings.season import load_multiplier


class Hour(Protocol):
    """How many jobs of a module type fall due in an hour, at most as far as anybody can tell; ``hour`` is its start."""

    @property
    def hour(self) -> int:
        """Where it begins."""
        ...

    @property
    def module_type(self) -> str:
        """Of which the jobs are."""
        ...

    @property
    def high(self) -> float:
        """How many jobs at most."""
        ...


def busiest(hours: Iterable[Hour], work_s: Callable[[str], float]) -> float | None:
    """The slots that the busiest of these hours keeps busy, ``None`` when nothing is foreseen.

    ``work_s`` tells the seconds of work of a job of a module type, 0 for those that don't count.
    """
    found: dict[int, float] = {}
    for one in hours:
        found[one.hour] = found.get(one.hour, 0.0) + max(0.0, one.high) * work_s(one.module_type) / (HOUR / SECOND)
    return max(found.values(), default=None)


def by_calendar(flow: float, now: int, lead_us: int, calendar: Calendar) -> float | None:
    """The slots that are kept busy once the calendar's load has risen, ``None`` when it does not rise that soon.

    The work of this moment, ``flow``, grows as the multipliers of season and weekend do.
    """
    before, after = load_multiplier(now, calendar), load_multiplier(now + lead_us, calendar)
    return flow * after / before if after > before else None
