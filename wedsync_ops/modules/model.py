"""Module type definitions: what modules.yaml says of a type, validated and frozen."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,49}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
IDENTITY = ("client_id", "supplier_id", "journey_instance_id")
"""What every context says: whom a job is about, for whom it is done, in which journey."""
_PATH = re.compile(rf"{'|'.join(IDENTITY)}|(?:config|context)(?:\.[^.\s]{{1,100}}){{1,10}}")
_LENGTH = re.compile(r"[1-9][0-9]{0,8}[smhd]")
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_MOST_PATHS = 10
_LONGEST_US = 366 * DAY


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Resources(_Frozen):
    """What one execution may use: cores, MB, Mbps, seconds."""

    cpu_limit: float = Field(1.0, gt=0, le=64)
    memory_limit: int = Field(512, ge=32, le=65_536)
    network_bandwidth: float = Field(100.0, gt=0, le=100_000)
    execution_timeout: float = Field(30.0, gt=0, le=86_400)


class Limits(_Frozen):
    """What a customisation lowers of ``Resources``: cores, MB, Mbps, seconds; ``None`` leaves the type's own."""

    cpu_limit: float | None = Field(None, gt=0, le=64)
    memory_limit: int | None = Field(None, ge=32, le=65_536)
    network_bandwidth: float | None = Field(None, gt=0, le=100_000)
    execution_timeout: float | None = Field(None, gt=0, le=86_400)


class Targets(_Frozen):
    """What an execution should reach: ms, executions per minute, percent."""

    max_execution_time: float = Field(2000.0, gt=0)
    target_throughput: float | None = Field(None, gt=0)
    error_rate_threshold: float = Field(5.0, ge=0, le=100)


class VendorRule(_Frozen):
    """What a vendor type changes for a module type: steps of priority, up to high."""

    priority_boost: int = Field(0, ge=0, le=3)


class WeddingRules(_Frozen):
    """How a module type behaves around the wedding and in the season."""

    wedding_week_priority: bool = True
    seasonal_scaling: bool = True
    vendor_type_optimization: dict[str, VendorRule] = {}


class Retry(_Frozen):
    """How often and how far apart a failed job is tried: attempts in all, first delay in ms."""

    attempts: int = Field(3, ge=1, le=50)
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    delay: float = Field(2000.0, ge=0, le=86_400_000)


def _is_path(value: str) -> str:
    if not _PATH.fullmatch(value):
        known = ", ".join(IDENTITY)
        raise ValueError(f"must be one of {known}, or start with config. or context.")
    return value


def _are_some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not 1 <= len(value) <= _MOST_PATHS:
        raise ValueError(f"must be a list of 1 to {_MOST_PATHS} paths")
    return value


def _is_length(value: str) -> str:
    if not _LENGTH.fullmatch(value) or _microseconds(value) > _LONGEST_US:
        raise ValueError("must be a length of at most 366 days, such as 90s, 15m, 24h or 7d")
    return value


def _microseconds(length: str) -> int:
    return int(length[:-1]) * _UNITS[length[-1]]


Paths = Annotated[tuple[Annotated[str, AfterValidator(_is_path)], ...], AfterValidator(_are_some)]


class Unique(_Frozen):
    """What must not be in the queue twice: the jobs of a type for which all of ``key`` is the same.

    ``key`` holds paths: client_id, supplier_id, journey_instance_id, or a place in the config or the context, such as
    ``config.form_id``. ``within`` is a length such as ``24h``: for so long after its completion a job still counts.
    """

    key: Paths = Field(strict=False)
    on_conflict: Literal["keep", "replace", "refuse"] = "keep"
    within: Annotated[str, AfterValidator(_is_length)] | None = None

    @property
    def within_us(self) -> int | None:
        """``within`` in microseconds."""
        return None if self.within is None else _microseconds(self.within)


class Example(_Frozen):
    """A config that the schema accepts, with what it shows."""

    summary: Text
    config: dict[str, Any]


class Definition(_Frozen):
    """One module type, whole. Only the first five fields are required."""

    id: Identifier
    display_name: Text
    category: Identifier
    config_schema: dict[str, Any]
    handler: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.:-]{0,199}$")]
    description: str = ""
    icon: str = ""
    capabilities: tuple[Identifier, ...] = Field((), strict=False)
    resource_requirements: Resources = Resources()
    performance_targets: Targets = Targets()
    wedding_optimizations: WeddingRules = WeddingRules()
    retry: Retry = Retry()
    isolation: Literal["process", "thread"] = "process"
    unique: Unique | None = None
    provider: Identifier | None = None
    is_active: bool = True
    examples: tuple[Example, ...] = Field((), strict=False)


Scope = Literal["vendor_type", "supplier"]


class Customisation(_Frozen):
    """What a vendor type or a supplier changes of a module type.

    ``config`` holds defaults; ``priority`` is the least that is asked for, ``priority_boost`` steps added to what is
    asked for, up to high, ``weight`` the supplier's share of the turns in a lane, where 1 is everybody's.
    """

    scope: Scope
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    module_id: Identifier
    config: dict[str, Any] = {}
    priority: Literal["low", "normal", "high", "critical"] | None = None
    priority_boost: int | None = Field(None, ge=0, le=3)
    weight: float | None = Field(None, ge=0.1, le=100)
    limits: Limits = Limits()

    @property
    def owner(self) -> str:
        """Whose it is, in words."""
        return f"{'vendor type' if self.scope == 'vendor_type' else self.scope} {self.name}"


@dataclass(frozen=True, slots=True)
class ModuleVersion:
    """An immutable version of a module type. ``created_at`` is an instant in microseconds."""

    module_id: str
    version: int
    content_hash: str
    definition: Definition
    created_at: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version of a module type new jobs get. ``retired_at`` is an instant, ``None`` while it is in use."""

    version: int
    is_held: bool
    retired_at: int | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a definition file: where, and what to do about it."""

    line: int
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class Registered:
    """What registering one definition came to.

    ``module`` is the version that the definition is; ``changed`` says that anything was written; ``held`` that a
    rollback keeps ``version_in_force`` until it is forced.
    """

    module: ModuleVersion
    changed: bool
    held: bool
    version_in_force: int


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether a config fits a schema; each error names its place in the config."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        """Whether there is no error."""
        return not self.errors


NOTHING: Mapping[str, Any] = MappingProxyType({})
