"""The platform's own figures, each in its own process.

    python -m tests.bench.ours process|thread COUNT FOLDER

queues and drains no-op jobs and prints ``enqueue_per_s drain_per_s`` as one line.
"""

import random
import sys
import time
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import open_platform, requests
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.actions import enqueue_many
from wedsync_ops.jobs.model import Options
from wedsync_ops.jobs.worker import Worker

SLOTS = 4
CHUNK = 1000


def main(isolation: str, count: int, folder: Path) -> tuple[float, float]:
    """Queue in bulk (validated, prioritised, ranked), then drain with four slots; durability is full."""
    app = open_platform(folder)
    queue = app.queue()
    enqueue_many(queue, requests(f"noop-{isolation}", 1))  # compiles the schema and the statements
    enqueued = 0.0
    for _ in range(count // CHUNK):
        wishes = requests(f"noop-{isolation}", CHUNK)  # made shortly before, as a caller does
        started = time.perf_counter()
        enqueue_many(queue, wishes)
        enqueued += time.perf_counter() - started
    count = count // CHUNK * CHUNK + 1
    worker = Worker(app.database, app.clock, app.rules, Options(slots=SLOTS, drain=True), random.Random(1))
    worker.run()
    with app.database.reading() as connection:
        # From the first start to the last finish: a worker's own start (0.3 s) is no part of its throughput.
        span = connection.execute(text("SELECT max(finished_at) - min(started_at) FROM executions")).scalar_one()
    drained = span / SECOND
    app.close()
    return (count - 1) / enqueued, count / drained


if __name__ == "__main__":
    print("{:.1f} {:.1f}".format(*main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))), flush=True)
