"""Gathers what an explanation of a job needs, in one look at the database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol

from sqlalchemy import Connection

from wedsync_ops.errors import UnknownJob
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.admission import UNLIMITED_KB, WEEK, Machine, Need, load_of, refusal
from wedsync_ops.jobs.admitting import promised_by, usual_need
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.conclude import wedding_days
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.explain import Crew, Explanation, Facts, Held, Paused, explain
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.rescue import is_dead
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.scope import covers
from wedsync_ops.jobs.store import control, drains, durations, place, view, workers
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.jobs.store.place import Place
from wedsync_ops.jobs.store.view import JobView
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.weddings.model import Region


def explained(queue: Queue, job_id: int) -> tuple[JobView, Explanation]:
    """A job, and why it is where it is. Raises UnknownJob."""
    now = queue.clock.now()
    with queue.database.reading() as connection:
        job, found = view.state_of(connection, job_id), place.find(connection, job_id)
        if job is None or found is None:
            raise UnknownJob(f"there is no job {job_id}")
        return job, explain(_facts(connection, queue, found, now))


def _facts(connection: Connection, queue: Queue, found: Place, now: int) -> Facts:
    lease_s = queue.rules.settings.lease_s
    known = workers.living(connection)
    dead = {worker.id for worker in known if is_dead(worker, now, lease_s)}
    alive = [worker for worker in known if worker.id not in dead]
    module = queue.rules.registry.version(found.module_type, found.module_version)
    measured = durations.read(connection)
    expected = expected_of(measured, module)
    able = [worker for worker in alive if takes(worker, found.module_type, found.region)]
    rules = replace(queue.rules, expected=measured)
    pauses = [
        pause
        for pause in control.closed(connection, now)
        if covers(pause.scope, pause.name, found.module_type, found.supplier_id, found.priority.word)
    ]
    names = tuple(Facts.__slots__)
    own = {name: getattr(found, name) for name in Place.__slots__ if name in names}
    return Facts(
        now=now,
        **own,
        lease_is_alive=found.leased_by in {worker.id for worker in alive},
        held=_held(connection, queue, found),
        pauses=[Paused(what=_what(p), by=p.paused_by, reason=p.reason, until=p.until) for p in pauses],
        drains=_drains(connection, found, now),
        p50_us=expected.p50_us,
        p95_us=expected.p95_us,
        crew=_crew(able, others=len(alive) - len(able), silent=len(dead)),
        refusal=refusal_by(connection, rules, able, found, now) if found.state is State.AVAILABLE else None,
        supplier_waits=found.of_supplier,
    )


class _Kind(Protocol):
    """What admission asks of a job."""

    @property
    def module_type(self) -> str: ...
    @property
    def wedding_on(self) -> date | None: ...
    @property
    def timezone(self) -> str | None: ...
    @property
    def vendor_type(self) -> str | None: ...


def refusal_by(connection: Connection, rules: Rules, able: Sequence[Worker], found: _Kind, now: int) -> str | None:
    """Why none of the workers that have a free slot admits the job; ``None`` when one does, or none has."""
    need = _promised(rules, found, now)
    refusals = []
    leased = place.leased(connection)
    for worker in able:
        load = load_of(_promised(rules, one, now) for one in leased if one.leased_by == worker.id)
        if load.jobs < worker.slots:
            machine = Machine(worker.slots, UNLIMITED_KB if worker.memory_kb is None else worker.memory_kb)
            refusals.append(refusal(need, load, machine))
    return refusals[0] if refusals and None not in refusals else None


def _need(rules: Rules, module_type: str, on: date | None, zone: str | None, now: int) -> Need:
    usual = usual_need(rules, module_type)
    return usual._replace(is_wedding_week=wedding_days(rules, on, zone, now) in WEEK)


def _promised(rules: Rules, one: _Kind, now: int) -> Need:
    usual = _need(rules, one.module_type, one.wedding_on, one.timezone, now)
    return promised_by(usual, rules, one.module_type, one.vendor_type)


def _crew(able: Sequence[Worker], *, others: int, silent: int) -> Crew:
    return Crew(
        workers=len(able),
        slots=sum(worker.slots for worker in able),
        busy=sum(worker.busy for worker in able),
        others=others,
        silent=silent,
    )


def takes(worker: Worker, module_type: str, region: str) -> bool:
    """Whether a worker runs jobs of a module type for weddings in a region."""
    if not worker.takes(module_type):
        return False
    return worker.region is None or region in (worker.region, Region.UNKNOWN)


def _drains(connection: Connection, found: Place, now: int) -> list[Paused]:
    """The drains that cover the job and have not come to their end; those that have are among the pauses."""
    return [
        Paused(what=_what(one), by=one.begun_by, reason=one.reason, until=one.until)
        for one in drains.read(connection, now)
        if one.drained_at is None and one.covers(found.module_type, found.supplier_id)
    ]


def _what(pause: Pause | Drain) -> str:
    return "all" if pause.scope == "all" else f"{pause.scope} {pause.name}"


def _held(connection: Connection, queue: Queue, found: Place) -> Held | None:
    if found.held_by is None:
        return None
    name, _, key = found.held_by.partition(":")
    limit = next((limit for limit in queue.rules.settings.limits if limit.name == name), None)
    return Held(name=name, key=key, wake_at=place.wake_at(connection, name, key), limit=limit)
