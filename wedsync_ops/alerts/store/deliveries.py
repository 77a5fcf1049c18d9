"""The SQL of deliveries: one row for each page over each channel, from when it is planned to when it was taken.

What waits has the state pending, and is due at ``next_at``. Whoever sends puts that off for as long as an attempt can
take, and counts the attempt, before the attempt is made: a sender that dies leaves a page that is tried again then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts.notify import group_of
from wedsync_ops.alerts.notify_model import CALLS, DeliveryState, Kind, Planned
from wedsync_ops.alerts.store import alerts

CURSOR = "notify"
"""The name of notification's place among the events."""
EVALUATED = "evaluated"
"""The mark that evaluation leaves behind each time it has come to its end."""
CHUNK = 500
"""The most rows that one statement forgets or one look reads."""
_COLUMNS = (
    "id, event_id, alert_id, channel, kind, route, state, group_key, repeat_us, message_id, planned_at, due_at,"
    " next_at, attempts, error, ended_at"
)
_PENDING = "state = 'pending'"
_IS_CALL = "(" + " OR ".join(f"kind = '{kind}'" for kind in sorted(CALLS)) + ")"
_WAS_TOLD = "(state = 'sent' OR attempts > 0)"
_COME = (
    f"SELECT {_COLUMNS} FROM alert_deliveries WHERE {_PENDING} AND next_at <= :now AND channel = :channel"
    f" ORDER BY (group_key IS NOT NULL), due_at, id LIMIT {CHUNK}"
)
_AHEAD = f"alert_deliveries WHERE {_PENDING} AND (planned_at > :now OR (attempts > 0 AND next_at > :last))"
_INSERT = (
    "INSERT INTO alert_deliveries (event_id, alert_id, channel, kind, route, state, group_key, repeat_us, planned_at,"
    " due_at, next_at, attempts) VALUES (:event_id, :alert_id, :channel, :kind, :route, 'pending', :group_key,"
    " :repeat_us, :now, :due_at, :due_at, 0)"
)


class Delivery(NamedTuple):
    """One page over one channel; instants in microseconds."""

    id: int
    event_id: int
    alert_id: int
    channel: str
    kind: Kind
    route: str
    state: DeliveryState
    group_key: str | None
    repeat_us: int | None
    message_id: str | None
    planned_at: int
    due_at: int
    next_at: int
    attempts: int
    error: str | None
    ended_at: int | None


def cursor(connection: Connection) -> int | None:
    """The last event that was looked at; ``None`` when none ever was."""
    found: int | None = db.run(
        connection, "SELECT after_id FROM alert_cursors WHERE name = :name", {"name": CURSOR}
    ).scalar()
    return found


def move(connection: Connection, after_id: int) -> None:
    """Note the last event that was looked at."""
    statement = (
        "INSERT INTO alert_cursors (name, after_id) VALUES (:name, :after_id)"
        " ON CONFLICT (name) DO UPDATE SET after_id = excluded.after_id"
    )
    db.run(connection, statement, {"name": CURSOR, "after_id": after_id})


def told(connection: Connection, alert_id: int) -> frozenset[str]:
    """The channels that were told of an alert, or may have been: a page was sent, or at least tried."""
    statement = f"SELECT DISTINCT channel FROM alert_deliveries WHERE alert_id = :id AND {_IS_CALL} AND {_WAS_TOLD}"
    return frozenset(db.run(connection, statement, {"id": alert_id}).scalars())


def plan(connection: Connection, event_id: int, alert_id: int, planned: Iterable[Planned], now: int) -> None:
    """Write pages that are to be sent. One of a group that already waits goes with it."""
    for page in planned:
        _insert(connection, event_id, alert_id, page._replace(at=_joined(connection, page, now)), now)


def call_off(connection: Connection, alert_id: int, now: int) -> int:
    """Cancel what waits to be told of an alert; returns how many pages."""
    statement = (
        f"UPDATE alert_deliveries SET state = 'cancelled', ended_at = :now WHERE alert_id = :alert_id AND {_PENDING}"
    )
    return db.run(connection, statement, {"alert_id": alert_id, "now": now}).rowcount


def are_ahead(connection: Connection, now: int, last: int) -> bool:
    """Whether pages wait for the time that the clock was set back by: planned later than now, or tried after ``last``.

    ``last`` is when the next attempt of a page that was tried now would be at the latest.
    """
    return db.run(connection, f"SELECT 1 FROM {_AHEAD} LIMIT 1", {"now": now, "last": last}).first() is not None


def bring_back(connection: Connection, now: int, last: int) -> int:
    """Let no page wait for that; returns how many did."""
    statement = (
        "UPDATE alert_deliveries SET next_at = CASE WHEN attempts > 0 THEN :now ELSE next_at - (planned_at - :now) END,"
        " due_at = CASE WHEN planned_at > :now THEN due_at - (planned_at - :now) ELSE due_at END,"
        f" planned_at = CASE WHEN planned_at > :now THEN :now ELSE planned_at END WHERE id IN (SELECT id FROM {_AHEAD})"
    )
    return db.run(connection, statement, {"now": now, "last": last}).rowcount


def waiting(connection: Connection, now: int) -> list[str]:
    """The channels over which pages are due."""
    statement = f"SELECT DISTINCT channel FROM alert_deliveries WHERE {_PENDING} AND next_at <= :now ORDER BY channel"
    return list(db.run(connection, statement, {"now": now}).scalars())


def come(connection: Connection, channel: str, now: int) -> list[Delivery]:
    """The pages that are due over a channel, those that go by themselves first, at most a chunk."""
    return _deliveries(db.run(connection, _COME, {"channel": channel, "now": now}))


def begin(connection: Connection, ids: Collection[int], message_id: str, until: int) -> list[Delivery]:
    """Note that an attempt at a message begins, which is over until an instant; the pages that are still to go."""
    statement = (
        "UPDATE alert_deliveries SET attempts = attempts + 1, next_at = :until, message_id = :message_id"
        f" WHERE id IN {db.ids_source(connection)} AND {_PENDING} RETURNING {_COLUMNS}"
    )
    values = {"ids": db.many(list(ids)), "until": until, "message_id": message_id}
    return sorted(_deliveries(db.run(connection, statement, values)))


def sent(connection: Connection, ids: Collection[int], now: int) -> list[Delivery]:
    """Note that pages were taken, those that were called off meanwhile, too; those that had not been are returned."""
    source = db.ids_source(connection)
    values = {"ids": db.many(list(ids)), "now": now}
    taken = (
        f"UPDATE alert_deliveries SET state = 'sent', ended_at = :now, error = NULL WHERE id IN {source} AND {_PENDING}"
        f" RETURNING {_COLUMNS}"
    )
    found = _deliveries(db.run(connection, taken, values))
    late = f"UPDATE alert_deliveries SET state = 'sent', error = NULL WHERE id IN {source} AND state = 'cancelled'"
    db.run(connection, late, values)
    return sorted(found)


def put_off(connection: Connection, ids: Collection[int], error: str, until: int) -> None:
    """Note that an attempt failed, and when the next one is."""
    statement = (
        f"UPDATE alert_deliveries SET error = :error, next_at = :until WHERE id IN {db.ids_source(connection)}"
        f" AND {_PENDING}"
    )
    db.run(connection, statement, {"ids": db.many(list(ids)), "error": error, "until": until})


def give_up(connection: Connection, ids: Collection[int], error: str, now: int) -> None:
    """Note that pages will never be taken."""
    statement = (
        "UPDATE alert_deliveries SET state = 'failed', error = :error, ended_at = :now"
        f" WHERE id IN {db.ids_source(connection)} AND {_PENDING}"
    )
    db.run(connection, statement, {"ids": db.many(list(ids)), "error": error, "now": now})


def forsake(connection: Connection, channel: str, error: str, now: int) -> None:
    """Note that what is due over a channel will never be taken."""
    statement = (
        "UPDATE alert_deliveries SET state = 'failed', error = :error, ended_at = :now"
        f" WHERE {_PENDING} AND next_at <= :now AND channel = :channel"
    )
    db.run(connection, statement, {"channel": channel, "error": error, "now": now})


def repeat(connection: Connection, done: Iterable[Delivery], now: int) -> None:
    """Plan the next telling of pages that are told until somebody acknowledges: one for each alert and channel."""
    is_waiting = (
        f"SELECT 1 FROM alert_deliveries WHERE alert_id = :alert_id AND channel = :channel AND {_PENDING}"
        " AND kind = 'repeated' LIMIT 1"
    )
    for page in done:
        of = {"alert_id": page.alert_id, "channel": page.channel}
        if page.repeat_us and db.run(connection, is_waiting, of).first() is None:
            # Those of one message are due together again, and go together; others are not waited for.
            group = None if page.group_key is None else group_of(page.route, Kind.REPEATED)
            again = Planned(page.channel, Kind.REPEATED, now + page.repeat_us, page.route, page.repeat_us, group)
            _insert(connection, page.event_id, page.alert_id, again, now)


def show(
    connection: Connection, states: Sequence[str], channel: str | None, alert_id: int | None, limit: int
) -> list[Delivery]:
    """Deliveries, the newest first: of some states (all when none is named), of a channel, of an alert."""
    conditions, values = ["1 = 1"], dict[str, Any](limit=limit)
    if states:
        conditions.append(f"state IN {db.texts_source(connection)}")
        values["texts"] = db.many(list(states))
    for column, value in (("channel", channel), ("alert_id", alert_id)):
        if value is not None:
            conditions.append(f"{column} = :{column}")
            values[column] = value
    where = " AND ".join(conditions)
    statement = f"SELECT {_COLUMNS} FROM alert_deliveries WHERE {where} ORDER BY id DESC LIMIT :limit"
    return _deliveries(db.run(connection, statement, values))


class Trouble(NamedTuple):
    """What is wrong over a channel: pages that are late, since when the oldest is, pages given up, the last error."""

    channel: str
    late: int
    late_since: int | None
    failed: int
    error: str | None


def troubles(connection: Connection, *, late: int, failed_since: int) -> list[Trouble]:
    """The channels with pages that were due before an instant, or were given up since another."""
    statement = (
        "SELECT channel, sum(CASE WHEN state = 'pending' THEN 1 ELSE 0 END) AS late,"
        " min(CASE WHEN state = 'pending' THEN due_at END) AS late_since,"
        " sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed, max(error) AS error FROM alert_deliveries"
        f" WHERE ({_PENDING} AND due_at <= :late) OR (state = 'failed' AND ended_at >= :failed_since)"
        " GROUP BY channel ORDER BY channel"
    )
    rows = db.run(connection, statement, {"late": late, "failed_since": failed_since})
    return [Trouble._make(row) for row in rows]


def counts(connection: Connection) -> Mapping[str, int]:
    """How many deliveries there are, by state."""
    rows = db.run(connection, "SELECT state, count(*) AS many FROM alert_deliveries GROUP BY state")
    return {row.state: row.many for row in rows}


def drop(connection: Connection, before: int) -> int:
    """Forget deliveries that ended before an instant, of alerts that are over; at most a chunk; returns how many."""
    statement = (
        "DELETE FROM alert_deliveries WHERE id IN (SELECT d.id FROM alert_deliveries AS d"
        " LEFT JOIN alerts AS a ON a.id = d.alert_id WHERE d.ended_at < :before"
        f" AND (a.id IS NULL OR a.resolved_at IS NOT NULL) ORDER BY d.id LIMIT {CHUNK})"
    )
    return db.run(connection, statement, {"before": before}).rowcount


def begin_now(connection: Connection) -> int:
    """Where notification begins when it is configured: before the opening of what is open, after all else.

    Returns the last event that is not looked at.
    """
    statement = (
        "SELECT min(e.id) FROM alert_events AS e JOIN alerts AS a ON a.id = e.alert_id"
        " WHERE a.resolved_at IS NULL AND e.kind = 'opened'"
    )
    first: int | None = db.run(connection, statement).scalar()
    return alerts.last_event(connection) if first is None else first - 1


def evaluated_at(connection: Connection) -> int | None:
    """When evaluation last came to its end; ``None`` when it never has."""
    statement = "SELECT at FROM alert_marks WHERE name = :name"
    found: int | None = db.run(connection, statement, {"name": EVALUATED}).scalar()
    return found


def _insert(connection: Connection, event_id: int, alert_id: int, page: Planned, now: int) -> None:
    values = {
        "event_id": event_id,
        "alert_id": alert_id,
        "channel": page.channel,
        "kind": page.kind.value,
        "route": page.route,
        "group_key": page.group,
        "repeat_us": page.repeat_us,
        "due_at": page.at,
        "now": now,
    }
    db.run(connection, _INSERT, values)


def _joined(connection: Connection, page: Planned, now: int) -> int:
    if page.group is None:
        return page.at
    statement = (
        f"SELECT min(next_at) FROM alert_deliveries WHERE {_PENDING} AND next_at > :now AND attempts = 0"
        " AND channel = :channel AND group_key = :group_key"
    )
    values = {"now": now, "channel": page.channel, "group_key": page.group}
    first: int | None = db.run(connection, statement, values).scalar()
    return page.at if first is None else min(first, page.at)


def _deliveries(rows: Iterable[Any]) -> list[Delivery]:
    made = [Delivery._make(row) for row in rows]
    return [one._replace(kind=Kind(one.kind), state=DeliveryState(one.state)) for one in made]
