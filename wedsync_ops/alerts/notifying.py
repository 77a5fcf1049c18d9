"""Notification as a whole: its file is read, its channels are opened, and a thread of a worker keeps it going.

A file that cannot be used stops no worker: weddings go on, the log says all that is wrong, and the heartbeat falls
silent. The file is looked at again while the worker runs; one that is wrong never replaces one that was right.
"""

import logging
import os
import random
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from wedsync_ops import db
from wedsync_ops.alerts import notify_reading
from wedsync_ops.alerts.beat import Beat
from wedsync_ops.alerts.channels.contract import Sender
from wedsync_ops.alerts.channels.opened import senders
from wedsync_ops.alerts.notifier import Notifier, Round
from wedsync_ops.alerts.notify_model import Plan
from wedsync_ops.alerts.notify_reading import Read
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InputFileError, InvalidInput, WedsyncError
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import zone_named
from wedsync_ops.jobs.beside import beside
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)

POLL_S = 0.5
"""Seconds between two looks for something to tell."""
RELOAD_S = 30.0
"""Seconds between two looks at the file."""
LAST_S = 5.0
"""How long a worker that ends goes on telling, in seconds."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What notification works with."""

    plan: Plan
    senders: Mapping[str, Sender]


def read_file(file: Path, timezone: str) -> Read:
    """Read a file of channels and routes. Raises InputFileError when it cannot be read."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InputFileError(f"the file {file} cannot be read: {error.strerror}") from error
    return notify_reading.read(raw, zone_named(timezone))


def load(file: Path, site: Site, clock: Clock) -> Setup:
    """Read the file and open its channels. Raises InputFileError, InvalidInput and SettingError, with all problems."""
    read = read_file(file, site.timezone)
    if read.plan is None:
        found = [f"line {one.line}: {one.path}: {one.message}" for one in read.problems]
        raise InvalidInput(f"{file}: {'; '.join(found)}", details=found)
    return Setup(read.plan, senders(read.plan, site, clock))


def holder() -> str:
    """A name for this sender that no other has."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def notify(database: Database, clock: Clock, site: Site, file: Path | None) -> Round | None:
    """Tell what there is to tell, once; ``None`` when another process is at it. Nothing without a file.

    Raises what ``load`` does, and DatabaseError.
    """
    if file is None:
        return Round()
    setup = load(file, site, clock)
    notifier = Notifier(database, clock, setup.plan, setup.senders, holder(), random.Random())  # noqa: S311 - jitter
    try:
        total = told = notifier.round(LAST_S)
        if not notifier.leads:
            return None
        while told.more:
            told = notifier.round(LAST_S)
            total = Round(total.planned + told.planned, total.sent + told.sent, total.failed + told.failed)
        Beat(setup.plan.heartbeat, clock).keep(database)
        return total
    finally:
        notifier.close(LAST_S)


@contextmanager
def notifying(settings: Settings, site: Site, clock: Clock) -> Iterator[None]:
    """Tell people in a thread for as long as the context is open, and then a little longer what is still to be told."""
    if settings.notify is None:
        yield
        return
    with beside("notify", _Rounds(settings, settings.notify, site, clock).run, LAST_S * 3):
        yield


class _Rounds:
    def __init__(self, settings: Settings, file: Path, site: Site, clock: Clock) -> None:
        self._settings = settings
        self._file = file
        self._site = site
        self._clock = clock
        self._database = db.connect(settings)
        self._seen: tuple[int, int] | None = None
        self._looked_at: float | None = None
        self._is_open = False
        self._notifier: Notifier | None = None
        self._beat = Beat(None, clock)

    def run(self, stopped: threading.Event) -> None:
        try:
            last, more = False, False
            while not last:
                last = stopped.wait(0 if more else POLL_S)  # the round after the stop tells what came before it
                more = self._guarded()
            ends_at = self._clock.monotonic() + LAST_S
            while more and self._clock.monotonic() < ends_at:
                more = self._guarded()
        finally:
            self._close()
            self._database.close()

    def _guarded(self) -> bool:
        """One round, whatever goes wrong; whether there is more to do at once."""
        _attempt(self._look_at_file)
        return _attempt(self._tell)

    def _tell(self) -> bool:
        if self._notifier is None:
            return False
        told = self._notifier.round()
        if self._notifier.leads:
            self._beat.keep(self._database)
        return told.more

    def _look_at_file(self) -> bool:
        """Read the file when it has changed, or could not be used; whether it is another one now."""
        now = self._clock.monotonic()
        if self._looked_at is not None and now - self._looked_at < RELOAD_S:
            return False
        self._looked_at = now
        seen = _stamp(self._file)
        if self._is_open and seen == self._seen:
            return False
        self._is_open = False
        setup = load(self._file, self._site, self._clock)
        beat = Beat(setup.plan.heartbeat, self._clock)
        self._seen, self._is_open = seen, True
        self._close()
        rand = random.Random()  # noqa: S311 - jitter, no secret
        self._notifier = Notifier(self._database, self._clock, setup.plan, setup.senders, holder(), rand)
        self._beat = beat
        return True

    def _close(self) -> None:
        if self._notifier is None:
            return
        try:
            self._notifier.close(LAST_S)
        except WedsyncError as error:
            _LOG.warning("what has been told could not be noted, and may be told again: %s", error)
        self._notifier = None


def _attempt(step: Callable[[], bool]) -> bool:
    """What a step answers; False when it failed, which is logged without what an error's message might hold."""
    try:
        return step()
    except WedsyncError as error:
        _LOG.error("people could not be told of alerts: %s", error)
    except Exception as error:  # noqa: BLE001 - telling goes on; the message might hold a secret
        at = traceback.extract_tb(error.__traceback__)[-1]
        kind = type(error).__name__
        _LOG.error("people could not be told of alerts: %s in %s:%s", kind, at.filename, at.lineno)
    return False


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
