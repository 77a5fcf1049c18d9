"""Queueing in two steps: ``prepare`` checks one request without the database, ``place`` writes a batch of them.

The first holds no lock, however much there is to validate; the second only decides what depends on the queue (keys,
capacity, rank) and writes. Every refusal is an error value of its request, so that a batch reports all of them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import Connection

from wedsync_ops import codec
from wedsync_ops.errors import (
    CapacityReached,
    InvalidConfig,
    InvalidContext,
    InvalidInput,
    InvalidTime,
    KeyConflict,
    WedsyncError,
)
from wedsync_ops.handlers.contract import Site, problems
from wedsync_ops.instants import SECOND, iso, parse_instant
from wedsync_ops.jobs import due, priority, rank
from wedsync_ops.jobs.due import Wish
from wedsync_ops.jobs.model import Decision, Due, Priority, Queued, Request, State
from wedsync_ops.jobs.store import durations, insert, lanes
from wedsync_ops.jobs.store.durations import Expected
from wedsync_ops.jobs.store.insert import Keyed, NewJob, TagKey
from wedsync_ops.jobs.store.lanes import Moves
from wedsync_ops.modules.model import ModuleVersion
from wedsync_ops.modules.registry import Registry
from wedsync_ops.modules.resolve import resolve
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.context import vendor_type_from, wedding_from, zone_from
from wedsync_ops.weddings.model import Calendar, Season, Wedding
from wedsync_ops.weddings.season import season_at

_PRIORITIES = {step.word: step for step in Priority}
_REQUIRED = ("client_id", "supplier_id", "journey_instance_id")
_MAX_KEY = 255
_SEND_TIMES: Mapping[Any, due.SendTime] = {"business_hours": "business_hours", "custom": "custom"}
_REVIEW_DAYS = 7
_SHARE = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 1.0}
"""The share of a module type's capacity from which jobs of a priority are refused (platform.md §2)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What every request is judged by: the registry, the season, the site and the settings."""

    registry: Registry
    calendar: Calendar
    site: Site
    settings: Settings

    @property
    def ageing_us(self) -> int:
        """The wait in microseconds that is worth one priority step."""
        return round(self.settings.ageing_s * SECOND)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is valid; what is left to decide depends on the queue."""

    module: ModuleVersion
    requested: Priority
    wish: Wish
    wedding: Wedding | None
    vendor_type: str | None
    zone: ZoneInfo
    key: str | None
    deadline_at: int | None
    expires_at: int | None
    client_id: str
    supplier_id: str
    config: str
    context: str
    payload_hash: str


def prepare(rules: Rules, request: Request) -> Prepared:
    """Check a request whole: module, config, context, recipient, times. Raises a WedsyncError that names the place.

    ``config`` and ``context`` must come from ``codec`` (which holds the limits) or be built from what did.
    """
    if not isinstance(request.module_type, str):
        raise InvalidInput("module_type must be text")
    module = rules.registry.usable(request.module_type)
    config, context = _object(request.config, "config"), _object(request.context, "context")
    problem = rules.registry.first_config_error(module, config)
    if problem is not None:
        raise InvalidConfig(f"the config does not fit {module.module_id}: {problem}")
    client_id, supplier_id, _ = (_identity(context, name) for name in _REQUIRED)
    zone = zone_from(context, rules.calendar.zone)
    wedding = wedding_from(context, rules.calendar.zone)
    refusals = problems(resolve(module.definition.handler), config, context, rules.site)
    if refusals:
        kind = InvalidConfig if refusals[0].startswith("config") else InvalidContext
        raise kind(f"{module.module_id}: {'; '.join(refusals)}", details=refusals)
    config_raw, context_raw = codec.canonical(config), codec.canonical(context)
    fingerprint = hashlib.blake2b(b"\x00".join((module.module_id.encode(), config_raw, context_raw)), digest_size=16)
    return Prepared(
        module=module,
        requested=_priority(request.priority),
        wish=_wish(rules, request, config, zone, wedding),
        wedding=wedding,
        vendor_type=vendor_type_from(context),
        zone=zone,
        key=_key(request.key),
        deadline_at=_instant(request.deadline, "deadline", zone),
        expires_at=_instant(request.expires, "expires", zone),
        client_id=client_id,
        supplier_id=supplier_id,
        config=config_raw.decode(),
        context=context_raw.decode(),
        payload_hash=fingerprint.hexdigest(),
    )


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
    jobs: list[NewJob] = field(default_factory=list)
    moves: Moves = field(default_factory=Moves)


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
    decided = [_decide(rules, p, now) for p in prepared]
    wanted = {
        (p.module.module_id, int(d[1].priority), p.supplier_id)
        for p, d in zip(prepared, decided, strict=True)
        if not isinstance(d, WedsyncError) and d[0].at <= now
    }
    batch.tags = insert.tags(connection, wanted)
    answers = [
        d if isinstance(d, WedsyncError) else _place_one(rules, batch, p, *d)
        for p, d in zip(prepared, decided, strict=True)
    ]
    if write:
        insert.insert(connection, batch.jobs)
        insert.save_tags(connection, {key: batch.tags[key] for key in wanted if key in batch.tags})
        batch.moves.save(connection)
    return answers


def _decide(rules: Rules, p: Prepared, now: int) -> tuple[Due, Decision] | WedsyncError:
    try:
        when = due.decide(now, p.wish)
    except WedsyncError as error:
        return error
    if p.expires_at is not None and p.expires_at <= when.at:
        return InvalidTime(f"the job would expire ({iso(p.expires_at)}) before it is due ({iso(when.at)})", hint="")
    decision = priority.decide(
        p.requested,
        when.at,
        wedding=p.wedding,
        calendar=rules.calendar,
        rules=p.module.definition.wedding_optimizations,
        boost=priority.boost_for(p.module.definition.wedding_optimizations, p.vendor_type),
        ageing_us=rules.ageing_us,
    )
    return when, decision


def _place_one(rules: Rules, batch: _Batch, p: Prepared, when: Due, decision: Decision) -> Queued | WedsyncError:
    holder = None if p.key is None else batch.held.get(p.key)
    if holder is not None:
        return _duplicate(p, holder)
    refusal = _no_room(rules, batch, p, decision.priority)
    if refusal is not None:
        return refusal
    job = _new_job(batch, p, when, decision)
    batch.jobs.append(job)
    batch.moves.enter(job.module_type, job.priority, job.state)
    batch.waiting[job.module_type] = batch.waiting.get(job.module_type, 0) + 1
    queued = Queued(
        job_id=job.id or None,
        module_type=job.module_type,
        state=State(job.state),
        priority_requested=p.requested,
        priority_applied=decision.priority,
        priority_reasons=decision.reasons,
        weekend_scaling_applied=decision.weekend_raised,
        due_at=job.due_at,
        due_reasons=when.reasons,
        rank=job.rank,
        duplicate=False,
    )
    if p.key is not None:
        batch.held[p.key] = Keyed(p.payload_hash, queued)
    return queued


def _new_job(batch: _Batch, p: Prepared, when: Due, decision: Decision) -> NewJob:
    definition = p.module.definition
    module_id = p.module.module_id
    deadline_at = rank.deadline(p.deadline_at, p.wedding, when.at, module_id)
    place_in_lane = None
    if when.at <= batch.now:
        place_in_lane = ranked(
            batch.tags,
            (module_id, int(decision.priority), p.supplier_id),
            expected_of(batch.expected, p.module),
            deadline_at=deadline_at,
            attempts_left=definition.retry.attempts,
            now=batch.now,
        )
    change_at = decision.next_change_at
    if p.expires_at is not None and (change_at is None or p.expires_at < change_at):
        change_at = p.expires_at
    return NewJob(
        id=batch.ids.pop(),
        module_type=module_id,
        module_version=p.module.version,
        state=State.SCHEDULED if place_in_lane is None else State.AVAILABLE,
        priority=int(decision.priority),
        priority_requested=int(p.requested),
        rank=place_in_lane,
        due_at=when.at,
        queued_at=batch.now,
        next_change_at=change_at,
        expires_at=p.expires_at,
        deadline_at=deadline_at,
        max_attempts=definition.retry.attempts,
        supplier_id=p.supplier_id,
        wedding_on=None if p.wedding is None else p.wedding.on.isoformat(),
        timezone=p.zone.key,
        vendor_type=p.vendor_type,
        key=p.key,
        payload_hash=p.payload_hash,
        client_id=p.client_id,
        config=p.config,
        context=p.context,
        reasons=orjson.dumps(
            {"priority": decision.reasons, "due": when.reasons, "weekend": decision.weekend_raised}
        ).decode(),
    )


def expected_of(measured: Mapping[str, Expected], module: ModuleVersion) -> Expected:
    """What an execution takes: as measured, else the type's max_execution_time."""
    known = measured.get(module.module_id)
    if known is not None:
        return known
    longest = round(module.definition.performance_targets.max_execution_time * 1000)
    return Expected(longest, longest)


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
        return KeyConflict(
            f"the key {p.key!r} is taken by job {job.job_id}, which has another payload",
            hint="use another key, or send the same module, config and context",
            details=[{"job_id": job.job_id}],
        )
    return Queued(**{**{name: getattr(job, name) for name in Queued.__slots__}, "duplicate": True})


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


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"the {what} must be a JSON object, not {codec.kind_of(value)}")
    return value


def _identity(context: Mapping[str, Any], name: str) -> str:
    value = context.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidContext(f"context.{name} is missing", hint=f"{', '.join(_REQUIRED)} are required")
    if len(value) > _MAX_KEY:
        raise InvalidContext(f"context.{name} is longer than {_MAX_KEY} characters")
    return value


def _priority(word: Any) -> Priority:
    if word is None:
        return Priority.NORMAL
    chosen = _PRIORITIES.get(word) if isinstance(word, str) else None
    if chosen is None:
        raise InvalidInput(f"{word!r:.60} is not a priority", hint=f"use one of {', '.join(_PRIORITIES)}")
    return chosen


def _key(key: Any) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not key.strip() or len(key) > _MAX_KEY or not key.isprintable():
        raise InvalidInput(f"the key must be 1 to {_MAX_KEY} printable characters, not {key!r:.60}")
    return key


def _instant(value: Any, name: str, zone: ZoneInfo) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTime(f"{name} must be text")
    try:
        return parse_instant(value, zone=zone)
    except InvalidTime as error:
        raise InvalidTime(f"{name}: {error.message}") from error


def _wish(rules: Rules, request: Request, config: Mapping[str, Any], zone: ZoneInfo, wedding: Wedding | None) -> Wish:
    delay = request.delay
    if delay is not None and (isinstance(delay, bool) or not isinstance(delay, int | float)):
        raise InvalidInput("delay must be a number of minutes")
    send_time: due.SendTime = _SEND_TIMES.get(config.get("send_time"), "immediate")
    after = config.get("days_after_wedding", _REVIEW_DAYS) if request.module_type == "review" else None
    return Wish(
        at=_instant(request.at, "at", zone),
        delay_min=delay,
        send_time=send_time,
        send_at=_instant(config.get("send_at"), "config.send_at", zone) if send_time == "custom" else None,
        send_delay_min=config.get("send_delay") or 0.0,
        zone=zone,
        wedding=wedding,
        wedding_week_delay_min=rules.settings.wedding_week_delay_min,
        after_wedding_days=after,
    )
