"""What callers do with the queue: queue jobs, look at their place, cancel and retry them, pause lanes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import (
    InvalidInput,
    UniqueConflict,
    UnknownJob,
    WaitTimedOut,
    WedsyncError,
    WrongState,
)
from wedsync_ops.jobs import intake, wakeup
from wedsync_ops.jobs.drain import Drain, covering, refused
from wedsync_ops.jobs.model import FINISHED, Priority, Queued, Request, State
from wedsync_ops.jobs.prepare import Prepared, prepare
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import control, drains, durations, lanes, limits, stops, unique, view
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.jobs.store.lanes import LaneCount
from wedsync_ops.jobs.store.view import JobView
from wedsync_ops.settings import operator

HELD_CAP = 10_000
"""How far the jobs that a limit holds are counted."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue as callers reach it: the database, the clock, and the rules that requests are judged by."""

    database: Database
    clock: Clock
    rules: Rules

    def ring(self) -> None:
        """Wake the workers."""
        wakeup.ring(self.database, self.rules.settings.home)


@dataclass(frozen=True, slots=True)
class Status:
    """The queue at a glance: every lane's counts, the pauses and drains in force, what each limit holds (to 10,000)."""

    lanes: Sequence[LaneCount]
    pauses: Sequence[Pause]
    held: Mapping[str, int]
    drains: Sequence[Drain] = ()


def enqueue(queue: Queue, request: Request, *, dry_run: bool = False) -> Queued:
    """Queue one job; on a dry run only say what would happen. Raises the WedsyncError that refuses it."""
    answer = _placed(queue, [prepare(queue.rules, request)], dry_run=dry_run)[0]
    if isinstance(answer, WedsyncError):
        raise answer
    return answer


def enqueue_many(
    queue: Queue, requests: Sequence[Request | WedsyncError], *, atomic: bool = False, dry_run: bool = False
) -> list[Queued | WedsyncError]:
    """Queue many jobs in one transaction; answers in the same order.

    A request that could not even be read is passed as its error. What is wrong is refused and the rest queued;
    ``atomic`` queues all or, when anything is wrong, nothing.
    """
    answers: list[Queued | WedsyncError | None] = [None] * len(requests)
    prepared: list[tuple[int, Prepared]] = []
    for index, request in enumerate(requests):
        if isinstance(request, WedsyncError):
            answers[index] = request
            continue
        try:
            prepared.append((index, prepare(queue.rules, request)))
        except WedsyncError as error:
            answers[index] = error
    stopped = atomic and len(prepared) < len(requests)
    if prepared and not stopped:
        placed = _placed(queue, [item for _, item in prepared], atomic=atomic, dry_run=dry_run)
        for (index, _), answer in zip(prepared, placed, strict=True):
            answers[index] = answer
    return [answer if answer is not None else _NOT_QUEUED for answer in answers]


_NOT_QUEUED = InvalidInput(
    "not queued, because another line of the batch is wrong", hint="mend it, then send all again"
)


class _RolledBack(Exception):
    """Leaves the transaction of an atomic batch in which something was refused."""


def _placed(
    queue: Queue, prepared: Sequence[Prepared], *, atomic: bool = False, dry_run: bool = False
) -> list[Queued | WedsyncError]:
    if dry_run:
        # The lanes' tags and the keys are read as for real ones; nothing is written.
        with queue.database.reading() as connection:
            return intake.place(connection, queue.rules, prepared, now=queue.clock.now(), write=False)
    return db.repeated(lambda: _written(queue, prepared, atomic=atomic))


def _written(queue: Queue, prepared: Sequence[Prepared], *, atomic: bool) -> list[Queued | WedsyncError]:
    answers: list[Queued | WedsyncError] = []
    try:
        with queue.database.transaction() as connection:
            now = queue.clock.now()
            answers = intake.place(connection, queue.rules, prepared, now=now, stamp=queue.clock.now)
            if atomic and any(isinstance(answer, WedsyncError) for answer in answers):
                raise _RolledBack
            wakeup.notify(connection)
    except _RolledBack:
        return [answer if isinstance(answer, WedsyncError) else _NOT_QUEUED for answer in answers]
    queue.ring()
    return answers


def position(queue: Queue, job_id: int) -> int | None:
    """A job's place in the queue, from 1; ``None`` when it is not available or beyond 10,000."""
    with queue.database.reading() as connection:
        return view.position(connection, job_id)


def estimate_ms(queue: Queue, module_type: str) -> float | None:
    """What an execution of a module type usually takes, in milliseconds; ``None`` without history."""
    with queue.database.reading() as connection:
        known = durations.read(connection).get(module_type)
    return None if known is None else known.p50_us / 1000


def wait(queue: Queue, job_id: int, timeout_s: float | None, *, pause: Callable[[float], object]) -> JobView:
    """Wait until a job has finished, looking through ``pause(seconds)``. Raises UnknownJob, WaitTimedOut."""
    until = None if timeout_s is None else queue.clock.monotonic() + timeout_s
    interval = 0.01
    while True:
        with queue.database.reading() as connection:
            job = view.state_of(connection, job_id)
        if job is None:
            raise UnknownJob(f"there is no job {job_id}")
        if job.state in FINISHED:
            return job
        if until is not None and queue.clock.monotonic() >= until:
            raise WaitTimedOut(
                f"job {job_id} is still {job.state} after {timeout_s:g} s", hint="it goes on; see 'jobs show'"
            )
        pause(interval)
        interval = min(interval * 1.5, 0.25)


def cancel(queue: Queue, ids: Sequence[int]) -> list[WedsyncError | None]:
    """Cancel waiting jobs; for each id ``None``, or why it could not be cancelled."""
    with queue.database.transaction() as connection:
        known = control.states(connection, ids)
        done = control.cancel(connection, ids, queue.clock.now())
    return [None if job_id in done else _refusal(job_id, known.get(job_id), "cancelled") for job_id in ids]


def reschedule(
    queue: Queue, ids: Sequence[int], *, due_at: int | None, priority: Priority | None
) -> list[WedsyncError | None]:
    """Move waiting jobs to another due time (an instant; a past one is now) or priority; for each ``None`` or why not.

    The order and the priority that follow from it are decided when they fall due, as for every job.
    """
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        known = control.states(connection, ids)
        at = None if due_at is None else max(due_at, now)
        moved, late = control.reschedule(connection, ids, due_at=at, priority=priority)
        wakeup.notify(connection)
    queue.ring()

    def answer(job_id: int) -> WedsyncError | None:
        if job_id in moved:
            return None
        if job_id in late:
            return WrongState(f"job {job_id} would have expired by then", hint="queue it anew")
        return _refusal(job_id, known.get(job_id), "rescheduled")

    return [answer(job_id) for job_id in ids]


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """For each job ``None``, or why it can be neither cancelled nor broken off; and which of them were only asked."""

    answers: list[WedsyncError | None]
    asked: frozenset[int]


def break_off(queue: Queue, ids: Sequence[int]) -> BrokenOff:
    """Cancel jobs that wait, and ask for those that run to be broken off.

    A running one is ``cancelled`` when its worker, which is told at once, has noticed. It may end by itself before.
    """
    with queue.database.transaction() as connection:
        known = control.states(connection, ids)
        done = control.cancel(connection, ids, queue.clock.now())
        running = {job_id for job_id, state in known.items() if state is State.RUNNING}
        stops.ask(connection, sorted(running), by=operator(), now=queue.clock.now())
        wakeup.notify(connection)
    queue.ring()
    accepted = done | running
    answers = [None if job_id in accepted else _refusal(job_id, known.get(job_id), "cancelled") for job_id in ids]
    return BrokenOff(answers, frozenset(running - done))


def stop(queue: Queue, ids: Sequence[int]) -> list[WedsyncError | None]:
    """As ``break_off``; for each id ``None``, or why it cannot be."""
    return break_off(queue, ids).answers


def retry(queue: Queue, ids: Sequence[int]) -> list[WedsyncError | None]:
    """Queue discarded, cancelled or expired jobs again, with all their attempts; for each id ``None``, or why not."""
    with queue.database.transaction() as connection:
        known = control.states(connection, ids)
        now = queue.clock.now()
        going = drains.read(connection, now, entering=True)
        jobs = {job.id: job for job in control.retryable(connection, ids)}
        out = {job.id: found for job in jobs.values() if (found := covering(going, job.module_type, job.supplier_id))}
        wanted = [jobs[job_id] for job_id in dict.fromkeys(ids) if job_id in jobs and job_id not in out]
        kept = [job for job in wanted if job.has_payload]
        taken = unique.taken(connection, {job.id: job.unique_key for job in kept if job.unique_key is not None}, now)
        control.retry(connection, [job for job in kept if job.id not in taken], now)
        wakeup.notify(connection)
    queue.ring()
    answers: list[WedsyncError | None] = []
    for job_id in ids:
        job = jobs.get(job_id)
        if job is None:
            answers.append(_refusal(job_id, known.get(job_id), "retried"))
        elif not job.has_payload:
            answers.append(WrongState(f"job {job_id} has no config and context any more", hint="queue it anew"))
        elif job_id in taken:
            answers.append(_unique_taken(job_id, taken[job_id]))
        else:
            answers.append(refused(out[job_id], now) if job_id in out else None)
    return answers


def pause(queue: Queue, scope: str, name: str, *, reason: str | None = None, until: int | None = None) -> Pause:
    """Stop jobs from starting: ``scope`` is all, module or supplier. Raises UnknownModule, InvalidInput."""
    if scope == "module":
        queue.rules.registry.pointer(name)
    now = queue.clock.now()
    if until is not None and until <= now:
        raise InvalidInput("--until lies in the past")
    made = Pause(scope, name, reason, operator(), now, until)
    with queue.database.transaction() as connection:
        control.pause(connection, made)
    return made


def resume(queue: Queue, scope: str, name: str) -> bool:
    """Let jobs start again, and be accepted; whether there was a pause or a drain."""
    if scope == "module":
        queue.rules.registry.pointer(name)
    with queue.database.transaction() as connection:
        done = control.resume(connection, scope, name)
        wakeup.notify(connection)
    queue.ring()
    return done


def status(queue: Queue) -> Status:
    """Every lane's counts, the pauses and drains in force, and how much each limit holds."""
    with queue.database.reading() as connection:
        known = queue.rules.settings.limits
        held = {limit.name: limits.held(connection, limit.name, HELD_CAP) for limit in known}
        now = queue.clock.now()
        return Status(lanes.read(connection), control.pauses(connection, now), held, drains.read(connection, now))


def _unique_taken(job_id: int, holder: int) -> WedsyncError:
    return UniqueConflict(
        f"job {holder} has the unique key of job {job_id}, which therefore cannot be retried",
        hint=f"see 'jobs show {holder}'",
        details=[{"job_id": holder}],
    )


def _refusal(job_id: int, state: State | None, verb: str) -> WedsyncError:
    if state is None:
        return UnknownJob(f"there is no job {job_id}")
    hint = "give --running to break it off" if state is State.RUNNING and verb == "cancelled" else None
    return WrongState(f"job {job_id} is {state}, and so cannot be {verb}", hint=hint)
