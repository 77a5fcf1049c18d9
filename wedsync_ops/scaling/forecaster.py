"""Makes forecasts and keeps them: for whoever asks, for cron, and hour by hour beside a worker."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from secrets import token_hex

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, StorageFull, WedsyncError
from wedsync_ops.instants import DAY, HOUR, SECOND
from wedsync_ops.jobs.beside import beside
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import terms
from wedsync_ops.metrics.model import Range
from wedsync_ops.scaling.forecast import Foretold, foretell
from wedsync_ops.scaling.gathering import Promised, gather, nothing_promised
from wedsync_ops.scaling.store import forecasts
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)

TERM = "forecast"
TERM_S = 300.0
AHEAD_US = 14 * DAY
"""How far ahead the forecast that is kept reaches."""
KEPT_US = 35 * DAY
"""How long hours that have passed are kept, so that what was expected can be compared with what came."""
_LOOK_S = 20.0
_AGAIN_S = 600.0
"""How long a worker waits after a failure: what is wrong with settings stays wrong for a while."""
_SHARE = 0.2
"""The share of the time that a worker's thread works on a forecast once it has begun."""

Writing = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Made:
    """What a forecast came to: hours written, and how many of the past were forgotten."""

    module_types: int
    hours: int
    dropped: int


class _Stopped(Exception):
    """How a thread that was told to stop gets out of the middle of its work."""


def predict(
    database: Database,
    rules: Rules,
    now: int,
    over: Range,
    *,
    promised: Promised = nothing_promised,
    between: Callable[[], object] = lambda: None,
) -> list[Foretold]:
    """What is expected in the hours that begin in a range, by what is known at ``now``, of each module type.

    Raises DatabaseError, ExtraMissing, SettingError.
    """
    found = gather(database, rules, now, over, promised=promised, between=between)
    return [foretell(one, found.world, over.from_at, over.to_at, between=between) for one in found.known]


def refresh(
    database: Database,
    rules: Rules,
    now: int,
    writing: Writing,
    *,
    promised: Promised = nothing_promised,
    between: Callable[[], object] = lambda: None,
) -> Made:
    """Foretell the next two weeks and write that down, in short transactions. Raises as ``predict``, and TermOver."""
    since = now // HOUR * HOUR
    found = predict(database, rules, now, Range(since, since + AHEAD_US), promised=promised, between=between)
    rows = [hour for one in found for hour in one.hours]
    for first in range(0, len(rows), forecasts.CHUNK):
        with writing() as connection:
            forecasts.replace(connection, rows[first : first + forecasts.CHUNK], now)
        between()
    with writing() as connection:
        forecasts.replace_quality(connection, [one.quality for one in found], now)
    dropped = 0
    while True:
        with writing() as connection:
            done = forecasts.drop(connection, before=since - KEPT_US, since=since, made_at=now)
        dropped += done
        if done < forecasts.CHUNK:
            return Made(len(found), len(rows), dropped)


@contextmanager
def forecasting(
    settings: Settings, clock: Clock, load_rules: Callable[[], Rules], promised: Promised = nothing_promised
) -> Iterator[None]:
    """Keep the forecast fresh in a thread while the context is open, unless the settings leave it to others."""
    if not settings.forecast_every_s:
        yield
        return
    with beside("forecast", _Rounds(settings, clock, load_rules, promised).run, settings.busy_timeout_s):
        yield


class _Rounds:
    def __init__(self, settings: Settings, clock: Clock, load_rules: Callable[[], Rules], promised: Promised) -> None:
        self._settings = settings
        self._clock = clock
        self._load_rules = load_rules
        self._promised = promised
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._began = 0.0

    def run(self, stopped: threading.Event) -> None:
        database = db.connect(self._settings)
        leader = Leader(database, self._clock, TERM_S)
        try:
            pause = _LOOK_S
            while not stopped.wait(min(pause, self._settings.forecast_every_s)):
                pause = _LOOK_S if self._attempt(database, leader, stopped) else _AGAIN_S
        except _Stopped:
            pass
        finally:
            self._leave(database)
            database.close()

    def _attempt(self, database: Database, leader: Leader, stopped: threading.Event) -> bool:
        """Make it when it is due; ``False`` when that failed."""
        try:
            if is_due(database, self._clock.now(), self._settings.forecast_every_s):
                self._refresh(database, leader, stopped)
        except WedsyncError as error:
            _LOG.warning("the forecast could not be made: %s", error)
            return False
        except _Stopped:
            raise
        except Exception:  # noqa: BLE001 - the next round begins anew
            _LOG.exception("the forecast could not be made")
            return False
        return True

    def _refresh(self, database: Database, leader: Leader, stopped: threading.Event) -> None:
        term = leader.lead(TERM, self._holder)
        if term is None:
            return
        self._began = self._clock.monotonic()
        made = refresh(
            database,
            self._load_rules(),
            self._clock.now(),
            lambda: leader.writing(term),
            promised=self._promised,
            between=lambda: self._rest(stopped),
        )
        _LOG.debug("%d hours are expected for %d module types", made.hours, made.module_types)

    def _rest(self, stopped: threading.Event) -> None:
        """Let the worker work: rest for several times as long as the last step took."""
        took = self._clock.monotonic() - self._began
        if stopped.wait(took * (1 / _SHARE - 1)):
            raise _Stopped
        self._began = self._clock.monotonic()

    def _leave(self, database: Database) -> None:
        try:
            with database.transaction() as connection:
                terms.vacate(connection, self._holder)
        except (DatabaseError, StorageFull) as error:
            _LOG.warning("%s", error)


def is_due(database: Database, now: int, every_s: float) -> bool:
    """Whether there is no forecast, or one older than so many seconds, or made in a time that is still to come."""
    with database.reading() as connection:
        made = forecasts.made_at(connection)
    return made is None or not 0 <= now - made < every_s * SECOND
