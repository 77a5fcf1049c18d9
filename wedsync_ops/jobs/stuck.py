"""Which workers are alive and do nothing: what the database can tell of a loop that no longer turns.

A worker's heartbeat has a thread of its own, so that it goes on while the loop hangs. Two things show that. A job has
been due for longer than the patience, nothing holds it, the worker takes its kind, says that it has a free slot, and
has ended nothing for as long. Or a job runs on past its time limit by more than the patience: a worker kills it there.
All slots busy with jobs within their limits is busy, however long that takes; a worker that was told to stop or to be
quiet offers no free slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.explaining import refusal_by, takes
from wedsync_ops.jobs.rescue import Condition, condition
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import control, durations, lanes, vital, workers
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.jobs.store.vital import Running, Waiting
from wedsync_ops.jobs.store.workers import Worker


@dataclass(frozen=True, slots=True)
class Stuck:
    """A worker that lives and does not work, the job that shows it, and how."""

    worker: Worker
    job_id: int
    words: str


def stuck(connection: Connection, rules: Rules, now: int, patience_us: int) -> list[Stuck]:
    """The workers that are stuck at the instant ``now``, each with one job that shows it.

    One look may meet the moment in which a pause has ended and no worker has noticed; look twice.
    """
    alive = [one for one in workers.living(connection) if condition(one, now, rules.settings) is Condition.ALIVE]
    beyond = _beyond_their_limit(connection, rules, now, patience_us)
    regions = {worker.region for worker in alive}
    waiting = {region: _overdue(connection, region, now, patience_us) for region in regions}
    found = []
    for worker in alive:
        sign = beyond.get(worker.id) or _left(
            connection, rules, worker, waiting[worker.region], now=now, patience_us=patience_us
        )
        if sign is not None:
            found.append(Stuck(worker, *sign))
    return found


def next_in_line(connection: Connection, now: int, region: str | None = None) -> list[Waiting]:
    """The next job of every lane, of those that no pause keeps from starting, and one that is due and not promoted.

    With ``region`` the next ones that a worker of that region would take.
    """
    counted = [count.lane for count in lanes.read(connection) if count.available > 0]
    if region is None:
        heads = vital.heads(connection, counted)
    else:
        heads = vital.heads_in(connection, counted, {region, lanes.without_region(region)} - {""})
    first = vital.unpromoted(connection)
    due = [] if first is None or first.due_at > now else [first]
    closed = control.closed(connection, now)
    return [one for one in (*heads, *due) if not _is_paused(one, closed)]


def _overdue(connection: Connection, region: str | None, now: int, patience_us: int) -> list[Waiting]:
    """Those of them that have been due for longer than the patience, the longest first."""
    late = [one for one in next_in_line(connection, now, region) if now - one.due_at > patience_us]
    return sorted(late, key=lambda one: one.due_at)


def _is_paused(job: Waiting, pauses: Sequence[Pause]) -> bool:
    names = {"module": job.module_type, "supplier": job.supplier_id, "priority": job.priority.word}
    return any(pause.name == names.get(pause.scope, pause.name) for pause in pauses)


def _left(
    connection: Connection, rules: Rules, worker: Worker, waiting: Sequence[Waiting], *, now: int, patience_us: int
) -> tuple[int, str] | None:
    if worker.busy >= worker.slots or now - worker.started_at <= patience_us:
        return None
    able = [job for job in waiting if takes(worker, job.module_type, job.region)]
    if not able or vital.has_finished(connection, worker.id, rules.registry.pointers, now - patience_us):
        return None
    measured = Rules(rules.registry, rules.calendar, rules.site, rules.settings, durations.read(connection))
    for job in able:
        if refusal_by(connection, measured, [worker], job, now) is None:
            free = worker.slots - worker.busy
            words = f"{free} of its {worker.slots} slots are free, and it does not take job {job.id}"
            return job.id, f"{words}, due for {_seconds(now - job.due_at)}"
    return None


def _beyond_their_limit(connection: Connection, rules: Rules, now: int, patience_us: int) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for job in vital.running(connection):
        limit_us = round(_limit_s(rules, job) * SECOND)
        if now - job.started_at > limit_us + patience_us:
            ran = _seconds(now - job.started_at)
            words = f"it lets job {job.id} run for {ran}, whose limit is {_seconds(limit_us)}"
            found.setdefault(job.leased_by, (job.id, words))
    return found


def _limit_s(rules: Rules, job: Running) -> float:
    own = rules.registry.version(job.module_type, job.module_version).definition.resource_requirements
    overrides = rules.registry.overrides(job.module_type, job.vendor_type, job.supplier_id)
    return (own if overrides is None else overrides.tightened(own)).execution_timeout


def _seconds(length_us: int) -> str:
    return f"{length_us / SECOND:,.0f} s"
