"""What the jobs that one transaction queues share, and what each adds: its row, its rank, the code that it claims."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import orjson

from wedsync_ops import codec
from wedsync_ops.errors import CodeTaken, WedsyncError
from wedsync_ops.jobs import rank
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.model import Decision, Due, Expected, State
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.store.codes import Claim, Held
from wedsync_ops.jobs.store.insert import Keyed, NewJob, NewPayload, TagKey
from wedsync_ops.jobs.store.lanes import Moves
from wedsync_ops.jobs.store.replace import Replacement, Standing
from wedsync_ops.jobs.store.unique import Held as HeldKey
from wedsync_ops.modules.model import ModuleVersion


@dataclass(frozen=True, slots=True)
class Judgement:
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
class Batch:
    """What the jobs of one transaction share, and what each of them adds to it."""

    now: int
    bounded: bool
    drains: Sequence[Drain]
    peak: bool
    slots: int
    expected: Mapping[str, Expected]
    waiting: dict[str, int]
    held: dict[str, Keyed]
    """The jobs by their idempotency keys."""
    unique: dict[str, HeldKey]
    """The jobs by their unique keys."""
    standing: Mapping[int, Standing]
    """Those of them that wait, and that a request of this batch may replace; locked."""
    codes: Held
    ids: list[int]
    queued_at: int = 0
    tags: dict[TagKey, int] = field(default_factory=dict)
    judged: dict[object, Judgement] = field(default_factory=dict)
    jobs: list[NewJob] = field(default_factory=list)
    payloads: list[NewPayload] = field(default_factory=list)
    replacements: list[Replacement] = field(default_factory=list)
    claimed: list[Claim] = field(default_factory=list)
    moves: Moves = field(default_factory=Moves)
    entered: Counter[tuple[str, int, State]] = field(default_factory=Counter)


def claim_of(p: Prepared) -> Claim:
    """What a request that claims a code claims."""
    return Claim(p.supplier_id, p.client_id, p.claim or "")


def claimed(batch: Batch, p: Prepared) -> str | WedsyncError:
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


def new_job(batch: Batch, p: Prepared, j: Judgement, *, job_id: int | None = None) -> NewJob:
    """The row of a job that takes its place, with the next id or that of the job that it takes the place of."""
    attempts = p.module.definition.retry.attempts
    module_id, step, state = j.entered
    place_in_lane = None
    if j.is_due:
        place_in_lane = rank.ranked(
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
        batch.ids.pop() if job_id is None else job_id,
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
        *((None, None) if p.unique is None else (p.unique.key, p.unique.within_us)),
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
