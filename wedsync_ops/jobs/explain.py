"""Why a job is where it is, and what would move it: decided from facts. Pure; instants and ``_us`` in microseconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from wedsync_ops.instants import iso
from wedsync_ops.jobs.model import FINISHED, Priority, State
from wedsync_ops.limits import PAUSE, Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The workers that could run the job: how many live, how many slots they have and how many of those are busy.

    ``others`` live, but do not take this module type; ``silent`` gave no sign of life for a lease.
    """

    workers: int = 0
    slots: int = 0
    busy: int = 0
    others: int = 0
    silent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What holds the job: a limit by its name (``limit`` when it is still configured) or a pause, since it met it."""

    name: str
    key: str
    wake_at: int | None
    limit: Limit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """A pause that covers the job, or a drain that has not come to its end."""

    what: str
    by: str
    reason: str | None
    until: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a job and of its surroundings at the instant ``now``.

    ``asked_by`` is who asked for the running job to be broken off.
    ``higher`` and ``before`` count the jobs that come first: of higher priority, and in its own lane (``None`` beyond
    10,000). ``p50_us`` and ``p95_us`` are what an execution takes. ``refusal`` says why no worker
    admits it although a slot is free.
    """

    now: int
    id: int
    state: State
    module_type: str
    priority: Priority
    priority_reasons: Sequence[str]
    due_reasons: Sequence[str]
    due_at: int
    rank: int | None
    deadline_at: int | None
    expires_at: int | None
    next_change_at: int | None
    attempt: int
    max_attempts: int
    error: str | None
    leased_by: str | None = None
    lease_is_alive: bool = True
    asked_by: str | None = None
    started_at: int | None = None
    finished_at: int | None = None
    held: Held | None = None
    pauses: Sequence[Paused] = ()
    drains: Sequence[Paused] = ()
    higher: int = 0
    before: int | None = 0
    p50_us: int = 0
    p95_us: int = 0
    crew: Crew = Crew()
    refusal: str | None = None
    supplier_waits: int = 0
    supplier_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a job from running: a stable word, what it is, and what would make it sooner."""

    code: str
    words: str
    sooner: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a job will probably start, and the band around that."""

    at: int
    earliest: int
    latest: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job is where it is. A job that waits always has a reason; the first one is what it waits for now."""

    summary: str
    reasons: tuple[Reason, ...]
    priority_reasons: tuple[str, ...]
    due_reasons: tuple[str, ...]
    rank_reason: str | None
    position: int | None
    estimate: Estimate | None


def explain(facts: Facts) -> Explanation:
    """Say why a job waits, runs or has ended."""
    reasons = tuple(_reasons(facts))
    position = _position(facts)
    return Explanation(
        summary=_summary(facts, reasons),
        reasons=reasons,
        priority_reasons=tuple(facts.priority_reasons),
        due_reasons=tuple(facts.due_reasons),
        rank_reason=_rank_reason(facts),
        position=position,
        estimate=_estimate(facts, position),
    )


def _summary(facts: Facts, reasons: Sequence[Reason]) -> str:
    if facts.state in FINISHED:
        return f"it has ended: {facts.state}" + (f", because: {facts.error}" if facts.error else "")
    if facts.state is State.RUNNING:
        return reasons[0].words if reasons else f"it runs on worker {facts.leased_by}"
    return f"it waits: {reasons[0].words}"


def _reasons(facts: Facts) -> list[Reason]:
    if facts.state in FINISHED:
        return []
    if facts.state is State.RUNNING:
        return ([] if facts.lease_is_alive else [_orphaned(facts)]) + _asked_to_stop(facts)
    reasons: list[Reason] = []
    if facts.due_at > facts.now:
        reasons.append(_not_due(facts))
    reasons += [_paused(pause) for pause in facts.pauses]
    if facts.held is not None and facts.held.name != PAUSE:
        reasons.append(_held(facts.held))
    elif facts.held is not None and not facts.pauses:
        words = "it was held by a pause that is over, and is let go when a worker looks next"
        reasons.append(Reason("paused", words, "a worker that runs"))
    missing = _no_worker(facts)
    if missing is not None:
        reasons.append(missing)
    elif not reasons and facts.refusal is not None:
        reasons.append(Reason("resources", f"a slot is free, but {facts.refusal}", "more workers, or memory_mb"))
    elif not reasons:
        reasons.append(_behind(facts))
    return reasons + [_draining(drain, facts.state) for drain in facts.drains]


def _orphaned(facts: Facts) -> Reason:
    words = f"its worker {facts.leased_by} is gone; the job is taken up again when its lease ends"
    return Reason("worker_gone", words, "wedsync-ops maintenance run rescue")


def _asked_to_stop(facts: Facts) -> list[Reason]:
    if facts.asked_by is None:
        return []
    words = f"it runs on worker {facts.leased_by}, and {facts.asked_by} asked for it to be broken off"
    return [Reason("asked_to_stop", words)]


def _not_due(facts: Facts) -> Reason:
    if facts.state is State.RETRYABLE:
        words = f"attempt {facts.attempt} of {facts.max_attempts} failed ({facts.error}); the next is due at"
        return Reason("retry", f"{words} {iso(facts.due_at)}", "mend the cause")
    return Reason(
        "not_due", f"it is not due before {iso(facts.due_at)}", f"wedsync-ops jobs reschedule {facts.id} --at TIME"
    )


def _paused(pause: Paused) -> Reason:
    return Reason("paused", _said(pause, "is paused"), _resume(pause))


def _draining(drain: Paused, state: State) -> Reason:
    fate = "it was accepted before that, and still runs"
    if state is State.SCHEDULED:
        fate = "it still runs if it falls due before all the others have ended, and is held otherwise"
    return Reason("draining", f"{_said(drain, 'is being drained')}; {fate}", _resume(drain))


def _said(pause: Paused, verb: str) -> str:
    until = f" until {iso(pause.until)}" if pause.until is not None else ""
    why = f": {pause.reason}" if pause.reason else ""
    shown = "everything" if pause.what == "all" else pause.what
    return f"{shown} {verb}{until}, by {pause.by}{why}"


def _resume(pause: Paused) -> str:
    if pause.by.startswith("emergency "):
        return f"wedsync-ops emergency resolve {pause.by.partition(' ')[2]}"
    resume = {"all": "--all", "module": ""}.get(pause.what.partition(" ")[0], "--supplier")
    name = pause.what.partition(" ")[2]
    return " ".join(part for part in ("wedsync-ops queue resume", resume, name) if part)


def _held(held: Held) -> Reason:
    whom = f" for {held.key}" if held.key else ""
    if held.limit is None:
        return Reason("limit", f"the limit {held.name}{whom} held it and is no more; a worker will let it go")
    is_timed = held.limit.kind != "concurrent"
    what = "it has room again at" if is_timed else "looked at again at"
    when = f"; {what} {iso(held.wake_at)}" if held.wake_at is not None else ""
    words = f"the limit {held.name}{whom} is used up ({held.limit.words}){when}"
    # Nothing comes before its time; where others must end, the most urgent goes first.
    sooner = "raise the limit in the config file" + ("" if is_timed else ", or give the job a higher priority")
    return Reason("limit", words, sooner)


def _no_worker(facts: Facts) -> Reason | None:
    if facts.crew.workers:
        return None
    if facts.crew.others:
        words = (
            f"none of the {facts.crew.others} living workers takes {facts.module_type} in its region: see"
            " wedsync-ops workers list"
        )
        return Reason("no_worker", words, f"wedsync-ops run-worker --modules {facts.module_type}")
    gone = f"; {facts.crew.silent} gave no sign of life for a lease" if facts.crew.silent else ""
    return Reason("no_worker", f"no worker is alive{gone}", "wedsync-ops run-worker")


def _behind(facts: Facts) -> Reason:
    crew = facts.crew
    busy = f"{min(crew.busy, crew.slots)} of {crew.slots} slots are busy"
    if facts.before is None:
        return Reason("behind", f"more than 10,000 jobs come before it, and {busy}", _hurry(facts))
    first = facts.higher + facts.before
    if not first:
        if crew.busy >= crew.slots:
            return Reason("slots", f"it is the next, and {busy}", "more slots: run-worker --max-slots")
        return Reason("next", f"it is the next, and {busy}: it starts within moments")
    parts = [f"{facts.higher:,} of higher priority"] if facts.higher else []
    parts += [f"{facts.before:,} in its lane"] if facts.before else []
    fair = facts.supplier_waits > 1 and facts.before > 0
    share = f"; {facts.supplier_waits:,} jobs of {facts.supplier_id} wait there and take turns" if fair else ""
    code = "fairness" if fair and not facts.higher else "behind"
    return Reason(code, f"{' and '.join(parts)} come first, and {busy}{share}", _hurry(facts))


def _hurry(facts: Facts) -> str:
    raised = facts.next_change_at
    if facts.priority is Priority.CRITICAL or raised is None:
        return "more slots or workers"
    return f"more slots or workers; its own priority is looked at again at {iso(raised)}"


def _position(facts: Facts) -> int | None:
    if facts.state is not State.AVAILABLE or facts.held is not None or facts.before is None:
        return None
    return 1 + facts.higher + facts.before


def _rank_reason(facts: Facts) -> str | None:
    if facts.rank is None or facts.state in FINISHED:
        return None
    if facts.deadline_at is not None and facts.rank == facts.deadline_at - facts.p95_us * _attempts_left(facts):
        return f"it must start by {iso(facts.rank)} to be done by its deadline, {iso(facts.deadline_at)}"
    whom = f" of {facts.supplier_id}" if facts.supplier_id else ""
    return f"the fair turn{whom} in this lane comes at {iso(facts.rank)}"


def _attempts_left(facts: Facts) -> int:
    return facts.max_attempts - facts.attempt


def _estimate(facts: Facts, position: int | None) -> Estimate | None:
    """When the job will start: after those before it, each as long as usual, on all slots that could take it.

    ``None`` when nobody can know: it is paused without an end, held, behind too many, or no worker lives.
    """
    if facts.state in FINISHED or facts.state is State.RUNNING or not facts.crew.slots:
        return None
    if facts.held is not None or any(pause.until is None for pause in facts.pauses):
        return None
    first = max([facts.due_at, facts.now, *(pause.until or 0 for pause in facts.pauses)])
    if facts.state is State.AVAILABLE and position is None:
        return None
    ahead = (position or 1) - 1
    idle = max(0, facts.crew.slots - facts.crew.busy)
    rounds = 0 if ahead < idle else 1 + (ahead - idle) // facts.crew.slots
    usual, slow = facts.p50_us, max(facts.p95_us, facts.p50_us)
    return Estimate(first + rounds * usual, first + max(0, rounds - 1) * usual // 2, first + (rounds + 1) * slow)
