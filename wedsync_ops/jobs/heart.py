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


class Heart:
    """Writes the heartbeat and a sample of the host; calls ``on_fenced`` when the worker was declared dead."""

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
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._sampler.sample()
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and close the connection."""
        self._stopped.set()
        self._thread.join()
        self._database.close()

    def _beat_on(self) -> None:
        while not self._stopped.wait(self._settings.heartbeat):
            try:
                if not self._beat():
                    self._on_fenced()
                    return
            except WedsyncError as error:
                _LOG.warning("the heartbeat could not be written: %s", error)

    def _beat(self) -> bool:
        slots, busy = self._load()
        host = self._sampler.sample()
        now = self._clock.now()
        with self._database.transaction() as connection:
            workers.sample(
                connection,
                self._worker.host,
                now,
                cpu=host.cpu_percent,
                memory=host.memory_percent,
                network=host.network_mbps,
            )
            return workers.beat(connection, self._worker.id, now=now, slots=slots, busy=busy)
