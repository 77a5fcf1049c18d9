"""How exactly limits are kept: from the limit to the end of the attempt, and from there to the next job in the slot.

python -m tests.bench.killing [TIMES]
"""

import sys
import tempfile
import time
from pathlib import Path

from tests.bench.platform import at_percent
from tests.jobs.pool_helpers import order, outcomes, pool
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool

TIME_S = 0.3
MEMORY_MB = 200
MB_PER_S = 1000
KINDS: dict[str, tuple[str, Result]] = {
    "endless loop": ("loops", Result.TIMEOUT),
    "waits": ("sleeps", Result.TIMEOUT),
    "swallows exceptions": ("swallows", Result.TIMEOUT),
    "blocks all signals": ("deaf", Result.TIMEOUT),
    "grows by 1 GB/s": ("grows", Result.OOM),
}


def once(slots: Pool, kind: str) -> tuple[float, float]:
    """Milliseconds that the attempt lasted beyond its limit, and until the next job ran in the slot."""
    handler, expected = KINDS[kind]
    is_memory = expected is Result.OOM
    # Memory is limited beyond what the slot had when the job began.
    limited = order(handler, {"mb_per_s": MB_PER_S}, memory_mb=MEMORY_MB if is_memory else 512)
    slots.start(limited if is_memory else limited._replace(timeout_s=TIME_S))
    (ended,) = outcomes(slots)
    end = time.time_ns() // 1000
    if ended.result is not expected:
        raise RuntimeError(f"{kind} ended as {ended.result}: {ended.error}")
    slots.start(order("nothing"))
    (after,) = outcomes(slots)
    limit_s = MEMORY_MB / MB_PER_S if is_memory else TIME_S
    return (ended.duration_us - limit_s * SECOND) / 1000, (after.started_at - end) / 1000


def main(times: int) -> None:
    """Print both for every kind of harm."""
    with tempfile.TemporaryDirectory() as folder, pool(Path(folder)) as slots:
        for kind in KINDS:
            beyond, back = zip(*(once(slots, kind) for _ in range(times)), strict=True)
            print(
                f"{kind:<20} over its limit p50 {at_percent(beyond, 50):6.1f} ms, max {max(beyond):6.1f} ms;"
                f" the slot is back after p50 {at_percent(back, 50):6.1f} ms, max {max(back):6.1f} ms"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
