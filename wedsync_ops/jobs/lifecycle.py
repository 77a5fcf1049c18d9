"""What the end of an execution makes of its job. Pure; instants in microseconds.

A failure costs an attempt and is retried until the attempts are used up; an execution that is lost, interrupted or put
off by its handler costs none.
"""

import math

from wedsync_ops.instants import DAY, SECOND, iso
from wedsync_ops.jobs import backoff
from wedsync_ops.jobs.model import Claimed, Outcome, Result, State, Transition
from wedsync_ops.modules.model import Retry

LONGEST_RETRY_AFTER_US = 7 * DAY
"""A handler's wish for a later retry counts up to this long, in microseconds."""


def resolve(
    job: Claimed, outcome: Outcome, *, now: int, retry: Retry, rand: float, kill_limit: int, p95_us: int = 0
) -> Transition:
    """The job's next state after an execution ended at ``now``. ``rand`` in [0, 1) spreads the retry.

    No retry is planned for after the last moment at which an execution, which takes ``p95_us``, still ends before the
    deadline. Killed executions are counted, and quarantine the job at ``kill_limit``. Expiry is not looked at: a job
    past it is refused when it is claimed.
    """
    if outcome.result is Result.OK:
        return Transition(State.COMPLETED, job.attempt, job.losses, job.kills, None, None, "completed")
    if outcome.result is Result.CANCELLED and outcome.retry_after_s is not None:
        return _put_off(job, outcome, outcome.retry_after_s, now)
    if outcome.result is Result.CANCELLED:
        return Transition(State.CANCELLED, job.attempt, job.losses, job.kills, None, outcome.error, "cancelled")
    if outcome.result is Result.LOST:
        return _lost(job, outcome, now)
    return _failed(job, outcome, now=now, retry=retry, rand=rand, kill_limit=kill_limit, p95_us=p95_us)


def lose(attempt: int, losses: int, kills: int, *, now: int, loss_limit: int) -> Transition:
    """What becomes of a job whose worker was found dead at ``now``: its attempt is given back.

    It is available again with its due time unchanged, or at ``loss_limit`` losses quarantined.
    """
    losses += 1
    given_back = max(attempt - 1, 0)
    if losses >= loss_limit:
        reason = f"quarantined: its worker died {_times(losses)}, found last at {iso(now)}"
        return Transition(State.DISCARDED, given_back, losses, kills, None, reason, reason)
    reason = f"its worker died (loss {losses} of {loss_limit}); the attempt is given back"
    return Transition(State.AVAILABLE, given_back, losses, kills, None, None, reason)


def interrupt(attempt: int, losses: int, kills: int) -> Transition:
    """What becomes of a job whose execution was broken off by a stop: available again, nothing counted against it."""
    reason = "interrupted by a stop; the attempt is given back"
    return Transition(State.AVAILABLE, max(attempt - 1, 0), losses, kills, None, None, reason)


def _lost(job: Claimed, outcome: Outcome, now: int) -> Transition:
    if outcome.is_beyond_this_worker:
        reason = f"{outcome.error}; it waits for a worker that can, and the attempt is given back"
        return Transition(State.AVAILABLE, max(job.attempt - 1, 0), job.losses, job.kills, None, outcome.error, reason)
    if outcome.retry_after_s is None:
        return interrupt(job.attempt, job.losses, job.kills)
    wait_us = _asked_wait(outcome.retry_after_s) or 0
    reason = f"{outcome.error}; the attempt is given back"
    given_back = max(job.attempt - 1, 0)
    return Transition(State.RETRYABLE, given_back, job.losses, job.kills, now + wait_us, outcome.error, reason)


def _put_off(job: Claimed, outcome: Outcome, seconds: float, now: int) -> Transition:
    wait_us = max(_asked_wait(seconds) or 0, SECOND)
    reason = f"put off by {wait_us / SECOND:.0f} s by its handler; the attempt is given back"
    given_back = max(job.attempt - 1, 0)
    return Transition(State.SCHEDULED, given_back, job.losses, job.kills, now + wait_us, outcome.error, reason)


def _failed(
    job: Claimed, outcome: Outcome, *, now: int, retry: Retry, rand: float, kill_limit: int, p95_us: int
) -> Transition:
    kills = job.kills + (outcome.result is Result.KILLED)
    error = outcome.error or f"the execution ended as {outcome.result.value}"
    final = _final_reason(job, outcome, kills, kill_limit)
    if final is not None:
        return Transition(State.DISCARDED, job.attempt, job.losses, kills, None, error, final)
    wait_us = _asked_wait(outcome.retry_after_s)
    asked = wait_us is not None
    if wait_us is None:
        wait_us = backoff.delay_us(retry, job.attempt, rand)
    in_time = backoff.before_deadline(wait_us, job.deadline_at, p95_us, now=now, rand=rand)
    why = ", before its deadline" if in_time < wait_us else ", as the handler asked" if asked else ""
    wait_us = in_time
    reason = (
        f"attempt {job.attempt} of {job.max_attempts} ended as {outcome.result.value}; "
        f"retried after {wait_us / SECOND:.1f} s{why}"
    )
    return Transition(State.RETRYABLE, job.attempt, job.losses, kills, now + wait_us, error, reason)


def _final_reason(job: Claimed, outcome: Outcome, kills: int, kill_limit: int) -> str | None:
    """Why a failed job is not tried again, ``None`` when it is."""
    if outcome.permanent:
        return "failed for good: the handler said never to retry"
    if outcome.result is Result.KILLED and kills >= kill_limit:
        return f"quarantined: its execution was killed {_times(kills)}"
    if job.attempt >= job.max_attempts:
        return f"all attempts are used up ({job.attempt} of {job.max_attempts})"
    return None


def _asked_wait(seconds: float | None) -> int | None:
    """A handler's wish in microseconds, from 0 to the longest that counts; ``None`` when it has no sensible one."""
    if seconds is None or math.isnan(seconds):
        return None
    return round(min(max(seconds, 0.0), LONGEST_RETRY_AFTER_US / SECOND) * SECOND)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
