"""Ten times the peak hour, compressed into a minute.

    python -m tests.bench.peak [EXECUTIONS] [SECONDS]

A peak hour is 12,000 executions. Ten times that arrives evenly over 60 s from another process, one in ten critical,
while a worker runs. Afterwards: how many are done, and how long those of each priority waited.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import at_percent, open_platform, requests, worker_beside
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.store import lanes

MIX = ("critical", "high", "high", "normal", "normal", "normal", "normal", "low", "low", "low")
TICK_S = 0.1


def arrive(home: Path, executions: int, seconds: float) -> None:
    """Queue evenly over the time; be late rather than leave anything out."""
    app = open_platform(home)
    queue = app.queue()
    ticks = round(seconds / TICK_S)
    began = time.monotonic()
    for tick in range(ticks):
        first, last = (executions * place // ticks for place in (tick, tick + 1))
        wishes = requests("noop-process", last - first, start=first, wedding=None)
        enqueue_many(queue, [wish._replace(priority=MIX[n % len(MIX)]) for n, wish in enumerate(wishes)])
        time.sleep(max(0.0, began + (tick + 1) * TICK_S - time.monotonic()))
    app.close()


def main(executions: int, seconds: float) -> None:
    """Let them arrive, wait until all are done, print."""
    with tempfile.TemporaryDirectory() as folder:
        app = open_platform(Path(folder))
        began = time.monotonic()
        with worker_beside(app, "--concurrency", "4"):
            command = [sys.executable, "-m", "tests.bench.peak", "--arrive", folder, str(executions), str(seconds)]
            subprocess.run(command, check=True)
            arrived = time.monotonic() - began
            while _waiting(app.database):
                time.sleep(0.05)
            done = time.monotonic() - began
        query = text("SELECT priority_requested, started_at - due_at AS wait FROM jobs WHERE state = 'completed'")
        with app.database.reading() as connection:
            rows = connection.execute(query).all()
        print(f"{executions:,} arrived within {arrived:.1f} s; {len(rows):,} completed after {done:.1f} s")
        for number, word in enumerate(("low", "normal", "high", "critical")):
            waits = [row.wait / 1000 for row in rows if row.priority_requested == number]
            at = ", ".join(f"p{percent} {at_percent(waits, percent):,.1f} ms" for percent in (50, 99, 100))
            print(f"  {word:<9} {len(waits):>7,} jobs waited {at}")
        app.close()


def _waiting(database: object) -> bool:
    with database.reading() as connection:  # type: ignore[attr-defined]
        return any(count.waiting for count in lanes.read(connection))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--arrive"]:
        arrive(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 120_000, float(sys.argv[2]) if len(sys.argv) > 2 else 60.0)
