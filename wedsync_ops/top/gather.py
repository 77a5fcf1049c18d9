"""Takes looks at the platform: short reads, each on a connection of its own that is given back at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseUnreachable, WedsyncError
from wedsync_ops.instants import SECOND, local_date
from wedsync_ops.jobs.fingerprint import fingerprint
from wedsync_ops.jobs.rescue import condition
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import control, lanes, workers
from wedsync_ops.top import store
from wedsync_ops.top.history import History
from wedsync_ops.top.model import Closed, DeadGroup, Frame, LaneLine, NextWedding, Season, Worker
from wedsync_ops.top.port import Alerts, NoAlerts
from wedsync_ops.top.store import Coming, Letter
from wedsync_ops.weddings import agenda
from wedsync_ops.weddings.season import is_weekend, load_multiplier, season_at
from wedsync_ops.weddings.store import Wanted

_SLOWLY = 5 * SECOND
"""How often is read what moves slowly and takes longer to read."""


class _Slow(NamedTuple):
    letters: list[Letter]
    is_all: bool
    wedding: NextWedding | None


class Watcher:
    """Looks at the platform again and again; what it cannot read it says, and keeps what it last saw."""

    def __init__(self, database: Database, clock: Clock, rules: Rules, alerts: Alerts | None = None) -> None:
        self._database = database
        self._clock = clock
        self._rules = rules
        self._alerts = alerts or NoAlerts()
        self._history = History()
        self._last = self._empty(clock.now())
        self._slow_at: int | None = None
        self._file: tuple[int, int] | None = None

    def look(self) -> Frame:
        """The platform now. Never raises for a database that is locked, full, gone or another's."""
        try:
            return self.read()
        except WedsyncError as error:
            now = self._clock.now()
            pace = self._history.pace(now)
            self._last = replace(self._last, at=now, season=self._season(now), pace=pace, trouble=error.message)
            return self._last

    def read(self) -> Frame:
        """The platform now. Raises DatabaseError and what lies below it."""
        now = self._clock.now()
        self._notice_another_file()
        with self._database.reading() as connection:
            newest = store.latest(connection, self._history.after)
            seen = self._read(connection, now)
            slow = self._slow(connection, seen.lanes, now)
        self._history.add(newest, now)
        last = self._last if slow is None else self._with_slow(slow)
        self._last = replace(
            seen,
            pace=self._history.pace(now),
            dead=last.dead,
            dead_is_all=last.dead_is_all,
            next_wedding=last.next_wedding,
        )
        return self._last

    def _notice_another_file(self) -> None:
        """A SQLite connection would go on reading a file that was deleted or replaced."""
        file = self._database.file
        if file is None:
            return
        try:
            found = file.stat()
        except OSError as error:
            raise DatabaseUnreachable(f"{file}: {error.strerror}", hint="") from error
        if self._file not in (None, (found.st_dev, found.st_ino)):
            self._database.close()
        self._file = (found.st_dev, found.st_ino)

    def _read(self, connection: Connection, now: int) -> Frame:
        known = workers.living(connection)
        counts = [LaneLine(one.lane, one.available, one.waiting) for one in lanes.read(connection) if one.waiting]
        return Frame(
            at=now,
            season=self._season(now),
            pace=self._last.pace,
            lanes=sorted(counts, key=lambda count: (-count.lane.priority, -count.waiting, count.lane.module_type)),
            closed=[
                Closed(one.scope, one.name, one.reason, one.paused_by, one.until)
                for one in control.closed(connection, now)
            ],
            workers=sorted(
                (
                    Worker(one.id, one.name, one.host, condition(one, now, self._rules.settings), one.slots, one.busy)
                    for one in known
                ),
                key=lambda one: (one.name, one.id),
            ),
            running=store.running(connection, [worker.id for worker in known]),
            alerts=self._alerts.current(connection, now),
            database=self._database.where,
        )

    def _slow(self, connection: Connection, lanes: Sequence[LaneLine], now: int) -> _Slow | None:
        """What moves slowly, when it is time for it."""
        if self._slow_at is not None and 0 <= now - self._slow_at < _SLOWLY:
            return None
        letters, is_all = store.dead(connection)
        wedding = self._known_wedding(connection, now)
        if wedding is None:
            coming = store.coming(connection, [count.lane for count in lanes if count.available > 0])
            wedding = self._wedding_of(coming, now)
        self._slow_at = now
        return _Slow(letters, is_all, wedding)

    def _with_slow(self, slow: _Slow) -> Frame:
        return replace(self._last, dead=grouped(slow.letters), dead_is_all=slow.is_all, next_wedding=slow.wedding)

    def soon(self) -> None:
        """Read all of it at the next look: somebody has changed something."""
        self._slow_at = None

    def _known_wedding(self, connection: Connection, now: int) -> NextWedding | None:
        for known, days in agenda.coming(connection, now, self._rules.calendar.zone, Wanted(limit=1)):
            return NextWedding(known.client.wedding_on, days, client_id=known.client.client_id)
        return None

    def _wedding_of(self, coming: Sequence[Coming], now: int) -> NextWedding | None:
        found = []
        for job in coming:
            day = date.fromisoformat(job.wedding_on)
            days = (day - local_date(now, self._rules.zone(job.timezone))).days
            if days >= 0:
                found.append(NextWedding(day, days, job.job_id, job.module_type))
        return min(found, key=lambda one: (one.days, one.job_id), default=None)

    def _season(self, now: int) -> Season:
        calendar = self._rules.calendar
        return Season(season_at(now, calendar), load_multiplier(now, calendar), is_weekend(now, calendar))

    def _empty(self, now: int) -> Frame:
        return Frame(at=now, season=self._season(now), pace=self._history.pace(now), database=self._database.where)


def grouped(letters: Sequence[Letter]) -> list[DeadGroup]:
    """Dead letters (the newest first) by module type and what went wrong, the largest group first."""
    counts = Counter((letter.module_type, fingerprint(letter.error)) for letter in letters)
    newest: dict[tuple[str, str], Letter] = {}
    for letter in letters:
        newest.setdefault((letter.module_type, fingerprint(letter.error)), letter)
    return [
        DeadGroup(*key, count=count, last_seen=newest[key].finished_at, error=newest[key].error)
        for key, count in counts.most_common()
    ]
