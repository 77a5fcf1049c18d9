"""What planning does to the queue for some couples, in one transaction: queue, move, withdraw and restore their jobs.

Couples are locked first, then their waiting jobs, then lanes, as everybody does. What a worker has claimed meanwhile
is no longer waiting: it runs, and is left alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import NamedTuple

from sqlalchemy import Connection

from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs import intake
from wedsync_ops.jobs.model import Queued, Request
from wedsync_ops.jobs.prepare import Prepared, prepare
from wedsync_ops.jobs.store import drains
from wedsync_ops.jobs.store.redate import Dated, Redated
from wedsync_ops.planning import by_hand, changing
from wedsync_ops.planning.couples import couple_of, dated_request
from wedsync_ops.planning.frame import Frame
from wedsync_ops.planning.model import Change, Couple, Decided, Kept, Known
from wedsync_ops.planning.reconcile import Versioned, reconcile
from wedsync_ops.planning.store import calls, plans
from wedsync_ops.planning.store.plans import Dates, NewStep
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.model import Client

Place = tuple[str, str, str]
"""Couple, journey, step."""
_KEPT = {
    Change.QUEUE: Kept.QUEUED,
    Change.RESTORE: Kept.QUEUED,
    Change.MOVE: Kept.QUEUED,
    Change.WITHDRAW: Kept.WITHDRAWN,
    Change.PAST: Kept.PAST,
    Change.REFUSED: Kept.REFUSED,
}
"""What is to be remembered of a step; what is not listed stays as it is remembered."""


class Outcome(NamedTuple):
    """What became of a step, or of a job that no journey planned; instants in microseconds.

    ``due_at`` is when its job is due now, ``was_due_at`` when it was before; ``error`` is why the queue refused it.
    """

    client_id: str
    decided: Decided
    due_at: int | None
    was_due_at: int | None = None
    error: WedsyncError | None = None


class CouplePlan(NamedTuple):
    """What planning came to for a couple: its steps, and its other jobs, which only follow the wedding."""

    client: Client
    steps: Sequence[Outcome]
    others: Sequence[Outcome]
    was: Dates | None
    """The dates that it was planned for before, ``None`` when it never was."""
    redated: bool

    @property
    def counts(self) -> Counter[Change]:
        """How many jobs changed how."""
        return Counter(one.decided.change for one in (*self.steps, *self.others))


@dataclass(slots=True)
class Work:
    """What couples are planned with, and what is known of their requests from a look before the transaction.

    ``move_to`` is the day that their weddings move to; ``always`` says that their waiting jobs are re-decided even when
    nothing is known to have changed.
    """

    frame: Frame
    write: bool = False
    queueing: bool = True
    """Whether it is asked what the queue would say of new jobs."""
    move_to: date | None = None
    always: bool = False
    stamp: Callable[[], int] | None = None
    prepared: dict[Place, tuple[Request, Prepared | WedsyncError]] = field(default_factory=dict)

    def prepare(self, place: Place, request: Request) -> Prepared | WedsyncError:
        """A request, checked; once, as long as it stays the same."""
        known = self.prepared.get(place)
        if known is not None and known[0] == request:
            return known[1]
        made: Prepared | WedsyncError
        try:
            made = prepare(self.frame.rules, request)
        except WedsyncError as error:
            made = error
        except Exception as error:  # noqa: BLE001 - a third party's check, which may raise anything
            made = WedsyncError(f"the handler's own code failed with {type(error).__name__}: {error}")
        self.prepared[place] = (request, made)
        return made

    @property
    def ready(self) -> list[Prepared]:
        """The requests that are fine."""
        return [made for _, made in self.prepared.values() if isinstance(made, Prepared)]


@dataclass(slots=True)
class _Couple:
    """A couple while it is planned."""

    client: Client
    couple: Couple
    was: Dates | None
    redated: bool
    known: Mapping[tuple[str, str], Known]
    decided: list[Decided] = field(default_factory=list)


def apply(connection: Connection, work: Work, client_ids: Sequence[str], now: int) -> list[CouplePlan]:
    """Plan couples in the running transaction; without ``write`` only find out what would happen.

    Ids of nobody are left out. Raises DatabaseError, ExtraMissing, InvalidTime past the year 8999.
    """
    if work.write:
        lock(connection, work, client_ids, now)
    found = _couples(connection, work, client_ids)
    moving = [one.client.client_id for one in found if one.redated]
    jobs = changing.jobs_of(connection, moving, lock=work.write)
    known = plans.known(connection, [one.client.client_id for one in found])  # of jobs that go on waiting
    made = calls.made(connection, list(known))
    current = work.frame.current()
    for one in found:
        one.known = known[one.client.client_id]
        mine = work.frame.applying(one.client, current) if one.was is not None or not work.always else []
        decided = reconcile(one.couple, mine, one.known, work.frame.find, now=now, redated=one.redated)
        one.decided = by_hand.left(decided, one.client.client_id, made.get(one.client.client_id, {}))
    done = _changed(connection, work, found, jobs, now)
    if work.write:
        _remember(connection, found, done, now)
    return done


def lock(connection: Connection, work: Work, client_ids: Sequence[str], now: int) -> None:
    """Lock drains, keys and codes, and couples, in the order in which everybody does, before any job and any lane."""
    drains.read(connection, now, entering=True)
    intake.lock_keys(connection, work.ready)
    plans.lock_clients(connection, client_ids)


def _couples(connection: Connection, work: Work, client_ids: Sequence[str]) -> list[_Couple]:
    zone = work.frame.rules.calendar.zone
    listed = clients.find_many(connection, client_ids)
    before = plans.planned_for(connection, client_ids)
    found = []
    for client_id in client_ids:
        if client_id not in listed:
            continue
        client = listed[client_id].client
        if work.move_to is not None:
            client = replace(client, wedding_on=work.move_to)
        was = before.get(client_id)
        redated = work.always or (was is not None and was != plans.dates_of(client))
        found.append(_Couple(client, couple_of(client, zone), was, redated, {}))
    return found


def _changed(
    connection: Connection, work: Work, found: Sequence[_Couple], jobs: Sequence[Dated], now: int
) -> list[CouplePlan]:
    """Do what is decided, jobs that there are first: what is withdrawn makes room."""
    decided = {step.job_id: step for one in found for step in one.decided if step.job_id is not None}
    couples = {one.client.client_id: one.couple for one in found}
    change = changing.Changing(connection, work.frame, couples, decided, write=work.write, now=now)
    refused = change.restore()
    becoming = change.redate(jobs)
    change.withdraw()
    queued = _queue(connection, work, found, now)
    return [_told(one, jobs, becoming, queued, refused) for one in found]


def _queue(
    connection: Connection, work: Work, found: Sequence[_Couple], now: int
) -> dict[Place, Queued | WedsyncError]:
    """Queue the jobs of steps that have none."""
    answers: dict[Place, Queued | WedsyncError] = {}
    wanted: list[tuple[Place, Prepared]] = []
    for one in found:
        for step in one.decided:
            if step.change is not Change.QUEUE or step.at is None:
                continue
            place = (one.client.client_id, step.journey_id, step.step_id)
            version = work.frame.find(step.journey_id, step.version)
            made = work.prepare(place, _request(version, step, one.couple))
            if isinstance(made, Prepared):
                wanted.append((place, made))
            else:
                answers[place] = made
    if wanted and work.queueing:
        requests = [made for _, made in wanted]
        rules = work.frame.rules
        placed = intake.place(connection, rules, requests, now=now, stamp=work.stamp, write=work.write)
        answers.update({place: answer for (place, _), answer in zip(wanted, placed, strict=True)})
    return answers


def _request(version: Versioned | None, step: Decided, couple: Couple) -> Request:
    found = None if version is None else version.step(step.step_id)
    if version is None or found is None or step.at is None:
        raise ValueError(f"the step {step.step_id} is of no journey")
    return dated_request(version.journey, found, couple, step.at)


def _told(
    one: _Couple,
    jobs: Sequence[Dated],
    becoming: Mapping[int, Redated],
    queued: Mapping[Place, Queued | WedsyncError],
    refused: Mapping[int, WedsyncError],
) -> CouplePlan:
    """What became of a couple's steps and other jobs."""
    client_id = one.client.client_id
    mine = {job.id: job for job in jobs if job.client_id == client_id}
    steps = []
    for step in one.decided:
        job_id = step.job_id or 0
        was = mine[job_id].due_at if job_id in mine else None
        now_due = becoming[job_id].due_at if job_id in becoming else was
        if now_due is None and step.change in (Change.RESTORE, Change.KEEP):  # its row was not looked at
            now_due = step.at
        if step.change is Change.QUEUE:
            steps.append(_queued(client_id, step, queued.get((client_id, step.journey_id, step.step_id))))
        elif job_id in refused:
            steps.append(Outcome(client_id, _refused(step, refused[job_id]), None, was, refused[job_id]))
        else:
            steps.append(Outcome(client_id, step, None if step.change is Change.WITHDRAW else now_due, was))
    planned = {step.job_id for step in one.decided}
    others = [changing.other(job, becoming.get(job.id)) for job in mine.values() if job.id not in planned]
    return CouplePlan(
        one.client, steps, [Outcome(client_id, *rest) for rest in others if rest is not None], one.was, one.redated
    )


def _queued(client_id: str, step: Decided, answer: Queued | WedsyncError | None) -> Outcome:
    if isinstance(answer, WedsyncError):
        return Outcome(client_id, _refused(step, answer), None, None, answer)
    if answer is None:  # only looked at
        return Outcome(client_id, step, step.at)
    if answer.queued_as == "kept":
        error = changing.same_unique_key(answer.job_id)
        return Outcome(client_id, _refused(step, error), None, None, error)
    return Outcome(client_id, step._replace(job_id=answer.job_id), answer.due_at)


def _refused(step: Decided, error: WedsyncError) -> Decided:
    return step._replace(change=Change.REFUSED, reason=" ".join(str(error).split()))


def _remember(connection: Connection, found: Sequence[_Couple], done: Sequence[CouplePlan], now: int) -> None:
    """Write what became of the steps, where it is news, and for which dates the couples are planned now."""
    steps, dates = [], {}
    for one, plan in zip(found, done, strict=True):
        for outcome in plan.steps:
            step = outcome.decided
            kept = _KEPT.get(step.change)
            before = one.known.get((step.journey_id, step.step_id))
            if kept is None or step.at is None or _is_known(before, kept, step):
                continue
            place = (one.client.client_id, step.journey_id, step.step_id, step.version, step.module_type)
            steps.append(NewStep(*place, kept, step.job_id, step.at, step.reason))
        has_plan = one.was is not None or any(step.change is not Change.UNDATED for step in one.decided)
        if has_plan and one.was != plans.dates_of(one.client):
            dates[one.client.client_id] = plans.dates_of(one.client)
    plans.save_steps(connection, steps)
    plans.save_plans(connection, dates, now)


def _is_known(before: Known | None, kept: Kept, step: Decided) -> bool:
    if before is None or kept is not Kept.PAST:
        return False
    return before.state in (Kept.PAST, Kept.WITHDRAWN) and before.planned_at == step.at
