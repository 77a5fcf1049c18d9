"""Workers and their leases: registration, heartbeats, who is dead, and what the dead held."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from wedsync_ops import db
from wedsync_ops.instants import parse_date
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.store import terms


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, alive or stopped; instants in microseconds. One that ``died`` did not stop by itself."""

    id: str
    name: str
    host: str
    pid: int
    version: str
    region: str | None
    modules: str | None
    lock_file: str
    slots: int
    busy: int
    started_at: int
    heartbeat_at: int
    stopped_at: int | None
    died: bool = False
    memory_kb: int | None = None
    """What its machine has for jobs; ``None`` of a worker of an older version."""
    phase: str = "working"
    """``quiet`` and ``ending`` ones start nothing any more."""
    lacking: str | None = None
    """The module types, with commas, whose handlers it has not got."""
    min_slots: int | None = None
    """The fewest slots that it may be given; ``None`` of one that keeps its size."""
    max_slots: int | None = None
    """The most slots that it may be given."""
    wanted_slots: int | None = None
    """How many slots it is to have; ``None`` until somebody has decided."""

    @property
    def is_sized(self) -> bool:
        """Whether it takes on the number of slots that is wanted."""
        return self.min_slots is not None and self.max_slots is not None

    def takes(self, module_type: str) -> bool:
        """Whether it starts jobs of a module type."""
        if self.phase != "working" or (self.lacking is not None and module_type in self.lacking.split(",")):
            return False
        return self.modules is None or module_type in self.modules.split(",")


@dataclass(frozen=True, slots=True)
class Orphan:
    """A running job whose worker is gone."""

    id: int
    token: int
    attempt: int
    losses: int
    kills: int
    module_type: str
    module_version: int
    priority: Priority
    due_at: int
    started_at: int | None
    wedding_on: date | None
    timezone: str | None
    vendor_type: str | None


_COLUMNS = (
    "id, name, host, pid, version, region, modules, lock_file, slots, busy, started_at, heartbeat_at, stopped_at, died,"
    " memory_kb, phase, lacking, min_slots, max_slots, wanted_slots"
)
_REGISTER = text(
    f"INSERT INTO workers ({_COLUMNS}) VALUES (:id, :name, :host, :pid, :version, :region, :modules, :lock_file,"
    " :slots, :busy, :started_at, :heartbeat_at, :stopped_at, :died, :memory_kb, :phase, :lacking, :min_slots,"
    " :max_slots, :wanted_slots)"
)
_BEAT = text(
    "UPDATE workers SET heartbeat_at = :now, slots = :slots, busy = :busy WHERE id = :id AND stopped_at IS NULL"
)
_WANT = "UPDATE workers SET wanted_slots = :slots WHERE id = :id AND stopped_at IS NULL"
_WANTED = "SELECT wanted_slots FROM workers WHERE id = :id AND stopped_at IS NULL"
_RESIZED = "UPDATE workers SET slots = :slots, busy = :busy WHERE id = :id AND stopped_at IS NULL"
_SAY = text("UPDATE workers SET phase = :phase, lacking = :lacking WHERE id = :id AND stopped_at IS NULL")
_STOP = text("UPDATE workers SET stopped_at = :now, busy = 0 WHERE id = :id AND stopped_at IS NULL")
_BURY = text(
    "UPDATE workers SET stopped_at = :now, busy = 0, died = (1 = 1)"
    " WHERE id = :id AND stopped_at IS NULL AND heartbeat_at = :seen"
)
_ORPHANS = (
    "SELECT jobs.id, token, attempt, losses, kills, module_type, module_version, priority, due_at, jobs.started_at,"
    " wedding_on, timezone, vendor_type FROM jobs WHERE state = 'running' AND leased_by = :worker LIMIT :chunk"
)
_SAMPLE = text(
    "INSERT INTO host_samples (host, sampled_at, cpu_percent, memory_percent, network_mbps)"
    " VALUES (:host, :now, :cpu, :memory, :network) ON CONFLICT (host, sampled_at) DO NOTHING"
)


def register(connection: Connection, worker: Worker) -> None:
    """Write a new worker."""
    connection.execute(_REGISTER, {name: getattr(worker, name) for name in Worker.__slots__})


def beat(connection: Connection, worker_id: str, *, now: int, slots: int, busy: int) -> bool:
    """Say that a worker lives; ``False`` when it was declared dead meanwhile, and so holds no lease any more."""
    values = {"id": worker_id, "now": now, "slots": slots, "busy": busy}
    return connection.execute(_BEAT, values).rowcount == 1


def want(connection: Connection, worker_id: str, slots: int) -> None:
    """Write how many slots a worker is to have; it reads that within a second."""
    db.run(connection, _WANT, {"id": worker_id, "slots": slots})


def wanted(connection: Connection, worker_id: str) -> int | None:
    """How many slots a worker is to have; ``None`` when nobody has decided, or it has stopped."""
    found: int | None = db.run(connection, _WANTED, {"id": worker_id}).scalar()
    return found


def resized(connection: Connection, worker_id: str, *, slots: int, busy: int) -> None:
    """Write how many slots a worker has from now on."""
    db.run(connection, _RESIZED, {"id": worker_id, "slots": slots, "busy": busy})


def say(connection: Connection, worker_id: str, phase: str, lacking: Collection[str]) -> None:
    """Write whether a worker still starts jobs, and which module types it leaves alone."""
    values = {"id": worker_id, "phase": phase, "lacking": ",".join(sorted(lacking)) or None}
    connection.execute(_SAY, values)


def stop(connection: Connection, worker_id: str, now: int) -> None:
    """Note that a worker stopped by itself; what it alone did is somebody else's at once."""
    connection.execute(_STOP, {"id": worker_id, "now": now})
    terms.vacate(connection, worker_id)


def bury(connection: Connection, worker: Worker, now: int) -> bool:
    """Declare a worker dead, unless it gave a sign of life since ``worker`` was read."""
    buried = connection.execute(_BURY, {"id": worker.id, "now": now, "seen": worker.heartbeat_at}).rowcount == 1
    if buried:
        terms.vacate(connection, worker.id)
    return buried


def living(connection: Connection) -> list[Worker]:
    """Every worker that has not stopped and was not declared dead."""
    return [
        Worker(**row)
        for row in connection.execute(text(f"SELECT {_COLUMNS} FROM workers WHERE stopped_at IS NULL")).mappings()
    ]


def list_workers(connection: Connection, stopped_since: int) -> list[Worker]:
    """Every worker that runs or stopped after an instant, newest first."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM workers WHERE stopped_at IS NULL OR stopped_at >= :since"
            " ORDER BY started_at DESC, id"
        ),
        {"since": stopped_since},
    )
    return [Worker(**row) for row in rows.mappings()]


def holders_gone(connection: Connection) -> Sequence[str]:
    """The stopped or unknown workers that still hold leases."""
    return list(
        connection.execute(
            text(
                "SELECT DISTINCT leased_by FROM jobs WHERE state = 'running' AND NOT EXISTS"
                " (SELECT 1 FROM workers WHERE workers.id = jobs.leased_by AND workers.stopped_at IS NULL)"
            )
        ).scalars()
    )


def orphans(connection: Connection, worker_id: str, chunk: int) -> list[Orphan]:
    """What a dead worker still holds, at most ``chunk`` jobs."""
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    rows = connection.execute(text(_ORPHANS + locking), {"worker": worker_id, "chunk": chunk}).mappings()
    return [
        Orphan(
            **{
                **row,
                "priority": Priority(row["priority"]),
                "wedding_on": None if row["wedding_on"] is None else parse_date(row["wedding_on"]),
            }
        )
        for row in rows
    ]


def sample(
    connection: Connection, host: str, now: int, *, cpu: float | None, memory: float | None, network: float | None
) -> None:
    """Write a sample of a host: percent of its cores and memory, and Mbps."""
    values = {"host": host, "now": now, "cpu": cpu, "memory": memory, "network": network}
    connection.execute(_SAMPLE, values)
