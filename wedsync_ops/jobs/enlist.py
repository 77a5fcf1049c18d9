"""A worker's place among the workers: its row, its lock, its heartbeat, its wake-up socket."""

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from wedsync_ops import __version__
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.jobs.heart import Heart, Lock
from wedsync_ops.jobs.model import Options
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.jobs.wakeup import Bell
from wedsync_ops.settings import Settings


@dataclass(frozen=True, slots=True)
class Enlisted:
    """A worker that others can see, wake and, when it dies, bury."""

    id: str
    bell: Bell
    heart: Heart
    lock: Lock

    def retire(self, database: Database, now: int) -> None:
        """Stop in good order: heartbeat, row, socket, lock."""
        self.heart.stop()
        try:
            with database.transaction() as connection:
                workers.stop(connection, self.id, now)
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
    """Make a worker known. ``load`` tells its slots and how many are busy, ``on_fenced`` hears that it was buried."""
    host = socket.gethostname()
    worker_id = uuid.uuid4().hex[:16]
    lock_file = settings.home / "workers" / f"{worker_id}.lock"
    lock = Lock(lock_file)
    bell = Bell(settings.home, worker_id)
    now = clock.now()
    modules = options.modules
    worker = Worker(
        id=worker_id,
        name=options.name or f"{host}-{os.getpid()}",
        host=host,
        pid=os.getpid(),
        version=__version__,
        region=options.region,
        modules=None if modules is None else ",".join(sorted(modules)),
        lock_file=str(lock_file),
        slots=options.slots,
        busy=0,
        started_at=now,
        heartbeat_at=now,
        stopped_at=None,
    )
    heart = Heart(settings, clock, worker, load, on_fenced)
    with database.transaction() as connection:
        workers.register(connection, worker)
    heart.start()
    return Enlisted(worker_id, bell, heart, lock)
