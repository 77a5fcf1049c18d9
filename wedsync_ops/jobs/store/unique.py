"""Unique keys: which jobs have them. The database lets no two jobs have one at once.

A job has its key while it waits or runs, and for a time after its completion if its module type says so. Whatever ends
it otherwise frees the key with the same statement, because the index then no longer has the job.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store.insert import QUEUED_COLUMNS, Keyed, keyed_from, take_turns

_HOLDS = (
    "unique_key IS NOT NULL AND (state = 'scheduled' OR state = 'available' OR state = 'running'"
    " OR state = 'retryable' OR (state = 'completed' AND unique_within_us IS NOT NULL))"
)
"""In the words of the index, which SQLite uses for no others."""


class Held(NamedTuple):
    """The job that has a unique key, and until which instant; ``None`` while nobody knows, because it has not ended."""

    keyed: Keyed
    until: int | None


def held(connection: Connection, keys: Sequence[str]) -> dict[str, Held]:
    """The jobs that have any of these unique keys, those that were completed too long ago included."""
    if not keys:
        return {}
    rows = db.run(
        connection,
        f"SELECT unique_key, finished_at + unique_within_us AS until, {QUEUED_COLUMNS} FROM jobs JOIN payloads"
        f" ON job_id = id WHERE {_HOLDS} AND unique_key IN {db.texts_source(connection)}",
        {"texts": db.many(keys)},
    )
    return {row.unique_key: Held(keyed_from(row), _until(row.state, row.until)) for row in rows}


def let_go(connection: Connection, ids: Iterable[int]) -> None:
    """Take their unique keys from jobs that were completed long enough ago."""
    wanted = sorted(ids)
    if wanted:
        statement = (
            "UPDATE jobs SET unique_key = NULL, unique_within_us = NULL WHERE state = 'completed'"
            f" AND id IN {db.ids_source(connection)}"
        )
        db.run(connection, statement, {"ids": db.many(wanted)})


def release(connection: Connection, job_id: int) -> None:
    """Take its unique key from a running job that ends in this transaction, if it does not have it for longer."""
    statement = (
        "UPDATE jobs SET unique_key = NULL WHERE id = :id AND state = 'running' AND unique_key IS NOT NULL"
        " AND unique_within_us IS NULL"
    )
    db.run(connection, statement, {"id": job_id})


def taken(connection: Connection, keys: Mapping[int, str], now: int) -> dict[int, int]:
    """Of jobs that are to wait again, with their unique keys: those that may not, each with the job that has its key.

    Of several with one key the first may. What others were completed with long enough ago is taken from them. On
    PostgreSQL the keys are locked until the transaction ends.
    """
    wanted = list(dict.fromkeys(keys.values()))
    take_turns(connection, wanted)
    found = held(connection, wanted)
    let_go(connection, [one.keyed.job.job_id or 0 for one in found.values() if is_over(one, now)])
    return _met(keys, found, {}, now)


def would_meet(connection: Connection, keys: Mapping[int, str], holders: dict[str, int], now: int) -> dict[int, int]:
    """As ``taken``, but nothing is changed: ``holders`` are the jobs that would have keys by then, and those of now."""
    return _met(keys, held(connection, list(dict.fromkeys(keys.values()))), holders, now)


def _met(keys: Mapping[int, str], found: Mapping[str, Held], holders: dict[str, int], now: int) -> dict[int, int]:
    holders.update({key: one.keyed.job.job_id or 0 for key, one in found.items() if not is_over(one, now)})
    return {job_id: holder for job_id, key in keys.items() if (holder := holders.setdefault(key, job_id)) != job_id}


def is_over(one: Held, now: int) -> bool:
    """Whether a job was completed so long ago that another may have its key."""
    return one.until is not None and one.until <= now


def _until(state: str, until: int | None) -> int | None:
    # A job that was retried by hand has the end of an earlier execution.
    return until if state == State.COMPLETED else None
