"""The first step of queueing: one request is checked whole, without the database and without a lock."""

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from wedsync_ops import codec
from wedsync_ops.errors import InvalidConfig, InvalidContext, InvalidInput, InvalidTime, quoted, shortened
from wedsync_ops.handlers.contract import (
    Ending,
    Handler,
    PermanentError,
    claim_of,
    ending_of,
    made_into,
    problems,
    recipient_of,
)
from wedsync_ops.instants import parse_instant, parse_span
from wedsync_ops.jobs import due
from wedsync_ops.jobs.due import Wish
from wedsync_ops.jobs.model import Priority, Request, is_own_key
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.unique import Uniqueness, uniqueness
from wedsync_ops.modules.discovery import require_tier
from wedsync_ops.modules.model import ModuleVersion
from wedsync_ops.modules.overrides import Overrides
from wedsync_ops.modules.resolve import resolve
from wedsync_ops.weddings.context import region_from, tier_from, vendor_type_from, wedding_in, zone_from
from wedsync_ops.weddings.model import Region, Wedding

_PRIORITIES = {step.word: step for step in Priority}
_REQUIRED = ("client_id", "supplier_id", "journey_instance_id")
_MAX_KEY = 255
_SEND_TIMES: Mapping[Any, due.SendTime] = {"business_hours": "business_hours", "custom": "custom"}
_REVIEW_DAYS = 7


class Prepared(NamedTuple):
    """A request that is valid; what is left to decide depends on the queue. Without a ``wish`` it is due at once."""

    module: ModuleVersion
    requested: Priority
    overrides: Overrides | None
    wish: Wish | None
    wedding: Wedding | None
    vendor_type: str | None
    zone: ZoneInfo
    key: str | None
    deadline_at: int | None
    expires_at: int | None
    client_id: str
    recipient: str | None
    supplier_id: str
    config: str
    context: str
    payload_hash: str
    region: Region = Region.UNKNOWN
    claim: str | None = None
    """The code that the job claims for its supplier and couple."""
    claim_into: str | None = None
    """Where the config holds that code, when it was made: one that the couple holds already takes its place."""
    ending: Ending | None = None
    """When the job cannot succeed any more."""
    unique: Uniqueness | None = None
    replace: bool = False
    """Whether a job that waits with the same key is to become this one."""

    @property
    def may_replace(self) -> bool:
        """Whether it may take the place of another job."""
        return self.replace or (self.unique is not None and self.unique.on_conflict == "replace")

    @property
    def keys(self) -> list[str]:
        """The names that it takes for itself: its idempotency key and its unique key."""
        names = [] if self.key is None else [self.key]
        return names if self.unique is None else [*names, self.unique.key]


def prepare(rules: Rules, request: Request, *, texts: bool = True) -> Prepared:
    """Check a request whole: module, config, context, recipient, times. Raises a WedsyncError that names the place.

    ``config`` and ``context`` must come from ``codec`` (which holds the limits) or be built from what did. ``texts``
    says whether its texts are rendered to see that they can be.
    """
    if not isinstance(request.module_type, str):
        raise InvalidInput("module_type must be text")
    module = rules.registry.usable(request.module_type)
    sent, context = _object(request.config, "config"), _object(request.context, "context")
    client_id, supplier_id, _ = (_identity(context, name) for name in _REQUIRED)
    tier, vendor_type = tier_from(context), vendor_type_from(context)
    if tier is not None:
        require_tier(tier, module.module_id)
    overrides = rules.registry.overrides(module.module_id, vendor_type, supplier_id)
    config = sent if overrides is None else overrides.completed(sent)
    zone = zone_from(context, rules.calendar.zone)
    wedding = wedding_in(context, zone)
    handler = resolve(module.definition.handler)
    _check(rules, module, handler, config, context, overrides, texts=texts)
    sent_raw, context_raw = _written(sent, "config"), _written(context, "context")
    recipient, claim = _recipient_and_claim(module, handler, config, context, rules)
    claim_into = None if claim is None else made_into(handler, config)
    if claim_into is not None:
        config = {**config, claim_into: claim}
    config_raw = sent_raw if config is sent else _written(config, "config")
    return Prepared(
        module=module,
        requested=priority_named(request.priority),
        overrides=overrides,
        wish=wish_of(rules, request, config, zone, wedding),
        wedding=wedding,
        vendor_type=vendor_type,
        zone=zone,
        key=_key(request.key),
        deadline_at=_instant(request.deadline, "deadline", zone),
        expires_at=_instant(request.expires, "expires", zone),
        client_id=client_id,
        recipient=recipient,
        supplier_id=supplier_id,
        config=config_raw.decode(),
        context=context_raw.decode(),
        payload_hash=_fingerprint(module, sent_raw, context_raw),
        region=region_from(context),
        claim=claim,
        claim_into=claim_into,
        ending=_ending(handler, config, context, rules),
        unique=uniqueness(module.definition, config, context),
        replace=_replace(request, has_unique=module.definition.unique is not None),
    )


def again(rules: Rules, like: Prepared, request: Request) -> Prepared:
    """Prepare a request for the same module, config and context as one that was found valid; the rest is its own."""
    return like._replace(
        requested=priority_named(request.priority),
        wish=wish_of(rules, request, codec.loads(like.config, "the config"), like.zone, like.wedding),
        key=_key(request.key),
        deadline_at=_instant(request.deadline, "deadline", like.zone),
        expires_at=_instant(request.expires, "expires", like.zone),
        replace=_replace(request, has_unique=like.unique is not None),
    )


def _fingerprint(module: ModuleVersion, sent: bytes, context: bytes) -> str:
    """The digest of a payload as it was sent: a customisation that changed meanwhile makes no conflict of a request
    that is sent again.
    """
    return hashlib.blake2b(b"\x00".join((module.module_id.encode(), sent, context)), digest_size=16).hexdigest()


def _recipient_and_claim(
    module: ModuleVersion, handler: Handler, config: Mapping[str, Any], context: Mapping[str, Any], rules: Rules
) -> tuple[str | None, str | None]:
    try:
        return recipient_of(handler, config, context, rules.site), claim_of(handler, config, context, rules.site)
    except PermanentError as error:
        raise InvalidInput(f"{module.module_id}: {error}") from error


def _ending(handler: Any, config: Mapping[str, Any], context: Mapping[str, Any], rules: Rules) -> Ending | None:
    try:
        return ending_of(handler, config, context, rules.site)
    except Exception as error:  # another party's code, which may raise anything
        told = " ".join(f"the handler cannot say when the job ends: {type(error).__name__}: {error}".split())
        raise InvalidInput(shortened(told)) from error


def _check(
    rules: Rules,
    module: ModuleVersion,
    handler: Handler,
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    overrides: Overrides | None,
    *,
    texts: bool,
) -> None:
    """Refuse what the schema or the handler refuses. Raises InvalidConfig or InvalidContext."""
    hint = None
    if overrides is not None and overrides.config:
        hint = f"it holds defaults of the {overrides.by('config')}; see 'wedsync-ops modules show {module.module_id}'"
    problem = rules.registry.first_config_error(module, config)
    if problem is not None:
        raise InvalidConfig(f"the config does not fit {module.module_id}: {problem}", hint=hint)
    refusals = problems(handler, config, context, rules.site, texts=texts)
    if refusals:
        kind, advice = (InvalidConfig, hint) if refusals[0].startswith("config") else (InvalidContext, None)
        raise kind(f"{module.module_id}: {'; '.join(refusals)}", hint=advice, details=refusals)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if type(value) is not dict and not isinstance(value, Mapping):
        raise InvalidInput(f"the {what} must be a JSON object, not {codec.kind_of(value)}")
    return value


def _identity(context: Mapping[str, Any], name: str) -> str:
    value = context.get(name)
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not value or value.isspace():
        raise InvalidContext(f"context.{name} is missing", hint=f"{', '.join(_REQUIRED)} are required")
    if len(value) > _MAX_KEY:
        raise InvalidContext(f"context.{name} is longer than {_MAX_KEY} characters")
    return value


def priority_named(word: Any) -> Priority:
    """The priority of a word, normal without one. Raises InvalidInput."""
    if word is None:
        return Priority.NORMAL
    chosen = _PRIORITIES.get(word) if isinstance(word, str) else None
    if chosen is None:
        raise InvalidInput(f"{quoted(word)} is not a priority", hint=f"use one of {', '.join(_PRIORITIES)}")
    return chosen


def _key(key: Any) -> str | None:
    if key is None:
        return None
    if not isinstance(key, str) or not key.strip() or len(key) > _MAX_KEY or not key.isprintable():
        raise InvalidInput(f"the key must be 1 to {_MAX_KEY} printable characters, not {quoted(key)}")
    if is_own_key(key):
        raise InvalidInput(f"the key {quoted(key)} is one that a job without a key has", hint="use another one")
    return key


def _replace(request: Request, *, has_unique: bool) -> bool:
    if not isinstance(request.replace, bool):
        raise InvalidInput(f"replace must be true or false, not {codec.kind_of(request.replace)}")
    if request.replace and request.key is None and not has_unique:
        raise InvalidInput(
            "replace needs a key that says which job is meant",
            hint=f"give one; jobs of {request.module_type} have no unique key",
        )
    return request.replace


def _instant(value: Any, name: str, zone: ZoneInfo) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidTime(f"{name} must be text")
    try:
        return parse_instant(value, zone=zone)
    except InvalidTime as error:
        raise InvalidTime(f"{name}: {error.message}") from error


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _written(value: Mapping[str, Any], what: str) -> bytes:
    """The canonical form, which can be longer than what was given: numbers are written out."""
    raw = codec.canonical(value)
    if len(raw) > codec.MAX_BYTES:
        raise InvalidInput(
            f"the {what} measures {len(raw):,} bytes as it is kept", hint=f"at most {codec.MAX_BYTES:,} are accepted"
        )
    return raw


def wish_of(
    rules: Rules, request: Request, config: Mapping[str, Any], zone: ZoneInfo, wedding: Wedding | None
) -> Wish | None:
    """What a request and its config ask of the due time, ``None`` when nothing. Raises InvalidTime, InvalidInput."""
    after = config.get("days_after_wedding", _REVIEW_DAYS) if request.module_type == "review" else None
    # A third party's module type may mean something else by these names: what does not fit is left to its handler.
    asked = config.get("send_time")
    send_time: due.SendTime = _SEND_TIMES.get(asked, "immediate") if isinstance(asked, str) else "immediate"
    send_delay = _number(config.get("send_delay"))
    delay = request.delay
    quiet = rules.settings.quiet_hours if request.module_type == "sms" else None
    if (request.at, delay, after, quiet) == (None,) * 4 and send_time == "immediate" and not send_delay:
        return None
    if delay is not None and (isinstance(delay, bool) or not isinstance(delay, int | float)):
        raise InvalidInput("delay must be a number of minutes")
    return Wish(
        at=_instant(request.at, "at", zone),
        delay_min=delay,
        send_time=send_time,
        send_at=_instant(config.get("send_at"), "config.send_at", zone) if send_time == "custom" else None,
        send_delay_min=send_delay,
        zone=zone,
        wedding=wedding,
        wedding_week_delay_min=rules.settings.wedding_week_delay_min,
        after_wedding_days=after,
        quiet=None if quiet is None else parse_span(quiet),
    )
