"""Own rules as a definition file describes them (``alerts:``): read, checked, every problem with its line. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from wedsync_ops import codec, yamldoc
from wedsync_ops.alerts.model import METRICS, AlertType, Rule, Severity
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.errors import InvalidInput, InvalidYaml, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.modules.model import Identifier, Problem
from wedsync_ops.modules.reading import near, problem, words
from wedsync_ops.yamldoc import Document, Path

KEY = "alerts"
LONGEST_WINDOW_US = 6 * HOUR
"""The longest window of a rule: so far back executions are kept added up by the minute."""
_LENGTH = re.compile(r"([0-9]{1,7})([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_LONGEST_US = 30 * DAY
_KNOWN = {rule.name: rule for rule in BUILT_IN}
# How a field of the file is called in a rule, where it is a length.
_LENGTHS = {
    "window": "window_us",
    "short_window": "short_us",
    "for": "for_us",
    "clear_for": "clear_for_us",
    "repeat": "repeat_us",
}
_SAME = ("severity", "clears_at", "critical", "minimum", "runbook", "enabled")
Length = Annotated[str, StringConstraints(min_length=2, max_length=8)]


class Definition(BaseModel):
    """A rule as it stands in a file. Lengths are texts such as ``15m``; what is left out is as in the built-in rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)

    name: Identifier
    metric: str | None = None
    above: float | None = None
    below: float | None = None
    severity: Literal["warning", "critical"] | None = None
    clears_at: float | None = None
    critical: float | None = None
    modules: tuple[Identifier, ...] | None = Field(None, strict=False, min_length=1)
    per: Literal["module", "platform"] | None = None
    window: Length | None = None
    short_window: Length | None = None
    slo: float | None = Field(None, gt=0, lt=100)
    minimum: int | None = Field(None, ge=1, le=1_000_000)
    for_: Length | None = Field(None, alias="for")
    clear_for: Length | None = None
    repeat: Length | None = None
    runbook: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    enabled: bool | None = None

    def rule(self) -> Rule:
        """The rule: the built-in one of its name with what is given, or one of its own. Raises InvalidInput."""
        base = _KNOWN.get(self.name) or Rule(name=self.name, type=AlertType.CUSTOM, metric=self.metric or "")
        given = {name: value for name in _SAME if (value := getattr(self, name)) is not None}
        if self.severity is not None:
            given["severity"] = Severity(self.severity)
        for field, name in _LENGTHS.items():
            value = getattr(self, "for_" if field == "for" else field)
            if value is not None:
                given[name] = microseconds(value)
        if self.metric is not None:
            given["metric"] = self.metric
        if self.slo is not None:
            given["slo_percent"] = self.slo
        if self.modules is not None:
            given["modules"] = frozenset(self.modules)
        if self.per is not None:
            given["per_module"] = self.per == "module"
        if self.above is not None or self.below is not None:
            given |= {"threshold": self.above if self.below is None else self.below, "below": self.below is not None}
        return replace(base, **given)


@dataclass(frozen=True, slots=True)
class ParsedRules:
    """What a definition file says of rules. They may be used only when there are no problems."""

    definitions: tuple[Definition, ...]
    problems: tuple[Problem, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules."""
        return tuple(one.rule() for one in self.definitions)


def microseconds(text: str) -> int:
    """A length such as ``15m`` in µs. Raises InvalidInput for any other text, and beyond 30 days."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{quoted(text)} is not a length of time", hint="write it as 90s, 15m, 6h or 7d")
    length = int(match[1]) * _UNITS[match[2]]
    if length > _LONGEST_US:
        raise InvalidInput(f"{quoted(text)} is longer than 30 days")
    return length


@lru_cache(maxsize=1024)
def from_text(text: str) -> Rule:
    """The rule that was stored as this JSON text. Raises InvalidInput for one of another version."""
    try:
        return Definition.model_validate_json(text).rule()
    except ValidationError as error:
        raise InvalidInput("a stored alert rule cannot be read", hint="register the definition file again") from error


def to_text(definition: Definition) -> str:
    """A definition as the JSON text that is stored."""
    return definition.model_dump_json(by_alias=True, exclude_none=True)


def parse(raw: bytes) -> ParsedRules | None:
    """Read the rules of a definition file, every problem at once; ``None`` when the file says nothing of any.

    Never raises for bad content. What is wrong with the file itself is left to whoever reads the rest of it.
    """
    try:
        document = yamldoc.examine(raw)
    except InvalidYaml:
        return None
    if not isinstance(document.value, dict) or KEY not in document.value:
        return None
    items = document.value[KEY]
    if not isinstance(items, list):
        return ParsedRules((), (problem(document, (KEY,), "must be a list of rules; [] ends all of one's own"),))
    found: list[Definition] = []
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        path: Path = (KEY, index)
        one, wrong = _definition(document, path, item)
        problems += wrong
        if one is None:
            continue
        line = first.setdefault(one.name, document.line_of((*path, "name")))
        if line != document.line_of((*path, "name")):
            problems.append(
                problem(document, (*path, "name"), f"the name {quoted(one.name)} stands already in line {line}")
            )
        found.append(one)
    faulty = {fault.line for fault in document.faults}  # told already, and what else is said of them is not true
    return ParsedRules(tuple(found), tuple(one for one in problems if one.line not in faulty))


def _definition(document: Document, path: Path, item: Any) -> tuple[Definition | None, list[Problem]]:
    if not isinstance(item, dict):
        return None, [problem(document, path, f"a rule must be a mapping, not {codec.kind_of(item)}")]
    try:
        found = Definition.model_validate(item)
    except ValidationError as error:
        known = tuple("for" if name == "for_" else name for name in Definition.model_fields)
        return None, [
            problem(document, (*path, *fault["loc"]), words(fault, known))
            for fault in error.errors(include_url=False, include_context=True)
        ]
    wrong = [problem(document, (*path, *place), message) for place, message in _faults(found)]
    return (None if wrong else found), wrong


def _faults(found: Definition) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the values of a rule, each with its field."""
    wrong: list[tuple[tuple[str, ...], str]] = []
    for field in _LENGTHS:
        value = getattr(found, "for_" if field == "for" else field)
        wrong += _length_faults(field, value)
    built_in = _KNOWN.get(found.name)
    if found.metric is not None and found.metric not in METRICS:
        wrong.append((("metric",), f"there is no metric {quoted(found.metric)}{near(found.metric, tuple(METRICS))}"))
    elif built_in is not None and found.metric not in (None, built_in.metric):
        wrong.append((("metric",), f"the rule {found.name} watches {built_in.metric}"))
    elif built_in is None and found.metric is None:
        wrong.append((("metric",), "is required"))
    if found.above is not None and found.below is not None:
        wrong.append((("below",), "stands beside above; only one of both can be"))
    elif built_in is None and found.above is None and found.below is None:
        wrong.append(((), "needs either above or below"))
    return wrong or _contradictions(found.rule())


def _length_faults(field: str, value: str | None) -> list[tuple[tuple[str, ...], str]]:
    if value is None:
        return []
    try:
        length = microseconds(value)
    except InvalidInput as error:
        return [((field,), str(error))]
    if field in ("window", "short_window") and not MINUTE <= length <= LONGEST_WINDOW_US:
        return [((field,), "must be 1m to 6h")]
    return [((field,), "must be at least 1 minute")] if field == "repeat" and length < MINUTE else []


def _contradictions(rule: Rule) -> list[tuple[tuple[str, ...], str]]:
    wrong: list[tuple[tuple[str, ...], str]] = []
    limits: Mapping[str, float | None] = {"clears_at": rule.clears_at, "critical": rule.critical}
    for field, value in limits.items():
        if value is None or rule.threshold is None:
            continue
        beyond = value < rule.threshold if rule.below else value > rule.threshold
        if beyond == (field == "clears_at") and value != rule.threshold:
            side = "worse than" if field == "clears_at" else "better than"
            wrong.append(((field,), f"must not be {side} the threshold {rule.threshold:g}"))
    if rule.short_us is not None and rule.short_us >= rule.window_us:
        wrong.append((("short_window",), "must be shorter than the window"))
    return wrong
