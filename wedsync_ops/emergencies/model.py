"""Emergencies as frozen values: what was declared, for whom, its steps and how far each is.

Instants are microseconds since the epoch; lengths end in ``_us``.
"""

from dataclasses import dataclass
from enum import StrEnum

from wedsync_ops.emergencies.protocols import StepPlan

RULE = "a rule"
"""Who declares and resolves what nobody does by hand."""


class Scope(StrEnum):
    """What an emergency is about: everything, a module type, a provider, or a supplier."""

    ALL = "all"
    MODULE = "module"
    PROVIDER = "provider"
    SUPPLIER = "supplier"


class StepState(StrEnum):
    """How far a step is. A failed one was tried and could not be done; the others go on without it."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Something declared: its name, what it is about, who said so and why, and until when it may last.

    ``well_since`` is since when the condition of its rule has been over. ``ending`` is why it is being resolved: from
    then on its steps are undone, the last first; ``resolved_at`` is when all were.
    """

    id: int
    name: str
    scope: Scope
    subject: str
    reason: str | None
    declared_by: str
    by_rule: bool
    declared_at: int
    until: int | None
    well_since: int | None = None
    ending: str | None = None
    resolved_at: int | None = None
    resolved_by: str | None = None

    @property
    def source(self) -> str:
        """How what it puts in force is marked."""
        return f"emergency {self.id}"

    @property
    def alert_key(self) -> str:
        """The key of the alert that it pages people with."""
        return f"emergency:{self.id}"

    @property
    def about(self) -> str:
        """What it is about, in words."""
        return "everything" if self.scope is Scope.ALL else f"{self.scope} {self.subject}"

    @property
    def words(self) -> str:
        """The emergency in a few words."""
        return f"emergency {self.id}, {self.name} of {self.about}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an emergency's protocol as it was when it was declared, and how far it is.

    ``result`` is what was done, in words; ``check_ok`` what the check came to, ``None`` while it is not known.
    """

    emergency_id: int
    position: int
    plan: StepPlan
    state: StepState = StepState.PENDING
    started_at: int | None = None
    done_at: int | None = None
    result: str | None = None
    checked_at: int | None = None
    check_ok: bool | None = None
    check_said: str | None = None
    undone_at: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """A change that was made although the freeze forbade it: what, who, why, and for which weddings it was frozen."""

    id: int
    at: int
    by: str
    change: str
    reason: str
    weddings: tuple[str, ...]
