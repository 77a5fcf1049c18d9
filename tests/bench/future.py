"""Jobs for the future, and ageing: how long the longest write transaction of a working worker is.

    python -m tests.bench.future [SCHEDULED]

With 300,000 jobs scheduled (or so many), a third of them falling due while the worker runs, and 20,000 that age.
"""

import sys
import tempfile
from pathlib import Path

from tests.bench.platform import TimedDatabase, at_percent, drain, fill, open_platform, timed

AGEING = 20_000


def main(scheduled: int) -> None:
    """Print the transactions' lengths."""
    with tempfile.TemporaryDirectory() as folder:
        app = timed(open_platform(Path(folder), ageing_s=2))
        fill(app, "noop-process", scheduled - scheduled // 3, delay=60 * 24 * 30)
        fill(app, "noop-process", scheduled // 3, delay=0.05, start=10_000_000)
        fill(app, "noop-process", AGEING, priority="low", start=20_000_000, wedding=None)
        TimedDatabase.spans.clear()
        rate = drain(app)
        spans = [span * 1000 for span in TimedDatabase.spans]
        at = ", ".join(f"p{percent} {at_percent(spans, percent):.1f} ms" for percent in (50, 99, 99.9, 100))
        print(f"{scheduled:,} scheduled, {len(spans):,} write transactions of the worker: {at}; {rate:,.0f} jobs/s")
        app.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000)
