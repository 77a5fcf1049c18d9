"""The SQL of plans: for which dates each couple was planned, and what became of every step; and moves of weddings."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import FINISHED
from wedsync_ops.planning.model import Kept, Known
from wedsync_ops.weddings.model import Client

_EPOCH = date(1970, 1, 1).toordinal()
_PLAN = {
    "client_id": "text",
    "wedding_on": "bigint",
    "booked_on": "bigint",
    "timezone": "text",
}
_STEP = {
    "client_id": "text",
    "journey_id": "text",
    "step_id": "text",
    "version": "bigint",
    "module_type": "text",
    "state": "text",
    "job_id": "bigint",
    "planned_at": "bigint",
    "reason": "text",
}
_UNSETTLED = "job_id IS NOT NULL AND (ended_as IS NULL OR ended_as <> 'completed')"
"""In the words of the index."""
_KEPT = {state.value: state for state in Kept}
_KEY = ("client_id", "journey_id", "step_id")


class Dates(NamedTuple):
    """What the times of a couple's steps follow from; days count from 1970-01-01, no zone is the platform's."""

    wedding_on: int
    booked_on: int | None
    timezone: str | None

    @property
    def wedding(self) -> date:
        """The wedding day."""
        return date.fromordinal(self.wedding_on + _EPOCH)


class NewStep(NamedTuple):
    """What is to be remembered of a step; ``planned_at`` is when it is to happen, in microseconds."""

    client_id: str
    journey_id: str
    step_id: str
    version: int
    module_type: str
    state: Kept
    job_id: int | None
    planned_at: int
    reason: str | None


class Moved(NamedTuple):
    """A move of a wedding, with how many steps it changed how; ``moved_at`` is an instant in microseconds."""

    id: int
    client_id: str
    from_on: date
    to_on: date
    reason: str | None
    moved_by: str
    moved_at: int
    changes: Mapping[str, int]


def dates_of(client: Client) -> Dates:
    """The dates that a couple has now."""
    booked = client.booked_on
    return Dates(_day(client.wedding_on), None if booked is None else _day(booked), client.timezone)


def planned_for(connection: Connection, client_ids: Sequence[str]) -> dict[str, Dates]:
    """For which dates couples were planned last; those that never were are left out."""
    statement = f"SELECT {', '.join(_PLAN)} FROM plans WHERE client_id IN {db.texts_source(connection)}"
    rows = db.run(connection, statement, {"texts": db.many(list(client_ids))})
    return {client_id: Dates(*dates) for client_id, *dates in map(tuple, rows)}


def known(connection: Connection, client_ids: Sequence[str]) -> dict[str, dict[tuple[str, str], Known]]:
    """What is remembered of the steps of couples: by couple, then by journey and step."""
    statement = (
        "SELECT s.client_id, s.journey_id, s.step_id, s.version, s.state, s.job_id, s.planned_at,"
        " coalesce(jobs.state, s.ended_as), s.module_type, s.reason, jobs.id IS NOT NULL"
        " FROM plan_steps AS s LEFT JOIN jobs ON jobs.id = s.job_id"
        f" WHERE s.client_id IN {db.texts_source(connection)}"
    )
    found: dict[str, dict[tuple[str, str], Known]] = {client_id: {} for client_id in client_ids}
    for row in map(tuple, db.run(connection, statement, {"texts": db.many(list(client_ids))}).all()):
        client_id, journey_id, step_id, version, state, *of_job, has_job = row
        known_as = (version, _KEPT[state], *of_job, bool(has_job))
        found[client_id][journey_id, step_id] = Known(journey_id, step_id, *known_as)
    return found


def lock_clients(connection: Connection, client_ids: Sequence[str]) -> None:
    """Let nobody else plan, move or import these couples until the transaction ends."""
    if connection.dialect.name == "postgresql":
        statement = (
            f"SELECT 1 FROM clients WHERE client_id IN {db.texts_source(connection)} ORDER BY client_id FOR UPDATE"
        )
        db.run(connection, statement, {"texts": db.many(list(client_ids))})


def save_plans(connection: Connection, plans: Mapping[str, Dates], now: int) -> None:
    """Remember for which dates couples are planned."""
    if plans:
        columns = ", ".join(_PLAN)
        changes = ", ".join(f"{name} = excluded.{name}" for name in _PLAN if name != "client_id")
        db.run(
            connection,
            f"INSERT INTO plans ({columns}, planned_at) SELECT {', '.join(f'r.{name}' for name in _PLAN)}, :now"
            f" FROM {db.rows_source(connection, _PLAN)} WHERE true"
            f" ON CONFLICT (client_id) DO UPDATE SET {changes}, planned_at = excluded.planned_at",
            {"rows": db.many([(client_id, *dates) for client_id, dates in sorted(plans.items())]), "now": now},
        )


def save_steps(connection: Connection, steps: Sequence[NewStep]) -> None:
    """Remember what became of steps, in place of what was known of them."""
    if steps:
        columns = ", ".join(_STEP)
        changes = ", ".join(f"{name} = excluded.{name}" for name in _STEP if name not in _KEY)
        db.run(
            connection,
            f"INSERT INTO plan_steps ({columns}) SELECT {', '.join(f'r.{name}' for name in _STEP)}"
            f" FROM {db.rows_source(connection, _STEP)} WHERE true"
            f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {changes}, ended_as = NULL",
            {"rows": db.many([tuple(step) for step in sorted(steps)])},
        )


def moved_clients(connection: Connection, after: str, limit: int) -> list[str]:
    """The ids, past ``after``, of couples that were planned for other dates than they have now."""
    statement = (
        "SELECT plans.client_id FROM plans JOIN clients ON clients.client_id = plans.client_id"
        " WHERE plans.client_id > :after AND (plans.wedding_on <> clients.wedding_on"
        " OR plans.booked_on IS DISTINCT FROM clients.booked_on OR plans.timezone IS DISTINCT FROM clients.timezone)"
        " ORDER BY plans.client_id LIMIT :limit"
    )
    return list(db.run(connection, statement, {"after": after, "limit": limit}).scalars())


def count_moved(connection: Connection) -> int:
    """How many couples were planned for another wedding day than they have now."""
    statement = (
        "SELECT count(*) FROM plans JOIN clients ON clients.client_id = plans.client_id"
        " WHERE plans.wedding_on <> clients.wedding_on"
    )
    return int(db.run(connection, statement).scalar_one())


def count_steps(connection: Connection) -> dict[str, int]:
    """How many steps of each journey are remembered."""
    rows = db.run(connection, "SELECT journey_id, count(*) FROM plan_steps GROUP BY journey_id")
    return {name: int(count) for name, count in map(tuple, rows)}


def ended(connection: Connection, after: int, limit: int) -> tuple[list[tuple[int, str]], int | None]:
    """Of the steps that were not done, past a job's id and at most ``limit``: those jobs that have ended, and how.

    Also the last id that was looked at, ``None`` at the end. A job that failed may have been retried: it is met again.
    """
    looked = (
        "SELECT s.job_id, jobs.state, s.ended_as FROM (SELECT job_id, ended_as FROM plan_steps"
        f" WHERE {_UNSETTLED} AND job_id > :after ORDER BY job_id LIMIT :limit) AS s"
        " LEFT JOIN jobs ON jobs.id = s.job_id ORDER BY s.job_id"
    )
    rows = list(map(tuple, db.run(connection, looked, {"after": after, "limit": limit})))
    news = [(job_id, state) for job_id, state, before in rows if state in FINISHED and state != before]
    return news, rows[-1][0] if rows else None


def settle(connection: Connection, found: Sequence[tuple[int, str]]) -> int:
    """Remember how the jobs of steps ended."""
    source = db.rows_source(connection, {"id": "bigint", "state": "text"})
    statement = f"UPDATE plan_steps SET ended_as = r.state FROM {source} WHERE {_UNSETTLED} AND job_id = r.id"
    return db.run(connection, statement, {"rows": db.many(found)}).rowcount


def record_move(connection: Connection, move: Moved) -> None:
    """Write that a wedding moved; its ``id`` is the database's to give."""
    db.run(
        connection,
        "INSERT INTO wedding_moves (client_id, from_on, to_on, reason, moved_by, moved_at, changes)"
        " VALUES (:client_id, :from_on, :to_on, :reason, :moved_by, :moved_at, :changes)",
        {
            "client_id": move.client_id,
            "from_on": _day(move.from_on),
            "to_on": _day(move.to_on),
            "reason": move.reason,
            "moved_by": move.moved_by,
            "moved_at": move.moved_at,
            "changes": orjson.dumps(dict(move.changes)).decode(),
        },
    )


def moves(connection: Connection, client_id: str | None, limit: int) -> list[Moved]:
    """The moves of weddings, the latest first: of one couple, or of all."""
    where = "" if client_id is None else " WHERE client_id = :client_id"
    statement = (
        "SELECT id, client_id, from_on, to_on, reason, moved_by, moved_at, changes FROM wedding_moves"
        f"{where} ORDER BY id DESC LIMIT :limit"
    )
    values = {"limit": limit or 2**63 - 1} | ({} if client_id is None else {"client_id": client_id})
    return list(map(_move, db.run(connection, statement, values)))


def _move(row: Iterable[object]) -> Moved:
    one = Moved._make(row)
    return one._replace(from_on=_date(one.from_on), to_on=_date(one.to_on), changes=orjson.loads(str(one.changes)))


def _date(days: object) -> date:
    return date.fromordinal(int(str(days)) + _EPOCH)


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH
