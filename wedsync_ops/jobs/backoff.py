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
