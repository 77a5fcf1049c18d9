"""How many jobs a worker claims of each lane: what can start at once, and ahead of it what is quickly done. Pure."""

from collections.abc import Mapping, Sequence

from wedsync_ops.jobs.model import Lane
from wedsync_ops.jobs.turns import Turns

AHEAD_US = 50_000
"""The most measured work that a worker claims ahead of each slot, in microseconds (architecture.md §3)."""
AHEAD_MAX = 128
"""The most jobs that a worker claims ahead."""
NEVER_US = 1e15
"""What is not known to be quick is not claimed ahead: it counts as this long, in microseconds."""
FLUSH_S = 0.05
"""The longest that an outcome waits to be written, in seconds; what is written with it is a claim, too."""
_SMOOTHING = 0.1


def smoothed(usual_us: float | None, duration_us: int) -> float:
    """What jobs of a type usually take, in microseconds, now that one more has ended."""
    return float(duration_us) if usual_us is None else usual_us + (duration_us - usual_us) * _SMOOTHING


def counts(
    turns: Turns,
    available: Mapping[Lane, int],
    room: int,
    *,
    slots: int,
    unstarted: Sequence[str],
    usual_us: Mapping[str, float],
) -> dict[Lane, int]:
    """How many jobs to claim of each lane; ``unstarted`` are the module types of those that were claimed before."""
    left_us = AHEAD_US * slots - sum(usual_us.get(name, AHEAD_US) for name in unstarted)
    found: dict[Lane, int] = {}
    for lane, count in turns.shares(available, max(room, AHEAD_MAX - len(unstarted))):
        at_once = min(count, room)
        usual = max(usual_us.get(lane.module_type, NEVER_US), 1.0)
        ahead = min(count - at_once, max(0, int(left_us / usual)))
        room -= at_once
        if at_once + ahead:
            found[lane] = at_once + ahead
        if at_once + ahead < count:  # what comes after it in the order must not be claimed before it
            break
        left_us -= ahead * usual
    return found
