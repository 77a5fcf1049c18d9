"""What planning makes of every step of a couple's journeys, against what is remembered of them. Pure.

A step that was done, runs or has ended stays what it is; one that waits is moved when the couple's dates are others;
one that never had a job gets one while its time is still to come.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wedsync_ops.instants import local_date
from wedsync_ops.planning.definitions import Journey, Step
from wedsync_ops.planning.journeys import IsHoliday, step_time
from wedsync_ops.planning.model import Change, Couple, Decided, Kept, Known, StepTime

_WAITING = frozenset({"scheduled", "available", "retryable"})


class Versioned(NamedTuple):
    """A version of a journey, with what tells its holidays."""

    journey: Journey
    version: int
    is_holiday: IsHoliday

    def step(self, step_id: str) -> Step | None:
        """Its step of that id."""
        return next((step for step in self.journey.steps if step.id == step_id), None)


Find = Callable[[str, int], Versioned | None]
"""Finds a version of a journey by id and number."""


def reconcile(
    couple: Couple,
    current: Sequence[Versioned],
    known: Mapping[tuple[str, str], Known],
    find: Find,
    *,
    now: int,
    redated: bool,
) -> list[Decided]:
    """What becomes of each step: those of the journeys that apply now, then those that were planned of others.

    ``redated`` says that the couple's dates are not those that the known steps were planned for.
    """
    decided = []
    seen: set[tuple[str, str]] = set()
    for version, step in _steps(current):
        place = (version.journey.id, step.id)
        seen.add(place)
        before = known.get(place)
        decided.append(_decide(couple, version, step, before, find, now=now, redated=redated))
    for place, before in known.items():
        if place not in seen and _has_job(before):
            decided.append(_decide(couple, None, None, before, find, now=now, redated=redated))
    return decided


def _has_job(before: Known) -> bool:
    """Whether a job stands for a step: one that a move withdrew does not, unless somebody retried it."""
    return before.state is Kept.QUEUED or (before.has_job and before.job_state != "cancelled")


def _steps(current: Sequence[Versioned]) -> Iterator[tuple[Versioned, Step]]:
    for version in current:
        for step in version.journey.steps:
            yield version, step


def _decide(
    couple: Couple,
    version: Versioned | None,
    step: Step | None,
    before: Known | None,
    find: Find,
    *,
    now: int,
    redated: bool,
) -> Decided:
    if before is not None and _has_job(before):
        return _of_job(couple, before, find, now=now, redated=redated)
    if version is None or step is None:
        raise ValueError("a step that is of no journey, and was never queued")
    time = step_time(step, couple, version.is_holiday)
    change, at, reason = _of_none(couple, step, time, before, now)
    return Decided(
        version.journey.id,
        step.id,
        version.version,
        step.module,
        change,
        at,
        reason,
        None if before is None else before.planned_at,
        None if before is None else before.job_id,
    )


def _of_none(
    couple: Couple, step: Step, time: StepTime | None, before: Known | None, now: int
) -> tuple[Change, int | None, str]:
    """What becomes of a step that has no job, or one that was withdrawn."""
    if time is None:
        return Change.UNDATED, None, "the booking date is not known"
    reason = "; ".join(time.reasons)
    at = _in_time(couple, step, time.at, now)
    if at is None:
        return Change.PAST, time.at, f"{reason}: its time is over"
    if before is not None and before.has_job and before.job_state == "cancelled":  # it has the key of the step
        return Change.RESTORE, at, reason
    return Change.QUEUE, at, reason if at == time.at else f"{reason}: its time is over, so at once"


def _of_job(couple: Couple, before: Known, find: Find, *, now: int, redated: bool) -> Decided:
    """What becomes of a step that has a job."""
    version = find(before.journey_id, before.version)
    step = None if version is None else version.step(before.step_id)

    def answer(change: Change, at: int, reason: str) -> Decided:
        module = "" if step is None else step.module
        place = (before.journey_id, before.step_id, before.version, module)
        return Decided(*place, change, at, reason, before.planned_at, before.job_id)

    if before.job_state not in _WAITING:
        change, reason = _ended(before.job_state)
        return answer(change, before.planned_at, reason)
    if not redated or version is None or step is None:
        return answer(Change.KEEP, before.planned_at, "it waits")
    time = step_time(step, couple, version.is_holiday)
    if time is None:
        return answer(Change.KEEP, before.planned_at, "the booking date is no longer known: it stays as it was planned")
    reason = "; ".join(time.reasons)
    if time.at == before.planned_at or (time.at <= now and before.planned_at <= now):
        return answer(Change.KEEP, before.planned_at, reason)
    at = _in_time(couple, step, time.at, now)
    if at is None:
        return answer(Change.WITHDRAW, time.at, f"{reason}: its time is over")
    return answer(Change.MOVE, at, reason)


def _ended(job_state: str | None) -> tuple[Change, str]:
    if job_state == "running":
        return Change.RUNNING, "its job runs"
    if job_state in (None, "completed"):
        return Change.DONE, "its job was done"
    return Change.ENDED, f"its job is {job_state}"


def _in_time(couple: Couple, step: Step, at: int, now: int) -> int | None:
    """When a step is to be queued for; ``None`` when its time is over, and it is left out then."""
    if at > now:
        return at
    if step.if_past == "now" and couple.wedding_on >= local_date(now, couple.zone):
        return now
    return None
