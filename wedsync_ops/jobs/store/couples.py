"""The jobs of couples, counted by state through the index on the client."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import State

OPEN = (State.SCHEDULED, State.AVAILABLE, State.RUNNING, State.RETRYABLE)
"""The states of jobs that are still to be done."""
_WAITING = "state = 'scheduled' OR state = 'available' OR state = 'retryable'"


@dataclass(frozen=True, slots=True)
class CoupleJobs:
    """How many jobs of a couple are in each state (those with one, at least), and when the next one is due."""

    by_state: Mapping[State, int] = field(default_factory=dict)
    next_due_at: int | None = None

    @property
    def open(self) -> int:
        """The jobs that are still to be done."""
        return sum(self.by_state.get(state, 0) for state in OPEN)


@dataclass(frozen=True, slots=True)
class NextJob:
    """The job of a couple that is due next, or has been due the longest."""

    job_id: int
    module_type: str
    state: State
    due_at: int


def by_client(connection: Connection, client_ids: Iterable[str]) -> dict[str, CoupleJobs]:
    """The jobs of those couples that have any."""
    rows = db.run(
        connection,
        (
            f"SELECT client_id, state, count(*) AS jobs, min(CASE WHEN {_WAITING} THEN due_at END) AS next_due_at"
            " FROM payloads JOIN jobs ON jobs.id = payloads.job_id"
            f" WHERE client_id IN {db.texts_source(connection)} GROUP BY client_id, state"
        ),
        {"texts": db.many(list(client_ids))},
    )
    states: dict[str, dict[State, int]] = {}
    due: dict[str, list[int]] = {}
    for row in rows:
        states.setdefault(row.client_id, {})[State(row.state)] = row.jobs
        due.setdefault(row.client_id, []).extend([] if row.next_due_at is None else [row.next_due_at])
    return {client_id: CoupleJobs(counts, min(due[client_id], default=None)) for client_id, counts in states.items()}


def next_job(connection: Connection, client_id: str) -> NextJob | None:
    """The job of a couple that is due next, ``None`` when none waits."""
    row = db.run(
        connection,
        (
            "SELECT jobs.id AS job_id, module_type, state, due_at FROM payloads JOIN jobs ON jobs.id = payloads.job_id"
            f" WHERE client_id = :client AND ({_WAITING}) ORDER BY due_at, jobs.id LIMIT 1"
        ),
        {"client": client_id},
    ).first()
    return None if row is None else NextJob(row.job_id, row.module_type, State(row.state), row.due_at)
