"""A worker before a long queue: its drain, an urgent arrival, and every operation of callers.

    python -m tests.bench.backlog [WAITING]

With a million jobs waiting (or so many) against ten thousand.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import text

from tests.bench.platform import at_percent, definitions, drain, fill, open_platform, requests, worker_beside
from wedsync_ops.app import App
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.explaining import explained
from wedsync_ops.jobs.store import view
from wedsync_ops.jobs.store.view import Filter
from wedsync_ops.modules.actions import register

FEW = 10_000
DRAINED = 8_000
URGENT = 100
ROUNDS = 3


def operations(app: App, times: int) -> dict[str, list[float]]:
    """How long each operation of a caller takes, in seconds; every one opens a transaction of its own."""
    queue = app.queue()
    wishes = iter(requests("noop-process", 2 * times, start=10_000_000))
    ids = iter(actions.enqueue(queue, next(wishes)).job_id or 0 for _ in range(times))

    def shown(job_id: int) -> object:
        with app.database.reading() as connection:
            return view.show_job(connection, job_id)

    def listed(_: int) -> object:
        with app.database.reading() as connection:
            return view.list_jobs(connection, Filter(limit=100))

    steps: dict[str, Callable[[int], object]] = {
        "enqueue": lambda _: actions.enqueue(queue, next(wishes)),
        "jobs explain": lambda job_id: explained(queue, job_id),
        "jobs show": shown,
        "jobs list": listed,
        "queue status": lambda _: actions.status(queue),
        "register": lambda _: register(app.database, definitions(), "bench", now=app.clock.now()),
        "jobs reschedule": lambda job_id: actions.reschedule(queue, [job_id], due_at=None, priority=None),
        "jobs cancel": lambda job_id: actions.cancel(queue, [job_id]),
    }
    spans: dict[str, list[float]] = {name: [] for name in steps}
    for job_id in ids:
        for name, step in steps.items():
            begun = time.perf_counter()
            step(job_id)
            spans[name].append(time.perf_counter() - begun)
    return spans


def urgent_waits(app: App, times: int) -> Sequence[float]:
    """Milliseconds from the commit of a critical job to its start, while a worker is busy with the queue."""
    queue = app.queue()
    known = []
    with worker_beside(app, "--concurrency", "4"):
        first = actions.enqueue(queue, requests("noop-process", 1, priority="critical")[0])
        actions.wait(queue, first.job_id or 0, 60, pause=time.sleep)
        for wish in requests("noop-process", times, start=20_000_000, priority="critical"):
            known.append(actions.enqueue(queue, wish).job_id)
            time.sleep(0.02)
        actions.wait(queue, known[-1] or 0, 60, pause=time.sleep)
    query = text(
        "SELECT queued_at, started_at FROM jobs WHERE id >= :first AND priority = 3 AND started_at IS NOT NULL"
    )
    with app.database.reading() as connection:
        rows = connection.execute(query, {"first": known[0]}).all()
    return [(row.started_at - row.queued_at) / 1000 for row in rows]


def main(many: int) -> None:
    """Print what a long queue costs."""
    with tempfile.TemporaryDirectory() as folder:
        short, long = (open_platform(Path(folder, name)) for name in ("short", "long"))
        fill(long, "noop-process", many)
        ratios = []
        for _ in range(ROUNDS):  # in turn, so that both meet the same moods of the machine
            fill(short, "noop-process", FEW)
            few, much = (drain(app, max_jobs=DRAINED) for app in (short, long))
            drain(short)
            fill(long, "noop-process", DRAINED)
            ratios.append(much / few)
            print(f"drain with {FEW:,} waiting {few:,.0f}/s, with {many:,} {much:,.0f}/s: {much / few:.2f} x")
        print(f"median {at_percent(ratios, 50):.2f} x")
        waits = urgent_waits(long, URGENT)
        at = ", ".join(f"p{percent} {at_percent(waits, percent):.1f} ms" for percent in (50, 95, 99))
        print(f"a critical job with {many:,} others waiting starts after: {at}")
        for name, spans in operations(long, 200).items():
            print(
                f"  {name:<16} p50 {at_percent(spans, 50) * 1000:6.2f} ms   p99 {at_percent(spans, 99) * 1000:6.2f} ms"
            )
        for app in (short, long):
            app.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
