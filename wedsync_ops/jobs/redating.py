"""What a waiting job becomes when its couple marries on another day: context, due time, priority, deadline.

Nothing else of it changes: it keeps its id, keys, version, attempts. Only what was derived from the old day is derived
from the new one; a deadline and an expiry that somebody asked for stay.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import orjson

from wedsync_ops import codec
from wedsync_ops.instants import iso, local_midnight, parse_date
from wedsync_ops.jobs import due, priority, rank
from wedsync_ops.jobs.model import Due, Priority, Request
from wedsync_ops.jobs.prepare import wish_of
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store.redate import Dated, Redated
from wedsync_ops.jobs.unique import uniqueness
from wedsync_ops.weddings.model import Wedding

_AFTER_WEDDING = "review"
"""The module type whose due time follows from the wedding, whoever queued it."""


class Asked(NamedTuple):
    """What its plan asks of a job: when to do it, and by when, in microseconds."""

    at: int
    deadline_at: int | None
    expires_at: int | None
    reasons: tuple[str, ...]


def redated(rules: Rules, job: Dated, wedding: Wedding, asked: Asked | None, *, now: int) -> Redated | None:
    """What a waiting job becomes; ``None`` when it knows of no wedding, or has lost what it carries.

    Its due time moves where a plan has ``asked`` for it, and where it follows from the wedding itself. Raises
    InvalidTime past the year 8999.
    """
    if job.wedding_on is None or job.context is None or job.config is None:
        return None
    config, before = orjson.loads(job.config), orjson.loads(job.context)
    context = _context(before, wedding)
    when = _due(rules, job, config, context, wedding, asked, now)
    definition = rules.registry.version(job.module_type, job.module_version).definition
    overrides = rules.registry.overrides(job.module_type, job.vendor_type, job.supplier_id)
    requested = Priority(job.priority_requested)
    decision = priority.decide(
        priority.raised(requested, overrides),
        when.at,
        wedding=wedding,
        calendar=rules.calendar,
        rules=definition.wedding_optimizations,
        boost=priority.boost_for(definition.wedding_optimizations, job.vendor_type),
        ageing_us=rules.ageing_us,
    )
    decision = priority.explained(decision, requested, overrides)
    reasons = {**orjson.loads(job.reasons), "priority": decision.reasons, "weekend": decision.weekend_raised}
    if when.reasons:
        reasons["due"] = when.reasons
    unique = None if job.unique_key is None else uniqueness(definition, config, context)
    return Redated(
        job.id,
        when.at,
        int(decision.priority),
        _deadline(job, wedding, when.at, asked, rules),
        job.expires_at if asked is None else asked.expires_at,
        wedding.on.isoformat(),
        wedding.zone.key,
        job.unique_key if unique is None else unique.key,
        codec.canonical(context).decode(),
        orjson.dumps(reasons).decode(),
    )


def _context(context: Mapping[str, Any], wedding: Wedding) -> Mapping[str, Any]:
    """The context with the new day and zone, wherever it told of the old ones."""
    new = {"wedding_date": wedding.on.isoformat(), "timezone": wedding.zone.key}
    changed = {**context, **{name: value for name, value in new.items() if context.get(name) is not None}}
    client = context.get("client_data")
    if isinstance(client, Mapping):
        told = {name: value for name, value in new.items() if client.get(name) is not None}
        changed["client_data"] = {**client, **told}
    return changed


def _due(
    rules: Rules,
    job: Dated,
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    wedding: Wedding,
    asked: Asked | None,
    now: int,
) -> Due:
    """When it is due. What nothing of the wedding decides stays, and with it the reasons that are kept."""
    if asked is None and job.module_type != _AFTER_WEDDING:
        return Due(job.due_at, ())
    at = None if asked is None else iso(max(asked.at, now))
    wish = wish_of(rules, Request(job.module_type, config, context, at=at), config, wedding.zone, wedding)
    when = Due(now, ()) if wish is None else due.decide(now, wish)
    return when if asked is None else Due(when.at, (*asked.reasons, *when.reasons[1:]), when.send_delay_min)


def _deadline(job: Dated, wedding: Wedding, due_at: int, asked: Asked | None, rules: Rules) -> int | None:
    if asked is not None:
        return rank.deadline(asked.deadline_at, wedding, due_at, job.module_type)
    if job.deadline_at is not None and job.deadline_at not in _derived(job, rules):
        return job.deadline_at
    return rank.deadline(None, wedding, due_at, job.module_type)


def _derived(job: Dated, rules: Rules) -> tuple[int, int]:
    """The deadlines that follow from the old wedding day: its start, and its end."""
    zone = rules.zone(job.timezone)
    day = parse_date(job.wedding_on or "")
    return local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone)
