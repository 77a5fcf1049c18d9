"""Protocols: what is done in an emergency, as data. Read from YAML, checked, every problem with its line. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from wedsync_ops import yamldoc
from wedsync_ops.errors import InvalidInput, SettingError, WedsyncError, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND

GENERIC = "generic"
BREAKER = "high_failure_rate"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}", re.ASCII)
_LENGTH = re.compile(r"([0-9]{1,7})([smhd])", re.ASCII)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_LONGEST_US = 30 * DAY
Length = Annotated[str, StringConstraints(min_length=2, max_length=8)]
Do = Literal[
    "open_breaker",
    "hold",
    "recycle_slots",
    "bound_slots",
    "scale_up",
    "use_backup_routes",
    "page",
    "watch_closely",
    "note",
]
Check = Literal["nothing_starts", "slots_reached", "backup_answers", "told"]
_TAKES: Mapping[str, frozenset[str]] = {
    "hold": frozenset({"below"}),
    "bound_slots": frozenset({"slots"}),
    "scale_up": frozenset({"slots"}),
    "use_backup_routes": frozenset({"routes"}),
    "page": frozenset({"severity"}),
    "note": frozenset({"text"}),
}
_CHECKED: Mapping[str, frozenset[str]] = {
    "nothing_starts": frozenset({"open_breaker", "hold"}),
    "slots_reached": frozenset({"bound_slots", "scale_up"}),
    "backup_answers": frozenset({"use_backup_routes"}),
    "told": frozenset({"page"}),
}
_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, populate_by_name=True)


class With(BaseModel):
    """What a step is told: which priorities it holds, how many slots, which routes, how severe, or what to note."""

    model_config = _STRICT

    below: Literal["normal", "high", "critical"] | None = None
    slots: Literal["min", "max"] | int | None = None
    routes: tuple[Literal["smtp", "sms"], ...] | None = Field(None, strict=False, min_length=1)
    severity: Literal["warning", "critical"] | None = None
    text: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None


class StepPlan(BaseModel):
    """A step: what to do and with what, how to see that it took effect, and within which time; ``undo`` at the end."""

    model_config = _STRICT

    do: Do
    with_: With = Field(default_factory=With, alias="with")
    check: Check | None = None
    within: Length = "60s"
    undo: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = self.with_.model_dump(exclude_none=True).keys()
        takes = _TAKES.get(self.do, frozenset())
        if given - takes:
            raise ValueError(f"{self.do} takes no {min(given - takes)}")
        if takes - given:
            raise ValueError(f"{self.do} needs with: {{{min(takes - given)}: ...}}")
        if isinstance(self.with_.slots, int) and not 1 <= self.with_.slots <= 10_000:
            raise ValueError("slots must be min, max or 1 to 10,000")
        if not self.undo and self.do not in ("page", "note"):
            raise ValueError(f"{self.do} is always undone: what is in force must end with the emergency")
        if self.check is not None and self.do not in _CHECKED[self.check]:
            raise ValueError(f"the check {self.check} goes with {' and '.join(sorted(_CHECKED[self.check]))} only")
        microseconds(self.within)
        return self

    @property
    def within_us(self) -> int:
        """How long the check may take to be satisfied."""
        return microseconds(self.within)


class When(BaseModel):
    """The rule that declares an emergency: exactly one of ``failed_percent``, ``memory_percent``, ``critical_wait``.

    With ``failed_percent`` a breaker opens when so much of the ``latest`` executions within ``window`` failed; it is
    probed after ``cool_down``, which doubles up to the longest, and closes after so many ``probes`` that went well.
    """

    model_config = _STRICT

    failed_percent: float | None = Field(None, gt=0, le=100)
    latest: int = Field(20, ge=5, le=500)
    window: Length = "60s"
    cool_down: Length = "15s"
    longest_cool_down: Length = "10m"
    probes: int = Field(3, ge=1, le=100)
    memory_percent: float | None = Field(None, gt=0, le=100)
    critical_wait: Length | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = [one for one in (self.failed_percent, self.memory_percent, self.critical_wait) if one is not None]
        if len(given) != 1:
            raise ValueError("needs one of failed_percent, memory_percent and critical_wait")
        for text in (self.window, self.cool_down, self.longest_cool_down, self.critical_wait or "1s"):
            microseconds(text)
        return self


class Protocol(BaseModel):
    """What is done in an emergency of one name. It ends by itself when its rule has been well for ``well_for``."""

    model_config = _STRICT

    about: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    when: When | None = None
    well_for: Length = "5m"
    lasts: Length | None = None
    steps: tuple[StepPlan, ...] = Field(strict=False, min_length=1, max_length=50)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for text in (self.well_for, self.lasts or "1s"):
            microseconds(text)
        does = [step.do for step in self.steps]
        twice = next((do for do in does if do != "note" and does.count(do) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice} stands twice: the second would take the place of the first")
        if "bound_slots" in does and "scale_up" in does:
            raise ValueError("bound_slots and scale_up do not go together: one would take the place of the other")
        return self

    @property
    def well_for_us(self) -> int:
        """How long the condition must have been over."""
        return microseconds(self.well_for)

    @property
    def lasts_us(self) -> int | None:
        """How long it lasts at most, unless it is said when it is declared."""
        return None if self.lasts is None else microseconds(self.lasts)

    @property
    def opens_breaker(self) -> bool:
        """Whether a module type or a provider must be named."""
        return any(step.do == "open_breaker" for step in self.steps)


@dataclass(frozen=True, slots=True)
class Protocols:
    """Every protocol that is known, by name; any other name follows ``generic``."""

    by_name: Mapping[str, Protocol]

    def of(self, name: str) -> Protocol:
        """The protocol that an emergency of this name follows."""
        return self.by_name.get(name) or self.by_name[GENERIC]


def microseconds(text: str) -> int:
    """A length such as ``90s`` in µs. Raises ValueError for any other text, and beyond 30 days."""
    match = _LENGTH.fullmatch(text)
    length = 0 if match is None else int(match[1]) * _UNITS[match[2]]
    if not 0 < length <= _LONGEST_US:
        raise ValueError(f"{quoted(text)} is no length of time: write it as 90s, 15m, 6h or 7d, up to 30d")
    return length


def parse(raw: bytes, name: str) -> dict[str, Protocol]:
    """The protocols of a file. Raises SettingError with the first problem, its line and place."""
    try:
        document = yamldoc.read(raw)
    except WedsyncError as error:
        raise SettingError(f"{name}: {error.message}") from error
    value = document.value
    if not isinstance(value, dict) or set(value) != {"protocols"} or not isinstance(value["protocols"], dict):
        raise SettingError(f"{name}: the file must hold 'protocols:', a mapping of protocols by name, and nothing else")
    found = {}
    for key, given in value["protocols"].items():
        if not isinstance(key, str) or not NAME.fullmatch(key):
            line = document.line_of(("protocols", key))
            raise SettingError(f"{name}:{line}: {quoted(key)} is no name: use a-z, 0-9, _ and -, at most 50")
        try:
            found[key] = Protocol.model_validate(given)
        except ValidationError as error:
            raise _refusal(error, document, name, key) from error
        misfit = _misfit(key, found[key])
        if misfit is not None:
            raise SettingError(f"{name}:{document.line_of(('protocols', key))}: protocols.{key}: {misfit}")
    return found


def _misfit(key: str, protocol: Protocol) -> str | None:
    """Why a rule could never do what its protocol says; ``None`` when it can."""
    when = protocol.when
    if key == BREAKER:
        if not protocol.opens_breaker:
            return "needs a step open_breaker: without one it would never end"
        return None if when is None or when.failed_percent is not None else "its rule must be failed_percent"
    if when is not None and when.failed_percent is not None:
        return f"failed_percent is for {BREAKER} only"
    if when is not None and protocol.opens_breaker:
        return f"a rule names nothing that a breaker could be of; only that of {BREAKER} does"
    return None


def _refusal(error: ValidationError, document: yamldoc.Document, name: str, key: str) -> SettingError:
    first: Any = error.errors(include_url=False)[0]
    path = ("protocols", key, *first["loc"])
    place = ".".join(str(part) for part in path)
    said = str(first["msg"]).removeprefix("Value error, ")
    return SettingError(f"{name}:{document.line_of(path)}: {place}: {said}")


def merged(shipped: Mapping[str, Protocol], own: Mapping[str, Protocol]) -> Protocols:
    """The shipped protocols with one's own in the place of those of the same name."""
    return Protocols({**shipped, **own})


def plan_from(text: str) -> StepPlan:
    """The step that was stored as this JSON text. Raises InvalidInput for one of another version."""
    try:
        return StepPlan.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput("a stored step of an emergency cannot be read") from error


def plan_text(plan: StepPlan) -> str:
    """A step as the JSON text that is stored."""
    return plan.model_dump_json(by_alias=True, exclude_none=True)
