"""What people do with recurring schedules: register them with a definition file, look, pause, resume, run now."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from wedsync_ops import codec
from wedsync_ops.errors import (
    DatabaseError,
    InvalidConfig,
    InvalidInput,
    ModuleInactive,
    Refused,
    UnknownModule,
    UnknownSchedule,
    WedsyncError,
    quoted,
)
from wedsync_ops.instants import MINUTE
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.fire import fire, job_of, lock_keys, wanted_of
from wedsync_ops.jobs.firing import NOTHING_AHEAD, NextFire, Verdict
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.schedule import FoundSchedule, Schedule, parse
from wedsync_ops.jobs.store import schedules as store
from wedsync_ops.jobs.store.schedules import Fire, Last, Stored
from wedsync_ops.modules.model import Problem
from wedsync_ops.modules.registry import Registry
from wedsync_ops.settings import operator

LATE_US = MINUTE
"""How long a fire may be due before its schedule counts as late: something is alive but stuck, or nothing is alive."""
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Registered:
    """A schedule of a file, or one that the file no longer has, and what it came to.

    ``change`` is added, changed, unchanged or removed.
    """

    schedule_id: str
    change: str
    next_fire_at: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule as it stands; ``lag_us`` is how long a fire has been due.

    ``state`` is active, late, ahead (a clock that was ahead has fired times that are still to come), paused or ended.
    """

    schedule: Schedule
    stored: Stored
    last: Last | None
    state: str
    lag_us: int

    @property
    def is_held(self) -> bool:
        """Whether somebody paused it, apart from its definition."""
        return self.state == "paused" and not self.schedule.paused


class Batch:
    """The schedules of a definition file, registered with its module types: all of the file, or nothing.

    A file that says ``schedules:`` names all that there are; one that doesn't leaves them as they are.
    """

    def __init__(self, rules: Rules, raw: bytes, now: int) -> None:
        self._rules = rules
        self._now = now
        self._parsed = parse(raw, now)
        self.registered: tuple[Registered, ...] = ()
        """What it came to, once it is stored."""
        self.warnings: tuple[Problem, ...] = ()
        """What is doubtful, once it is checked."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the schedules by themselves."""
        return () if self._parsed is None else self._parsed.problems

    def check(self, registry: Registry) -> Sequence[Problem]:
        """What is wrong with their jobs, as those would be queued with the module types of the file."""
        rules = replace(self._rules, registry=registry)
        found = () if self._parsed is None else self._parsed.schedules
        problems, warnings = [], []
        for one in found:
            wrong = job_of(rules, one.schedule, self._now)
            if isinstance(wrong, ModuleInactive):
                warnings.append(one.problem("module_type", f"{wrong.message}: its fires will be refused"))
            elif isinstance(wrong, WedsyncError):
                problems.append(one.problem(_field(wrong), str(wrong)))
        self.warnings = tuple(warnings)
        return problems

    def store(self, connection: Connection, *, dry_run: bool) -> None:
        """Write them; on a dry run only find out what would change."""
        if self._parsed is None:
            return
        known = {stored.id: stored for stored in store.load(connection, lock=not dry_run)}
        kept = {one.schedule.id for one in self._parsed.schedules}
        done = [self._store(connection, one, known.get(one.schedule.id), dry_run) for one in self._parsed.schedules]
        gone = [name for name in known if name not in kept]
        if not dry_run:
            store.delete(connection, gone)
            wakeup.notify(connection)
        self.registered = (*done, *(Registered(name, "removed", None) for name in gone))

    def _store(
        self,
        connection: Connection,
        found: FoundSchedule,
        before: Stored | None,
        dry_run: bool,  # noqa: FBT001 - private
    ) -> Registered:
        schedule = found.schedule
        content = codec.canonical(schedule.model_dump(mode="json")).decode()
        if before is not None and before.definition == content:
            return Registered(schedule.id, "unchanged", before.next_fire_at)
        after = replace(before or Stored(schedule.id, content, self._now), definition=content, registered_at=self._now)
        if before is None or _read(before).timing_fields() != schedule.timing_fields():
            after = _aimed(after, schedule, self._now)
        if not dry_run:
            store.save(connection, after)
        return Registered(schedule.id, "added" if before is None else "changed", after.next_fire_at)


def standings(queue: Queue) -> list[Standing]:
    """Every schedule as it stands, by id."""
    now = queue.clock.now()
    with queue.database.reading() as connection:
        return [_standing(stored, store.last(connection, stored.id), now) for stored in store.load(connection)]


def standing(queue: Queue, schedule_id: str) -> Standing:
    """One schedule as it stands. Raises UnknownSchedule."""
    with queue.database.reading() as connection:
        stored = _known(store.get(connection, schedule_id), schedule_id)
        return _standing(stored, store.last(connection, schedule_id), queue.clock.now())


def history(queue: Queue, schedule_id: str, limit: int) -> list[Fire]:
    """A schedule's fires, the latest first, at most ``limit`` (0 = all); also of one that was removed.

    Raises UnknownSchedule.
    """
    with queue.database.reading() as connection:
        fires = store.history(connection, schedule_id, limit)
        if not fires:
            _known(store.get(connection, schedule_id), schedule_id)
    return fires


def pause(queue: Queue, schedule_id: str, *, reason: str | None = None, until: int | None = None) -> Standing:
    """Let a schedule fire no more, for good or until an instant. What would have fired meanwhile is left out.

    Raises UnknownSchedule, InvalidInput.
    """
    now = queue.clock.now()
    if until is not None and until <= now:
        raise InvalidInput("--until lies in the past")
    with queue.database.transaction() as connection:
        stored = _known(store.get(connection, schedule_id, lock=True), schedule_id)
        why = None if reason is None else reason[:LONGEST_REASON]
        held = replace(stored, paused_at=now, paused_by=operator(), pause_reason=why, paused_until=until)
        return _changed(connection, held, now)


def resume(queue: Queue, schedule_id: str) -> tuple[Standing, bool]:
    """Let a schedule that is paused or ahead fire again, from now on; and whether that changed anything.

    Raises UnknownSchedule, or Refused for one that its definition pauses.
    """
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        stored = _known(store.get(connection, schedule_id, lock=True), schedule_id)
        if _read(stored).paused:
            raise Refused(
                f"the schedule {quoted(schedule_id)} is paused by its definition",
                hint="take 'paused: true' out of it, and register it again",
            )
        before = _standing(stored, store.last(connection, schedule_id), now)
        if stored.paused_at is None and before.state != "ahead":
            return before, False
        store.forget_unlived(connection, schedule_id, now)
        free = replace(stored, paused_at=None, paused_by=None, pause_reason=None, paused_until=None)
        done = _changed(connection, free, now)
    queue.ring()
    return done, True


def run(queue: Queue, schedule_id: str) -> Fire:
    """Fire a schedule now, beside its times and also while it is paused; what it comes to is in the answer.

    Raises UnknownSchedule.
    """
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        schedule = _read(_known(store.get(connection, schedule_id, lock=True), schedule_id))
        done, at = None, now
        while done is None:
            wanted = wanted_of(queue.rules, schedule, Verdict(at, at, None, None), "manual")
            lock_keys(connection, [wanted], now)
            done = fire(connection, queue.rules, wanted, now=now, by=operator())
            at += 1  # the schedule has fired in this very microsecond, by another hand
        wakeup.notify(connection)
    queue.ring()
    return done


def _changed(connection: Connection, stored: Stored, now: int) -> Standing:
    """Write a schedule with another pause, and the fire that therefore comes next."""
    aimed = _aimed(stored, _read(stored), now)
    store.save(connection, aimed)
    wakeup.notify(connection)
    return _standing(aimed, store.last(connection, stored.id), now)


def _aimed(stored: Stored, schedule: Schedule, now: int) -> Stored:
    """The schedule with the fire that comes next after now, or after its pause."""
    ahead: NextFire = NOTHING_AHEAD
    if not schedule.paused and (stored.paused_at is None or stored.paused_until is not None):
        ahead = schedule.recurrence().next_fire(max(now, stored.paused_until or 0))
    return replace(stored, next_fire_at=ahead.fire_at, next_due_at=ahead.due_at)


def _standing(stored: Stored, last: Last | None, now: int) -> Standing:
    schedule = _read(stored)
    lag_us = 0 if stored.next_due_at is None else max(0, now - stored.next_due_at)
    held = stored.paused_at is not None and (stored.paused_until is None or stored.paused_until > now)
    if schedule.paused or held:
        state = "paused"
    elif stored.next_fire_at is None:
        state = "ended"
    elif last is not None and now + LATE_US < last.fire.fire_at < stored.next_fire_at:
        state = "ahead"
    else:
        state = "late" if lag_us > LATE_US else "active"
    return Standing(schedule, stored, last, state, lag_us)


def _known(stored: Stored | None, schedule_id: str) -> Stored:
    if stored is None:
        raise UnknownSchedule(f"there is no schedule {quoted(schedule_id)}")
    return stored


def _read(stored: Stored) -> Schedule:
    try:
        return Schedule.model_validate_json(stored.definition)
    except ValueError as error:
        raise DatabaseError(f"the schedule {quoted(stored.id)} cannot be read") from error


def _field(error: WedsyncError) -> str:
    """The field of a schedule that an error of its job is about."""
    if isinstance(error, UnknownModule):
        return "module_type"
    return "config" if isinstance(error, InvalidConfig) else "context"
