"""Whether weddings are ready: of each what was promised, and how it stands. Pure; instants in microseconds.

Promised are the steps of the couple's journeys, and every other job that waits for it or has failed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from wedsync_ops.jobs.model import Priority
from wedsync_ops.planning.admission import Demand, Load, Verdict, promise
from wedsync_ops.planning.by_hand import key_of
from wedsync_ops.planning.journeys import step_time
from wedsync_ops.planning.model import Couple, Kept, Known
from wedsync_ops.planning.reconcile import Versioned


class Standing(StrEnum):
    """How a promise stands."""

    DONE = "done"
    PLANNED = "planned"
    AT_RISK = "at_risk"
    """Not every attempt that it has fits before its deadline."""
    LATE = "late"
    """Not even one does."""
    FAILED = "failed"
    MISSING = "missing"
    """It was never planned, and its time is still to come."""
    REFUSED = "refused"
    """The queue would not take it."""
    LEFT_OUT = "left_out"
    """Somebody cancelled it, or its time was over when it was planned."""
    BY_HAND = "by_hand"
    """Somebody has done it instead."""


class Readiness(StrEnum):
    """How ready a wedding is; as monitoring counts, from 0."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


_WORST = {
    Standing.AT_RISK: Readiness.WARNING,
    Standing.LATE: Readiness.CRITICAL,
    Standing.FAILED: Readiness.CRITICAL,
    Standing.MISSING: Readiness.CRITICAL,
    Standing.REFUSED: Readiness.CRITICAL,
}
_ORDER = tuple(Readiness)
_FAILED = ("discarded", "expired")
_OPEN = ("scheduled", "available", "retryable", "running")


class Stop(NamedTuple):
    """A pause of what a job belongs to; ``until`` is ``None`` when nobody has said."""

    what: str
    until: int | None


class JobFacts(NamedTuple):
    """A job of a couple, with what its end takes: lengths in microseconds."""

    job_id: int
    module_type: str
    state: str
    priority: int
    due_at: int
    deadline_at: int | None
    attempts_left: int
    p95_us: int
    error: str | None
    stop: Stop | None = None


class Obligation(NamedTuple):
    """One promise. A job that is of no journey has no step; ``slack_us`` is ``None`` without a deadline."""

    journey_id: str | None
    step_id: str | None
    module_type: str
    standing: Standing
    job_id: int | None
    at: int | None
    slack_us: int | None
    reason: str
    by: int | None = None
    """By when it must be done, if anything says so."""

    def key(self, client_id: str) -> str:
        """What names it to people: the step of a couple, else the job."""
        if self.journey_id is None:
            return f"job:{self.job_id}"
        return key_of(self.journey_id, self.step_id or "", client_id)

    @property
    def asks_for_hands(self) -> bool:
        """Whether the platform will not do it in time, so that somebody should."""
        return self.standing in (Standing.LATE, Standing.FAILED, Standing.REFUSED)


@dataclass(frozen=True, slots=True)
class Ready:
    """How ready one wedding is."""

    obligations: Sequence[Obligation]

    @property
    def counts(self) -> Mapping[Standing, int]:
        """How many promises stand how."""
        found = Counter(one.standing for one in self.obligations)
        return {standing: found[standing] for standing in Standing}

    @property
    def readiness(self) -> Readiness:
        """The worst of them."""
        return worst([_WORST.get(one.standing, Readiness.OK) for one in self.obligations])

    @property
    def least_slack_us(self) -> int | None:
        """The least slack of what is planned."""
        return min((one.slack_us for one in self.obligations if one.slack_us is not None), default=None)


def worst(found: Sequence[Readiness]) -> Readiness:
    """The worst of several; ok when there is none."""
    return max(found, key=_ORDER.index, default=Readiness.OK)


def ready(
    couple: Couple,
    current: Sequence[Versioned],
    known: Mapping[tuple[str, str], Known],
    jobs: Mapping[int, JobFacts],
    load: Load,
    now: int,
    *,
    by_hand: Mapping[str, str],
) -> Ready:
    """Judge a wedding by what was promised; ``jobs`` are those of the couple that there are.

    ``by_hand`` are the keys of what people did instead, each with a word on it.
    """
    found = [_known(one, jobs, load, now) for one in known.values()]
    for version in current:
        for step in version.journey.steps:
            if (version.journey.id, step.id) in known:
                continue
            time = step_time(step, couple, version.is_holiday)
            place = (version.journey.id, step.id, step.module)
            if time is None:
                found.append(Obligation(*place, Standing.LEFT_OUT, None, None, None, "the booking date is not known"))
            elif time.at > now:
                found.append(Obligation(*place, Standing.MISSING, None, time.at, None, "it was never planned"))
            else:
                found.append(Obligation(*place, Standing.LEFT_OUT, None, time.at, None, "its time was over"))
    planned = {one.job_id for one in known.values()}
    others = [job for job in jobs.values() if job.job_id not in planned and job.state in (*_OPEN, *_FAILED)]
    found += [_of_job(None, None, job, load, now) for job in others]
    found = [
        one._replace(standing=Standing.BY_HAND, slack_us=None, reason=by_hand[key])
        if (key := one.key(couple.client_id)) in by_hand and one.standing is not Standing.DONE
        else one
        for one in found
    ]
    return Ready(sorted(found, key=lambda one: (one.at or 0, one.job_id or 0)))


def _known(one: Known, jobs: Mapping[int, JobFacts], load: Load, now: int) -> Obligation:
    job = jobs.get(one.job_id or 0)
    if job is not None and (one.state is Kept.QUEUED or job.state != "cancelled"):  # retried since it was withdrawn
        return _of_job(one.journey_id, one.step_id, job, load, now)._replace(at=one.planned_at)
    place = (one.journey_id, one.step_id, one.module_type)
    if one.state is Kept.QUEUED:
        standing, reason = _ended(one.job_state)
        return Obligation(*place, standing, one.job_id, one.planned_at, None, reason)
    if one.state is Kept.REFUSED:
        return Obligation(*place, Standing.REFUSED, None, one.planned_at, None, one.reason or "the queue refused it")
    return Obligation(*place, Standing.LEFT_OUT, one.job_id, one.planned_at, None, "its time was over")


def _of_job(journey_id: str | None, step_id: str | None, job: JobFacts, load: Load, now: int) -> Obligation:
    place = (journey_id, step_id, job.module_type)
    if job.state not in _OPEN:
        standing, reason = _ended(job.state)
        return Obligation(*place, standing, job.job_id, job.due_at, None, job.error or reason, job.deadline_at)
    demand = Demand(
        due_at=max(job.due_at, (job.stop and job.stop.until) or 0),
        deadline_at=job.deadline_at,
        p95_us=job.p95_us,
        attempts_left=job.attempts_left,
        priority=Priority(job.priority),
    )
    if job.state == "available":  # the nearer its deadline, the sooner it overtakes what waits in its lane
        load = load.at_place(demand.priority, 0)
    found = promise(demand, load, now)
    is_stopped = job.stop is not None and job.stop.until is None and job.due_at <= now and job.deadline_at is not None
    if found.verdict is Verdict.ACCEPT and not is_stopped:
        return Obligation(
            *place, Standing.PLANNED, job.job_id, job.due_at, found.slack_us, f"it is {job.state}", job.deadline_at
        )
    standing, why = Standing.AT_RISK, "not every attempt fits before its deadline"
    if found.verdict is Verdict.ACCEPT:
        why = "nobody has said until when"
    if found.verdict is Verdict.REFUSE:
        standing = Standing.LATE
        why = "its deadline is past" if (job.deadline_at or 0) <= now else "it cannot be done by its deadline"
    paused = "" if job.stop is None else f", {job.stop.what} is paused"
    reason = f"it is {job.state}{paused}, and {why}" + (f": {job.error}" if job.error else "")
    return Obligation(*place, standing, job.job_id, job.due_at, found.slack_us, reason, job.deadline_at)


def _ended(state: str | None) -> tuple[Standing, str]:
    if state in (None, "completed"):
        return Standing.DONE, "it was done"
    if state == "cancelled":
        return Standing.LEFT_OUT, "somebody cancelled it"
    return Standing.FAILED, f"its job was {state}"
