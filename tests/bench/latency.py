"""From enqueue to start with an idle worker in another process; the worker's rest; what ``--help`` costs."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.bench.platform import open_platform, requests
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.store import view
from wedsync_ops.jobs.store.view import Filter

SLOTS = 4


def measure(folder: Path, count: int, rest_s: float) -> dict[str, float]:
    """Milliseconds from the commit to the start (p50, p99), percent of a core at rest, MB of the worker process."""
    app = open_platform(folder)
    queue = app.queue()
    environment = {**os.environ, "WEDSYNC_OPS_HOME": str(folder)}
    command = [sys.executable, "-m", "wedsync_ops", "run-worker", "--concurrency", str(SLOTS)]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        warm, *wishes = requests("noop-process", count + 1)
        first = actions.enqueue(queue, warm)
        actions.wait(queue, first.job_id or 0, 30, pause=time.sleep)
        process = psutil.Process(worker.pid)
        time.sleep(1)
        before = sum(process.cpu_times()[:2])
        time.sleep(rest_s)
        rest = (sum(process.cpu_times()[:2]) - before) / rest_s * 100
        for wish in wishes:
            queued = actions.enqueue(queue, wish)
            actions.wait(queue, queued.job_id or 0, 30, pause=time.sleep)
            time.sleep(0.005)
        memory = process.memory_info().rss / 1e6
    finally:
        worker.terminate()
        worker.wait(30)
    with app.database.reading() as connection:
        jobs = view.list_jobs(connection, Filter(limit=count))
    waits = sorted(((job.started_at or 0) - job.queued_at) / 1000 for job in jobs)
    app.close()
    return {
        "p50_ms": statistics.median(waits),
        "p99_ms": waits[-(len(waits) // 100) - 1],
        "rest_percent": rest,
        "worker_mb": memory,
    }


def help_ratio(runs: int = 7) -> float:
    """The median wall time of ``wedsync-ops --help`` over that of a bare interpreter."""
    commands = ([sys.executable, "-c", "pass"], [sys.executable, "-m", "wedsync_ops", "--help"])
    times: list[list[float]] = [[], []]
    for _ in range(runs + 1):
        for index, command in enumerate(commands):
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[index].append(time.perf_counter() - started)
    bare, ours = (statistics.median(series[1:]) for series in times)
    return ours / bare
