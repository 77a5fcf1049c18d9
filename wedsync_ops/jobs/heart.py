"""A worker's sign of life: its own thread and its own connection, so that a long commit is not taken for death."""

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs.host import HostSampler
from wedsync_ops.jobs.store import workers
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)


class Lock:
    """A locked file that says, for as long as this process lives, that it lives."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Free and remove the file."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def remove_unheld(path: Path) -> bool:
    """Remove the file of a lock whose holder is dead; False while it lives, be it stopped, or when there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class Heart:
    """Writes the heartbeat and a sample of the host, and keeps the clock to the database's.

    Calls ``on_fenced`` and ends when the worker was declared dead, or may have been because no heartbeat could be
    written for longer than the lease.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        worker: Worker,
        load: Callable[[], tuple[int, int]],
        on_fenced: Callable[[], None],
    ) -> None:
        self._database = db.connect(settings)
        self._settings = settings
        self._clock = clock
        self._worker = worker
        self._load = load
        self._on_fenced = on_fenced
        self._sampler = HostSampler(clock)
        self._beaten_at = clock.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._sampler.sample()
        self._beaten_at = self._clock.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Stop beating, where it has begun, and close the connection."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._database.close()

    def _beat_on(self) -> None:
        while not self._stopped.wait(self._settings.heartbeat):
            if not self._lives():
                self._on_fenced()
                return

    def _lives(self) -> bool:
        try:
            lives = self._beat()
        except Exception as error:  # noqa: BLE001 - a heart that ended in silence would be taken for a death
            unexpected = error if not isinstance(error, WedsyncError) else None
            _LOG.warning("the heartbeat could not be written: %s", error, exc_info=unexpected)
            silent_s = self._clock.monotonic() - self._beaten_at
            if silent_s > self._settings.lease_s:
                _LOG.error("no heartbeat could be written for %.1f s, longer than the lease", silent_s)
                return False
            return True
        if not lives:
            _LOG.error("this worker was declared dead while it was stopped or cut off")
        self._beaten_at = self._clock.monotonic()
        return lives

    def _beat(self) -> bool:
        slots, busy = self._load()
        host = self._sampler.sample()
        with self._database.transaction() as connection:
            db.follow(connection, self._clock)
            now = self._clock.now()
            workers.sample(
                connection,
                self._worker.host,
                now,
                cpu=host.cpu_percent,
                memory=host.memory_percent,
                network=host.network_mbps,
            )
            return workers.beat(connection, self._worker.id, now=now, slots=slots, busy=busy)
