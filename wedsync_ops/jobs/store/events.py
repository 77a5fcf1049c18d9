"""The feed of finished jobs: a row for each finish, written by the transaction that finishes; and who has read how far.

The order of the feed is one in which nothing can turn up before what a reader has already seen. SQLite has one writer
at a time, so ids grow in the order of commits. On PostgreSQL neither ids nor transaction ids do; but of the rows whose
transaction is older than every running one no more can appear, so only those are read, in the order of their
transactions. A reader remembers the id of the last event it has seen; its place in that order is looked up.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.events import Event
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store.retention import CHUNK

WEBHOOK = "webhook"
"""The name of the configured webhook's cursor."""


class Cursor(NamedTuple):
    """How far a webhook has got: the last event it took, failures in a row, and the instant of its next attempt."""

    after_id: int
    failures: int
    next_at: int
    error: str | None


_COLUMNS = {"job_id": "bigint", "state": "text", "at": "bigint"}
_EVENTS = (
    "SELECT events.id, events.job_id, events.state, events.at, jobs.state AS job_state, jobs.finished_at,"
    " jobs.module_type, jobs.supplier_id, jobs.key, jobs.attempt, jobs.error, payloads.client_id, payloads.context,"
    " payloads.result, executions.attempt AS last_attempt, executions.error AS last_error"
    " FROM events LEFT JOIN jobs ON jobs.id = events.job_id LEFT JOIN payloads ON payloads.job_id = events.job_id"
    " LEFT JOIN executions ON executions.id = (SELECT max(e.id) FROM executions AS e"
    " WHERE e.job_id = events.job_id AND e.finished_at <= events.at)"
)
_SETTLED = "events.txid < pg_snapshot_xmin(pg_current_snapshot())"
_NOWHERE = "0", 0
_NEVER = 2**63 - 1


def record(connection: Connection, finished: Sequence[tuple[int, str, int]]) -> None:
    """Tell that jobs have finished, each as (job id, state, instant), in the transaction that finishes them."""
    if finished:
        source = db.rows_source(connection, _COLUMNS)
        statement = f"INSERT INTO events (job_id, state, at) SELECT r.job_id, r.state, r.at FROM {source}"
        db.run(connection, statement, {"rows": db.many(finished)})


def read(connection: Connection, after: int, limit: int) -> list[Event]:
    """The events after the one with this id, in the feed's order, at most ``limit``; 0 is before the first.

    An id that was never given, or that retention has removed, stands where it would have been; near that place events
    may then be read again, but none is missed.
    """
    if connection.dialect.name == "sqlite":
        condition, order = "events.id > :after", "events.id"
        values: dict[str, Any] = {"after": after}
    else:
        condition, order = f"(events.txid, events.id) > (CAST(:txid AS xid8), :after) AND {_SETTLED}", "txid, events.id"
        values = dict(zip(("txid", "after"), _place(connection, after), strict=True))
    statement = f"{_EVENTS} WHERE {condition} ORDER BY {order} LIMIT :limit"
    return [_event(row) for row in db.run(connection, statement, {**values, "limit": limit}).mappings()]


def _place(connection: Connection, after: int) -> tuple[str, int]:
    """Where in PostgreSQL's order an event stands, as transaction and id; for an unknown one, just before what follows.

    When nothing with a higher id exists, nothing after it does: then it stands where the next one will.
    """
    if after <= 0:
        return _NOWHERE
    known = db.run(connection, "SELECT txid::text AS txid FROM events WHERE id = :after", {"after": after}).first()
    if known is not None:
        return known.txid, after
    first = "SELECT txid::text AS txid, id FROM events WHERE id > :after ORDER BY events.txid, id LIMIT 1"
    later = db.run(connection, first, {"after": after}).first()
    if later is not None:
        return later.txid, later.id - 1
    return str(db.run(connection, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text").scalar_one()), 0


def drop(connection: Connection, before: int, *, webhook: bool) -> int:
    """Forget events of before an instant, oldest first, at most a chunk; returns how many.

    With ``webhook`` those that its receiver has not taken yet stay, and the last one it took, which marks its place.
    """
    kept = _kept_from(connection) if webhook else None
    sqlite = connection.dialect.name == "sqlite"
    order = "id" if sqlite else "txid, id"
    place = "id < :id" if sqlite else "(txid, id) < (CAST(:txid AS xid8), :id)"
    values: dict[str, Any] = {"chunk": CHUNK, "before": before}
    where = ""
    if kept is not None:
        where = f" WHERE {place}"
        values |= {"id": kept[1]} if sqlite else {"txid": kept[0], "id": kept[1]}
    statement = (
        f"DELETE FROM events WHERE at < :before AND id IN (SELECT id FROM events{where} ORDER BY {order} LIMIT :chunk)"
    )
    return db.run(connection, statement, values).rowcount


class Untold:
    """What the webhook has not taken, as of its cursor when this is made; called in a transaction, the earliest instant
    of it, or a far one when there is none.

    A job that any of these events tells of has finished since that instant: the last of its events bears the job's own,
    and is not taken before the others. Asked again it reads only what has come since; so whoever first finds jobs, and
    then asks, has the events of all that it found.
    """

    def __init__(self, connection: Connection) -> None:
        self._place = _kept_from(connection)
        self._since = _NEVER
        self.count = self._read(connection)
        """How many events waited to be taken when this was made."""

    def __call__(self, connection: Connection) -> int:
        """The earliest instant of an event that was not taken, or has come since, in microseconds."""
        self._read(connection)
        return self._since

    def _read(self, connection: Connection) -> int:
        txid, after = self._place
        if connection.dialect.name == "sqlite":
            statement = "SELECT count(*) AS waiting, min(at) AS since, max(id) AS last FROM events WHERE id > :after"
            row = db.run(connection, statement, {"after": after}).one()
            self._place = txid, after if row.last is None else row.last
        else:
            statement = (
                "SELECT count(*) AS waiting, min(at) AS since, pg_snapshot_xmin(pg_current_snapshot())::text AS settled"
                " FROM events WHERE (txid, id) > (CAST(:txid AS xid8), :after)"
            )
            row = db.run(connection, statement, {"txid": txid, "after": after}).one()
            self._place = row.settled, 0  # what was under way just now may turn up behind what is there
        if row.since is not None:
            self._since = min(self._since, row.since)
        return int(row.waiting)


def _kept_from(connection: Connection) -> tuple[str, int]:
    found = cursor(connection)
    after = 0 if found is None else found.after_id
    return ("0", after) if connection.dialect.name == "sqlite" else _place(connection, after)


def cursor(connection: Connection) -> Cursor | None:
    """How far the webhook has got, ``None`` before its first attempt."""
    statement = "SELECT after_id, failures, next_at, error FROM webhook_cursors WHERE name = :name"
    row = db.run(connection, statement, {"name": WEBHOOK}).mappings().first()
    return None if row is None else Cursor(**row)


def lease(connection: Connection, *, now: int, until: int) -> Cursor | None:
    """Take the webhook's cursor for oneself until an instant; ``None`` when it waits, or somebody else has it."""
    db.run(
        connection,
        "INSERT INTO webhook_cursors (name, after_id, failures, next_at) VALUES (:name, 0, 0, 0)"
        " ON CONFLICT (name) DO NOTHING",
        {"name": WEBHOOK},
    )
    rows = db.run(
        connection,
        "UPDATE webhook_cursors SET next_at = :until WHERE name = :name AND next_at <= :now"
        " RETURNING after_id, failures, next_at, error",
        {"name": WEBHOOK, "now": now, "until": until},
    ).mappings()
    taken = rows.first()
    return None if taken is None else Cursor(**taken)


def move(connection: Connection, held: Cursor, to: Cursor) -> bool:
    """Move a leased cursor; whether the lease still held. Only then may its holder go on."""
    statement = (
        "UPDATE webhook_cursors SET after_id = :after_id, failures = :failures, next_at = :next_at, error = :error"
        " WHERE name = :name AND next_at = :held"
    )
    return db.run(connection, statement, {**to._asdict(), "name": WEBHOOK, "held": held.next_at}).rowcount == 1


def _event(row: Any) -> Event:
    state = State(row["state"])
    is_latest = row["job_state"] == state and row["finished_at"] == row["at"]
    return Event(
        id=row["id"],
        job_id=row["job_id"],
        state=state,
        at=row["at"],
        module_type=row["module_type"],
        client_id=row["client_id"],
        supplier_id=row["supplier_id"],
        key=row["key"],
        attempt=row["attempt"] if is_latest else row["last_attempt"],
        error=row["error"] if is_latest else row["last_error"],
        context=_json(row["context"]),
        result_data=_json(row["result"]) if state is State.COMPLETED else None,
    )


def _json(value: str | None) -> Any:
    return None if value is None else orjson.loads(value)
