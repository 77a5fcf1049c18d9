"""The SQL of what rules are judged by besides executions: jobs that ended badly, workers, schedules, the webhook.

Every statement goes through an index and is bounded: evaluation costs the same with a million jobs waiting.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts.facts import Ended, SilentWorker
from wedsync_ops.alerts.model import Wedding
from wedsync_ops.jobs.store import events, lanes, workers

WEDDINGS = 5
"""How many weddings an alert names."""
_LOOKED_AT = 500
_PRIORITIES = (3, 2, 1)
# In the words of the index jobs_dead, which SQLite uses for no others.
_ENDED = (
    "SELECT module_type, sum(CASE WHEN state = 'expired' THEN 1 ELSE 0 END) AS expired,"
    " sum(CASE WHEN state = 'discarded' AND error LIKE 'quarantined%' THEN 1 ELSE 0 END) AS quarantined FROM jobs"
    " WHERE (state = 'discarded' OR state = 'cancelled' OR state = 'expired') AND finished_at >= :since"
    " AND finished_at < :now GROUP BY module_type"
)
_LATE = (
    "SELECT id, next_due_at FROM schedules WHERE next_due_at IS NOT NULL AND next_due_at < :now AND paused_at IS NULL"
)
_WEDDING = "jobs.wedding_on, payloads.client_id, jobs.supplier_id, jobs.id"
_FAILED = (
    f"SELECT DISTINCT {_WEDDING} FROM (SELECT job_id FROM executions WHERE module_type = :module_type"
    " AND finished_at >= :since AND outcome <> 'ok' ORDER BY finished_at DESC LIMIT :most) AS bad"
    " JOIN jobs ON jobs.id = bad.job_id LEFT JOIN payloads ON payloads.job_id = jobs.id"
    " WHERE jobs.wedding_on >= :today ORDER BY jobs.wedding_on, jobs.id LIMIT :named"
)
_WAITING = (
    "SELECT ahead.wedding_on, payloads.client_id, ahead.supplier_id, ahead.id FROM"
    " (SELECT id, wedding_on, supplier_id FROM jobs WHERE state = 'available' AND held_by IS NULL"
    " AND module_type = :module_type AND priority = :priority ORDER BY rank, id LIMIT :most) AS ahead"
    " LEFT JOIN payloads ON payloads.job_id = ahead.id WHERE ahead.wedding_on >= :today"
    " ORDER BY ahead.wedding_on, ahead.id LIMIT :named"
)
_DEAD = (
    f"SELECT {_WEDDING} FROM jobs LEFT JOIN payloads ON payloads.job_id = jobs.id"
    " WHERE (state = 'discarded' OR state = 'cancelled' OR state = 'expired') AND finished_at >= :since"
    " AND state <> 'cancelled' AND module_type = :module_type AND jobs.wedding_on >= :today"
    " ORDER BY jobs.wedding_on, jobs.id LIMIT :named"
)

# A job whose deadline nears is at the head of its lane: its rank is its latest safe start.
_BROKEN = (
    "SELECT count(*) FROM (SELECT deadline_at FROM jobs WHERE state = 'available' AND held_by IS NULL"
    " AND module_type = :module_type AND priority = :priority ORDER BY rank, id LIMIT :most) AS ahead"
    " WHERE deadline_at < :last"
)
# Deadlines pass while a limit or a pause holds a job back, too.
_HELD = (
    "SELECT module_type, deadline_at FROM jobs WHERE held_by IS NOT NULL"
    " ORDER BY held_by, priority DESC, rank, id LIMIT :most"
)


def ended(connection: Connection, since: int, now: int) -> Mapping[str, Ended]:
    """The jobs that expired or were quarantined since an instant, by module type; types without any are left out."""
    rows = db.run(connection, _ENDED, {"since": since, "now": now})
    return {
        row.module_type: Ended(int(row.expired), int(row.quarantined)) for row in rows if row.expired or row.quarantined
    }


def living(connection: Connection, now: int, lease_us: int) -> tuple[int, int]:
    """How many workers live, with a heartbeat within the lease, and how many slots they have together."""
    found = [one for one in workers.living(connection) if one.heartbeat_at >= now - lease_us]
    return len(found), sum(one.slots for one in found)


def silent(connection: Connection, since: int, now: int, lease_us: int) -> tuple[SilentWorker, ...]:
    """The workers that died since an instant or give no sign of life, and after which none began on the same host."""
    known = workers.list_workers(connection, since)
    alive = [one for one in known if one.stopped_at is None and one.heartbeat_at >= now - lease_us]
    gone = [one for one in known if one.died or (one.stopped_at is None and one.heartbeat_at < now - lease_us)]
    return tuple(
        SilentWorker(one.name, one.host, one.heartbeat_at, one.died)
        for one in gone
        if not any(other.host == one.host and other.started_at >= one.heartbeat_at for other in alive)
    )


def late(connection: Connection, now: int) -> Mapping[str, int]:
    """For how long, in µs, the fires of schedules have been due that nobody has fired."""
    return {row.id: now - row.next_due_at for row in db.run(connection, _LATE, {"now": now})}


def broken(connection: Connection, now: int, p95_us: Mapping[str, int]) -> Mapping[str, int]:
    """The jobs whose execution, of ``p95_us``, would end after their deadline.

    Looked at are the first 500 of each lane, and of those that limits and pauses hold back.
    """
    found: Counter[str] = Counter()
    for count in lanes.read(connection):
        module_type = count.lane.module_type
        if count.available > 0 and module_type in p95_us:
            values = {"module_type": module_type, "priority": int(count.lane.priority), "most": _LOOKED_AT}
            last = now + p95_us[module_type]
            found[module_type] += int(db.run(connection, _BROKEN, {**values, "last": last}).scalar_one())
    for module_type, deadline_at in map(tuple, db.run(connection, _HELD, {"most": _LOOKED_AT})):
        if deadline_at is not None and module_type in p95_us and deadline_at < now + p95_us[module_type]:
            found[module_type] += 1
    return {module_type: count for module_type, count in found.items() if count}


def webhook(connection: Connection) -> tuple[int, str | None]:
    """How often in a row the webhook's receiver has failed, and with what."""
    found = events.cursor(connection)
    return (0, None) if found is None else (found.failures, found.error)


def weddings(connection: Connection, module_type: str, since: int, today: date) -> tuple[Wedding, ...]:
    """The soonest weddings whose jobs of a module type failed since an instant, ended badly, or wait."""
    values = {
        "module_type": module_type,
        "since": since,
        "today": today.isoformat(),
        "most": _LOOKED_AT,
        "named": WEDDINGS,
    }
    found = [*db.run(connection, _FAILED, values), *db.run(connection, _DEAD, values)]
    for priority in _PRIORITIES:
        found += db.run(connection, _WAITING, {**values, "priority": priority})
    by_client: dict[tuple[str, str | None], Wedding] = {}
    for wedding_on, client_id, supplier_id, job_id in sorted(found, key=lambda row: (row[0], row[3])):
        by_client.setdefault((wedding_on, client_id), Wedding(wedding_on, client_id, supplier_id, job_id))
    return tuple(by_client.values())[:WEDDINGS]
