"""The second step of queueing: a batch of prepared requests takes its place in the queue, in one transaction.

Only what depends on the queue is decided here (keys, capacity, rank). Every refusal is an error value of its request,
so that a batch reports all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from sqlalchemy import Connection

from wedsync_ops.errors import CapacityReached, InvalidTime, KeyConflict, WedsyncError
from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs import due, priority, rank
from wedsync_ops.jobs.model import Decision, Due, Priority, Queued, State
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, insert, lanes
from wedsync_ops.jobs.store.durations import Expected
from wedsync_ops.jobs.store.insert import Keyed, NewJob, NewPayload, TagKey
from wedsync_ops.jobs.store.lanes import Moves
from wedsync_ops.modules.model import ModuleVersion
from wedsync_ops.weddings.model import Season
from wedsync_ops.weddings.season import season_at

_SHARE = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 1.0}
"""The share of a module type's capacity from which jobs of a priority are refused (platform.md §2)."""


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What is decided of a job from its request alone; many jobs of a batch share one."""

    when: Due
    decision: Decision
    deadline_at: int | None
    reasons: str


@dataclass(slots=True)
class _Batch:
    """What the jobs of one transaction share, and what each of them adds to it."""

    now: int
    bounded: bool
    peak: bool
    expected: Mapping[str, Expected]
    waiting: dict[str, int]
    held: dict[str, Keyed]
    ids: list[int]
    tags: dict[TagKey, int] = field(default_factory=dict)
    judged: dict[object, _Judgement] = field(default_factory=dict)
    jobs: list[NewJob] = field(default_factory=list)
    payloads: list[NewPayload] = field(default_factory=list)
    moves: Moves = field(default_factory=Moves)


_AT_ONCE = ("at once",)


def place(
    connection: Connection,
    rules: Rules,
    prepared: Sequence[Prepared],
    *,
    now: int,
    write: bool = True,
    bounded: bool = True,
) -> list[Queued | WedsyncError]:
    """Queue prepared requests in the running transaction, in order; ``write=False`` only says what would happen.

    ``bounded=False`` leaves the capacity aside: what a finished job asks for is part of work already accepted.
    """
    keys = [p.key for p in prepared if p.key is not None]
    batch = _Batch(
        now=now,
        bounded=bounded,
        peak=season_at(now, rules.calendar) is Season.PEAK,
        expected=durations.read(connection),
        waiting=dict(lanes.waiting_by_module(lanes.read(connection))),
        held=dict(insert.keyed(connection, keys)),
        ids=list(reversed(insert.allocate_ids(connection, len(prepared)))) if write else [0] * len(prepared),
    )
    judged = [_judge(rules, batch, p) for p in prepared]
    wanted = {
        (p.module.module_id, int(j.decision.priority), p.supplier_id)
        for p, j in zip(prepared, judged, strict=True)
        if not isinstance(j, WedsyncError) and j.when.at <= now
    }
    batch.tags = insert.tags(connection, wanted)
    answers = [_place_one(rules, batch, p, j) for p, j in zip(prepared, judged, strict=True)]
    if write:
        insert.insert(connection, batch.jobs, batch.payloads)
        # Lanes before tags, as in promotion: whoever locks both does so in one order, or they deadlock.
        batch.moves.save(connection)
        insert.save_tags(connection, {key: batch.tags[key] for key in wanted if key in batch.tags})
    return answers


def _judge(rules: Rules, batch: _Batch, p: Prepared) -> _Judgement | WedsyncError:
    try:
        when = Due(batch.now, _AT_ONCE) if p.wish is None else due.decide(batch.now, p.wish)
    except WedsyncError as error:
        return error
    if p.expires_at is not None and p.expires_at <= when.at:
        return InvalidTime(f"the job would expire ({iso(p.expires_at)}) before it is due ({iso(when.at)})", hint="")
    module_id = p.module.module_id
    key = (module_id, p.requested, p.wedding, p.vendor_type, p.deadline_at, when.at, when.reasons)
    known = batch.judged.get(key)
    if known is not None:
        return known
    wedding_rules = p.module.definition.wedding_optimizations
    decision = priority.decide(
        p.requested,
        when.at,
        wedding=p.wedding,
        calendar=rules.calendar,
        rules=wedding_rules,
        boost=priority.boost_for(wedding_rules, p.vendor_type),
        ageing_us=rules.ageing_us,
    )
    deadline_at = rank.deadline(p.deadline_at, p.wedding, when.at, module_id)
    reasons = {"priority": decision.reasons, "due": when.reasons, "weekend": decision.weekend_raised}
    judgement = _Judgement(when, decision, deadline_at, orjson.dumps(reasons).decode())
    return batch.judged.setdefault(key, judgement)


def _place_one(rules: Rules, batch: _Batch, p: Prepared, j: _Judgement | WedsyncError) -> Queued | WedsyncError:
    # The key comes first: a request sent again is a duplicate, even when its times have passed since.
    holder = None if p.key is None else batch.held.get(p.key)
    if holder is not None:
        return _duplicate(p, holder)
    if isinstance(j, WedsyncError):
        return j
    refusal = _no_room(rules, batch, p, j.decision.priority)
    if refusal is not None:
        return refusal
    job = _new_job(batch, p, j)
    batch.jobs.append(job)
    batch.payloads.append(NewPayload(job.id, p.client_id, p.config, p.context, j.reasons))
    batch.moves.enter(job.module_type, job.priority, job.state)
    batch.waiting[job.module_type] = batch.waiting.get(job.module_type, 0) + 1
    queued = Queued(
        job.id or None,
        job.module_type,
        State.SCHEDULED if job.rank is None else State.AVAILABLE,
        p.requested,
        j.decision.priority,
        j.decision.reasons,
        j.decision.weekend_raised,
        job.due_at,
        j.when.reasons,
        job.rank,
        duplicate=False,
    )
    if p.key is not None:
        batch.held[p.key] = Keyed(p.payload_hash, queued)
    return queued


def _new_job(batch: _Batch, p: Prepared, j: _Judgement) -> NewJob:
    attempts = p.module.definition.retry.attempts
    module_id = p.module.module_id
    step = int(j.decision.priority)
    place_in_lane = None
    if j.when.at <= batch.now:
        place_in_lane = ranked(
            batch.tags,
            (module_id, step, p.supplier_id),
            expected_of(batch.expected, p.module),
            deadline_at=j.deadline_at,
            attempts_left=attempts,
            now=batch.now,
        )
    change_at = j.decision.next_change_at
    if p.expires_at is not None and (change_at is None or p.expires_at < change_at):
        change_at = p.expires_at
    return NewJob(
        batch.ids.pop(),
        module_id,
        p.module.version,
        "scheduled" if place_in_lane is None else "available",
        step,
        int(p.requested),
        place_in_lane,
        j.when.at,
        batch.now,
        change_at,
        p.expires_at,
        j.deadline_at,
        attempts,
        p.supplier_id,
        None if p.wedding is None else p.wedding.on.isoformat(),
        p.zone.key,
        p.vendor_type,
        p.key,
        p.payload_hash,
    )


def expected_of(measured: Mapping[str, Expected], module: ModuleVersion) -> Expected:
    """What an execution takes: as measured, else the type's max_execution_time."""
    known = measured.get(module.module_id)
    if known is not None:
        return known
    return _unmeasured(module.definition.performance_targets.max_execution_time)


@lru_cache(maxsize=256)
def _unmeasured(longest_ms: float) -> Expected:
    return Expected(round(longest_ms * 1000), round(longest_ms * 1000))


def ranked(
    tags: dict[TagKey, int],
    key: TagKey,
    expected: Expected,
    *,
    deadline_at: int | None,
    attempts_left: int,
    now: int,
) -> int:
    """The rank of a job that becomes available now; moves its supplier's tag in the lane on."""
    tag = rank.fair_tag(tags.get(key), now, expected.p50_us)
    tags[key] = tag
    return rank.rank(tag, rank.latest_safe_start(deadline_at, expected.p95_us, attempts_left))


def _duplicate(p: Prepared, holder: Keyed) -> Queued | WedsyncError:
    job = holder.job
    if holder.payload_hash != p.payload_hash:
        taker = "an earlier job of this batch" if job.job_id is None else f"job {job.job_id}"
        return KeyConflict(
            f"the key {p.key!r} is taken by {taker}, which has another payload",
            hint="use another key, or send the same module, config and context",
            details=[{"job_id": job.job_id}],
        )
    return job._replace(duplicate=True)


def _no_room(rules: Rules, batch: _Batch, p: Prepared, applied: Priority) -> WedsyncError | None:
    share = _SHARE.get(applied)
    waiting = batch.waiting.get(p.module.module_id, 0)
    if share is None or waiting == 0 or not batch.bounded:
        return None
    scaling = batch.peak and p.module.definition.wedding_optimizations.seasonal_scaling
    capacity = rules.settings.capacity * (rules.settings.peak_capacity_factor if scaling else 1)
    if waiting < capacity * share:
        return None
    excess = waiting - capacity * share + 1
    wait_s = max(60, round(excess * expected_of(batch.expected, p.module).p50_us / SECOND / rules.settings.min_slots))
    return CapacityReached(
        f"{waiting:,} jobs of {p.module.module_id} wait, and {applied.word} ones are refused from"
        f" {capacity * share:,.0f} on",
        hint=f"come back in about {wait_s} s, at {iso(batch.now + wait_s * SECOND)}, or ask for a higher priority",
        details=[{"retry_after_s": wait_s}],
    )
