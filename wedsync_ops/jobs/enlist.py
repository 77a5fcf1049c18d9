"""A worker's place among the workers: its row, its lock, its heartbeat, its wake-up socket."""

import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wedsync_ops import __version__
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.jobs.heart import Heart, Lock, remove_unheld
from wedsync_ops.jobs.memory import machine_kb
from wedsync_ops.jobs.model import Options
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.jobs.wakeup import Bell, folder
from wedsync_ops.journal import bind, tell
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Enlisted:
    """A worker that others can see, wake and, when it dies, bury."""

    id: str
    bell: Bell
    heart: Heart
    lock: Lock
    said: tuple[str, frozenset[str]] = ("working", frozenset())

    def say(self, database: Database, phase: str, lacking: frozenset[str]) -> None:
        """Let others know, unless they do, whether it still starts jobs, and which module types it leaves alone."""
        if self.said != (phase, lacking):
            with database.transaction() as connection:
                workers.say(connection, self.id, phase, lacking)
            self.said = (phase, lacking)

    def retire(self, database: Database, now: int) -> None:
        """Stop in good order: heartbeat, row, socket, lock."""
        self.heart.stop()
        try:
            with database.transaction() as connection:
                workers.stop(connection, self.id, now)
            tell(_LOG, logging.INFO, "worker_stopped", "the worker has stopped", worker_id=self.id)
        finally:
            self.bell.close()
            self.lock.release()


def enlist(
    database: Database,
    clock: Clock,
    settings: Settings,
    options: Options,
    *,
    load: Callable[[], tuple[int, int]],
    on_fenced: Callable[[], None],
) -> Enlisted:
    """Make a worker known. ``load`` tells its slots and how many are busy, ``on_fenced`` hears when to begin anew.

    Raises DatabaseError, StorageFull or OSError, and leaves nothing behind.
    """
    worker = _new(settings, options, clock.now())
    with contextlib.ExitStack() as undo:
        lock = Lock(Path(worker.lock_file))
        undo.callback(lock.release)
        bell = Bell(settings.home, worker.id)
        undo.callback(bell.close)
        heart = Heart(settings, clock, worker, load, on_fenced)
        undo.callback(heart.stop)
        with database.transaction() as connection:
            workers.register(connection, worker)
        heart.start()
        undo.pop_all()
    bind(worker.id)
    tell(_LOG, logging.INFO, "worker_started", "the worker has started", slots=worker.slots, pid=worker.pid)
    return Enlisted(worker.id, bell, heart, lock)


def clear_away(worker: Worker) -> None:
    """Remove the lock file and the socket that a dead worker left on this host; a stopped one lives, and keeps them."""
    lock_file = Path(worker.lock_file)
    if worker.host == socket.gethostname() and lock_file.name == f"{worker.id}.lock" and remove_unheld(lock_file):
        with contextlib.suppress(OSError):
            (folder(lock_file.parents[1]) / worker.id).unlink(missing_ok=True)


def _new(settings: Settings, options: Options, now: int) -> Worker:
    host = socket.gethostname()
    worker_id = uuid.uuid4().hex[:16]
    modules = options.modules
    return Worker(
        id=worker_id,
        name=options.name or f"{host}-{os.getpid()}",
        host=host,
        pid=os.getpid(),
        version=__version__,
        region=options.region,
        modules=None if modules is None else ",".join(sorted(modules)),
        lock_file=str(settings.home / "workers" / f"{worker_id}.lock"),
        slots=options.slots,
        busy=0,
        started_at=now,
        heartbeat_at=now,
        stopped_at=None,
        memory_kb=machine_kb(settings.memory_mb),
        min_slots=None if options.bounds is None else options.bounds[0],
        max_slots=None if options.bounds is None else options.bounds[1],
    )
