"""What is forgotten when: payloads first, then details, then whole rows.

Of completed jobs the latest ones per module type keep config, context and result, of failed executions the latest keep
traceback and log; discarded jobs keep what a retry needs for longer; measurements stay until the rows go.

Nobody waits for it. A sweep looks for what is old page by page, each page through an index and in a reading
transaction of its own, and forgets what a page held in a short write transaction, which checks again whatever others
may have changed in between.

What a webhook has yet to be told is left as it is until its job's row goes: of jobs that finished since the first event
that was not taken nothing is stripped, and of those that go all the same the number is told.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from wedsync_ops import db
from wedsync_ops.jobs.model import FAILED

_IS_DEAD = "(state = 'discarded' OR state = 'cancelled' OR state = 'expired')"
"""In the words of the index, which SQLite uses for no others."""
CHUNK = 500
"""The most rows that one look reads and one transaction forgets."""
_NEVER = 2**63 - 1

Key = tuple[Any, ...]
"""A row's key, or the place in an index at which a look goes on."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is kept. Instants in microseconds: rows that ended before ``old`` go, dead jobs before ``dead`` are bare.

    Of executions only those go whose ids are up to ``measured``: what came after it is in no measurement yet.
    """

    now: int
    old: int
    dead: int
    samples: int
    workers: int
    keep_completed: int
    keep_failed: int
    measured: int = 2**63 - 1


Held = Callable[[Connection], int]
"""Tells since which instant finished jobs are still to be told to the webhook; asked anew in every transaction."""


def nothing_held(_: Connection) -> int:
    """For a platform without a webhook: nobody waits to be told."""
    return _NEVER


@dataclass(frozen=True, slots=True)
class Sweep:
    """One kind of forgetting.

    ``look`` takes the place to go on from (empty at first) and returns the keys to forget and the next place, ``None``
    after the last page. ``forget`` returns how much it forgot, by name.
    """

    look: Callable[[Connection, Key], tuple[list[Key], Key | None]]
    forget: Callable[[Connection, Sequence[Key]], Mapping[str, int]]


COUNTS = (
    "executions_dropped",
    "jobs_dropped",
    "untold_dropped",
    "completed_stripped",
    "dead_letters_stripped",
    "details_dropped",
    "leftovers_dropped",
)
"""The names of what is counted."""


def sweeps(policy: Policy, module_types: Sequence[str], held: Held = nothing_held) -> Iterator[Sweep]:
    """Every kind of forgetting, in the order in which each leaves the least to the next."""

    def bounded(connection: Connection) -> int:
        return max(held(connection), policy.old)

    for module_type in module_types:
        yield executions(module_type, policy.old, held, policy.measured)
    yield dead_jobs(min(policy.old, policy.dead), held)
    yield completed_payloads(policy.keep_completed, bounded)
    yield dead_payloads(policy.dead, bounded)
    yield details(policy.keep_failed)
    yield leftovers("form_answers", {"job_id": "bigint"}, "answered_at", policy.old)
    yield leftovers("schedule_fires", {"schedule_id": "text", "fire_at": "bigint"}, "decided_at", policy.old)
    yield leftovers("drains", {"scope": "text", "name": "text"}, "until", policy.now)
    yield leftovers("host_samples", {"host": "text", "sampled_at": "bigint"}, "sampled_at", policy.samples)
    yield leftovers("workers", {"id": "text"}, "stopped_at", policy.workers)
    yield leftovers("pauses", {"scope": "text", "name": "text"}, "until", policy.now)
    tag_key = {"module_type": "text", "priority": "bigint", "supplier_id": "text"}
    yield leftovers("supplier_tags", tag_key, "tag", policy.now)


def module_types(connection: Connection) -> list[str]:
    """Every module type that ever had a job."""
    return sorted(connection.execute(text("SELECT DISTINCT module_type FROM lane_counts")).scalars())


def executions(module_type: str, before: int, held: Held = nothing_held, up_to: int = _NEVER) -> Sweep:
    """A module type's executions that finished before an instant, with ids up to one, and the jobs they completed.

    A completed job ended with the execution that completed it, so that these need no index of their own on jobs.
    """
    old = text(
        "SELECT finished_at, id FROM executions WHERE module_type = :module_type AND finished_at < :before"
        " AND (finished_at, id) > (:at, :last) AND id <= :up_to ORDER BY finished_at, id LIMIT :chunk"
    )

    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        at, last = after or (-1, 0)
        values = {"module_type": module_type, "before": before, "at": at, "last": last, "chunk": CHUNK, "up_to": up_to}
        rows = connection.execute(old, values).all()
        return [(row.id,) for row in rows], _next(rows)

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        source, values = db.ids_source(connection), _ids(keys)
        jobs = connection.execute(
            text(
                f"DELETE FROM jobs WHERE id IN (SELECT job_id FROM executions WHERE id IN {source})"
                " AND state = 'completed' AND finished_at < :before RETURNING finished_at"
            ),
            {**values, "before": before},
        )
        dropped = _dropped(connection, jobs.scalars().all(), held)
        connection.execute(text(f"DELETE FROM execution_details WHERE execution_id IN {source}"), values)
        done = connection.execute(text(f"DELETE FROM executions WHERE id IN {source}"), values)
        return {"executions_dropped": done.rowcount, **dropped}

    return Sweep(look, forget)


def dead_jobs(before: int, held: Held = nothing_held) -> Sweep:
    """Jobs that were discarded, cancelled or expired before an instant, with their payloads and so their keys."""

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        still = {"ids": db.many(_still_dead(connection, keys, before))}
        statement = f"DELETE FROM jobs WHERE id IN {db.ids_source(connection)} RETURNING finished_at"
        return _dropped(connection, connection.execute(text(statement), still).scalars().all(), held)

    return Sweep(_dead(lambda _: before), forget)


def completed_payloads(keep: int, held: Held = nothing_held) -> Sweep:
    """Config, context and result of completed jobs beyond the latest ``keep`` of each module type."""
    latest = _Latest(keep)
    # CROSS JOIN holds SQLite to this order: it reads the few results that are kept, not every job.
    with_result = text(
        "SELECT payloads.job_id AS id, jobs.module_type, jobs.finished_at FROM payloads CROSS JOIN jobs"
        " WHERE jobs.id = payloads.job_id AND jobs.state = 'completed'"
        " AND payloads.result IS NOT NULL AND payloads.job_id > :after ORDER BY payloads.job_id LIMIT :chunk"
    )

    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        rows = connection.execute(with_result, {"after": after[0] if after else 0, "chunk": CHUNK}).all()
        beyond = [latest.push(row.module_type, (row.finished_at, row.id)) for row in rows]
        until = held(connection)
        found = [key for key in beyond if key is not None and key[0] < until]
        return found, (rows[-1].id,) if len(rows) == CHUNK else None

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        until = held(connection)
        return {"completed_stripped": _strip(connection, [job_id for at, job_id in keys if at < until])}

    return Sweep(look, forget)


def dead_payloads(before: int, held: Held = nothing_held) -> Sweep:
    """Config and context of jobs that were discarded, cancelled or expired before an instant."""

    def until(connection: Connection) -> int:
        return min(before, held(connection))

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        return {"dead_letters_stripped": _strip(connection, _still_dead(connection, keys, until(connection)))}

    return Sweep(_dead(until, " AND EXISTS (SELECT 1 FROM payloads WHERE job_id = id AND config IS NOT NULL)"), forget)


def details(keep: int) -> Sweep:
    """Traceback and log beyond the latest ``keep`` failed executions of each module type.

    The log of one that did not fail pushes out no traceback; of those the latest ``keep`` stay, too.
    """
    latest = _Latest(keep)
    kept = text(
        "SELECT execution_id AS id, module_type, outcome FROM execution_details CROSS JOIN executions"
        " WHERE executions.id = execution_id AND execution_id > :after ORDER BY execution_id LIMIT :chunk"
    )

    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        rows = connection.execute(kept, {"after": after[0] if after else 0, "chunk": CHUNK}).all()
        beyond = [latest.push((row.module_type, row.outcome in FAILED), (row.id,)) for row in rows]
        return [key for key in beyond if key is not None], (rows[-1].id,) if len(rows) == CHUNK else None

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        statement = f"DELETE FROM execution_details WHERE execution_id IN {db.ids_source(connection)}"
        return {"details_dropped": connection.execute(text(statement), _ids(keys)).rowcount}

    return Sweep(look, forget)


def leftovers(table: str, key: Mapping[str, str], column: str, before: int) -> Sweep:
    """Rows whose instant lies before another, in a table that has no index on it: read whole, by its primary key.

    ``key`` holds the primary key's columns with their types.
    """
    names = ", ".join(key)
    marks = ", ".join(f":{name}" for name in key)

    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        onward = f" WHERE ({names}) > ({marks})" if after else ""
        statement = text(f"SELECT {names}, {column} AS instant FROM {table}{onward} ORDER BY {names} LIMIT :chunk")
        rows = connection.execute(statement, {**dict(zip(key, after, strict=False)), "chunk": CHUNK}).all()
        past = [tuple(row[:-1]) for row in rows if row.instant is not None and row.instant < before]
        return past, tuple(rows[-1][:-1]) if len(rows) == CHUNK else None

    def forget(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
        # What somebody else is writing just now is left for the next time, so that nobody deadlocks.
        locking = " FOR UPDATE OF t SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
        columns = ", ".join(f"t.{name}" for name in key)
        same = " AND ".join(f"t.{name} = r.{name}" for name in key)
        still = f"{db.rows_source(connection, key)} CROSS JOIN {table} t WHERE {same} AND t.{column} < :before"
        chosen = f"({names}) IN (SELECT {columns} FROM {still}{locking})"
        done = connection.execute(
            text(f"DELETE FROM {table} WHERE {chosen}"), {"rows": db.many(keys), "before": before}
        )
        return {"leftovers_dropped": done.rowcount}

    return Sweep(look, forget)


class _Latest:
    """The latest few of each group, while everything passes by once in any order."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._groups: defaultdict[Hashable, list[Key]] = defaultdict(list)

    def push(self, group: Hashable, key: Key) -> Key | None:
        """Take one in; returns the one that therefore is not among the latest."""
        kept = self._groups[group]
        if len(kept) < self._keep:
            heapq.heappush(kept, key)
            return None
        return heapq.heappushpop(kept, key)


def _dead(until: Held, only: str = "") -> Callable[[Connection, Key], tuple[list[Key], Key | None]]:
    """Looks through the jobs that were discarded, cancelled or expired before an instant."""
    ended = text(
        f"SELECT finished_at, id FROM jobs WHERE {_IS_DEAD}{only}"
        " AND finished_at < :before AND (finished_at, id) > (:at, :last) ORDER BY finished_at, id LIMIT :chunk"
    )

    def look(connection: Connection, after: Key) -> tuple[list[Key], Key | None]:
        at, last = after or (-1, 0)
        values = {"before": until(connection), "at": at, "last": last, "chunk": CHUNK}
        rows = connection.execute(ended, values).all()
        return [(row.id,) for row in rows], _next(rows)

    return look


def _dropped(connection: Connection, finished: Sequence[int], held: Held) -> dict[str, int]:
    """Counts jobs that went, and among them those that the webhook had not been told of."""
    since = held(connection)
    return {"jobs_dropped": len(finished), "untold_dropped": sum(at >= since for at in finished)}


def _still_dead(connection: Connection, keys: Sequence[Key], before: int) -> list[int]:
    """Those that nobody retries: not since they were found, nor (on PostgreSQL) at this moment."""
    locking = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    rows = connection.execute(
        text(
            f"SELECT id FROM jobs WHERE id IN {db.ids_source(connection)}"
            f" AND state IN ('discarded','cancelled','expired') AND finished_at < :before{locking}"
        ),
        {**_ids(keys), "before": before},
    )
    return list(rows.scalars())


def _strip(connection: Connection, ids: Sequence[int]) -> int:
    statement = "UPDATE payloads SET config = NULL, context = NULL, result = NULL WHERE job_id IN "
    return connection.execute(text(statement + db.ids_source(connection)), {"ids": db.many(ids)}).rowcount


def _next(rows: Sequence[Any]) -> Key | None:
    return tuple(rows[-1]) if len(rows) == CHUNK else None


def _ids(keys: Sequence[Key]) -> dict[str, str]:
    return {"ids": db.many([key[0] for key in keys])}
