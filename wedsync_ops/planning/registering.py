"""Journeys, registered with the module types of a definition file: all of the file, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from wedsync_ops.errors import InvalidContext, ModuleInactive, UnknownModule, WedsyncError
from wedsync_ops.instants import iso, local_date
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules.model import Problem
from wedsync_ops.modules.registry import Registry
from wedsync_ops.planning.couples import couple_of, request_of
from wedsync_ops.planning.definitions import FoundJourney, Step, parse, to_text
from wedsync_ops.planning.free_days import check_country
from wedsync_ops.planning.model import Couple
from wedsync_ops.planning.store import journeys as store
from wedsync_ops.planning.store.journeys import Stored
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Client, Region


@dataclass(frozen=True, slots=True)
class RegisteredJourney:
    """A journey of a file, or one that the file no longer has, and what it came to.

    ``change`` is added, changed, unchanged or removed.
    """

    journey_id: str
    version: int
    change: str


class JourneyBatch:
    """The journeys of a definition file.

    A file that says ``journeys:`` names all that there are; one that doesn't leaves them as they are.
    """

    def __init__(self, rules: Rules, raw: bytes, now: int) -> None:
        self._rules = rules
        self._now = now
        self._parsed = parse(raw)
        self.registered: tuple[RegisteredJourney, ...] = ()
        """What it came to, once it is stored."""
        self.warnings: tuple[Problem, ...] = ()
        """What is doubtful, once it is checked."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the journeys by themselves."""
        return () if self._parsed is None else self._parsed.problems

    def check(self, registry: Registry) -> Sequence[Problem]:
        """What is wrong with their steps, as those would be queued for a couple that leaves nothing out."""
        rules = replace(self._rules, registry=registry)
        problems: list[Problem] = []
        warnings: list[Problem] = []
        for found in () if self._parsed is None else self._parsed.journeys:
            country = found.journey.holiday_country
            try:
                if country is not None:
                    check_country(country)
            except WedsyncError as error:
                problems.append(found.problem(("holiday_country",), str(error)))
            couple = _example(found, rules.calendar.zone, self._now)
            for index, step in enumerate(found.journey.steps):
                wrong = _fault(rules, found, step, couple, self._now)
                if wrong is None:
                    continue
                told = found.problem(("steps", index, _field(wrong)), str(wrong))
                (warnings if isinstance(wrong, ModuleInactive | InvalidContext) else problems).append(told)
        self.warnings = tuple(warnings)
        return problems

    def store(self, connection: Connection, *, dry_run: bool) -> None:
        """Write them; on a dry run only find out what would change."""
        if self._parsed is None:
            return
        if not dry_run:
            store.lock(connection)
        known = {one.id: one for one in store.current(connection)}
        given = [found.journey for found in self._parsed.journeys]
        all_of: dict[str, list[Stored]] = {}
        for one in store.versions(connection, [journey.id for journey in given]):
            all_of.setdefault(one.id, []).append(one)
        done = []
        for journey in given:
            before, text = known.get(journey.id), to_text(journey)
            if before is not None and before.definition == text:
                done.append(RegisteredJourney(journey.id, before.version, "unchanged"))
                continue
            earlier = all_of.get(journey.id, [])
            same = next((one.version for one in earlier if one.definition == text), None)
            number = same or max((one.version for one in earlier), default=0) + 1
            if not dry_run:
                store.save(connection, Stored(journey.id, number, text, is_current=True, registered_at=self._now))
            done.append(RegisteredJourney(journey.id, number, "added" if before is None else "changed"))
        names = {journey.id for journey in given}
        gone = [one for name, one in known.items() if name not in names]
        if not dry_run:
            store.retire(connection, [one.id for one in gone])
        self.registered = (*done, *(RegisteredJourney(one.id, one.version, "removed") for one in gone))


def _example(found: FoundJourney, zone: ZoneInfo, now: int) -> Couple:
    """A couple on the journey of which everything is known, whose wedding is a year ahead."""
    rule = found.journey.applies_to
    today = local_date(now, zone)
    return couple_of(
        Client(
            client_id="example",
            couple_name="Ada & Alan",
            email="couple@example.com",
            phone="+12025550123",
            wedding_on=date(today.year + 1, 6, 15),
            location="London",
            region=Region.OTHER,
            supplier_id=(rule.suppliers or ("example",))[0],
            vendor_type=singular((rule.vendor_types or ("photographer",))[0]),
            timezone=None,
            booked_on=today,
        ),
        zone,
    )


def _fault(rules: Rules, found: FoundJourney, step: Step, couple: Couple, now: int) -> WedsyncError | None:
    """What the queue would refuse a step for, whatever another party's code raises."""
    try:
        prepare(rules, request_of(found.journey, step, couple, iso(now)))
    except WedsyncError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a handler's own code, which must not end a registration
        return WedsyncError(f"the handler's own code failed with {type(error).__name__}: {error}")
    return None


def _field(error: WedsyncError) -> str:
    return "module" if isinstance(error, UnknownModule | ModuleInactive) else "config"
