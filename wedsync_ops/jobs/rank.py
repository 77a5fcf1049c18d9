"""A job's rank, the time that orders jobs of one lane, and the deadline it may come from. Pure; microseconds."""

from datetime import timedelta

from wedsync_ops.instants import local_midnight
from wedsync_ops.jobs.model import Expected
from wedsync_ops.weddings.model import Wedding
from wedsync_ops.weddings.proximity import days_until

AFTER_WEDDING = frozenset({"review", "referral"})
"""Module types that are asked for after the wedding, and so have no deadline from it."""


def fair_tag(last_tag: int | None, now: int, expected_us: int, weight: float = 1.0) -> int:
    """A supplier's next fair start tag: its last one in the lane, or now, plus the expected duration over its weight.

    ``weight`` is more than 0. A supplier who queues much runs ahead of the clock and delays only its own jobs.
    """
    start = now if last_tag is None or last_tag < now else last_tag
    return start + (expected_us if weight == 1.0 else round(expected_us / weight))


def latest_safe_start(deadline_at: int | None, p95_us: int, attempts_left: int) -> int | None:
    """The latest instant at which every attempt left still ends before the deadline; ``None`` without a deadline."""
    return None if deadline_at is None else deadline_at - p95_us * attempts_left


def rank(tag: int, safe: int | None) -> int:
    """The earlier of the fair start tag and the latest safe start."""
    return tag if safe is None or tag < safe else safe


def deadline(explicit: int | None, wedding: Wedding | None, due_at: int, module_type: str) -> int | None:
    """When a job must be done: what was asked for, else the wedding day's start, or its end for a job due on it.

    ``None`` when there is no wedding, when it is over by ``due_at``, and for reviews and referrals.
    """
    if explicit is not None:
        return explicit
    if wedding is None or module_type in AFTER_WEDDING:
        return None
    days = days_until(wedding, due_at)
    if days < 0:
        return None
    return local_midnight(wedding.on if days else wedding.on + timedelta(days=1), wedding.zone)


def ranked(
    tags: dict[tuple[str, int, str], int],
    key: tuple[str, int, str],
    expected: Expected,
    *,
    deadline_at: int | None,
    attempts_left: int,
    now: int,
    weight: float,
) -> int:
    """The rank of a job that becomes available now; moves its supplier's tag in the lane on.

    ``key`` is the lane and the supplier. The more the supplier weighs, the less its tag moves.
    """
    tag = fair_tag(tags.get(key), now, expected.p50_us, weight)
    tags[key] = tag
    return rank(tag, latest_safe_start(deadline_at, expected.p95_us, attempts_left))
