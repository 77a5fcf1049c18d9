"""The jobs that couples have: moved to their new dates, withdrawn when their time is over, restored when it is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from wedsync_ops.errors import UniqueConflict, WedsyncError, WrongState
from wedsync_ops.jobs.drain import covering, refused
from wedsync_ops.jobs.redating import Asked, redated
from wedsync_ops.jobs.store import control, drains, redate, unique
from wedsync_ops.jobs.store.redate import Dated, Redated
from wedsync_ops.planning.couples import limits_of
from wedsync_ops.planning.frame import Frame
from wedsync_ops.planning.model import Change, Couple, Decided
from wedsync_ops.weddings.model import Wedding

_RUNNING = "running"


def jobs_of(connection: Connection, client_ids: Sequence[str], *, lock: bool) -> list[Dated]:
    """The jobs of couples that wait or run; with ``lock`` those that wait go on waiting until the transaction ends."""
    return redate.unfinished(connection, client_ids, lock=lock) if client_ids else []


@dataclass(frozen=True, slots=True)
class Changing:
    """What is decided of the jobs of some couples, and the transaction in which it is done.

    ``decided`` are the steps by their jobs; without ``write`` nothing is done, and the answers are the same.
    """

    connection: Connection
    frame: Frame
    couples: Mapping[str, Couple]
    decided: Mapping[int, Decided]
    write: bool
    now: int

    def restore(self) -> dict[int, WedsyncError]:
        """Let jobs wait again that an earlier move had withdrawn; for each that cannot, why.

        They have all their attempts, and are redated with the others.
        """
        ids = [job_id for job_id, step in self.decided.items() if step.change is Change.RESTORE]
        if not ids:
            return {}
        jobs = {job.id: job for job in control.retryable(self.connection, ids)}
        going = drains.read(self.connection, self.now, entering=self.write)
        wrong: dict[int, WedsyncError] = {}
        for job_id in ids:
            job = jobs.get(job_id)
            if job is None or not job.has_payload:
                wrong[job_id] = WrongState(f"job {job_id} cannot be tried again any more", hint="")
            elif (closing := covering(going, job.module_type, job.supplier_id)) is not None:
                wrong[job_id] = refused(closing, self.now)
        fine = [jobs[job_id] for job_id in ids if job_id not in wrong]
        keys = {job.id: job.unique_key for job in fine if job.unique_key is not None}
        if self.write:
            taken = unique.taken(self.connection, keys, self.now)
            control.retry(self.connection, [job for job in fine if job.id not in taken], self.now)
        else:
            taken = unique.would_meet(self.connection, keys, {}, self.now)
        return wrong | {job_id: same_unique_key(holder) for job_id, holder in taken.items()}

    def redate(self, jobs: Sequence[Dated]) -> dict[int, Redated]:
        """Make waiting jobs what they are for the couple's new dates; returns those that changed."""
        waiting = [job for job in jobs if job.state != _RUNNING]
        restored = [job_id for job_id, step in self.decided.items() if step.change is Change.RESTORE]
        if restored and self.write:
            seen = {job.id for job in waiting}
            waiting += [one for one in redate.of_ids(self.connection, restored) if one.id not in seen]
        becoming = {}
        for job in waiting:
            step = self.decided.get(job.id)
            if step is not None and step.change is Change.WITHDRAW:
                continue
            made = redated(self.frame.rules, job, self._wedding(job, step), self._asked(step), now=self.now)
            if made is not None:
                becoming[job.id] = made
        if self.write:
            becoming = self._free(waiting, becoming)
            redate.write(self.connection, waiting, list(becoming.values()))
        return becoming

    def withdraw(self) -> None:
        """Cancel the jobs whose time is over."""
        ids = [job_id for job_id, step in self.decided.items() if step.change is Change.WITHDRAW]
        if ids and self.write:
            control.cancel(self.connection, ids, self.now)

    def _wedding(self, job: Dated, step: Decided | None) -> Wedding:
        """The couple's wedding, for a job that no journey planned in the zone that it was queued for."""
        couple = self.couples[job.client_id]
        return Wedding(couple.wedding_on, couple.zone if step is not None else self.frame.rules.zone(job.timezone))

    def _asked(self, step: Decided | None) -> Asked | None:
        if step is None or step.change not in (Change.MOVE, Change.RESTORE) or step.at is None:
            return None
        version = self.frame.find(step.journey_id, step.version)
        found = None if version is None else version.step(step.step_id)
        if found is None:
            return None
        return Asked(step.at, *limits_of(found, step.at), (step.reason,))

    def _free(self, jobs: Sequence[Dated], becoming: dict[int, Redated]) -> dict[int, Redated]:
        """The same, where a job that would get the unique key of another keeps its own."""
        before = {job.id: job.unique_key for job in jobs}
        keys = {
            one.id: one.unique_key
            for one in becoming.values()
            if one.unique_key is not None and one.unique_key != before[one.id]
        }
        if not keys:
            return becoming
        taken = unique.taken(self.connection, keys, self.now)
        return {
            job_id: one._replace(unique_key=before[job_id]) if job_id in taken else one
            for job_id, one in becoming.items()
        }


def other(job: Dated, after: Redated | None) -> tuple[Decided, int | None, int | None, None] | None:
    """What became of a job that no journey planned, ``None`` when it knows of no wedding."""
    if job.wedding_on is None:
        return None
    if job.state == _RUNNING:
        change, reason = Change.RUNNING, "it runs, and is left alone"
    elif after is None:
        return None
    else:
        change = Change.MOVE if after.due_at != job.due_at else Change.KEEP
        reason = "its due time follows from the wedding" if change is Change.MOVE else "priority and deadline anew"
    decided = Decided("", "", 0, job.module_type, change, None, reason, None, job.id)
    return decided, job.due_at if after is None else after.due_at, job.due_at, None


def same_unique_key(job_id: int | None) -> WedsyncError:
    """The refusal of a step whose module type lets no two jobs have one key."""
    named = "another job of this plan" if job_id is None else f"job {job_id}"
    return UniqueConflict(f"{named} has the same unique key", hint="")
