"""Own rules as a definition file describes them (``alerts:``): read, checked, every problem with its line. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from wedsync_ops.alerts.measure import by_subject
from wedsync_ops.alerts.model import METRICS, AlertType, Rule, Severity
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.errors import InvalidInput, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.modules import reading
from wedsync_ops.modules.model import Identifier, Problem
from wedsync_ops.modules.reading import near, problem
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
_Fault = tuple[tuple[str, ...], str]
"""A field, and what is wrong with it."""


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
    window: str | None = None
    short_window: str | None = None
    slo: float | None = Field(None, gt=0, lt=100)
    minimum: int | None = Field(None, ge=1, le=1_000_000)
    for_: str | None = Field(None, alias="for")
    clear_for: str | None = None
    repeat: str | None = None
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
        rule = Definition.model_validate_json(text).rule()
    except ValidationError as error:
        raise InvalidInput("a stored alert rule cannot be read", hint="register the definition file again") from error
    if rule.metric not in METRICS:
        raise InvalidInput(f"there is no metric {quoted(rule.metric)} in this version")
    return rule


def to_text(definition: Definition) -> str:
    """A definition as the JSON text that is stored."""
    return definition.model_dump_json(by_alias=True, exclude_none=True)


def parse(raw: bytes) -> ParsedRules | None:
    """Read the rules of a definition file, every problem at once; ``None`` when the file says nothing of any.

    Never raises for bad content. What is wrong with the file itself is left to whoever reads the rest of it.
    """
    section = reading.section(raw, KEY, "rules; [] ends all of one's own")
    if section is None:
        return None
    document, items, problems = section
    found: list[Definition] = []
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
    return ParsedRules(tuple(found), reading.sound(document, problems))


def _definition(document: Document, path: Path, item: Any) -> tuple[Definition | None, list[Problem]]:
    found, wrong = reading.modelled(document, path, item, Definition, "a rule")
    if isinstance(item, dict):
        faults = [*_value_faults(item), *(() if found is None else _faults(found))]
        if found is not None and not faults:
            faults = _contradictions(found)
        wrong += [problem(document, (*path, *place), message) for place, message in faults]
    return (None if wrong else found), wrong


def _value_faults(item: Mapping[str, Any]) -> list[_Fault]:
    """What is wrong with the words of a rule, each by itself, whatever else there is."""
    wrong = [fault for field in _LENGTHS for fault in _length_faults(field, item.get(field))]
    metric = item.get("metric")
    if isinstance(metric, str) and metric not in METRICS:
        wrong.append((("metric",), f"there is no metric {quoted(metric)}{near(metric, tuple(METRICS))}"))
    if item.get("above") is not None and item.get("below") is not None:
        wrong.append((("below",), "stands beside above; only one of both can be"))
    return wrong


def _faults(found: Definition) -> list[_Fault]:
    """What a rule lacks, or cannot change."""
    built_in = _KNOWN.get(found.name)
    if built_in is not None:
        is_another = found.metric in METRICS and found.metric != built_in.metric
        return [(("metric",), f"the rule {found.name} watches {built_in.metric}")] if is_another else []
    wrong: list[_Fault] = []
    if found.metric is None:
        wrong.append((("metric",), "is required"))
    if found.above is None and found.below is None:
        wrong.append(((), "needs either above or below"))
    return wrong


def _length_faults(field: str, value: Any) -> list[_Fault]:
    if not isinstance(value, str):
        return []
    try:
        length = microseconds(value)
    except InvalidInput as error:
        return [((field,), str(error))]
    if field in ("window", "short_window") and not MINUTE <= length <= LONGEST_WINDOW_US:
        return [((field,), "must be 1m to 6h")]
    return [((field,), "must be at least 1 minute")] if field == "repeat" and length < MINUTE else []


def _contradictions(found: Definition) -> list[_Fault]:
    rule = found.rule()
    wrong = _ignored(found, rule)
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


def _ignored(found: Definition, rule: Rule) -> list[_Fault]:
    """What would have no effect: whoever wrote it would wait for it in vain."""
    wrong: list[_Fault] = []
    if rule.metric != "error_budget_burn":
        given = (("short_window", found.short_window), ("slo", found.slo))
        wrong += [((field,), "is only for error_budget_burn") for field, value in given if value is not None]
    if by_subject(rule.metric):
        given_ones = (("modules", found.modules), ("per", found.per if found.per == "module" else None))
        wrong += [((name,), f"{rule.metric} is not of a module type") for name, one in given_ones if one is not None]
    elif found.modules is not None and not rule.per_module:
        wrong.append((("modules",), "is only for a rule with per: module"))
    return wrong
