"""A worker's size: it has as many slots as its row says, within a second, where it was started to be sized.

Who decides and why is no matter of this room: it writes the row.
"""

import logging

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.jobs.slots import Slots
from wedsync_ops.jobs.store import workers
from wedsync_ops.journal import tell

_LOG = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between two looks at the row."""


class Sizing:
    """Keeps slots at the number that is wanted. ``is_sized`` is false for a worker that keeps its size."""

    def __init__(self, database: Database, clock: Clock, *, is_sized: bool) -> None:
        self._database = database
        self._clock = clock
        self._is_sized = is_sized
        self._looked_at = clock.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to look."""
        return self._is_sized and self._clock.monotonic() - self._looked_at >= LOOK_S

    def follow(self, worker_id: str, slots: Slots) -> None:
        """Have as many slots as are wanted: what runs goes on, surplus slots end with it. Raises DatabaseError."""
        self._looked_at = self._clock.monotonic()
        with self._database.reading() as connection:
            wanted = workers.wanted(connection, worker_id)
        before = slots.size
        if wanted is None or wanted == before:
            return
        slots.resize(wanted)
        with self._database.transaction() as connection:
            workers.resized(connection, worker_id, slots=wanted, busy=wanted - slots.free)
        tell(_LOG, logging.INFO, "worker_resized", "the worker has another size", slots_before=before, slots=wanted)
