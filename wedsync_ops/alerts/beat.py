"""The dead man's signal: as long as alerts are evaluated, an address outside hears so. Silence is the alarm."""

import logging
from concurrent.futures import Future
from functools import partial

from wedsync_ops import codec
from wedsync_ops.alerts.aside import aside
from wedsync_ops.alerts.channels.http import Post, post
from wedsync_ops.alerts.channels.opened import address
from wedsync_ops.alerts.notify_model import Heartbeat, Outcome
from wedsync_ops.alerts.store import deliveries
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND, iso

_LOG = logging.getLogger(__name__)

STALE_US = 5 * MINUTE
"""An evaluation that is older than this, in microseconds, and than two beats, is no sign of life."""


class Beat:
    """Sends the signal when it is due, in a thread of its own. Without a heartbeat it does nothing.

    Raises SettingError when its address is missing or none.
    """

    def __init__(self, heartbeat: Heartbeat | None, clock: Clock) -> None:
        self._heartbeat = heartbeat
        self._clock = clock
        self._url = "" if heartbeat is None else address(heartbeat.url, "the URL of the heartbeat")
        self._beat_at: float | None = None
        self._under_way: Future[Outcome] | None = None

    def keep(self, database: Database) -> bool:
        """Send the signal when it is due and evaluation works; whether it was sent. Raises DatabaseError."""
        self._tell_failure()
        now = self._clock.monotonic()
        beat = self._heartbeat
        if beat is None or self._under_way is not None:
            return False
        if self._beat_at is not None and now - self._beat_at < beat.every_us / SECOND:
            return False
        self._beat_at = now
        with database.reading() as connection:
            evaluated_at = deliveries.evaluated_at(connection)
        instant = self._clock.now()
        if evaluated_at is None or abs(instant - evaluated_at) > max(STALE_US, 2 * beat.every_us):
            since = iso(evaluated_at) or "ever"
            _LOG.error("no heartbeat is sent: alerts have not been evaluated since %s", since)
            return False
        body = codec.dumps({"at": iso(instant), "evaluated_at": iso(evaluated_at)})
        what = Post(self._url, body, {"Content-Type": "application/json"}, beat.timeout_s)
        self._under_way = aside("heartbeat", partial(post, what))
        return True

    def _tell_failure(self) -> None:
        if self._under_way is None or not self._under_way.done():
            return
        outcome = self._under_way.result()
        self._under_way = None
        if outcome.error is not None:
            _LOG.warning("the heartbeat was not taken: %s", outcome.error)
