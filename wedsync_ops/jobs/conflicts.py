"""What becomes of a request that meets a job with its key: it is answered by that job, refused, or takes its place."""

from dataclasses import replace
from typing import Any

from wedsync_ops.errors import KeyConflict, UniqueConflict, WedsyncError, WrongState
from wedsync_ops.instants import iso
from wedsync_ops.jobs import drain, rank
from wedsync_ops.jobs.batch import Batch, Judgement, claimed, new_job
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.model import WAITING, Priority, Queued, State
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.store.insert import Keyed, NewJob, NewPayload
from wedsync_ops.jobs.store.replace import Replacement, Standing
from wedsync_ops.jobs.store.unique import Held


def met(batch: Batch, p: Prepared, j: Judgement | WedsyncError) -> Queued | WedsyncError | None:
    """The answer to a request whose idempotency key or unique key another job has; ``None`` when nobody has them.

    The idempotency key comes first: a request that is sent again is a duplicate, whatever else has happened.
    """
    holder = None if p.key is None else batch.held.get(p.key)
    other = None if p.unique is None else batch.unique.get(p.unique.key)
    if holder is not None:
        if not p.replace:
            return _duplicate(p, holder)
        if other is not None and other.keyed.job.job_id != holder.job.job_id:
            return _taken(p, other)
        return _replaced(batch, p, j, holder, None)
    if other is None or p.unique is None:
        return None
    policy = "replace" if p.replace else p.unique.on_conflict
    if policy == "keep":
        return other.keyed.job._replace(duplicate=True, queued_as="kept")
    return _taken(p, other) if policy == "refuse" else _replaced(batch, p, j, other.keyed, other.until)


def _duplicate(p: Prepared, holder: Keyed) -> Queued | WedsyncError:
    if holder.payload_hash != p.payload_hash:
        return KeyConflict(
            f"the key {p.key!r} is taken by {_named(holder.job)}, which has another payload",
            hint="use another key, or send the same module, config and context; replace takes the place of one that"
            " waits",
            details=[{"job_id": holder.job.job_id}],
        )
    return holder.job._replace(duplicate=True, queued_as="duplicate")


def _taken(p: Prepared, other: Held) -> WedsyncError:
    job = other.keyed.job
    paths = ", ".join(() if p.module.definition.unique is None else p.module.definition.unique.key)
    until = "" if other.until is None else f", and nobody else may have it before {iso(other.until)}"
    return UniqueConflict(
        f"{_named(job)} is {job.state} and has the same {paths}{until}",
        hint="wait until it has ended, or cancel it" if other.until is None else "wait until then",
        details=[{"job_id": job.job_id}],
    )


def _replaced(
    batch: Batch, p: Prepared, j: Judgement | WedsyncError, holder: Keyed, until: int | None
) -> Queued | WedsyncError:
    """Make a job that waits the one that is asked for: it keeps its id, and its key unless another is given."""
    if isinstance(j, WedsyncError):
        return j
    if holder.job.job_id is None:  # of a dry run, which has queued nothing
        return holder.job._replace(duplicate=False, queued_as="replaced")
    before = batch.standing.get(holder.job.job_id)
    if before is None:
        return _past(batch, p, holder, until)
    refusal = _misplaced(batch, p, j, before)
    config = claimed(batch, p) if refusal is None else refusal
    if isinstance(config, WedsyncError):
        return config
    return _written(batch, p, j, before, config)


def _past(batch: Batch, p: Prepared, holder: Keyed, until: int | None) -> WedsyncError:
    """The refusal where a job waits no more."""
    # Between the look at its state and its lock a worker may have claimed it.
    state = "no longer waits" if holder.job.state in WAITING else f"is {holder.job.state}"
    free = "" if until is None else f"; another may be queued from {iso(until)} on"
    return WrongState(
        f"{_named(holder.job)} {state}, and so cannot be replaced{free}",
        hint=_what_frees(batch, p, holder, until),
        details=[{"job_id": holder.job.job_id}],
    )


def _misplaced(batch: Batch, p: Prepared, j: Judgement, before: Standing) -> WedsyncError | None:
    """Why a job cannot become one of another place in the queue, if so."""
    if before.module_type != p.module.module_id:
        return KeyConflict(
            f"job {before.id} has the key {p.key!r} and is of the module type {before.module_type}",
            hint="a job keeps its module type: use another key",
            details=[{"job_id": before.id}],
        )
    closing = _closing(batch, p, j, before) if batch.drains else None
    return None if closing is None else drain.refused(closing, batch.now, j.decision.priority, p.wedding)


def _what_frees(batch: Batch, p: Prepared, holder: Keyed, until: int | None) -> str:
    """What to do about a job that cannot be replaced; another idempotency key helps only where that one was met."""
    if p.key is not None and batch.held.get(p.key) is holder:
        return "queue it with another key"
    return "wait until it has ended, or cancel it" if until is None else "wait until then"


def _closing(batch: Batch, p: Prepared, j: Judgement, before: Standing) -> Drain | None:
    """The drain that would get more to do than what it has accepted, if any."""
    is_later = before.state is State.SCHEDULED and before.due_at > batch.now
    is_more = is_later and j.is_due
    drains = [one for one in batch.drains if is_more or not one.covers(before.module_type, before.supplier_id)]
    return drain.covering(drains, p.module.module_id, p.supplier_id)


def _written(batch: Batch, p: Prepared, j: Judgement, before: Standing, config: str) -> Queued:
    job = _row(batch, p, j, before)
    batch.moves.leave(before.module_type, before.priority, before.state)
    if before.held_by is not None:
        batch.moves.hold(before.module_type, before.priority, -1)
    batch.moves.enter(job.module_type, job.priority, job.state)
    payload = NewPayload(job.id, p.client_id, config, p.context, j.reasons, p.recipient)
    batch.replacements.append(Replacement(job, payload))
    if before.unique_key is not None:
        batch.unique.pop(before.unique_key, None)
    queued = Queued(
        job.id,
        job.module_type,
        State(job.state),
        p.requested,
        Priority(job.priority),
        j.decision.reasons,
        j.decision.weekend_raised,
        job.due_at,
        j.when.reasons,
        job.rank,
        duplicate=False,
        queued_as="replaced",
    )
    keyed = Keyed(p.payload_hash, queued)
    if before.key is not None:
        batch.held.pop(before.key, None)
    if job.key is not None:
        batch.held[job.key] = keyed
    if p.unique is not None:
        batch.unique[p.unique.key] = Held(keyed, None)
    return queued


def _row(batch: Batch, p: Prepared, j: Judgement, before: Standing) -> NewJob:
    """The row that a waiting one becomes.

    One that is due, and stays so, keeps its turn unless what decides turns has changed: its supplier, or what its
    priority follows from. Then, and when it is due later, it is ranked as it falls due, as every scheduled job.
    """
    later = replace(j, is_due=False, entered=(j.entered[0], j.entered[1], State.SCHEDULED))
    job = new_job(batch, p, later, job_id=before.id)
    if p.key is None:
        job = job._replace(key=before.key)
    same: tuple[Any, ...] = (job.supplier_id, job.priority_requested, job.wedding_on, job.timezone, job.vendor_type)
    if not j.is_due or before.state is not State.AVAILABLE or before.decided_by != same:
        return job
    safe = rank.latest_safe_start(job.deadline_at, j.expected.p95_us, job.max_attempts)
    changes = [at for at in (before.next_change_at, job.expires_at) if at is not None]
    return job._replace(
        state=before.state,
        priority=before.priority,
        due_at=before.due_at,
        rank=rank.rank(before.rank or 0, safe),
        next_change_at=min(changes, default=None),
    )


def _named(job: Queued) -> str:
    return "an earlier job of this batch" if job.job_id is None else f"job {job.job_id}"
