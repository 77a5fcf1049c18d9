"""What a worker does beside running jobs: rescue, measuring, fresh rules; and its patience with a failing database."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseConflict, DatabaseError, StorageFull, TermOver
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.leader import Leader, Leadership
from wedsync_ops.jobs.model import Expected
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations
from wedsync_ops.journal import tell

_LOG = logging.getLogger(__name__)

MEASURE_S = 30.0
"""Seconds between two measurements of the expected durations."""
MEASURING = "durations"
"""The name of the term under which one worker of the platform measures them."""
TERM_S = 3 * MEASURE_S
"""How long a worker's term lasts unless it is renewed, in seconds."""
FAULT_WAIT_S = 0.5
"""Seconds to wait after the database failed, before trying again."""


class House:
    """A worker's rules and its chores. A database that fails is reported and tried again a little later.

    What one worker of all does for the platform it does under a term of ``leadership``.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        load_rules: Callable[[], Rules],
        leadership: Leadership | None = None,
    ) -> None:
        self._database = database
        self._leadership = leadership or Leader(database, clock, TERM_S)
        self._clock = clock
        self._load_rules = load_rules
        self._rescued_at = self._measured_at = clock.monotonic()
        self._expected: Mapping[str, Expected] = {}
        self.rules = load_rules()
        self.worker_id: str | None = None
        """Whose house it is, once that is known."""
        self.fault_until = 0.0
        """The monotonic second until which the database is left alone."""
        self._look_up()

    @property
    def is_faulty(self) -> bool:
        """Whether the database failed a moment ago."""
        return self.fault_until > self._clock.monotonic()

    def fault(self, error: Exception) -> None:
        """Report a failure. Outcomes wait in memory, leases are held by the heartbeat."""
        tell(_LOG, logging.ERROR, "database_failed", str(error), code=getattr(error, "code", None))
        self.fault_until = self._clock.monotonic() + FAULT_WAIT_S

    def attempt(self, write: Callable[[], None]) -> bool:
        """Write something unless the database failed a moment ago; whether it was written."""
        if self.is_faulty:
            return False
        try:
            write()
        except (DatabaseError, StorageFull) as error:
            self.fault(error)
            return False
        return True

    def keep(self) -> bool:
        """Do what is due by now; whether jobs were rescued."""
        now = self._clock.monotonic()
        rescued = now - self._rescued_at >= self.rules.settings.heartbeat and self.rescue() > 0
        if now - self._measured_at >= MEASURE_S:
            self.measure()
            self.refresh()
            self._look_up()
        return rescued

    def rescue(self) -> int:
        """Take up the jobs of dead workers; how many."""
        self._rescued_at = self._clock.monotonic()
        try:
            return rescue(self._database, self.rules, self._clock.now(), by=self.worker_id)
        except (DatabaseError, StorageFull) as error:
            self.fault(error)
            return 0

    def fire(self) -> None:
        """Fire the schedules that are due, by fresh rules: a schedule may be younger than those at hand."""
        if self.is_faulty:
            return
        from wedsync_ops.jobs import fire  # with APScheduler behind it; most workers never need it

        try:
            fires = fire.fire_due(
                self._database, self.refresh(), now=self._clock.now(), by=self.worker_id or "a worker"
            )
        except DatabaseConflict:
            return  # another worker was at it; what is still due is met again
        except (DatabaseError, StorageFull) as error:
            self.fault(error)
            return
        if fires:
            tell(_LOG, logging.INFO, "schedules_fired", "recurring schedules have fired", fires=fires)
            wakeup.ring(self._database, self.rules.settings.home)

    def measure(self) -> None:
        """Measure how long jobs take, unless another worker does."""
        self._measured_at = self._clock.monotonic()
        try:
            term = self._leadership.lead(MEASURING, self.worker_id or "")
            if term is not None:
                with self._leadership.writing(term) as connection:
                    durations.measure(connection, self._clock.now())
        except TermOver as error:
            _LOG.warning("%s", error)
        except (DatabaseError, StorageFull) as error:
            self.fault(error)

    def _look_up(self) -> None:
        """Read what was measured, by this worker or another."""
        try:
            with self._database.reading() as connection:
                self._expected = durations.read(connection)
        except (DatabaseError, StorageFull) as error:
            self.fault(error)
        self.rules = replace(self.rules, expected=self._expected)

    def refresh(self) -> Rules:
        """Read the rules anew; on a failure the known ones stay."""
        try:
            self.rules = replace(self._load_rules(), expected=self._expected)
        except (DatabaseError, StorageFull) as error:
            self.fault(error)
        return self.rules
