"""Taking up the jobs of dead workers. Nothing is lost, and no attempt is spent.

A worker on this host is dead when the kernel has freed its lock file; anywhere, when its heartbeat is older than the
lease (a stopped process keeps its lock). What it finishes afterwards carries an old token and changes nothing.
"""

import fcntl
import logging
import os
import socket
from enum import StrEnum
from pathlib import Path

from wedsync_ops.db import Database
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import lifecycle
from wedsync_ops.jobs.conclude import wedding_days
from wedsync_ops.jobs.enlist import clear_away
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import finish, workers
from wedsync_ops.jobs.store.finish import Execution, Finish
from wedsync_ops.jobs.store.workers import Orphan, Worker
from wedsync_ops.journal import tell
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.model import Season
from wedsync_ops.weddings.season import season_at

_LOG = logging.getLogger(__name__)
_CHUNK = 500
_SILENT_AFTER = 2
"""How many heartbeats' time a worker may be silent before it is worth a word."""


class Condition(StrEnum):
    """How it is with a worker."""

    ALIVE = "alive"
    SILENT = "silent"
    DEAD = "dead"
    STOPPED = "stopped"


def rescue(database: Database, rules: Rules, now: int, *, by: str | None = None) -> int:
    """Declare dead workers dead and make their jobs available again; returns how many jobs were taken up.

    ``by`` is the id of the worker that asks, and so lives however old its heartbeat is.
    """
    with database.reading() as connection:
        living = workers.living(connection)
        gone = list(workers.holders_gone(connection))
    dead = [one for one in living if one.id != by and is_dead(one, now, rules.settings.lease_s)]
    for worker in dead:
        with database.transaction() as connection:
            buried = workers.bury(connection, worker, now)
        if buried:
            clear_away(worker)
            gone.append(worker.id)
    return sum(_taken_up(database, rules, worker_id, now) for worker_id in gone)


def is_dead(worker: Worker, now: int, lease_s: float) -> bool:
    """Whether a worker's process is gone, or its heartbeat older than the lease."""
    if worker.heartbeat_at + lease_s * SECOND < now:
        return True
    return worker.host == socket.gethostname() and not is_locked(Path(worker.lock_file))


def condition(worker: Worker, now: int, settings: Settings) -> Condition:
    """How it is with a worker, by the rule that rescue uses.

    Dead is who was declared so, or will be at the next look; silent, who lives and has missed two heartbeats.
    """
    if worker.stopped_at is not None:
        return Condition.DEAD if worker.died else Condition.STOPPED
    if is_dead(worker, now, settings.lease_s):
        return Condition.DEAD
    silent = now - worker.heartbeat_at > _SILENT_AFTER * settings.heartbeat * SECOND
    return Condition.SILENT if silent else Condition.ALIVE


def is_locked(path: Path) -> bool:
    """Whether a living process holds a lock file; the kernel frees it when the process dies."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # The worker's home may not be visible from here; only its heartbeat can tell then.
        return not path.parent.is_dir()
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _taken_up(database: Database, rules: Rules, worker_id: str, now: int) -> int:
    count = _take_up(database, rules, worker_id, now)
    words = "the jobs of a worker that is gone were taken up"
    tell(_LOG, logging.WARNING, "worker_gone", words, gone_worker_id=worker_id, jobs=count)
    return count


def _take_up(database: Database, rules: Rules, worker_id: str, now: int) -> int:
    total = 0
    while True:
        with database.transaction() as connection:
            orphans = workers.orphans(connection, worker_id, _CHUNK)
            total += len(finish.apply(connection, [_lost(rules, worker_id, o, now) for o in orphans]))
        if len(orphans) < _CHUNK:
            return total


def _lost(rules: Rules, worker_id: str, orphan: Orphan, now: int) -> Finish:
    transition = lifecycle.lose(
        orphan.attempt, orphan.losses, orphan.kills, now=now, loss_limit=rules.settings.loss_limit
    )
    execution = Execution(
        job_id=orphan.id,
        attempt=orphan.attempt,
        module_type=orphan.module_type,
        module_version=orphan.module_version,
        worker_id=worker_id,
        priority=orphan.priority,
        outcome=Result.LOST,
        started_at=orphan.started_at or now,
        finished_at=now,
        duration_us=None,
        queue_wait_us=None,
        cpu_us=None,
        memory_kb=None,
        bytes_sent=None,
        wedding_days=wedding_days(rules, orphan.wedding_on, orphan.timezone, now),
        in_peak=season_at(now, rules.calendar) is Season.PEAK,
        vendor_type=orphan.vendor_type,
        error="its worker died",
    )
    return Finish(orphan.token, transition, execution, None)
