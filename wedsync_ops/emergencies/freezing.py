"""The change freeze as others meet it: whether a change may be made now, and who made one all the same."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.emergencies.freeze import Frozen, Near, days_to_look_at, frozen, together
from wedsync_ops.emergencies.store import frozen as store
from wedsync_ops.emergencies.store.frozen import Open
from wedsync_ops.errors import ChangeFrozen, InvalidInput, quoted
from wedsync_ops.instants import DAY, iso
from wedsync_ops.jobs.guard import Change
from wedsync_ops.settings import Settings, operator

LONGEST_TEXT = 500
"""The most characters of a reason."""


class Freeze:
    """Forbids changes while weddings are near whose jobs are open. ``zone_of`` tells a wedding's zone by its name."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, zone_of: Callable[[str | None], ZoneInfo]
    ) -> None:
        self._database = database
        self._clock = clock
        self._days = settings.freeze_days
        self._zone_of = zone_of

    def now(self, scope: str = "all", name: str = "") -> Frozen | None:
        """What freezes changes of a scope at this moment; ``None`` when nothing does."""
        if self._days < 0:
            return None
        now = self._clock.now()
        with self._database.reading() as connection:
            until = now + (self._days + 2) * DAY
            found = store.open_jobs(connection, days_to_look_at(now, self._days), until)
        return frozen(now, self._days, together([self._near(one) for one in found if _is_of(one, scope, name)]))

    def check(self, change: Change, override: str | None = None) -> None:
        """Raise ChangeFrozen while weddings are near, unless somebody overrides it and says why; that is kept."""
        why = self.allow(change, override)
        if why is not None and override is not None:
            self.keep(change, override, why)

    def allow(self, change: Change, override: str | None = None) -> Frozen | None:
        """The same, and nothing is kept; answers what is overridden, for ``keep``."""
        why = self.now(change.scope, change.name)
        if why is None:
            return None
        if override is None:
            raise ChangeFrozen(
                f"{change.words} is frozen until {iso(why.until)}: weddings are near: {why.words}",
                details=[
                    {"wedding_date": str(one.wedding_on), "client_id": one.client_id, "open_jobs": one.jobs}
                    for one in why.weddings
                ],
            )
        if not override.strip() or not override.isprintable() or len(override) > LONGEST_TEXT:
            raise InvalidInput(f"the reason must be 1 to {LONGEST_TEXT} printable characters, not {quoted(override)}")
        return why

    def keep(self, change: Change, override: str, why: Frozen) -> None:
        """Keep that somebody made a frozen change, and why."""
        with self._database.transaction() as connection:
            store.record(
                connection,
                at=self._clock.now(),
                by=operator(),
                change=change.words,
                reason=override,
                weddings=why.named,
            )

    def _near(self, one: Open) -> Near:
        return Near(wedding_on=one.wedding_on, zone=self._zone_of(one.timezone), client_id=one.client_id, jobs=one.jobs)


def _is_of(one: Open, scope: str, name: str) -> bool:
    return scope == "all" or name == (one.module_type if scope == "module" else one.supplier_id)
