"""Running jobs that somebody wants broken off: a row each until its job has ended, whoever runs it by then."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import State

_CHUNK = 500
_ASK = (
    "INSERT INTO stops (job_id, requested_by, requested_at) SELECT id, :requested_by, :now FROM jobs"
    " WHERE id IN {source} AND state = 'running' ON CONFLICT (job_id) DO NOTHING"
)
_FIND = (
    "SELECT job_id, requested_by, state, leased_by FROM stops LEFT JOIN jobs ON jobs.id = stops.job_id"
    " ORDER BY job_id LIMIT :chunk"
)


@dataclass(frozen=True, slots=True)
class Stop:
    """A job that is to be broken off; ``state`` is ``None`` when the job is no more."""

    job_id: int
    requested_by: str
    state: State | None
    leased_by: str | None

    @property
    def reason(self) -> str:
        """Why the execution ends, as it is recorded."""
        return f"cancelled by {self.requested_by}"


def ask(connection: Connection, ids: Sequence[int], *, by: str, now: int) -> None:
    """Ask for those of the jobs that run to be broken off."""
    values = {"ids": db.many(ids), "requested_by": by, "now": now}
    db.run(connection, _ASK.format(source=db.ids_source(connection)), values)


def find(connection: Connection) -> list[Stop]:
    """What is asked for, at most 500; nearly always nothing."""
    rows = db.run(connection, _FIND, {"chunk": _CHUNK})
    return [
        Stop(job_id, by, None if state is None else State(state), leased_by)
        for job_id, by, state, leased_by in map(tuple, rows)
    ]


def forget(connection: Connection, ids: Collection[int]) -> None:
    """Remove what was asked for of these jobs, which have ended."""
    if ids:
        db.run(
            connection, f"DELETE FROM stops WHERE job_id IN {db.ids_source(connection)}", {"ids": db.many(list(ids))}
        )
