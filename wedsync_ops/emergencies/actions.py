"""What is done with emergencies: declare, go on, resolve, look back.

Every step is one transaction, with the note that it was taken: whoever comes next goes on where the last one stopped.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.emergencies.breaker import Breaker
from wedsync_ops.emergencies.model import RULE, Emergency, Override, Scope, Step, StepState
from wedsync_ops.emergencies.place import Place
from wedsync_ops.emergencies.protocols import NAME, Protocols, merged, parse
from wedsync_ops.emergencies.steps import take, undo
from wedsync_ops.emergencies.store import emergencies, frozen
from wedsync_ops.errors import (
    DatabaseError,
    InvalidInput,
    NotFound,
    SettingError,
    StorageFull,
    UnknownEmergency,
    UsageError,
    WedsyncError,
    WrongState,
    quoted,
)
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import measures
from wedsync_ops.jobs.store.measures import Measure
from wedsync_ops.journal import tell
from wedsync_ops.settings import Settings, operator

_LOG = logging.getLogger(__name__)
LONGEST_TEXT = 500
"""The most characters of a reason."""
LONGEST_SUPPLIER = 255
"""The most characters of a supplier's id."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where emergencies are dealt with: the database, the clock, what jobs are judged by, and the protocols."""

    database: Database
    clock: Clock
    load_rules: Callable[[], Rules]
    protocols: Protocols

    def place(self) -> Place:
        """The platform as it is now."""
        return Place(self.load_rules(), self.protocols, self.clock.now())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An emergency to be declared."""

    name: str
    scope: Scope = Scope.ALL
    subject: str = ""
    reason: str | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand: the emergencies that go on with their steps, breakers, and what is in force because of them."""

    emergencies: tuple[Emergency, ...]
    steps: tuple[Step, ...]
    breakers: tuple[Breaker, ...]
    measures: tuple[Measure, ...]
    now: int


@dataclass(frozen=True, slots=True)
class History:
    """What happened: the latest emergencies with their steps, and changes made although they were frozen."""

    emergencies: tuple[Emergency, ...]
    steps: tuple[Step, ...]
    overrides: tuple[Override, ...]


def protocols_of(settings: Settings) -> Protocols:
    """The protocols that hold: those shipped, with one's own in their place. Raises SettingError."""
    name = "protocols.yaml"
    shipped = parse(files("wedsync_ops.emergencies").joinpath(name).read_bytes(), name)
    if settings.emergencies is None:
        return merged(shipped, {})
    try:
        raw = settings.emergencies.read_bytes()
    except OSError as error:
        raise SettingError(
            f"the setting emergencies cannot be read: {settings.emergencies}: {error.strerror}"
        ) from error
    return merged(shipped, parse(raw, str(settings.emergencies)))


def declare(desk: Desk, wish: Wish, *, by: str | None = None) -> Emergency:
    """Declare an emergency and take its protocol's steps. Raises InvalidInput, UsageError, NotFound, WrongState."""
    place = desk.place()
    protocol = desk.protocols.of(wish.name)
    _check(place, wish, opens_breaker=protocol.opens_breaker)
    until = wish.until
    if until is None and protocol.lasts_us is not None:
        until = place.now + protocol.lasts_us
    emergency = Emergency(
        id=0,
        name=wish.name,
        scope=wish.scope,
        subject=wish.subject,
        reason=wish.reason,
        declared_by=by or operator(),
        by_rule=by == RULE,
        declared_at=place.now,
        until=until,
    )
    with desk.database.transaction() as connection:
        emergencies.lock(connection)
        for one in emergencies.active(connection):
            if (one.name, one.scope, one.subject) == (wish.name, wish.scope, wish.subject):
                raise WrongState(
                    f"{one.words}, goes on already",
                    hint=f"see 'emergency status'; to end it: 'emergency resolve {one.id}'",
                )
        emergency = replace(emergency, id=emergencies.insert(connection, emergency, protocol.steps))
    if emergency.by_rule:
        _tell("emergency_declared", emergency, emergency.reason)
    carry_on(desk, emergency, place)
    return emergency


def _check(place: Place, wish: Wish, *, opens_breaker: bool) -> None:
    if not NAME.fullmatch(wish.name):
        raise InvalidInput(f"{quoted(wish.name)} is no name of an emergency", hint="use a-z, 0-9, _ and -, at most 50")
    if wish.reason is not None:
        _check_reason(wish.reason)
    if wish.until is not None and wish.until <= place.now:
        raise InvalidInput("--until lies in the past")
    if opens_breaker and wish.scope not in (Scope.MODULE, Scope.PROVIDER):
        raise UsageError(f"{wish.name} opens a breaker", hint="say of what: --module or --provider")
    if wish.scope is Scope.SUPPLIER and not (
        wish.subject.strip() and wish.subject.isprintable() and len(wish.subject) <= LONGEST_SUPPLIER
    ):
        raise InvalidInput(
            f"the supplier must be 1 to {LONGEST_SUPPLIER} printable characters, not {quoted(wish.subject)}"
        )
    if wish.scope is Scope.MODULE:
        place.rules.registry.pointer(wish.subject)
    if wish.scope is Scope.PROVIDER and wish.subject not in place.providers.values():
        known = ", ".join(sorted({name for name in place.providers.values() if name is not None})) or "none"
        raise NotFound(f"no module type delivers over a provider {quoted(wish.subject)}", hint=f"known: {known}")


def _check_reason(text: str) -> None:
    if not text.strip() or not text.isprintable() or len(text) > LONGEST_TEXT:
        raise InvalidInput(f"the reason must be 1 to {LONGEST_TEXT} printable characters, not {quoted(text)}")


def carry_on(desk: Desk, emergency: Emergency, place: Place) -> int:
    """Take the steps that were not taken yet, in order; one that cannot be taken is noted. Returns how many."""
    with desk.database.reading() as connection:
        pending = [step for step in emergencies.steps(connection, [emergency.id]) if step.state is StepState.PENDING]
    for step in pending:
        _take(desk, emergency, step, place)
    if pending:
        wakeup.ring(desk.database, place.rules.settings.home)
    return len(pending)


def _take(desk: Desk, emergency: Emergency, step: Step, place: Place) -> None:
    started = replace(step, started_at=place.now)
    try:
        with desk.database.transaction() as connection:
            emergencies.lock(connection)
            known = emergencies.get(connection, emergency.id)
            if known is None or known.ending is not None:
                return  # somebody resolves it meanwhile
            said = take(connection, place, emergency, step.plan.do, step.plan.with_)
            done = replace(started, state=StepState.DONE, done_at=desk.clock.now(), result=said)
            emergencies.save_step(connection, done)
    except (DatabaseError, StorageFull):
        raise
    except WedsyncError as error:
        failed = replace(started, state=StepState.FAILED, error=error.message)
        with desk.database.transaction() as connection:
            emergencies.save_step(connection, failed)
        if emergency.by_rule:
            _LOG.warning("%s: the step %s cannot be taken: %s", emergency.words, step.plan.do, failed.error)


def _tell(event: str, emergency: Emergency, why: str | None) -> None:
    """Log what nobody did by hand; who does something by hand is answered."""
    tell(_LOG, logging.WARNING, event, f"{emergency.words}: {why}", emergency_id=emergency.id)


def resolve(desk: Desk, emergency_id: int, *, note: str | None = None, by: str | None = None) -> Emergency:
    """End an emergency: its steps are undone, the last first. Raises UnknownEmergency, WrongState, InvalidInput."""
    if note is not None:
        _check_reason(note)
    with desk.database.transaction() as connection:
        emergencies.lock(connection)
        known = emergencies.get(connection, emergency_id)
        if known is None:
            raise UnknownEmergency(f"there is no emergency {emergency_id}")
        if known.resolved_at is not None:
            raise WrongState(f"emergency {emergency_id} is over already")
        if known.ending is None:
            known = replace(known, ending=note or "resolved by hand", resolved_by=by or operator())
            emergencies.update(connection, known)
    return finish(desk, known)


def finish(desk: Desk, emergency: Emergency) -> Emergency:
    """Undo what is left to undo of an emergency that is being resolved, and note that it is over."""
    place = desk.place()
    with desk.database.reading() as connection:
        steps = emergencies.steps(connection, [emergency.id])
    for step in reversed(steps):
        if step.state is StepState.DONE and step.plan.undo:
            with desk.database.transaction() as connection:
                emergencies.lock(connection)
                undo(connection, place, emergency, step.plan.do)
                undone = replace(step, state=StepState.UNDONE, undone_at=desk.clock.now())
                emergencies.save_step(connection, undone)
    over = replace(emergency, resolved_at=desk.clock.now())
    with desk.database.transaction() as connection:
        emergencies.lock(connection)
        emergencies.update(connection, over)
        wakeup.notify(connection)
    wakeup.ring(desk.database, place.rules.settings.home)
    if over.resolved_by == RULE:
        _tell("emergency_resolved", over, over.ending)
    return over


def standing(desk: Desk) -> Standing:
    """How things stand now."""
    now = desk.clock.now()
    with desk.database.reading() as connection:
        active = emergencies.active(connection)
        return Standing(
            tuple(active),
            tuple(emergencies.steps(connection, [one.id for one in active])),
            tuple(emergencies.breakers(connection)),
            tuple(measures.in_force(connection, now)),
            now,
        )


def steps_of(desk: Desk, emergency: Emergency) -> list[Step]:
    """The steps of an emergency as they are."""
    with desk.database.reading() as connection:
        return emergencies.steps(connection, [emergency.id])


def history(desk: Desk, limit: int) -> History:
    """The latest emergencies, over or not, and overrides of the freeze, at most ``limit`` of each (0: all)."""
    with desk.database.reading() as connection:
        latest = emergencies.latest(connection, limit)
        steps = emergencies.steps(connection, [one.id for one in latest])
        return History(tuple(latest), tuple(steps), tuple(frozen.overrides(connection, limit)))


def only_one(standing: Standing) -> int:
    """The id of the one emergency that goes on. Raises UsageError when there are several, NotFound when none is."""
    ids: Sequence[int] = [one.id for one in standing.emergencies]
    if not ids:
        raise UnknownEmergency("no emergency goes on")
    if len(ids) > 1:
        raise UsageError(f"{len(ids)} emergencies go on: {', '.join(map(str, ids))}", hint="name the one that is over")
    return ids[0]
