"""Reading the file of channels and routes: everything that is wrong, at once, each with its line. Pure.

No message holds a value that might be a secret somebody wrote into the file by mistake.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import time
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wedsync_ops import codec, yamldoc
from wedsync_ops.alerts.model import AlertType, Severity
from wedsync_ops.alerts.notify_model import Channel, Heartbeat, Kind, Match, Plan, Route, Secret, Step
from wedsync_ops.errors import InvalidYaml, WedsyncError, quoted
from wedsync_ops.instants import MINUTE, SECOND, parse_span
from wedsync_ops.modules import reading
from wedsync_ops.modules.model import Problem
from wedsync_ops.yamldoc import Document

SCHEMA_VERSION = 1
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVENTS = (Kind.OPENED, Kind.ACKNOWLEDGED, Kind.RESOLVED)
"""What a channel can be told of; escalations and repeats come with ``opened``."""
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
_NOT_IN_HERE = "must be {env: NAME} or {file: PATH}; a secret is never written into this file"
_QUIET = frozenset({"acknowledged"})


class Read(NamedTuple):
    """What a file came to: the plan, ``None`` when there are problems."""

    plan: Plan | None
    problems: tuple[Problem, ...]


def _secret(value: Any) -> Secret:
    if not isinstance(value, Mapping) or len(value) != 1 or not set(value) <= {"env", "file"}:
        raise ValueError(_NOT_IN_HERE)
    ((name, given),) = value.items()
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{name} must be text")
    if name == "env" and not _VARIABLE.fullmatch(given):
        raise ValueError("env must be the name of a variable of the environment")
    return Secret(env=given) if name == "env" else Secret(file=given)


def _address(value: Any) -> Secret:
    """An http address: written out, unless it holds a password, or where it is found."""
    if not isinstance(value, str):
        return _secret(value)
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError("must be a URL such as https://host/path, or {env: NAME}, or {file: PATH}")
    if "@" in parts.netloc:
        raise ValueError("holds a password; give it as {env: NAME} or {file: PATH}")
    return Secret(plain=value)


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _events(value: Any) -> Any:
    value = _one_or_more(value)
    if isinstance(value, list) and Kind.OPENED not in value:
        raise ValueError("must hold opened: who is not told that an alert opened is told nothing of it")
    return value


def _span(value: Any) -> tuple[time, time]:
    if not isinstance(value, str):
        raise ValueError("must be a span of the day, such as 08:00-18:00")
    try:
        return parse_span(value)
    except WedsyncError as error:
        raise ValueError(str(error)) from error


def _word_of(*known: str) -> Any:
    def check(value: Any) -> Any:
        if value not in known:
            raise ValueError(f"must be one of {', '.join(known)}, not {quoted(value)}")
        return value

    return BeforeValidator(check)


def _mail_address(value: Any) -> Any:
    if not isinstance(value, str) or not value.isprintable() or not _ADDRESS.fullmatch(value):
        raise ValueError(f"must be an e-mail address, not {quoted(value)}")
    return value


_Secret = Annotated[Secret, BeforeValidator(_secret)]
_Address = Annotated[Secret, BeforeValidator(_address)]
_Mail = Annotated[str, BeforeValidator(_mail_address)]
_Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
_Minutes = Annotated[float, Field(ge=0, le=10_080, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, arbitrary_types_allowed=True)


class _Channel(_Model):
    type: str
    events: Annotated[tuple[Annotated[str, _word_of(*EVENTS)], ...], BeforeValidator(_events)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 10.0


class _Console(_Channel):
    pass


class _Json(_Channel):
    file: str | None = None


class _Webhook(_Channel):
    url: _Address
    secret: _Secret


class _Smtp(_Channel):
    to: Annotated[tuple[_Mail, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
    sender: Annotated[_Mail | None, Field(alias="from")] = None
    server: _Secret | None = None


class _Slack(_Channel):
    url: _Secret


class _Pagerduty(_Channel):
    routing_key: _Secret
    url: _Address = Secret(plain=PAGERDUTY_URL)


class _Apprise(_Channel):
    url: _Secret


KINDS: Mapping[str, type[_Channel]] = {
    "console": _Console,
    "json": _Json,
    "webhook": _Webhook,
    "smtp": _Smtp,
    "slack": _Slack,
    "pagerduty": _Pagerduty,
    "apprise": _Apprise,
}
"""The types of channels, each with its keys."""
_ENDS_ONLY = ("smtp", "apprise")
"""Channels that are not told of acknowledgements unless they ask for it: every message is one more to read."""


class _Match(_Model):
    severity: Annotated[tuple[Annotated[str, _word_of(*Severity)], ...], BeforeValidator(_one_or_more)] | None = None
    type: Annotated[tuple[Annotated[str, _word_of(*AlertType)], ...], BeforeValidator(_one_or_more)] | None = None
    module: _Words | None = None
    rule: _Words | None = None
    between: Annotated[tuple[time, time], BeforeValidator(_span)] | None = None
    days: Annotated[tuple[Annotated[str, _word_of(*DAYS)], ...], BeforeValidator(_one_or_more)] | None = None


class _Step(_Model):
    after_min: Annotated[float, Field(gt=0, le=10_080, allow_inf_nan=False)]
    channels: _Words


class _Route(_Model):
    name: str | None = None
    match: _Match = _Match()
    channels: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
    goes_on: Annotated[bool, Field(alias="continue")] = False
    escalate: tuple[_Step, ...] = ()
    repeat_min: _Minutes | None = None
    group_window_s: _Seconds | None = None


class _Heartbeat(_Model):
    url: _Address
    every_min: Annotated[float, Field(ge=0.1, le=1_440, allow_inf_nan=False)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 10.0


class _File(_Model):
    schema_version: int
    channels: dict[str, Any]
    routes: Annotated[tuple[_Route, ...], Field(min_length=1)]
    heartbeat: _Heartbeat | None = None
    repeat_min: _Minutes | None = None
    group_window_s: _Seconds = 30.0


_MODELS: Mapping[str, type[_Model]] = {"match": _Match, "escalate": _Step, "routes": _Route, "heartbeat": _Heartbeat}


def keys() -> tuple[str, ...]:
    """Every key that the file may have, wherever it stands."""
    every: tuple[type[_Model], ...] = (_File, _Route, _Match, _Step, _Heartbeat, *KINDS.values())
    return tuple(dict.fromkeys(key for model in every for key in _keys(model)))


def read(raw: bytes, zone: ZoneInfo) -> Read:
    """Read a file of channels and routes, whose hours are those of ``zone``. Never raises for bad content."""
    try:
        document = yamldoc.examine(raw)
    except InvalidYaml as error:
        line, _ = error.details or (1, ())
        return Read(None, (Problem(line, "", str(error).removeprefix(f"line {line}: ")),))
    if not isinstance(document.value, dict):
        what = "the file is empty" if document.value is None else f"it is {codec.kind_of(document.value)}"
        return Read(None, (Problem(1, "", f"must be a mapping with schema_version, channels and routes; {what}"),))
    problems = list(_problems(document))
    if problems or document.faults:
        return Read(None, reading.in_order(document, problems))
    return Read(_plan(document.value, zone), ())


def _problems(document: Document) -> Iterator[Problem]:
    value = document.value
    yield from _faults(document, _File, value, ())
    if value.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        yield reading.problem(document, ("schema_version",), f"must be {SCHEMA_VERSION}")
    channels = value.get("channels")
    names = list(channels) if isinstance(channels, dict) else []
    for name in names:
        yield from _channel_problems(document, name, channels[name])
    routes = value.get("routes")
    for number, route in enumerate(routes if isinstance(routes, list) else ()):
        yield from _unknown_channels(document, route, names, ("routes", number))
    yield from _left_out(document, routes)


def _channel_problems(document: Document, name: str, value: Any) -> Iterator[Problem]:
    place = ("channels", name)
    if not _NAME.fullmatch(name):
        yield reading.problem(document, place, "a name must be small letters, digits, - and _, and begin with a letter")
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(KINDS)
        hint = reading.near(kind, list(KINDS)) if isinstance(kind, str) else ""
        yield reading.problem(document, (*place, "type"), f"must be one of {known}{hint}")
        return
    yield from _faults(document, KINDS[kind], value, place)


def _unknown_channels(document: Document, route: Any, names: list[str], place: yamldoc.Path) -> Iterator[Problem]:
    if not isinstance(route, dict):
        return
    lists = [((*place, "channels"), route.get("channels"))]
    steps = route.get("escalate")
    for number, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            lists.append(((*place, "escalate", number, "channels"), step.get("channels")))
    for path, given in lists:
        for channel in _one_or_more(given) if isinstance(given, str | list) else ():
            if isinstance(channel, str) and channel not in names:
                what = f"there is no channel {quoted(channel)}{reading.near(channel, names)}"
                yield reading.problem(document, path, what)


def _left_out(document: Document, routes: Any) -> Iterator[Problem]:
    """The last route is for everything: an alert that nobody thought of must not go nowhere."""
    if isinstance(routes, list) and routes and isinstance(routes[-1], dict) and routes[-1].get("match"):
        place = ("routes", len(routes) - 1, "match")
        yield reading.problem(document, place, "the last route must be without match, for what no other route is for")


def _faults(document: Document, model: type[_Model], value: Any, place: yamldoc.Path) -> Iterator[Problem]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        for fault in faults:
            is_follow_up = fault["type"] == "too_short" and any(
                other is not fault and other["loc"][: len(fault["loc"])] == fault["loc"] for other in faults
            )
            if not is_follow_up:  # pydantic does not count the items that it has refused
                yield reading.problem(document, (*place, *fault["loc"]), _words(dict(fault), model))


def _words(fault: Mapping[str, Any], model: type[_Model]) -> str:
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "too_short":
        return "must be a list of at least one"
    if fault["type"].startswith("bool_"):
        return "must be true or false"
    if fault["type"] == "extra_forbidden":
        inner = [_MODELS[part] for part in fault["loc"][:-1] if part in _MODELS]
        return reading.words(fault, _keys(inner[-1] if inner else model))
    return reading.words({**fault, "input": {}}, ())  # a value in the wrong place may be a secret


def _keys(model: type[_Model]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _plan(value: Mapping[str, Any], zone: ZoneInfo) -> Plan:
    file = _File.model_validate(value)
    channels = tuple(
        _channel(name, KINDS[given["type"]].model_validate(given)) for name, given in file.channels.items()
    )
    routes = tuple(_route(number, route, file) for number, route in enumerate(file.routes, 1))
    beat = file.heartbeat
    heartbeat = None if beat is None else Heartbeat(beat.url, round(beat.every_min * MINUTE), beat.timeout_s)
    return Plan(channels, routes, heartbeat, zone)


def _channel(name: str, given: _Channel) -> Channel:
    kept = set(EVENTS) - (_QUIET if given.type in _ENDS_ONLY else frozenset())
    events = frozenset(kept if given.events is None else map(Kind, given.events))
    common: dict[str, Any] = {"name": name, "kind": given.type, "events": events, "timeout_s": given.timeout_s}
    match given:
        case _Json():
            return Channel(**common, file=given.file)
        case _Webhook():
            return Channel(**common, url=given.url, secret=given.secret)
        case _Smtp():
            return Channel(**common, to=given.to, sender=given.sender, url=given.server)
        case _Pagerduty():
            return Channel(**common, url=given.url, secret=given.routing_key)
        case _Slack() | _Apprise():
            return Channel(**common, url=given.url)
        case _:
            return Channel(**common)


def _route(number: int, given: _Route, file: _File) -> Route:
    match = given.match
    repeat_min = file.repeat_min if given.repeat_min is None else given.repeat_min
    window_s = file.group_window_s if given.group_window_s is None else given.group_window_s
    return Route(
        name=given.name or f"route-{number}",
        match=Match(
            severities=_set(match.severity),
            types=_set(match.type),
            modules=_set(match.module),
            rules=_set(match.rule),
            between=match.between,
            days=None if match.days is None else frozenset(map(DAYS.index, match.days)),
        ),
        channels=given.channels,
        goes_on=given.goes_on,
        steps=tuple(Step(round(step.after_min * MINUTE), step.channels) for step in given.escalate),
        repeat_us=None if repeat_min is None else round(repeat_min * MINUTE),
        group_window_us=round(window_s * SECOND),
    )


def _set(words: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if words is None else frozenset(words)
