"""The queue as one would explain it to a colleague: a dictionary of jobs, and what may happen to them. No database."""

from dataclasses import dataclass, field

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import FINISHED, Priority, Result, State

WAITING = frozenset({State.SCHEDULED, State.AVAILABLE, State.RETRYABLE})
AGEING_US = 900 * SECOND
ATTEMPTS = {"email": 3, "info": 5}
KILL_LIMIT = 3


@dataclass
class Job:
    """What the model knows of a job. ``tells`` counts its events: one each time that it ends."""

    id: int
    module_type: str
    supplier: str
    requested: Priority
    due_at: int
    state: State
    key: str | None = None
    expires_at: int | None = None
    attempt: int = 0
    kills: int = 0
    worker: str | None = None
    tells: int = 0
    is_asked_to_stop: bool = False

    def priority(self, now: int) -> Priority:
        """What was asked for, raised one step for each quarter of an hour of waiting, up to high."""
        steps = max(0, now - self.due_at) // AGEING_US
        return max(self.requested, min(Priority(min(self.requested + steps, Priority.CRITICAL)), Priority.HIGH))

    def end(self, state: State) -> None:
        """The job has ended."""
        self.state = state
        self.worker = None
        self.tells += 1
        self.is_asked_to_stop = False


def retry_us(job: Job) -> int:
    """How long a failed job waits: an e-mail 2 s and twice as long each time, the other module type 1 s."""
    return 2 * SECOND * 2 ** (job.attempt - 1) if job.module_type == "email" else SECOND


@dataclass
class Model:
    """Every job, what is paused, and the time."""

    now: int
    jobs: dict[int, Job] = field(default_factory=dict)
    paused: set[tuple[str, str]] = field(default_factory=set)

    def keyed(self, key: str | None) -> Job | None:
        """The job that holds an idempotency key."""
        return next((job for job in self.jobs.values() if key is not None and job.key == key), None)

    def ripen(self) -> None:
        """What has fallen due is available; what waits past its expiry has expired."""
        for job in self.jobs.values():
            if job.state in WAITING and job.expires_at is not None and job.expires_at <= self.now:
                if job.state is State.AVAILABLE or job.due_at <= self.now:
                    job.end(State.EXPIRED)
            elif job.state in {State.SCHEDULED, State.RETRYABLE} and job.due_at <= self.now:
                job.state = State.AVAILABLE

    def startable(self) -> list[Job]:
        """The jobs that a worker may claim now."""
        return [job for job in self.jobs.values() if job.state is State.AVAILABLE and not self._is_paused(job)]

    def claim(self, job: Job, worker: str) -> None:
        """A worker has claimed a job."""
        job.state, job.worker = State.RUNNING, worker
        job.attempt += 1

    def finish(self, job: Job, result: Result) -> None:
        """An execution has ended; what the job becomes."""
        job.worker = None
        if result is Result.OK:
            job.end(State.COMPLETED)
        elif result is Result.CANCELLED:
            job.end(State.CANCELLED)
        elif result is Result.LOST:
            job.state = State.AVAILABLE
            job.attempt -= 1
        else:
            job.kills += result is Result.KILLED
            if job.attempt >= ATTEMPTS[job.module_type] or job.kills >= KILL_LIMIT:
                job.end(State.DISCARDED)
            else:
                job.state = State.RETRYABLE
                job.due_at = self.now + retry_us(job)

    def retry(self, job: Job) -> None:
        """Somebody wants an ended job tried again: all its attempts are before it."""
        job.state, job.due_at = State.SCHEDULED, self.now
        job.attempt = job.kills = 0
        if job.expires_at is not None and job.expires_at <= self.now:
            job.expires_at = None

    def may_retry(self, job: Job) -> bool:
        """Whether an ended job may be tried again."""
        return job.state in FINISHED and job.state is not State.COMPLETED

    def _is_paused(self, job: Job) -> bool:
        return bool(self.paused & {("all", ""), ("module", job.module_type), ("supplier", job.supplier)})
