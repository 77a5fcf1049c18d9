"""Reads what is so at present: which module types there are, what waits now, how the hosts fare."""

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, text

from wedsync_ops.metrics.model import HostLoad, Range

_RAN_LATELY = text(
    "SELECT count(*) FROM executions WHERE module_type = :module_type AND finished_at >= :from_at"
    " AND finished_at < :to_at AND (outcome = 'ok' OR outcome NOT IN ('lost', 'cancelled'))"
)

# Walks from each distinct value to the next through the index; DISTINCT would read every row.
_TYPES = text(
    "WITH RECURSIVE types(name) AS (SELECT min(module_type) FROM executions UNION ALL"
    " SELECT (SELECT min(module_type) FROM executions WHERE module_type > types.name) FROM types"
    " WHERE types.name IS NOT NULL) SELECT name FROM types WHERE name IS NOT NULL"
)
_HOSTS = text(
    "WITH RECURSIVE hosts(name) AS (SELECT min(host) FROM host_samples UNION ALL"
    " SELECT (SELECT min(host) FROM host_samples WHERE host > hosts.name) FROM hosts WHERE hosts.name IS NOT NULL),"
    " per_host AS (SELECT avg(cpu_percent) AS cpu, avg(memory_percent) AS memory, avg(network_mbps) AS network"
    " FROM hosts JOIN host_samples ON host_samples.host = hosts.name"
    " WHERE sampled_at > :since AND sampled_at <= :now GROUP BY hosts.name)"
    " SELECT avg(cpu) AS cpu, avg(memory) AS memory, avg(network) AS network FROM per_host"
)
_AVAILABLE = text("SELECT module_type, sum(available) AS many FROM lane_counts GROUP BY module_type")
_HELD = text("SELECT module_type, count(*) AS many FROM jobs WHERE held_by IS NOT NULL GROUP BY module_type")
_DUE = text(
    "SELECT module_type, count(*) AS many FROM jobs"
    " WHERE state IN ('scheduled','retryable') AND due_at <= :now GROUP BY module_type"
)


def executed_types(connection: Connection) -> list[str]:
    """Every module type that has executions, whenever."""
    return list(connection.execute(_TYPES).scalars())


def queue_lengths(connection: Connection, now: int) -> Mapping[str, int]:
    """How many jobs of each module type wait now: available, or scheduled or retryable and due."""
    lengths: Counter[str] = Counter()
    for row in connection.execute(_AVAILABLE):
        lengths[row.module_type] += int(row.many)
    for row in connection.execute(_HELD):
        lengths[row.module_type] += row.many
    for row in connection.execute(_DUE, {"now": now}):
        lengths[row.module_type] += row.many
    return lengths


def host_load(connection: Connection, since: int, now: int) -> HostLoad:
    """The average over all hosts of each one's average over the samples taken after ``since``, up to ``now``."""
    row = connection.execute(_HOSTS, {"since": since, "now": now}).one()
    return HostLoad(row.cpu, row.memory, row.network)


def ran(connection: Connection, module_type: str, over: Range) -> int:
    """How many executions ran to an end of their own in a range."""
    bound = {"module_type": module_type, "from_at": over.from_at, "to_at": over.to_at}
    return int(connection.execute(_RAN_LATELY, bound).scalar_one())
