"""Proves from the database and the outbox that a storm did no harm."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from wedsync_ops import db
from wedsync_ops.jobs.store import lanes
from wedsync_ops.settings import Settings

_UNFINISHED = "SELECT state, count(*) FROM jobs WHERE state <> 'completed' GROUP BY state"
_SUCCESSES = (
    "SELECT job_id, count(*) FROM executions WHERE outcome = 'ok' GROUP BY job_id HAVING count(*) <> 1 ORDER BY job_id"
)
_UNTOLD = (
    "SELECT id FROM jobs WHERE state = 'completed'"
    " AND (SELECT count(*) FROM events WHERE events.job_id = jobs.id) <> 1 ORDER BY id"
)
_LEFT = {
    "leases": "SELECT count(*) FROM jobs WHERE leased_by IS NOT NULL",
    "held jobs": "SELECT count(*) FROM jobs WHERE held_by IS NOT NULL",
    "requests to stop": "SELECT count(*) FROM stops",
}


def harm(home: Path, queued: int) -> list[str]:
    """What is wrong after every worker has drained and gone, each in a line; nothing when nothing is."""
    database = db.connect(Settings(home=home))
    try:
        with database.reading() as connection:
            return [*_of_jobs(connection, queued), *_of_places(connection), *_of_outbox(home / "outbox", queued)]
    finally:
        database.close()


def _of_jobs(connection: Connection, queued: int) -> list[str]:
    found = [f"{count} jobs are {state}" for state, count in _rows(connection, _UNFINISHED)]
    total = connection.execute(text("SELECT count(*) FROM jobs")).scalar_one()
    found += [] if total == queued else [f"{queued} jobs were queued, and there are {total}"]
    found += [f"job {job_id} was completed {count} times" for job_id, count in _rows(connection, _SUCCESSES)]
    found += [f"job {row[0]} has not one event" for row in _rows(connection, _UNTOLD)]
    return found


def _of_places(connection: Connection) -> list[str]:
    counts = {what: connection.execute(text(query)).scalar_one() for what, query in _LEFT.items()}
    found = [f"{count} {what} were left" for what, count in counts.items() if count]
    return found + [f"the counters of {error.lane} are wrong" for error in lanes.errors(connection)]


def _of_outbox(outbox: Path, queued: int) -> list[str]:
    """Every text has a body of its own; a repeated effect would be a second file with the same one."""
    bodies = Counter(json.loads(file.read_bytes())["body"] for file in outbox.glob("*.json"))
    found = [f"{body!r} was delivered {count} times" for body, count in bodies.items() if count != 1]
    found += [] if len(bodies) == queued else [f"{queued} texts were to be delivered, and {len(bodies)} were"]
    strays = [file.name for file in outbox.iterdir() if file.suffix != ".json"]
    return found + [f"{name} lies in the outbox" for name in strays]


def _rows(connection: Connection, query: str) -> list[Any]:
    return [tuple(row) for row in connection.execute(text(query))]
