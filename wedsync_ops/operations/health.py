"""Is the platform well? Checks for monitoring, and all of them in one answer for load balancers and systemd.

Each looks at a few rows through an index and at the machine; none writes, and none takes longer with a long queue.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text

from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.errors import SettingError, WedsyncError
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.rescue import Condition, condition
from wedsync_ops.jobs.store import lanes, workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.jobs.stuck import Stuck, next_in_line, stuck
from wedsync_ops.operations.attention import check_open_alerts, check_schedules
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.operations.verdict import Bounds, Figure, Reason, Status, Verdict, judged
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.model import Season
from wedsync_ops.weddings.season import season_at

_MB = 1024 * 1024
_AGAIN_S = 2.0
"""Seconds between the two looks that a worker is called stuck after."""
_FULL = 0.9
"""The share of a module type's capacity from which low priority is refused."""
_NAMED = 5
"""How many of a kind a line names."""


Opening = Callable[[], AbstractContextManager[Site]]
"""What opens the platform to be looked at, and closes it."""


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """How many jobs may wait, for how many seconds the next of a lane may have been due, and a critical one."""

    waiting: Bounds = field(default=Bounds(1_000, 10_000))
    late_s: Bounds = field(default=Bounds(300, 900))
    urgent_s: float = 60


@dataclass(frozen=True, slots=True)
class WorkersBounds:
    """How many workers must live, and for how many seconds one may leave a due job."""

    least: int = 1
    stuck_s: float = 60


@dataclass(frozen=True, slots=True)
class DatabaseBounds:
    """Milliseconds to answer a query, MB of write-ahead log (SQLite), percent of the connections (PostgreSQL)."""

    answer_ms: Bounds = field(default=Bounds(250, 2_000))
    wal_mb: Bounds = field(default=Bounds(64, 1_024))
    connections: Bounds = field(default=Bounds(80, 95))


@dataclass(frozen=True, slots=True)
class DiskBounds:
    """The least percent of space, and of inodes, that must be free where the platform writes."""

    free: Bounds = field(default=Bounds(10, 5, below=True))


_QUEUE, _WORKERS, _DATABASE, _DISK = QueueBounds(), WorkersBounds(), DatabaseBounds(), DiskBounds()


def check_queue(site: Site, bounds: QueueBounds = _QUEUE) -> Verdict:
    """Whether too many jobs wait, or any for too long; what is paused or held by a limit is not late."""
    now = site.clock.now()
    with site.database.reading() as connection:
        counted = lanes.read(connection)
        ahead = next_in_line(connection, now)
    waiting = Figure("waiting", sum(lane.waiting for lane in counted), "", bounds.waiting)
    late_s = max((max(0, now - one.due_at) / SECOND for one in ahead), default=0.0)
    late = Figure("late", late_s, "s", bounds.late_s)
    reasons = judged(waiting, "queue_length", f"{waiting.value:,.0f} jobs wait")
    reasons += judged(late, "late", f"the next job of a lane has been due for {late_s:,.0f} s")
    urgent = [one for one in ahead if one.priority is Priority.CRITICAL and now - one.due_at > bounds.urgent_s * SECOND]
    for one in urgent[:_NAMED]:
        waited = f"{(now - one.due_at) / SECOND:,.0f} s"
        words = f"job {one.id} of {one.module_type} is critical and has been due for {waited}"
        reasons.append(Reason(Status.CRITICAL, "critical_late", words))
    for module_type, share in _shares(site, lanes.waiting_by_module(counted)):
        full = share >= 1
        words = f"{module_type} is at {share:.0%} of its capacity"
        reasons.append(Reason(Status.CRITICAL if full else Status.WARNING, "capacity", words))
    usual = f"{waiting.value:,.0f} jobs wait, the next has been due for {late_s:,.0f} s"
    return Verdict("queue", usual, reasons, (waiting, late))


def _shares(site: Site, waiting: Mapping[str, int]) -> list[tuple[str, float]]:
    """The module types from 90 % of their capacity on, where low priority is refused."""
    registry = site.rules.registry
    is_peak = season_at(site.clock.now(), site.rules.calendar) is Season.PEAK
    found = []
    for name, count in sorted(waiting.items()):
        scales = is_peak and registry.current(name).definition.wedding_optimizations.seasonal_scaling
        share = count / site.rules.settings.capacity / (site.rules.settings.peak_capacity_factor if scales else 1)
        if share >= _FULL:
            found.append((name, share))
    return found


def check_workers(site: Site, bounds: WorkersBounds = _WORKERS, pause: Callable[[float], None] = time.sleep) -> Verdict:
    """Whether enough workers live, and whether those that do also work; a stuck one is looked at twice."""
    now = site.clock.now()
    with site.database.reading() as connection:
        known = [(worker, condition(worker, now, site.rules.settings)) for worker in workers.living(connection)]
    by_condition = {state: [worker for worker, found in known if found is state] for state in Condition}
    alive = by_condition[Condition.ALIVE]
    reasons = (
        [Reason(Status.WARNING, "silent", f"{_named(by_condition[Condition.SILENT])} missed two heartbeats")]
        if by_condition[Condition.SILENT]
        else []
    )
    if by_condition[Condition.DEAD]:
        words = f"{_named(by_condition[Condition.DEAD])} died, and what it held is not taken up yet"
        reasons.append(Reason(Status.WARNING, "dead", words))
    living = len(alive) + len(by_condition[Condition.SILENT])
    if living < bounds.least:
        reasons.append(Reason(Status.CRITICAL, "too_few", f"{living} workers live, {bounds.least} are wanted"))
    reasons += [
        Reason(Status.CRITICAL, "stuck", f"worker {one.worker.name} is stuck: {one.words}")
        for one in _surely_stuck(site, bounds, pause)
    ]
    busy, slots = sum(worker.busy for worker in alive), sum(worker.slots for worker in alive)
    least = Figure("alive", living, "", Bounds(bounds.least, bounds.least, below=True))
    usual = f"{living} workers live, {busy} of {slots} slots are busy"
    return Verdict("workers", usual, reasons, (least, Figure("busy", busy), Figure("slots", slots)))


def _surely_stuck(site: Site, bounds: WorkersBounds, pause: Callable[[float], None]) -> list[Stuck]:
    """Who is stuck at two looks: one alone may meet the moment in which a pause has just ended."""
    first = _stuck(site, bounds)
    if not first:
        return []
    pause(_AGAIN_S)
    before = {(one.worker.id, one.job_id) for one in first}
    return [one for one in _stuck(site, bounds) if (one.worker.id, one.job_id) in before]


def _stuck(site: Site, bounds: WorkersBounds) -> list[Stuck]:
    rules, now = site.rules, site.clock.now()
    with site.database.reading() as connection:
        return stuck(connection, rules, now, round(bounds.stuck_s * SECOND))


def _named(some: Sequence[Worker]) -> str:
    names = ", ".join(worker.name for worker in some[:_NAMED])
    more = f" and {len(some) - _NAMED} more" if len(some) > _NAMED else ""
    return f"{'worker' if len(some) == 1 else 'workers'} {names}{more}"


def check_database(database: Database, bounds: DatabaseBounds = _DATABASE) -> Verdict:
    """Whether the database answers, in time, and can be written; nothing is written."""
    began = time.perf_counter()
    try:
        with database.reading() as connection:
            connection.execute(text("SELECT count(*) FROM pauses")).scalar_one()
            answered = time.perf_counter()
            figures = [Figure("answer", (answered - began) * 1000, "ms", bounds.answer_ms)]
            reasons = judged(figures[0], "slow", f"it took {figures[0].value:,.0f} ms to answer")
            if not database.is_sqlite:
                more = _server(connection, bounds)
                figures += more[0]
                reasons += more[1]
        if database.file is not None:
            figures.append(Figure("wal", wal_bytes(database.file) / _MB, "MB", bounds.wal_mb))
            reasons += judged(figures[-1], "wal", f"the write-ahead log holds {figures[-1].value:,.0f} MB")
            _try_the_lock(database)
    except WedsyncError as error:
        return _broken(error)
    usual = f"{database.where} answers in {figures[0].value:,.1f} ms"
    return Verdict("database", usual, reasons, figures)


def _try_the_lock(database: Database) -> None:
    """Take the write lock, change nothing, and give it back. Raises DatabaseError where that can't be done."""
    with database.transaction(durable=False) as connection:
        connection.rollback()


def _server(connection: Connection, bounds: DatabaseBounds) -> tuple[list[Figure], list[Reason]]:
    used, most, read_only = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int,"
            " pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'"
        )
    ).one()
    share = Figure("connections", 100 * used / most, "%", bounds.connections)
    reasons = judged(share, "connections", f"{used} of {most} connections are in use")
    if read_only:
        reasons.append(Reason(Status.CRITICAL, "database_read_only", "the server takes no writes: it is a standby"))
    return [share], reasons


def wal_bytes(file: Path) -> int:
    """The size of a SQLite database's write-ahead log; 0 when there is none."""
    try:
        return file.with_name(file.name + "-wal").stat().st_size
    except OSError:
        return 0


def check_database_at(opening: Opening, bounds: DatabaseBounds = _DATABASE) -> Verdict:
    """The same, of a database yet to be opened; that it cannot be is critical. Raises SettingError."""
    try:
        with opening() as site:
            return check_database(site.database, bounds)
    except SettingError:
        raise
    except WedsyncError as error:
        return _broken(error)


def _broken(error: WedsyncError) -> Verdict:
    return Verdict("database", "", [Reason(Status.CRITICAL, error.code, str(error))])


def places(settings: Settings) -> dict[str, Path]:
    """Where the platform writes, by name."""
    found = {"home": settings.home, "outbox": settings.outbox}
    file = db.connect(settings).file
    return found if file is None else {**found, "database": file.parent}


def check_disk(where: dict[str, Path], bounds: DiskBounds = _DISK) -> Verdict:
    """Whether there are space and inodes where the platform writes; a folder that is not there counts as its parent."""
    figures: list[Figure] = []
    reasons: list[Reason] = []
    seen: set[int] = set()
    for name, path in where.items():
        there = next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), Path("/"))  # noqa: PTH112 - False where no look is permitted
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        told = os.statvfs(there)
        for kind, free, total in (("space", told.f_bavail, told.f_blocks), ("inodes", told.f_favail, told.f_files)):
            if total:  # some file systems count no inodes
                figure = Figure(f"{name}_{kind}", 100 * free / total, "%", bounds.free)
                figures.append(figure)
                reasons += judged(figure, kind, f"{figure.value:.1f} % of the {kind} is free at {there} ({name})")
    least = min((figure.value for figure in figures), default=100.0)
    return Verdict("disk", f"{least:.0f} % is free where it is least", reasons, figures)


def health(opening: Opening, settings: Settings, least_workers: int = 1) -> list[Verdict]:
    """Every check with its usual bounds; where the database can't be used, that and the disk. Raises SettingError."""
    disk = check_disk(places(settings))
    try:
        with opening() as site:
            first = check_database(site.database)
            if not first.figures:
                return [first, disk]
            crew = check_workers(site, WorkersBounds(least=least_workers))
            return [first, check_queue(site), crew, check_schedules(site), check_open_alerts(site), disk]
    except SettingError:
        raise
    except WedsyncError as error:
        return [_broken(error), disk]
