"""The second step of queueing: a batch of prepared requests takes its place in the queue, in one transaction.

Only what depends on the queue is decided here (keys, capacity, rank). Every refusal is an error value of its request,
so that a batch reports all of them.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import orjson
from sqlalchemy import Connection

from wedsync_ops.errors import CapacityReached, InvalidConfig, InvalidContext, InvalidTime, WedsyncError
from wedsync_ops.handlers.contract import Ending
from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs import conflicts, drain, due, priority, rank
from wedsync_ops.jobs.batch import Batch, Judgement, claim_of, claimed, expected_of, new_job
from wedsync_ops.jobs.drain import Drain
from wedsync_ops.jobs.model import Due, Priority, Queued, State
from wedsync_ops.jobs.prepare import Prepared
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import codes, drains, durations, insert, lanes, replace, unique
from wedsync_ops.jobs.store.insert import Keyed, NewPayload
from wedsync_ops.jobs.store.unique import Held
from wedsync_ops.weddings.model import Season
from wedsync_ops.weddings.season import season_at

_SHARE = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 1.0}
"""The share of a module type's capacity from which jobs of a priority are refused (platform.md §2)."""


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
    going = drains.read(connection, now, entering=write) if bounded else ()
    lock_keys(connection, prepared)
    parts = [prepared]
    if write and any(p.may_replace for p in prepared):
        parts = list(_apart(prepared))
    answers: list[Queued | WedsyncError] = []
    for part in parts:
        batch = _begun(connection, rules, part, going, now=now, write=write, bounded=bounded)
        answers += _decided(connection, rules, batch, part, stamp=stamp, write=write)
    return answers


def lock_keys(connection: Connection, prepared: Sequence[Prepared]) -> None:
    """Lock the keys and codes of what is to be queued until the transaction ends, before it locks any lane.

    All keys at once, then all codes: whoever locks both does so in one order, or they deadlock.
    """
    insert.take_turns(connection, [name for p in prepared for name in p.keys])
    codes.lock(connection, [claim_of(p) for p in prepared if p.claim is not None])


def _apart(prepared: Sequence[Prepared]) -> Iterator[Sequence[Prepared]]:
    """Parts of which no request may replace a job of the same part: that one must be written before."""
    part: list[Prepared] = []
    names: set[str] = set()
    for p in prepared:
        if p.may_replace and not names.isdisjoint(p.keys):
            yield part
            part, names = [], set()
        part.append(p)
        names.update(p.keys)
    yield part


def _begun(
    connection: Connection,
    rules: Rules,
    prepared: Sequence[Prepared],
    going: Sequence[Drain],
    *,
    now: int,
    write: bool,
    bounded: bool,
) -> Batch:
    """What the database says that the requests of a batch are decided by."""
    held = dict(insert.keyed(connection, [p.key for p in prepared if p.key is not None], lock=False))
    known = unique.held(connection, [p.unique.key for p in prepared if p.unique is not None])
    over = [one.keyed.job.job_id or 0 for one in known.values() if unique.is_over(one, now)]
    known = {name: one for name, one in known.items() if not unique.is_over(one, now)}
    if write:
        unique.let_go(connection, over)
    met = [
        keyed.job.job_id
        for p in prepared
        if p.may_replace
        for keyed in (held.get(p.key or ""), known[p.unique.key].keyed if p.unique and p.unique.key in known else None)
        if keyed is not None and keyed.job.job_id is not None
    ]
    return Batch(
        now=now,
        bounded=bounded,
        drains=going,
        peak=season_at(now, rules.calendar) is Season.PEAK,
        slots=rules.settings.min_slots,
        expected=durations.read(connection),
        waiting=dict(lanes.waiting_by_module(lanes.read(connection))),
        held=held,
        unique=known,
        standing=replace.standing(connection, met, lock=write),
        codes=codes.held(connection, [claim_of(p) for p in prepared if p.claim is not None]),
        ids=list(reversed(insert.allocate_ids(connection, len(prepared)))) if write else [0] * len(prepared),
    )


def _decided(
    connection: Connection,
    rules: Rules,
    batch: Batch,
    prepared: Sequence[Prepared],
    *,
    stamp: Callable[[], int] | None,
    write: bool,
) -> list[Queued | WedsyncError]:
    """Decide the requests of a batch, and write what is decided."""
    judged = [_judge(rules, batch, p) for p in prepared]
    wanted = {
        (p.module.module_id, int(j.decision.priority), p.supplier_id)
        for p, j in zip(prepared, judged, strict=True)
        if not isinstance(j, WedsyncError) and j.is_due
    }
    batch.tags = insert.tags(connection, wanted)
    batch.queued_at = batch.now if stamp is None else stamp()
    answers = [_place_one(batch, p, j) for p, j in zip(prepared, judged, strict=True)]
    if write:
        codes.insert(connection, batch.claimed, batch.now)
        replace.write(connection, batch.replacements)  # first: it may free a unique key that a new job has
        insert.insert(connection, batch.jobs, batch.payloads)
        # Lanes before tags, as in promotion: whoever locks both does so in one order, or they deadlock.
        for (module_id, step, state), count in batch.entered.items():
            batch.moves.enter(module_id, step, state, count)
        batch.moves.save(connection)
        insert.save_tags(connection, {key: batch.tags[key] for key in wanted if key in batch.tags})
    return answers


def _judge(rules: Rules, batch: Batch, p: Prepared) -> Judgement | WedsyncError:
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
    judgement = Judgement(
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


def _place_one(batch: Batch, p: Prepared, j: Judgement | WedsyncError) -> Queued | WedsyncError:
    # The keys come first: a request sent again is a duplicate, even when its times have passed since.
    if p.key is not None or p.unique is not None:
        answer = conflicts.met(batch, p, j)
        if answer is not None:
            return answer
    if isinstance(j, WedsyncError):
        return j
    module_id = p.module.module_id
    closing = drain.covering(batch.drains, module_id, p.supplier_id) if batch.drains else None
    if closing is not None:
        return drain.refused(closing, batch.now, j.decision.priority, p.wedding)
    waiting = batch.waiting.get(module_id, 0)
    if waiting >= j.limit:
        return _refused(batch, p, j, waiting)
    config = claimed(batch, p)
    if isinstance(config, WedsyncError):
        return config
    batch.waiting[module_id] = waiting + 1
    batch.entered[j.entered] += 1
    job = new_job(batch, p, j)
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
    if p.unique is not None:
        batch.unique[p.unique.key] = Held(Keyed(p.payload_hash, queued), None)
    return queued


def _limit(rules: Rules, batch: Batch, p: Prepared, applied: Priority) -> float:
    """The length of its module type's queue from which a job is refused; the first of a queue never is."""
    share = _SHARE.get(applied)
    if share is None:
        return math.inf
    scaling = batch.peak and p.module.definition.wedding_optimizations.seasonal_scaling
    capacity = rules.settings.capacity * (rules.settings.peak_capacity_factor if scaling else 1)
    return max(1, capacity * share)


def _refused(batch: Batch, p: Prepared, j: Judgement, waiting: int) -> WedsyncError:
    wait_s = max(60, round((waiting - j.limit + 1) * j.expected.p50_us / SECOND / batch.slots))
    return CapacityReached(
        f"{waiting:,} jobs of {p.module.module_id} wait, and {j.decision.priority.word} ones are refused from"
        f" {j.limit:,.0f} on",
        hint=f"come back in about {wait_s} s, at {iso(batch.now + wait_s * SECOND)}, or ask for a higher priority",
        details=[{"retry_after_s": wait_s}],
    )
