"""The peers that run beside us: huey on SQLite with threads, and SQLite with nothing on top. Each in its own process.

    python -m tests.bench.peers huey|sqlite COUNT FOLDER

prints ``enqueue_per_s drain_per_s`` as one line.
"""

import sqlite3
import sys
import threading
import time
from pathlib import Path

SLOTS = 4


def huey(count: int, folder: Path) -> tuple[float, float]:
    """Queue and run no-op tasks on huey: SQLite, every commit synced, four threads."""
    from huey import SqliteHuey  # type: ignore[import-untyped]

    tasks = SqliteHuey(filename=str(folder / "huey.db"), fsync=True, results=False)
    left = threading.Semaphore(0)

    @tasks.task()  # type: ignore[untyped-decorator]
    def noop(number: int) -> None:
        left.release()

    started = time.perf_counter()
    for number in range(count):
        noop(number)
    enqueued = time.perf_counter() - started
    consumer = tasks.create_consumer(workers=SLOTS, worker_type="thread", periodic=False, initial_delay=0.001)
    started = time.perf_counter()
    consumer.start()
    for _ in range(count):
        left.acquire()
    drained = time.perf_counter() - started
    consumer.stop(graceful=True)
    return count / enqueued, count / drained


def sqlite(count: int, folder: Path, group: int = 100) -> tuple[float, float]:
    """Insert rows in groups of 100, then mark each done with one execution row, in groups of 100, all synced."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, payload TEXT)")
    connection.execute("CREATE TABLE executions (id INTEGER PRIMARY KEY, job_id INTEGER, outcome TEXT)")
    started = time.perf_counter()
    for start in range(0, count, group):
        connection.execute("BEGIN IMMEDIATE")
        rows = [(number, "available", "x" * 300) for number in range(start, min(start + group, count))]
        connection.executemany("INSERT INTO jobs VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    enqueued = time.perf_counter() - started
    started = time.perf_counter()
    for start in range(0, count, group):
        connection.execute("BEGIN IMMEDIATE")
        ids = [(number,) for number in range(start, min(start + group, count))]
        connection.executemany("UPDATE jobs SET state = 'completed' WHERE id = ?", ids)
        connection.executemany("INSERT INTO executions (job_id, outcome) VALUES (?, 'ok')", ids)
        connection.execute("COMMIT")
    drained = time.perf_counter() - started
    connection.close()
    return count / enqueued, count / drained


if __name__ == "__main__":
    peer = {"huey": huey, "sqlite": sqlite}[sys.argv[1]]
    print("{:.1f} {:.1f}".format(*peer(int(sys.argv[2]), Path(sys.argv[3]))), flush=True)
