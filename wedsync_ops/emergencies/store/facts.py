"""The SQL of what emergencies are declared, checked and ended by. Every statement is bounded, and uses an index."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.emergencies.breaker import Ran
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker

# An execution that was lost or cancelled says nothing of whom it talked to.
_RAN = (
    "SELECT started_at, finished_at, CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END AS ok FROM executions"
    " WHERE module_type = :module_type AND finished_at >= :since AND started_at IS NOT NULL"
    " AND outcome <> 'lost' AND outcome <> 'cancelled' ORDER BY finished_at DESC LIMIT :most"
)
_BEGUN = (
    "SELECT count(*) FROM executions WHERE module_type = :module_type AND finished_at >= :since AND started_at > :since"
)
_MEMORY = (
    "SELECT host, min(memory_percent) AS least, count(*) AS many FROM host_samples"
    " WHERE sampled_at > :since AND memory_percent IS NOT NULL GROUP BY host"
)
_TOLD = "SELECT state, count(*) AS many FROM alert_deliveries WHERE alert_id = :alert_id GROUP BY state"
_ALERT = "SELECT id FROM alerts WHERE key = :key ORDER BY id DESC LIMIT 1"
_SAMPLES = 3


def ran(
    connection: Connection, module_types: Iterable[str], since: Mapping[str, int], most: int
) -> Mapping[str, list[Ran]]:
    """The latest executions of each module type since its own instant, the newest first, at most so many of each."""
    found = {}
    for name in module_types:
        values = {"module_type": name, "since": since[name], "most": most}
        found[name] = [Ran(begun, ended, bool(ok)) for begun, ended, ok in map(tuple, db.run(connection, _RAN, values))]
    return found


def begun_since(connection: Connection, module_types: Iterable[str], since: int) -> int:
    """How many executions of these module types began after an instant and have ended."""
    rows = (db.run(connection, _BEGUN, {"module_type": name, "since": since}) for name in module_types)
    return sum(int(row.scalar_one()) for row in rows)


def memory_percent(connection: Connection, now: int) -> float | None:
    """The memory that is in use on the fullest host, at least, over the last minute; ``None`` with few samples."""
    rows = db.run(connection, _MEMORY, {"since": now - 60 * SECOND})
    return max((float(row.least) for row in rows if row.many >= _SAMPLES), default=None)


def crew(connection: Connection, now: int, lease_us: int) -> list[Worker]:
    """The workers that live, with a heartbeat within the lease."""
    return [one for one in workers.living(connection) if one.heartbeat_at >= now - lease_us]


def alert_id(connection: Connection, key: str) -> int | None:
    """The alert of a key, the latest."""
    found: int | None = db.run(connection, _ALERT, {"key": key}).scalar()
    return found


def told(connection: Connection, alert_id: int) -> Mapping[str, int]:
    """How many deliveries of an alert there are, by their state."""
    return {row.state: int(row.many) for row in db.run(connection, _TOLD, {"alert_id": alert_id})}


def begun_of(connection: Connection, priorities: Iterable[str], ids: Sequence[int]) -> int:
    """How many of these jobs have one of these priorities."""
    wanted = {int(Priority[word.upper()]) for word in priorities}
    statement = f"SELECT priority FROM jobs WHERE id IN {db.ids_source(connection)}"
    return sum(row.priority in wanted for row in db.run(connection, statement, {"ids": db.many(ids)}))
