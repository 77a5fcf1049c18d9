"""Proves from the database and the outbox that a storm did no harm."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from tests.chaos.scene import Scene
from wedsync_ops import db
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.store import lanes

_UNFINISHED = "SELECT state, count(*) FROM jobs WHERE state <> 'completed' GROUP BY state"
_SUCCESSES = (
    "SELECT job_id, count(*) FROM executions WHERE outcome = 'ok' GROUP BY job_id HAVING count(*) <> 1 ORDER BY job_id"
)
_UNTOLD = (
    "SELECT id FROM jobs WHERE state = 'completed'"
    " AND (SELECT count(*) FROM events WHERE events.job_id = jobs.id) <> 1 ORDER BY id"
)
_ORDER = (
    "SELECT jobs.id, executions.priority, jobs.due_at, min(executions.started_at) FROM jobs"
    " JOIN executions ON executions.job_id = jobs.id"
    " WHERE NOT EXISTS (SELECT 1 FROM executions AS other WHERE other.job_id = jobs.id AND other.outcome <> 'ok')"
    " GROUP BY jobs.id, executions.priority, jobs.due_at"
)
_WORK = "SELECT due_at, min(e.started_at) FROM jobs JOIN executions e ON job_id = jobs.id GROUP BY jobs.id, due_at"
_LEFT = {
    "leases": "SELECT count(*) FROM jobs WHERE leased_by IS NOT NULL",
    "held jobs": "SELECT count(*) FROM jobs WHERE held_by IS NOT NULL",
    "requests to stop": "SELECT count(*) FROM stops",
}


def harm(scene: Scene, queued: int, within_s: float) -> list[str]:
    """What is wrong after every worker has drained and gone, each in a line; nothing when nothing is.

    ``within_s`` is the bound of the order: how long before a less urgent job's start a more urgent one may have waited.
    """
    outbox = scene.home.path / "outbox"
    with _reading(scene) as connection:
        found = [*_of_jobs(connection, queued), *_of_places(connection)]
        return [*found, *_of_order(connection, within_s), *_of_outbox(outbox, queued)]


def unfinished(scene: Scene) -> int:
    """How many jobs have not ended."""
    with _reading(scene) as connection:
        return sum(count for _, count in _rows(connection, _UNFINISHED))


def availability(scene: Scene, began: float, ended: float) -> float:
    """Of the seconds between two moments: the part in which something started, or nothing was due and waiting."""
    with _reading(scene) as connection:
        spans = [(due / SECOND, start / SECOND) for due, start in _rows(connection, _WORK)]
    seconds = range(int(began), int(ended))
    served = {int(start) for _, start in spans}
    idle = [at for at in seconds if at not in served and any(due <= at and start > at + 1 for due, start in spans)]
    return 1 - len(idle) / max(len(seconds), 1)


@contextmanager
def _reading(scene: Scene) -> Iterator[Connection]:
    database = db.connect(scene.settings())
    try:
        with database.reading() as connection:
            yield connection
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


def _of_order(connection: Connection, within_s: float) -> list[str]:
    """A more urgent job that had long been due, never began, and saw a less urgent one start before it."""
    jobs = sorted(_rows(connection, _ORDER), key=lambda row: row[3])
    slack = within_s * SECOND
    found = []
    for place, (job_id, priority, _, start) in enumerate(jobs):
        for later_id, later_priority, due, later_start in jobs[place + 1 :]:
            if later_priority > priority and due + slack < start and start + slack < later_start:
                found.append(f"job {later_id} waited although it came before {job_id}")
    return found


def _of_outbox(outbox: Path, queued: int) -> list[str]:
    """Every text has a body of its own; a repeated effect would be a second file with the same one."""
    bodies = Counter(json.loads(file.read_bytes())["body"] for file in outbox.glob("*.json"))
    found = [f"{body!r} was delivered {count} times" for body, count in bodies.items() if count != 1]
    found += [] if len(bodies) == queued else [f"{queued} texts were to be delivered, and {len(bodies)} were"]
    strays = [file.name for file in outbox.iterdir() if file.suffix != ".json"]
    return found + [f"{name} lies in the outbox" for name in strays]


def _rows(connection: Connection, query: str) -> list[Any]:
    return [tuple(row) for row in connection.execute(text(query))]
