"""Measurements at size: how fast executions are rolled up, what they take, and how fast ranges are read.

python -m tests.bench.metrics                    200,000 executions over 90 days, in a SQLite file of its own
python -m tests.bench.metrics 10000000 [FOLDER]  as many, in a folder that is kept
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import text

from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND, parse_instant
from wedsync_ops.jobs.store import retention
from wedsync_ops.metrics.actions import measure, since_ever, to_document
from wedsync_ops.metrics.exposition import exposition
from wedsync_ops.metrics.levels import Kept, Level, start_of
from wedsync_ops.metrics.model import Kind
from wedsync_ops.metrics.rollup import Roller
from wedsync_ops.metrics.sketch import Sketch
from wedsync_ops.metrics.store import buckets
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

NOW = parse_instant("2027-06-19T11:47:13Z")
DAYS = 90
SLICE = 50_000
MODULES = ("email", "sms", "form", "meeting", "info", "review", "referral")
VENDORS = ("photographer", "venue", "florist", "caterer", "planner")
REGIONS = ("west_coast", "northeast", "south", "midwest", "other", "unknown")
OUTCOMES = (["ok"] * 97 + ["error", "error", "timeout"]) * 10 + ["oom", "killed", "lost", "cancelled"]
JOBS = 20_000
READS = 40


def jobs(database: Database) -> None:
    """The jobs that executions are of: each has many here, so that generating them is quick."""
    rand = random.Random(1)
    rows = [
        (n, rand.choice(MODULES), rand.choice(REGIONS), f"s{rand.randrange(5000)}", NOW, NOW)
        for n in range(1, JOBS + 1)
    ]
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO jobs (id, module_type, module_version, state, priority, priority_requested, rank, due_at,"
            " queued_at, finished_at, attempt, max_attempts, losses, kills, token, payload_hash, region, supplier_id)"
            " VALUES (?1, ?2, 1, 'completed', 1, 1, 0, ?5, ?5, ?6, 1, 3, 0, 0, 1, 'x', ?3, ?4)",
            rows,
        )


def executions(count: int, span_us: int) -> Iterator[list[tuple[Any, ...]]]:
    """Rows over the time up to NOW, in the order of their finish; times are lognormal, some of them very long."""
    rand = random.Random(7)
    made: list[tuple[Any, ...]] = []
    start, step = NOW - span_us, span_us / count
    for n in range(count):
        job = rand.randrange(JOBS)
        outcome = OUTCOMES[rand.randrange(len(OUTCOMES))]
        duration = int(rand.lognormvariate(10, 0.8)) if n % 100 else rand.randrange(10**6, 10**7)
        finished = int(start + n * step)
        week = rand.randrange(40) - 3
        made.append(
            (
                job + 1, 1, MODULES[job % 7], 1, "w", (1, 1, 1, 2, 0, 3)[job % 6], outcome, finished - duration,
                finished, duration, int(rand.lognormvariate(9, 1.5)), duration // 3, 40_000 + job, 900 + job, week, 1,
                VENDORS[job % 5], None,
            )
        )  # fmt: skip
        if len(made) == SLICE:
            yield made
            made = []
    if made:
        yield made


def fill(database: Database, count: int, span_us: int = DAYS * DAY) -> None:
    """Write them, index last."""
    with database.transaction() as connection:
        for index in ("executions_by_module", "executions_by_job"):
            connection.execute(text(f"DROP INDEX {index}"))
    for rows in executions(count, span_us):
        with database.transaction(durable=False) as connection:
            connection.exec_driver_sql(
                "INSERT INTO executions (job_id, attempt, module_type, module_version, worker_id, priority, outcome,"
                " started_at, finished_at, duration_us, queue_wait_us, cpu_us, memory_kb, bytes_sent, wedding_days,"
                f" in_peak, vendor_type, error) VALUES ({', '.join('?' * 18)})",
                rows,
            )
    with database.transaction() as connection:
        connection.execute(text("CREATE INDEX executions_by_module ON executions (module_type, finished_at)"))
        connection.execute(text("CREATE INDEX executions_by_job ON executions (job_id)"))


def roll(database: Database, settings: Settings, tail: int) -> tuple[int, float]:
    """Roll up all but the last few; how many, and in how many seconds."""
    with database.transaction() as connection:
        rows = connection.execute(text(f"SELECT * FROM executions ORDER BY id DESC LIMIT {tail}")).mappings().all()
        connection.execute(text("DELETE FROM executions WHERE id >= :first"), {"first": rows[-1]["id"]})
    began = time.perf_counter()
    done = Roller(database, FakeClock(NOW), settings).round().executions
    seconds = time.perf_counter() - began
    columns = [str(name) for name in rows[0]]
    with database.transaction() as connection:
        connection.execute(
            text(f"INSERT INTO executions ({', '.join(columns)}) VALUES ({', '.join(f':{c}' for c in columns)})"),
            [dict(row) for row in rows],
        )
    return done, seconds


def is_filled(database: Database) -> bool:
    """Whether an earlier run has left its executions in the folder."""
    with database.reading() as connection:
        return connection.execute(text("SELECT 1 FROM executions LIMIT 1")).first() is not None


def timed(action: Callable[[int], Any]) -> tuple[float, float]:
    """Median and p99 in ms, at moments that differ in minute and hour."""
    rand = random.Random(3)
    taken = []
    for _ in range(READS):
        now = NOW + rand.randrange(0, 1_000_000)
        began = time.perf_counter()
        action(now)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return statistics.median(taken), taken[-(-len(taken) * 99 // 100) - 1]


def reads(database: Database) -> dict[str, Callable[[int], Any]]:
    """Every kind of reading, by what it is called."""

    def ranged(length: int, **more: Any) -> Callable[[int], Any]:
        return lambda now: to_document(measure(database, MODULES, range_us=length, now=now, **more))

    def exposed(now: int) -> str:
        return exposition(measure(database, MODULES, range_us=HOUR, now=now), since_ever(database))

    return {
        "--range 5m": ranged(5 * MINUTE),
        "--range 1h": ranged(HOUR),
        "--range 24h": ranged(DAY),
        "--range 7d": ranged(7 * DAY),
        "--range 30d": ranged(30 * DAY),
        "--range 90d": ranged(90 * DAY),
        "--range 30d with trend": ranged(30 * DAY, with_trend=True),
        **{f"--range 30d --by {kind}": ranged(30 * DAY, by=kind) for kind in Kind if kind not in ("all", "supplier")},
        "--range 1h --by supplier": ranged(HOUR, by=Kind.SUPPLIER),
        "--range 24h --by supplier": ranged(DAY, by=Kind.SUPPLIER),
        "--prometheus": exposed,
    }


def bytes_of_buckets(database: Database) -> int:
    """What the tables of the rollup and their indexes take."""
    with database.transaction() as connection:
        rows = connection.execute(text("SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%rollup%'")).scalar_one()
    return int(rows)


def forget_raw(database: Database, days: int) -> None:
    """As retention does."""
    before = start_of(Level.DAY, NOW - days * DAY)
    with database.transaction() as connection:
        buckets.keep(connection, Kept(raw=before))
        up_to = buckets.state(connection).up_to
    for module_type in MODULES:
        one = retention.executions(module_type, before, up_to=up_to)
        after: Any = ()
        while after is not None:
            with database.transaction(durable=False) as connection:
                keys, after = one.look(connection, after)
                if keys:
                    one.forget(connection, keys)


def sketch_ns(batch: int) -> float:
    """What adding a duration to a sketch takes, in batches of a size."""
    rand = random.Random(5)
    values = [int(rand.lognormvariate(10, 1)) for _ in range(200_000)]
    began = time.perf_counter()
    for first in range(0, len(values), batch):
        Sketch.of(values[first : first + batch])
    return (time.perf_counter() - began) / len(values) * 1e9


def busy(folder: Path, rate: int, seconds: int) -> float:
    """The share of one core that rolling up takes while a worker runs so many executions a second."""
    settings = Settings(home=folder)
    database = db.connect(settings)
    migrate.ensure(database)
    jobs(database)
    fill(database, rate * seconds, seconds * SECOND)
    roller = Roller(database, FakeClock(NOW), settings)
    began = time.process_time()
    done = roller.round().executions
    taken = time.process_time() - began
    database.close()
    return taken / done * rate


def main(count: int, folder: Path) -> None:
    """Print the figures."""
    settings = Settings(home=folder)
    database = db.connect(settings)
    migrate.ensure(database)
    print(f"adding to a sketch: {sketch_ns(10_000):.0f} ns, in batches of 20 {sketch_ns(20):.0f} ns")
    with tempfile.TemporaryDirectory() as made:
        rate, span = (1_500, 60) if count >= 100_000 else (100, 10)
        print(f"beside {rate:,} executions a second, rolling up takes {busy(Path(made), rate, span):.1%} of a core")
    if not is_filled(database):
        began = time.perf_counter()
        jobs(database)
        fill(database, count)
        print(f"{count:,} executions over {DAYS} days, written in {time.perf_counter() - began:.0f} s", flush=True)
        done, seconds = roll(database, settings, tail=2_000)
        size = bytes_of_buckets(database)
        print(f"rolled up {done:,} at {done / seconds:,.0f}/s; {size / done:.1f} bytes each", flush=True)
    for name, action in reads(database).items():
        median, p99 = timed(action)
        print(f"  {name:<32} median {median:7.1f} ms   p99 {p99:7.1f} ms", flush=True)
    if count <= 1_000_000:
        forget_raw(database, 1)
        print("and without the executions older than a day:")
        for name in ("--range 30d", "--range 90d"):
            median, p99 = timed(reads(database)[name])
            print(f"  {name:<32} median {median:7.1f} ms   p99 {p99:7.1f} ms")
    database.close()


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    if len(sys.argv) > 2:
        main(wanted, Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(wanted, Path(made))
