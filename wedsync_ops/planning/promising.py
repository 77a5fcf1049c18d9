"""Promises: what is known of the queue, asked whether a job can be done in time."""

from contextlib import suppress

from sqlalchemy import Connection

from wedsync_ops.errors import DeadlineMissed, UnknownJob, WedsyncError
from wedsync_ops.instants import iso
from wedsync_ops.jobs import actions, rank
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.model import FINISHED, Priority, Queued, Request, State
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.rescue import is_dead
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, lanes, place, workers
from wedsync_ops.planning.admission import Demand, Load, Promise, Verdict, promise

_NEW = ("new", "replaced")
"""How requests are answered that make a job, or make another one of it."""


def enqueue(queue: Queue, request: Request, *, dry_run: bool = False) -> tuple[Queued, Promise | None]:
    """Queue one job, and say what can be promised of it; ``None`` for one that has ended, of a request sent again.

    Raises DeadlineMissed when the deadline that the request gives cannot be kept; one that follows from the wedding is
    at most at risk. Else as ``actions.enqueue``.
    """
    with queue.database.reading() as connection:
        load = measure(connection, queue.rules, queue.clock.now())
    if request.deadline is not None:
        dry = actions.enqueue(queue, request, dry_run=True)
        if dry.queued_as in _NEW:
            found = _asked(queue, request, dry, load)
            if found.verdict is Verdict.REFUSE:
                raise _refusal(request, found)
            if dry_run:
                return dry, found
    queued = actions.enqueue(queue, request, dry_run=dry_run)
    told: Promise | None = None
    with suppress(WedsyncError):  # the job is queued, whatever keeps its promise from being told
        is_new = queued.queued_as in _NEW or queued.job_id is None
        told = _softened(_asked(queue, request, queued, load)) if is_new else of_job(queue, queued.job_id or 0)
    return queued, told


def of_job(queue: Queue, job_id: int) -> Promise | None:
    """What can be promised of a job now; ``None`` when it has ended. Raises UnknownJob."""
    with queue.database.reading() as connection:
        found = place.find(connection, job_id)
        if found is None:
            raise UnknownJob(f"there is no job {job_id}")
        if found.state in FINISHED:
            return None
        load, measured = measure(connection, queue.rules, queue.clock.now()), durations.read(connection)
    expected = expected_of(measured, queue.rules.registry.version(found.module_type, found.module_version))
    if found.state is State.AVAILABLE and found.before is not None:
        load = load.at_place(found.priority, found.before * expected.p50_us)
    demand = Demand(
        due_at=found.due_at,
        deadline_at=found.deadline_at,
        p95_us=expected.p95_us,
        attempts_left=found.max_attempts - found.attempt,
        priority=found.priority,
    )
    return _softened(promise(demand, load, queue.clock.now()))


def measure(connection: Connection, rules: Rules, now: int) -> Load:
    """The work that waits, by the lanes' counters and what executions take, and the slots that there are for it."""
    measured = durations.read(connection)
    ahead = [0] * len(Priority)
    for count in lanes.read(connection):
        if count.available > 0 and count.lane.module_type in rules.registry.pointers:
            expected = expected_of(measured, rules.registry.current(count.lane.module_type))
            for priority in range(count.lane.priority + 1):
                ahead[priority] += count.available * expected.p50_us
    alive = [one for one in workers.living(connection) if not is_dead(one, now, rules.settings.lease_s)]
    return Load(ahead_us=ahead, slots=sum(one.slots for one in alive), assumed_slots=rules.settings.min_slots)


def _asked(queue: Queue, request: Request, queued: Queued, load: Load) -> Promise:
    """What can be promised of a job that is queued just now, or would be."""
    rules = queue.rules
    prepared = prepare(rules, request, texts=False)
    with queue.database.reading() as connection:
        measured = durations.read(connection)
    demand = Demand(
        due_at=queued.due_at,
        deadline_at=rank.deadline(prepared.deadline_at, prepared.wedding, queued.due_at, queued.module_type),
        p95_us=expected_of(measured, prepared.module).p95_us,
        attempts_left=prepared.module.definition.retry.attempts,
        priority=queued.priority_applied,
    )
    return promise(demand, load, queue.clock.now())


def _softened(found: Promise) -> Promise:
    """A job that is accepted is at most at risk: a wedding is no reason to send nothing."""
    if found.verdict is not Verdict.REFUSE:
        return found
    return Promise(Verdict.AT_RISK, found.slack_us, found.earliest_feasible_at, found.helps)


def _refusal(request: Request, found: Promise) -> DeadlineMissed:
    helps = ", or ".join(one.message for one in found.helps)
    return DeadlineMissed(
        f"the deadline {request.deadline} cannot be kept: the job would be done at"
        f" {iso(found.earliest_feasible_at)} at the earliest",
        hint=f"what would help: {helps}",
        details=[
            {"earliest_feasible_at": iso(found.earliest_feasible_at), "helps": [one._asdict() for one in found.helps]}
        ],
    )
