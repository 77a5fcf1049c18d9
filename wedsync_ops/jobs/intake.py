"""The second step of queueing: a batch of prepared requests takes its place in the queue, in one transaction.

Only what depends on the queue is decided here (keys, capacity, rank). Every refusal is an error value of its request,
so that a batch reports all of them.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import orjson
from sqlalchemy import Connection

from wedsync_ops import codec
from wedsync_ops.errors import (
    CapacityReached,
    CodeTaken,
    InvalidConfig,
    InvalidContext,
    InvalidTime,
    KeyConflict,
    WedsyncError,
)
from wedsync_ops.handlers.contract import Ending
from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs import drain, due, priority, rank
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.model import Decision, Due, Priority, Queued, State
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import codes, drains, durations, insert, lanes
from wedsync_ops.jobs.store.codes import Claim, Held
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
    """What is decided of a job from its request alone, and follows from that; many jobs of a batch share one."""

    when: Due
    decision: Decision
    deadline_at: int | None
    reasons: str
    is_due: bool
    limit: float
    """The length of the queue from which the job is refused."""
    expected: Expected
    wedding_on: str | None
    entered: tuple[str, int, State]
    """Module type, priority and state: where the job is counted."""


@dataclass(slots=True)
class _Batch:
    """What the jobs of one transaction share, and what each of them adds to it."""

    now: int
    bounded: bool
    drains: Sequence[Drain]
    peak: bool
    slots: int
    expected: Mapping[str, Expected]
    waiting: dict[str, int]
    held: dict[str, Keyed]
    codes: Held
    ids: list[int]
    queued_at: int = 0
    tags: dict[TagKey, int] = field(default_factory=dict)
    judged: dict[object, _Judgement] = field(default_factory=dict)
    jobs: list[NewJob] = field(default_factory=list)
    payloads: list[NewPayload] = field(default_factory=list)
    claimed: list[Claim] = field(default_factory=list)
    entered: Counter[tuple[str, int, State]] = field(default_factory=Counter)


_AT_ONCE = ("at once",)


def place(
    connection: Connection,
    rules: Rules,
    prepared: Sequence[Prepared],
    *,
    now: int,
    stamp: Callable[[], int] | None = None,
    write: bool = True,
    bounded: bool = True,
) -> list[Queued | WedsyncError]:
    """Queue prepared requests in the running transaction, in order; ``write=False`` only says what would happen.

    They are judged for the instant ``now``. ``stamp`` reads the clock again for ``queued_at``, when all is read that
    deciding takes.
    ``bounded=False`` leaves capacity and drains aside: what a finished job asks for is part of work already accepted.
    """
    keys = [p.key for p in prepared if p.key is not None]
    batch = _Batch(
        now=now,
        bounded=bounded,
        drains=drains.read(connection, now, entering=write) if bounded else (),
        peak=season_at(now, rules.calendar) is Season.PEAK,
        slots=rules.settings.min_slots,
        expected=durations.read(connection),
        waiting=dict(lanes.waiting_by_module(lanes.read(connection))),
        held=dict(insert.keyed(connection, keys)),
        codes=codes.held(connection, [claim_of(p) for p in prepared if p.claim is not None]),
        ids=list(reversed(insert.allocate_ids(connection, len(prepared)))) if write else [0] * len(prepared),
    )
    judged = [_judge(rules, batch, p) for p in prepared]
    wanted = {
        (p.module.module_id, int(j.decision.priority), p.supplier_id)
        for p, j in zip(prepared, judged, strict=True)
        if not isinstance(j, WedsyncError) and j.is_due
    }
    batch.tags = insert.tags(connection, wanted)
    batch.queued_at = now if stamp is None else stamp()
    answers = [_place_one(batch, p, j) for p, j in zip(prepared, judged, strict=True)]
    if write:
        codes.insert(connection, batch.claimed, now)
        insert.insert(connection, batch.jobs, batch.payloads)
        # Lanes before tags, as in promotion: whoever locks both does so in one order, or they deadlock.
        moves = Moves()
        for (module_id, step, state), count in batch.entered.items():
            moves.enter(module_id, step, state, count)
        moves.save(connection)
        insert.save_tags(connection, {key: batch.tags[key] for key in wanted if key in batch.tags})
    return answers


def _judge(rules: Rules, batch: _Batch, p: Prepared) -> _Judgement | WedsyncError:
    try:
        when = Due(batch.now, _AT_ONCE) if p.wish is None else due.decide(batch.now, p.wish)
    except WedsyncError as error:
        return error
    if p.expires_at is not None and p.expires_at <= when.at:
        return InvalidTime(f"the job would expire ({iso(p.expires_at)}) before it is due ({iso(when.at)})", hint="")
    if p.ending is not None and p.ending.at <= when.at:
        return _over(p, p.ending, when.at)
    module_id = p.module.module_id
    key = (module_id, p.requested, p.overrides, p.wedding, p.vendor_type, p.deadline_at, when.at, when.reasons)
    known = batch.judged.get(key)
    if known is not None:
        return known
    wedding_rules = p.module.definition.wedding_optimizations
    decision = priority.decide(
        priority.raised(p.requested, p.overrides),
        when.at,
        wedding=p.wedding,
        calendar=rules.calendar,
        rules=wedding_rules,
        boost=priority.boost_for(wedding_rules, p.vendor_type),
        ageing_us=rules.ageing_us,
    )
    decision = priority.explained(decision, p.requested, p.overrides)
    reasons = {"priority": decision.reasons, "due": when.reasons, "weekend": decision.weekend_raised}
    if p.wish is not None and p.wish.send_delay_min:
        reasons["send_delay_min"] = when.send_delay_min
    is_due = when.at <= batch.now
    judgement = _Judgement(
        when=when,
        decision=decision,
        deadline_at=rank.deadline(p.deadline_at, p.wedding, when.at, module_id),
        reasons=orjson.dumps(reasons).decode(),
        is_due=is_due,
        limit=_limit(rules, batch, p, decision.priority) if batch.bounded else math.inf,
        expected=expected_of(batch.expected, p.module),
        wedding_on=None if p.wedding is None else p.wedding.on.isoformat(),
        entered=(module_id, int(decision.priority), State.AVAILABLE if is_due else State.SCHEDULED),
    )
    return batch.judged.setdefault(key, judgement)


def _over(p: Prepared, ending: Ending, due_at: int) -> WedsyncError:
    """The refusal of a job that could do nothing when it is due."""
    kind = InvalidConfig if ending.place.startswith("config") else InvalidContext
    return kind(
        f"{p.module.module_id}: {ending.place}: is over at {iso(ending.at)}, before the job is due ({iso(due_at)})",
        hint="give a later one",
    )


def _place_one(batch: _Batch, p: Prepared, j: _Judgement | WedsyncError) -> Queued | WedsyncError:
    # The key comes first: a request sent again is a duplicate, even when its times have passed since.
    holder = None if p.key is None else batch.held.get(p.key)
    if holder is not None:
        return _duplicate(p, holder)
    if isinstance(j, WedsyncError):
        return j
    module_id = p.module.module_id
    closing = drain.covering(batch.drains, module_id, p.supplier_id) if batch.drains else None
    if closing is not None:
        return drain.refused(closing, batch.now, j.decision.priority, p.wedding)
    waiting = batch.waiting.get(module_id, 0)
    if waiting >= j.limit:
        return _refused(batch, p, j, waiting)
    config = _claim(batch, p)
    if isinstance(config, WedsyncError):
        return config
    batch.waiting[module_id] = waiting + 1
    batch.entered[j.entered] += 1
    job = _new_job(batch, p, j)
    batch.jobs.append(job)
    batch.payloads.append(NewPayload(job.id, p.client_id, config, p.context, j.reasons, p.recipient))
    queued = Queued(
        job.id or None,
        module_id,
        j.entered[2],
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


def claim_of(p: Prepared) -> Claim:
    """What a request that claims a code claims."""
    return Claim(p.supplier_id, p.client_id, p.claim or "")


def _claim(batch: _Batch, p: Prepared) -> str | WedsyncError:
    """Take the code that a request claims for its couple, unless it is another's or the couple has one; then say so.

    Answers the config to keep: a request that names no code has the one that its couple holds in it.
    """
    if p.claim is None:
        return p.config
    claim = claim_of(p)
    owner, own = batch.codes.owner(claim), batch.codes.code(claim)
    if own is not None and own != claim.code and p.claim_into is not None:
        return codec.canonical({**orjson.loads(p.config), p.claim_into: own}).decode()
    if owner is not None and owner != claim.couple:
        return CodeTaken(
            f"the code {claim.code} belongs to another couple", hint="give another tracking_code", details=[claim.code]
        )
    if own is not None and own != claim.code:
        return CodeTaken(
            f"couple {p.client_id!r} has the code {own} with this supplier already, so it cannot have {claim.code}",
            hint=f"give the tracking_code {own}",
            details=[own],
        )
    if batch.codes.take(claim):
        batch.claimed.append(claim)
    return p.config


def _new_job(batch: _Batch, p: Prepared, j: _Judgement) -> NewJob:
    attempts = p.module.definition.retry.attempts
    module_id, step, state = j.entered
    place_in_lane = None
    if j.is_due:
        place_in_lane = ranked(
            batch.tags,
            (module_id, step, p.supplier_id),
            j.expected,
            deadline_at=j.deadline_at,
            attempts_left=attempts,
            now=batch.now,
            weight=1.0 if p.overrides is None else p.overrides.weight,
        )
    change_at = j.decision.next_change_at
    if p.expires_at is not None and (change_at is None or p.expires_at < change_at):
        change_at = p.expires_at
    return NewJob(
        batch.ids.pop(),
        module_id,
        p.module.version,
        state,
        step,
        p.requested,
        place_in_lane,
        j.when.at,
        batch.queued_at,
        change_at,
        p.expires_at,
        j.deadline_at,
        attempts,
        p.supplier_id,
        j.wedding_on,
        p.zone.key,
        p.vendor_type,
        p.key,
        p.payload_hash,
        p.region,
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
    weight: float,
) -> int:
    """The rank of a job that becomes available now; moves its supplier's tag in the lane on.

    The more the supplier weighs, the less it moves.
    """
    tag = rank.fair_tag(tags.get(key), now, expected.p50_us, weight)
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


def _limit(rules: Rules, batch: _Batch, p: Prepared, applied: Priority) -> float:
    """The length of its module type's queue from which a job is refused; the first of a queue never is."""
    share = _SHARE.get(applied)
    if share is None:
        return math.inf
    scaling = batch.peak and p.module.definition.wedding_optimizations.seasonal_scaling
    capacity = rules.settings.capacity * (rules.settings.peak_capacity_factor if scaling else 1)
    return max(1, capacity * share)


def _refused(batch: _Batch, p: Prepared, j: _Judgement, waiting: int) -> WedsyncError:
    wait_s = max(60, round((waiting - j.limit + 1) * j.expected.p50_us / SECOND / batch.slots))
    return CapacityReached(
        f"{waiting:,} jobs of {p.module.module_id} wait, and {j.decision.priority.word} ones are refused from"
        f" {j.limit:,.0f} on",
        hint=f"come back in about {wait_s} s, at {iso(batch.now + wait_s * SECOND)}, or ask for a higher priority",
        details=[{"retry_after_s": wait_s}],
    )
