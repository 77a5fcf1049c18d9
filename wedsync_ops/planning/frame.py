"""The journeys as they are registered, ready to plan with: which apply to a couple, and every version of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from wedsync_ops.errors import UnknownJourney, quoted
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules.reading import near
from wedsync_ops.planning.definitions import from_text
from wedsync_ops.planning.free_days import holidays_of
from wedsync_ops.planning.reconcile import Versioned
from wedsync_ops.planning.store import journeys as store
from wedsync_ops.planning.store.journeys import Stored
from wedsync_ops.weddings.model import Client

_AFTER = 32
"""Days that a step may be later than its offset says: it skips holidays, and zones differ."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What couples are planned by."""

    rules: Rules
    stored: Mapping[tuple[str, int], Stored]
    only: str | None = None
    """The one journey that is planned; those that were planned of others still move with their wedding."""
    _versions: dict[tuple[str, int], Versioned] = field(default_factory=dict, repr=False, compare=False)

    def current(self) -> list[Versioned]:
        """The journeys in force, by id. Raises ExtraMissing, InvalidInput for a country without known holidays."""
        chosen = [one for one in self.stored.values() if one.is_current and self.only in (None, one.id)]
        return [found for one in chosen if (found := self.find(one.id, one.version)) is not None]

    def applying(self, client: Client, current: Sequence[Versioned]) -> list[Versioned]:
        """Those of the journeys that a couple is on."""
        who = (client.vendor_type, client.supplier_id, client.region.value)
        return [one for one in current if one.journey.applies(*who)]

    def find(self, journey_id: str, version: int) -> Versioned | None:
        """A version of a journey, ``None`` when there is none. Raises as ``current``."""
        key = (journey_id, version)
        stored = self.stored.get(key)
        if stored is None:
            return None
        known = self._versions.get(key)
        if known is None:
            journey = from_text(stored.definition)
            known = self._versions.setdefault(key, Versioned(journey, version, holidays_of(journey)))
        return known

    def days_after(self) -> int:
        """For how many days after a wedding steps may still be to come."""
        found = [from_text(one.definition) for one in self.stored.values() if one.is_current]
        offsets = [step.days for one in found for step in one.steps if step.anchor == "wedding"]
        return max([0, *offsets]) + _AFTER


def load(connection: Connection, rules: Rules, only: str | None = None) -> Frame:
    """The journeys as they are registered now. Raises UnknownJourney for one that is none."""
    stored = store.everything(connection)
    if only is not None and not any(one.is_current and one.id == only for one in stored):
        known = tuple(sorted({one.id for one in stored if one.is_current}))
        hint = f"use one of {', '.join(known)}" if known else "register a file with journeys:"
        raise UnknownJourney(f"there is no journey {quoted(only)}{near(only, known)}", hint=hint)
    return Frame(rules, {(one.id, one.version): one for one in stored}, only)
