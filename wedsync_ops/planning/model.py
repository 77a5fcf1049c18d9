"""What a journey promises a couple, and what becomes of it: values, frozen. Instants in microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

Anchor = Literal["wedding", "booking"]
Direction = Literal["next", "previous"]


class Kept(StrEnum):
    """What is remembered of a step of a couple's journey."""

    QUEUED = "queued"
    """It has a job, whose own state says the rest."""
    PAST = "past"
    """Its time was over when it was planned."""
    REFUSED = "refused"
    """The queue would not take it."""
    WITHDRAWN = "withdrawn"
    """Its job was cancelled, because the wedding moved and left its time in the past."""


class Change(StrEnum):
    """What planning does about a step."""

    QUEUE = "queued"
    RESTORE = "restored"
    MOVE = "moved"
    KEEP = "unchanged"
    WITHDRAW = "withdrawn"
    PAST = "past"
    REFUSED = "refused"
    RUNNING = "running"
    DONE = "done"
    ENDED = "ended"
    """Its job failed for good, expired, or somebody cancelled it or did it by hand: planning leaves that as it is."""
    UNDATED = "undated"
    """It counts from a booking whose date nobody knows."""


CHANGING = frozenset({Change.QUEUE, Change.RESTORE, Change.MOVE, Change.WITHDRAW})
"""What planning does to jobs; the rest is only told."""


@dataclass(frozen=True, slots=True)
class Couple:
    """A couple as journeys see it; ``zone`` is the wedding's."""

    client_id: str
    supplier_id: str
    vendor_type: str
    wedding_on: date
    booked_on: date | None
    zone: ZoneInfo
    context: Mapping[str, Any]
    """What its jobs are told of it, but for the journey's instance."""

    @property
    def dates(self) -> str:
        """All that the times of its steps follow from, as one text: while it stays, so do they."""
        return f"{self.wedding_on} {self.booked_on or '-'} {self.zone.key}"


class StepTime(NamedTuple):
    """When a step is to happen, and why then."""

    at: int
    reasons: tuple[str, ...]


class Known(NamedTuple):
    """What is remembered of a step; ``job_state`` is ``None`` where it has no job, or retention has removed it."""

    journey_id: str
    step_id: str
    version: int
    state: Kept
    job_id: int | None
    planned_at: int
    job_state: str | None
    module_type: str = ""
    reason: str | None = None
    has_job: bool = False
    """Whether its job is still there, whatever it came to."""


class Decided(NamedTuple):
    """What planning makes of one step; ``at`` is when the step is to happen, ``None`` where nobody knows."""

    journey_id: str
    step_id: str
    version: int
    module_type: str
    change: Change
    at: int | None
    reason: str
    was_at: int | None = None
    job_id: int | None = None
