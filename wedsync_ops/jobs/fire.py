"""Firing: the schedules that are due leave a row per fire, and the jobs of those that run are queued, all at once.

A transaction of its own, apart from the loop's: it locks keys and codes before it locks any lane, as callers do.
"""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError, shortened
from wedsync_ops.instants import iso
from wedsync_ops.jobs import intake, wakeup
from wedsync_ops.jobs.firing import CATCH_UP, NOTHING_AHEAD, FireOutcome, NextFire, Verdict, plan
from wedsync_ops.jobs.model import Queued
from wedsync_ops.jobs.prepare import Prepared, prepare
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.schedule import Schedule
from wedsync_ops.jobs.store import control, drains, stops
from wedsync_ops.jobs.store import schedules as store
from wedsync_ops.jobs.store.schedules import Fire, Stored, Unfinished

CHUNK = 10
"""The most schedules that one transaction fires."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fire that is decided, and when it is to run the job that it asks for, or why there is none.

    ``name`` is the schedule's, ``kind`` scheduled or manual.
    """

    name: str
    overlap: str
    verdict: Verdict
    kind: str
    job: Prepared | WedsyncError | None


@dataclass(frozen=True, slots=True)
class _Due:
    """A schedule that is due, the fires that come of that, and the one that comes next."""

    stored: Stored
    fires: list[Wanted]
    ahead: NextFire


def fire_due(database: Database, rules: Rules, *, now: int, by: str) -> int:
    """Fire what is due, at most ten schedules and some hundred fires; returns how many. ``by`` is who does it.

    All that can be decided without a lock is decided before. Whatever a fire comes to, its schedule moves on: nothing
    that is wrong with one is met again at once. Raises DatabaseError, StorageFull.
    """
    with database.reading() as connection:
        seen = store.due(connection, now, CHUNK)
    due: dict[str, _Due] = {}
    for stored in seen:
        if sum(len(one.fires) for one in due.values()) < CATCH_UP:  # the rest is met again at once
            due[stored.id] = _planned(rules, stored, now)
    if not due:
        return 0
    fires = 0
    with database.transaction() as connection:
        held = [due[stored.id] for stored in store.held(connection, [one.stored for one in due.values()])]
        lock_keys(connection, [wanted for one in held for wanted in one.fires], now)
        for one in held:
            for wanted in one.fires:
                fires += fire(connection, rules, wanted, now=now, by=by) is not None
            store.advance(connection, one.stored.id, one.ahead)
        wakeup.notify(connection)
    return fires


def lock_keys(connection: Connection, wanted: list[Wanted], now: int) -> None:
    """Lock the keys and codes of all jobs that are to be queued, before any lane is, and drains before them."""
    jobs = [one.job for one in wanted if isinstance(one.job, Prepared)]
    if jobs:
        drains.read(connection, now, entering=True)
    intake.lock_keys(connection, jobs)


def wanted_of(rules: Rules, schedule: Schedule, verdict: Verdict, kind: str) -> Wanted:
    """A fire with its job, when it is to run."""
    job = job_of(rules, schedule, verdict.fire_at) if verdict.outcome is None else None
    return Wanted(schedule.id, schedule.overlap, verdict, kind, job)


def job_of(rules: Rules, schedule: Schedule, fire_at: int) -> Prepared | WedsyncError:
    """The job of a fire, or what is wrong with it, whatever another party's code raises."""
    try:
        return prepare(rules, schedule.request(fire_at))
    except WedsyncError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a handler's own code, which must not end the worker
        return WedsyncError(f"the handler's own code failed with {type(error).__name__}: {error}")


def fire(connection: Connection, rules: Rules, wanted: Wanted, *, now: int, by: str) -> Fire | None:
    """Write a fire and queue its job in the running transaction; ``None`` when the schedule has fired at that time."""
    verdict = wanted.verdict
    outcome = verdict.outcome or FireOutcome.QUEUED
    made = Fire(wanted.name, verdict.fire_at, wanted.kind, verdict.due_at, now, by, outcome, None, verdict.reason)
    if not store.insert_fire(connection, made):
        return None
    if verdict.outcome is not None:
        return made
    if isinstance(wanted.job, Prepared):
        done = _queue(connection, rules, made, wanted.overlap, wanted.job)
    else:
        done = _refused(made, wanted.job)
    store.conclude_fire(connection, done)
    return done


def _planned(rules: Rules, stored: Stored, now: int) -> _Due:
    """What is due of a schedule. One that can no longer be read is refused, and ends."""
    at, due_at = stored.next_fire_at or 0, stored.next_due_at or 0
    try:
        schedule = Schedule.model_validate_json(stored.definition)
        planned = plan(schedule.recurrence(), at, now)
    except (ValueError, WedsyncError):
        verdict = Verdict(at, due_at, FireOutcome.REFUSED, "this version of wedsync-ops cannot read the schedule")
        return _Due(stored, [Wanted(stored.id, "queue", verdict, "scheduled", None)], NOTHING_AHEAD)
    fires = [wanted_of(rules, schedule, verdict, "scheduled") for verdict in planned.verdicts]
    return _Due(stored, fires, planned.ahead)


def _queue(connection: Connection, rules: Rules, made: Fire, overlap: str, job: Prepared) -> Fire:
    earlier = [] if overlap == "queue" else store.unfinished(connection, made.schedule_id)
    if earlier and overlap == "skip":
        return replace(made, outcome=FireOutcome.SKIPPED, reason=f"{_named(earlier[0])} has not finished")
    with connection.begin_nested() as savepoint:
        cancelled = control.cancel(connection, [one.job_id for one in earlier], made.decided_at) if earlier else set()
        running = [one.job_id for one in earlier if one.job_id not in cancelled]
        if running:
            stops.ask(connection, running, by=f"the schedule {made.schedule_id}", now=made.decided_at)
        (answer,) = intake.place(connection, rules, [job], now=made.decided_at)
        if isinstance(answer, Queued) and answer.queued_as == "kept":
            savepoint.rollback()  # as below
            named = f"job {answer.job_id} with the same unique key is {answer.state}"
            return replace(made, outcome=FireOutcome.SKIPPED, reason=named)
        if isinstance(answer, Queued):
            return replace(made, job_id=answer.job_id, reason=_replacing(earlier, cancelled))
        savepoint.rollback()  # what was cancelled for it goes on waiting
    return _refused(made, answer)


def _refused(made: Fire, error: WedsyncError | None) -> Fire:
    return replace(made, outcome=FireOutcome.REFUSED, reason=shortened(" ".join(str(error).split())))


def _named(earlier: Unfinished) -> str:
    return f"job {earlier.job_id} of the fire of {iso(earlier.fire_at)}"


def _replacing(earlier: list[Unfinished], cancelled: set[int]) -> str | None:
    """What a fire has done about the jobs before it."""
    parts = [f"cancelled {_named(one)}" for one in earlier if one.job_id in cancelled]
    parts += [f"{_named(one)} runs, and is broken off" for one in earlier if one.job_id not in cancelled]
    return "; ".join(parts) or None
