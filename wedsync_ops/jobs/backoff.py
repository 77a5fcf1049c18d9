"""How long a failed job waits before its next attempt. Pure."""

from wedsync_ops.instants import DAY
from wedsync_ops.modules.model import Retry

LONGEST_US = DAY
"""No wait between two attempts is longer than this, in microseconds."""
_JITTER = 0.1
_MAX_DOUBLINGS = 60


def delay_us(retry: Retry, attempt: int, rand: float) -> int:
    """The wait in microseconds after attempt number ``attempt`` (from 1) failed, spread by ±10 %, at most 24 hours.

    ``rand`` is a random number in [0, 1): jobs that failed together don't come back together.
    """
    attempt = max(attempt, 1)
    first = retry.delay * 1000
    times = 1.0
    if retry.backoff == "exponential":
        times = 2.0 ** min(attempt - 1, _MAX_DOUBLINGS)
    elif retry.backoff == "linear":
        times = float(attempt)
    spread = 1 - _JITTER + 2 * _JITTER * rand
    return min(round(min(first * times, LONGEST_US) * spread), LONGEST_US)


def before_deadline(wait_us: int, deadline_at: int | None, p95_us: int, *, now: int, rand: float) -> int:
    """The wait in microseconds, cut so that the next attempt still ends before the deadline.

    It ends at the last safe moment (deadline − p95), or a little before: up to a tenth of what is left, so that jobs of
    one deadline don't come all at once. When that moment is over and the deadline is not, there is no wait; after the
    deadline there is nothing left to hurry for.
    """
    if deadline_at is None or now >= deadline_at or now + wait_us <= deadline_at - p95_us:
        return wait_us
    left = max(0, deadline_at - p95_us - now)
    return min(wait_us, left - round(_JITTER * rand * left))
