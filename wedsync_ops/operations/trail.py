"""The platform's history as lines: executions, what their handlers logged, jobs that were given up, and workers.

It is read from the database, so that it is the same on every machine and after every restart, and forgotten with the
rows. The log that processes write to standard error is another thing: it is for what no row tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from wedsync_ops.db import Database
from wedsync_ops.jobs.model import Result, State
from wedsync_ops.jobs.store import trail, workers
from wedsync_ops.jobs.store.trail import Closed, Ended, Place, Wanted
from wedsync_ops.jobs.store.workers import Worker

LEVELS = ("debug", "info", "warning", "error")
_WELL = (Result.OK, Result.CANCELLED)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened at an instant. ``event`` is a stable word; what does not apply is ``None``."""

    at: int
    level: str
    event: str
    message: str
    job_id: int | None = None
    attempt: int | None = None
    module_type: str | None = None
    worker_id: str | None = None
    outcome: str | None = None
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which lines: of one job, one module type, from a level on, since an instant; ``most`` 0 is all of them."""

    job: int | None = None
    module: str | None = None
    level: str = "debug"
    since: int | None = None
    most: int = 100

    @property
    def wanted(self) -> Wanted:
        """The same for the store."""
        only_failed = LEVELS.index(self.level) >= LEVELS.index("warning")
        return Wanted(job=self.job, module=self.module, since=self.since, only_failed=only_failed, most=self.most)

    def takes(self, line: Line) -> bool:
        """Whether a line is of the level, and not too old."""
        is_recent = self.since is None or line.at >= self.since
        return is_recent and LEVELS.index(line.level) >= LEVELS.index(self.level)


def latest(connection: Connection, query: Query) -> list[Line]:
    """The latest lines, oldest first."""
    wanted = query.wanted
    lines = [line for one in trail.ended(connection, wanted) for line in of_execution(one)]
    lines += [of_job(one) for one in trail.closed(connection, wanted)]
    if query.job is None and query.module is None:
        lines += [line for one in workers.list_workers(connection, query.since or 0) for line in of_worker(one)]
    kept = sorted((line for line in lines if query.takes(line)), key=lambda line: line.at)
    return kept[-query.most :] if query.most else kept


class Follower:
    """Yields what is new at each look, and nothing twice."""

    def __init__(self, connection: Connection, query: Query) -> None:
        self._query = replace(query, most=0, since=None)
        self._executions = trail.begin(connection, "executions")
        self._events = trail.begin(connection, "events")
        self._workers = set(self._of_workers(connection))

    def look(self, connection: Connection) -> list[Line]:
        """What has happened since the last look, oldest first."""
        back = trail.overlap(connection)
        wanted = self._query.wanted
        ends = {table: trail.newest(connection, table) for table in ("executions", "events")}
        executions = trail.ended(connection, wanted, self._executions.after - back)
        events = trail.closed(connection, wanted, self._events.after - back)
        lines = [line for one in executions if _is_new(self._executions, one.id) for line in of_execution(one)]
        lines += [of_job(one) for one in events if _is_new(self._events, one.id)]
        _advance(self._executions, ends["executions"], back)
        _advance(self._events, ends["events"], back)
        now_there = set(self._of_workers(connection))
        lines += now_there - self._workers
        self._workers = now_there
        return sorted((line for line in lines if self._query.takes(line)), key=lambda line: line.at)

    def _of_workers(self, connection: Connection) -> Iterator[Line]:
        if self._query.job is None and self._query.module is None:
            for one in workers.list_workers(connection, 0):
                yield from of_worker(one)


def follow(database: Database, query: Query) -> Iterator[list[Line]]:
    """The latest lines first, then what is new whenever the caller asks again; it is the caller that waits."""
    with database.reading() as connection:
        follower = Follower(connection, query)
        lines = latest(connection, query)
    while True:
        yield lines
        with database.reading() as connection:
            lines = follower.look(connection)


def _is_new(place: Place, row_id: int) -> bool:
    if row_id in place.seen:
        return False
    place.seen.add(row_id)
    return True


def _advance(place: Place, end: int, back: int) -> None:
    place.after = max(place.after, end, max(place.seen, default=0))
    place.seen = {row_id for row_id in place.seen if row_id > place.after - back}


def of_execution(one: Ended) -> list[Line]:
    """What its handler logged, then how it ended; all of it bears the time of the end."""
    ended = Line(
        at=one.finished_at,
        level="info" if one.outcome in _WELL else "warning",
        event="execution_ended",
        message=f"{one.outcome}: {one.error}" if one.error else str(one.outcome),
        job_id=one.job_id,
        attempt=one.attempt,
        module_type=one.module_type,
        worker_id=one.worker_id,
        outcome=str(one.outcome),
        duration_ms=None if one.duration_us is None else one.duration_us / 1000,
    )
    said = replace(ended, level="debug", event="handler_said", outcome=None, duration_ms=None)
    return [*(replace(said, message=line) for line in (one.log or "").splitlines() if line.strip()), ended]


def of_job(one: Closed) -> Line:
    """A job that was given up or expired, or that somebody cancelled."""
    return Line(
        at=one.at,
        level="info" if one.state is State.CANCELLED else "error",
        event=f"job_{one.state}",
        message=f"{one.state}: {one.error}" if one.error else str(one.state),
        job_id=one.job_id,
        attempt=one.attempt,
        module_type=one.module_type,
    )


def of_worker(one: Worker) -> Iterator[Line]:
    """Its start, and its end or death."""
    name = f"{one.name} on {one.host}, process {one.pid}"
    yield Line(one.started_at, "info", "worker_started", f"worker {name} started", worker_id=one.id)
    if one.stopped_at is not None and one.died:
        yield Line(one.stopped_at, "error", "worker_died", f"worker {name} was declared dead", worker_id=one.id)
    elif one.stopped_at is not None:
        yield Line(one.stopped_at, "info", "worker_stopped", f"worker {name} stopped", worker_id=one.id)
