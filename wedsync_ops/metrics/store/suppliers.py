"""Adds up executions by supplier, of whatever module type: too many for buckets, so they are read one by one.

Only what a group's figures need is read, once for all module types; that is what makes a day of them bearable.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.metrics.adding import Sum
from wedsync_ops.metrics.model import Range, Sums
from wedsync_ops.metrics.store.executions import CRITICAL, LATE_US, LISTS, listed

_NAMED = "coalesce((SELECT supplier_id FROM jobs WHERE jobs.id = executions.job_id), '')"
_URGENT = f"priority = {CRITICAL} AND queue_wait_us IS NOT NULL"
_NEVER_RAN = ("lost", "cancelled")


def sums(connection: Connection, over: Range, module_types: Sequence[str]) -> Mapping[str, Sum]:
    """What the executions of each supplier in a range come to: outcomes, durations, urgent ones and the late of them.

    A supplier that is not known is the empty text.
    """
    array = LISTS[connection.dialect.name]
    statement = (
        f"SELECT {_NAMED} AS name, outcome, count(*),"
        f" CAST({array}(duration_us) FILTER (WHERE duration_us IS NOT NULL) AS text),"
        f" count(*) FILTER (WHERE {_URGENT}), count(*) FILTER (WHERE {_URGENT} AND queue_wait_us > {LATE_US})"
        f" FROM executions WHERE module_type IN {db.texts_source(connection)}"
        " AND finished_at >= :from_at AND finished_at < :to_at GROUP BY 1, 2"
    )
    values = {"texts": db.many(list(module_types)), "from_at": over.from_at, "to_at": over.to_at}
    found: defaultdict[str, Sum] = defaultdict(Sum)
    rows: Iterable[Sequence[Any]] = db.run(connection, statement, values)
    for name, outcome, many, durations, urgent, late in rows:
        there = found[name]
        if outcome in _NEVER_RAN:
            there.add_sums(Sums(**{outcome: many}))
            continue
        there.add_sums(Sums(**{outcome: many}, urgent=urgent, urgent_late=late))
        there.durations.add(listed(durations))
    return found
