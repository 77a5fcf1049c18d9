"""From a slot's outcome to what is written: the transition, the execution row, the further jobs. Pure but for rand."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from wedsync_ops import codec
from wedsync_ops.errors import WedsyncError
from wedsync_ops.instants import local_date
from wedsync_ops.jobs import lifecycle
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.events import without_next_step
from wedsync_ops.jobs.model import Claimed, Outcome, Request, Result, State, Transition
from wedsync_ops.jobs.prepare import Prepared, again, prepare
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.run import one_line
from wedsync_ops.jobs.store.finish import Execution, Finish
from wedsync_ops.weddings.model import Season
from wedsync_ops.weddings.season import season_at

_SHIPPED = "wedsync_ops.handlers."
_TIMES = Request._fields.index("priority")  # what comes before says what is done, the rest when and how urgently


class Conclusion(NamedTuple):
    """What to write for one outcome, and the jobs to queue when it is written."""

    finish: Finish
    outcome: Outcome
    further: Sequence[Prepared] = ()


def conclude(rules: Rules, worker_id: str, job: Claimed, outcome: Outcome, *, rand: float) -> Conclusion:
    """Resolve an outcome. Further jobs that are not acceptable make it an error of the handler's."""
    further: Sequence[Prepared] = ()
    if outcome.enqueue is not None and outcome.result is Result.OK:
        try:
            further = _further(rules, job, outcome.enqueue)
        except Exception as error:  # noqa: BLE001 - a handler asked for it, and a third party's check may raise anything
            outcome = refused(outcome, error)
    finished_at = outcome.started_at + outcome.duration_us
    module = rules.registry.version(job.module_type, job.module_version)
    transition = lifecycle.resolve(
        job,
        outcome,
        now=finished_at,
        retry=module.definition.retry,
        rand=rand,
        kill_limit=rules.settings.kill_limit,
        p95_us=0 if job.deadline_at is None else expected_of(rules.expected, module).p95_us,
    )
    return Conclusion(_finish(rules, worker_id, job, outcome, transition, finished_at), outcome, further)


def refused(outcome: Outcome, error: Exception) -> Outcome:
    """The outcome of a handler that asked for a further job which is not acceptable.

    It is for good: another attempt would ask for the same, and deliver once more before it does.
    """
    reason = str(error) if isinstance(error, WedsyncError) else f"{type(error).__name__}: {error}"
    return outcome._replace(
        result=Result.ERROR,
        error=one_line(f"a further job was refused: {reason}"),
        data=None,
        enqueue=None,
        permanent=True,
    )


def interrupted(job: Claimed, started_at: int, now: int) -> Outcome:
    """The outcome of an execution that is broken off because its worker stops."""
    return Outcome(
        job.id,
        job.token,
        job.attempt,
        Result.LOST,
        started_at,
        max(0, now - started_at),
        error="interrupted: its worker was stopped",
    )


def _finish(
    rules: Rules, worker_id: str, job: Claimed, outcome: Outcome, transition: Transition, finished_at: int
) -> Finish:
    error = _error(transition, outcome)
    if error != transition.error:
        transition = transition._replace(error=error)
    execution = Execution(  # by position: it is made for every job, and twenty names would double its cost
        job.id,
        job.attempt,
        job.module_type,
        job.module_version,
        worker_id,
        job.priority,
        outcome.result,
        outcome.started_at,
        finished_at,
        outcome.duration_us,
        max(0, outcome.started_at - job.due_at),
        outcome.cpu_us,
        outcome.memory_kb,
        outcome.bytes_sent,
        wedding_days(rules, job.wedding_on, job.timezone, finished_at),
        season_at(finished_at, rules.calendar) is Season.PEAK,
        job.vendor_type,
        outcome.error,
        outcome.traceback,
        outcome.log,
    )
    return Finish(job.token, transition, execution, outcome.data)


def wedding_days(rules: Rules, on: date | None, zone_name: str | None, at: int) -> int | None:
    """Calendar days from an instant to a job's wedding, in its zone; ``None`` without a wedding."""
    if on is None:
        return None
    return (on - local_date(at, rules.zone(zone_name))).days


def _error(transition: Transition, outcome: Outcome) -> str | None:
    if transition.state is State.DISCARDED and transition.reason.startswith("quarantined"):
        return f"{transition.reason}; {outcome.error}" if outcome.error else transition.reason
    return transition.error


def _further(rules: Rules, job: Claimed, raw: bytes) -> list[Prepared]:
    """Check them, each kind once: reminders of a form differ by their times only, and the worker's loop waits here."""
    rows = codec.loads(raw, "the further jobs")
    if any("context" not in row for row in rows):
        context = without_next_step(codec.load_object(job.context, "the context"))
        rows = [{"context": context, **row} for row in rows]
    handler = rules.registry.version(job.module_type, job.module_version).definition.handler
    known: dict[bytes, Prepared] = {}
    found = []
    for request in (Request(**row) for row in rows):
        kind = codec.dumps(request[:_TIMES])
        like = known.get(kind)
        if like is None:
            like = known[kind] = prepare(rules, request, texts=not handler.startswith(_SHIPPED))
            found.append(like)
        else:
            found.append(again(rules, like, request))
    return found
