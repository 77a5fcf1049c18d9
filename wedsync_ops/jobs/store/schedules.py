"""The SQL of recurring schedules: what is registered, what is due, and every fire, once per schedule and time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.firing import FireOutcome, NextFire
from wedsync_ops.jobs.model import State

_RECENT = 50
"""How many of a schedule's latest jobs are looked at for some that have not finished."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A registered schedule: its definition as JSON, the fire that comes next, the pause that somebody made.

    Instants in microseconds; a definition that is paused by itself has no next fire, and no ``paused_at``.
    """

    id: str
    definition: str
    registered_at: int
    next_fire_at: int | None = None
    next_due_at: int | None = None
    paused_at: int | None = None
    paused_by: str | None = None
    pause_reason: str | None = None
    paused_until: int | None = None

    @property
    def ahead(self) -> NextFire:
        """The fire that comes next."""
        return NextFire(self.next_fire_at, self.next_due_at)


@dataclass(frozen=True, slots=True)
class Fire:
    """A fire and what it came to; ``kind`` is scheduled or manual, instants in microseconds."""

    schedule_id: str
    fire_at: int
    kind: str
    due_at: int
    decided_at: int
    decided_by: str
    outcome: FireOutcome
    job_id: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job of an earlier fire that has not finished."""

    job_id: int
    fire_at: int
    state: State


@dataclass(frozen=True, slots=True)
class Last:
    """The latest fire of a schedule, and the instant at which one last queued a job."""

    fire: Fire
    queued_at: int | None


_COLUMNS = ", ".join(Stored.__slots__)
_FIRE_COLUMNS = ", ".join(Fire.__slots__)


def load(connection: Connection, *, lock: bool = False) -> list[Stored]:
    """Every registered schedule, by id; ``lock`` keeps others from firing them until the transaction ends."""
    statement = f"SELECT {_COLUMNS} FROM schedules ORDER BY id{_locking(connection, lock=lock)}"
    return [Stored(**row) for row in db.run(connection, statement).mappings()]


def get(connection: Connection, schedule_id: str, *, lock: bool = False) -> Stored | None:
    """One schedule, ``None`` when there is none; ``lock`` keeps others from firing it until the transaction ends."""
    statement = f"SELECT {_COLUMNS} FROM schedules WHERE id = :id{_locking(connection, lock=lock)}"
    row = db.run(connection, statement, {"id": schedule_id}).mappings().first()
    return None if row is None else Stored(**row)


def save(connection: Connection, schedule: Stored) -> None:
    """Write a schedule in place of the one of the same id."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in Stored.__slots__ if name != "id")
    marks = ", ".join(f":{name}" for name in Stored.__slots__)
    db.run(
        connection,
        f"INSERT INTO schedules ({_COLUMNS}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changes}",
        {name: getattr(schedule, name) for name in Stored.__slots__},
    )


def delete(connection: Connection, ids: Sequence[str]) -> None:
    """Delete schedules; their fires stay until they are old."""
    if ids:
        statement = f"DELETE FROM schedules WHERE id IN {db.texts_source(connection)}"
        db.run(connection, statement, {"texts": db.many(ids)})


def due(connection: Connection, now: int, limit: int) -> list[Stored]:
    """The schedules that are due, the longest first."""
    statement = (
        f"SELECT {_COLUMNS} FROM schedules WHERE next_due_at IS NOT NULL AND next_due_at <= :now"
        " ORDER BY next_due_at LIMIT :limit"
    )
    return [Stored(**row) for row in db.run(connection, statement, {"now": now, "limit": limit}).mappings()]


def held(connection: Connection, seen: Sequence[Stored]) -> list[Stored]:
    """Those that still are what was seen of them, locked on PostgreSQL, without those that another worker has."""
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    statement = f"SELECT {_COLUMNS} FROM schedules WHERE id IN {db.texts_source(connection)} ORDER BY id{locking}"
    rows = db.run(connection, statement, {"texts": db.many([one.id for one in seen])}).mappings()
    now = {row["id"]: Stored(**row) for row in rows}
    return [one for one in seen if now.get(one.id) == one]


def advance(connection: Connection, schedule_id: str, ahead: NextFire) -> None:
    """Note the fire that comes next."""
    statement = "UPDATE schedules SET next_fire_at = :fire_at, next_due_at = :due_at WHERE id = :id"
    db.run(connection, statement, {"id": schedule_id, **ahead._asdict()})


def insert_fire(connection: Connection, fire: Fire) -> bool:
    """Write a fire, unless the schedule has one of that time; whether it was written."""
    marks = ", ".join(f":{name}" for name in Fire.__slots__)
    statement = (
        f"INSERT INTO schedule_fires ({_FIRE_COLUMNS}) VALUES ({marks}) ON CONFLICT (schedule_id, fire_at) DO NOTHING"
    )
    values = {name: getattr(fire, name) for name in Fire.__slots__}
    return db.run(connection, statement, {**values, "outcome": fire.outcome.value}).rowcount == 1


def conclude_fire(connection: Connection, fire: Fire) -> None:
    """Write what a fire that was written came to."""
    statement = (
        "UPDATE schedule_fires SET outcome = :outcome, job_id = :job_id, reason = :reason"
        " WHERE schedule_id = :schedule_id AND fire_at = :fire_at"
    )
    names = ("schedule_id", "fire_at", "job_id", "reason")
    db.run(connection, statement, {**{name: getattr(fire, name) for name in names}, "outcome": fire.outcome.value})


def forget_unlived(connection: Connection, schedule_id: str, now: int) -> None:
    """Forget what was decided of times that are still to come, by a clock that was ahead; queued jobs stay."""
    statement = "DELETE FROM schedule_fires WHERE schedule_id = :id AND fire_at > :now AND job_id IS NULL"
    db.run(connection, statement, {"id": schedule_id, "now": now})


def unfinished(connection: Connection, schedule_id: str) -> list[Unfinished]:
    """The schedule's latest jobs that have not finished, the newest first."""
    rows = db.run(
        connection,
        (
            "SELECT f.job_id, f.fire_at, jobs.state FROM (SELECT job_id, fire_at FROM schedule_fires"
            " WHERE schedule_id = :id AND job_id IS NOT NULL ORDER BY fire_at DESC LIMIT :recent) AS f"
            " JOIN jobs ON jobs.id = f.job_id"
            " WHERE jobs.state IN ('scheduled','available','retryable','running') ORDER BY f.fire_at DESC"
        ),
        {"id": schedule_id, "recent": _RECENT},
    )
    return [Unfinished(row.job_id, row.fire_at, State(row.state)) for row in rows]


def history(connection: Connection, schedule_id: str, limit: int) -> list[Fire]:
    """A schedule's fires, the latest first; ``limit`` 0 is all of them."""
    most = f" LIMIT {int(limit)}" if limit else ""
    statement = f"SELECT {_FIRE_COLUMNS} FROM schedule_fires WHERE schedule_id = :id ORDER BY fire_at DESC{most}"
    return [_fire(row) for row in db.run(connection, statement, {"id": schedule_id}).mappings()]


def last(connection: Connection, schedule_id: str) -> Last | None:
    """What a schedule's latest fire came to, ``None`` before the first."""
    latest = history(connection, schedule_id, 1)
    if not latest:
        return None
    statement = (
        "SELECT decided_at FROM schedule_fires WHERE schedule_id = :id AND job_id IS NOT NULL"
        " ORDER BY fire_at DESC LIMIT 1"
    )
    return Last(latest[0], db.run(connection, statement, {"id": schedule_id}).scalar())


def _locking(connection: Connection, *, lock: bool) -> str:
    return " FOR UPDATE" if lock and connection.dialect.name == "postgresql" else ""


def _fire(row: Any) -> Fire:
    return Fire(**{**row, "outcome": FireOutcome(row["outcome"])})
