"""How ready the weddings to come are: read page by page, judged by what was promised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from wedsync_ops.errors import UnknownClient, quoted
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.scope import covers
from wedsync_ops.jobs.store import control, durations
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.planning import frame
from wedsync_ops.planning.admission import Load
from wedsync_ops.planning.couples import couple_of
from wedsync_ops.planning.frame import Frame
from wedsync_ops.planning.promising import measure
from wedsync_ops.planning.readiness import JobFacts, Ready, Stop, ready
from wedsync_ops.planning.store import calls, obligations, plans
from wedsync_ops.weddings import agenda
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.agenda import Coming
from wedsync_ops.weddings.proximity import days_until
from wedsync_ops.weddings.store import Wanted

_AT_ONCE = 500
_WAITING = ("scheduled", "available", "retryable")


@dataclass(frozen=True, slots=True)
class WeddingReady:
    """A wedding to come, and how ready it is."""

    coming: Coming
    ready: Ready


def readiness(queue: Queue, *, within_days: int, supplier_id: str | None = None) -> Iterator[WeddingReady]:
    """The weddings of the days to come, the soonest first, as they are ready."""
    now = queue.clock.now()
    with queue.database.reading() as connection:
        look = _look(connection, queue.rules, now)
        page: list[Coming] = []
        wanted = Wanted(supplier_id=supplier_id)
        for one in agenda.coming(connection, now, queue.rules.calendar.zone, wanted, within_days=within_days):
            page.append(one)
            if len(page) == _AT_ONCE:
                yield from _judged(connection, queue.rules, look, page, now)
                page = []
        yield from _judged(connection, queue.rules, look, page, now)


def of_client(queue: Queue, client_id: str) -> WeddingReady:
    """One wedding. Raises UnknownClient."""
    now = queue.clock.now()
    with queue.database.reading() as connection:
        known = clients.find(connection, client_id)
        if known is None:
            raise UnknownClient(f"there is no client {quoted(client_id)}")
        days = days_until(known.client.wedding(queue.rules.calendar.zone), now)
        look = _look(connection, queue.rules, now)
        return next(iter(_judged(connection, queue.rules, look, [Coming(known, days)], now)))


def _look(connection: Connection, rules: Rules, now: int) -> tuple[Frame, Load]:
    return frame.load(connection, rules), measure(connection, rules, now)


def _judged(
    connection: Connection, rules: Rules, look: tuple[Frame, Load], page: Sequence[Coming], now: int
) -> Iterator[WeddingReady]:
    found, load = look
    ids = [one.known.client.client_id for one in page]
    known, current = plans.known(connection, ids), found.current()
    jobs, made = _jobs(connection, rules, ids, now), calls.made(connection, ids)
    for one in page:
        client = one.known.client
        couple = couple_of(client, rules.calendar.zone)
        mine = jobs.get(client.client_id, {})
        applying = found.applying(client, current)
        by_hand = made.get(client.client_id, {})
        told = ready(couple, applying, known[client.client_id], mine, load, now, by_hand=by_hand)
        yield WeddingReady(one, told)


def _jobs(connection: Connection, rules: Rules, ids: Sequence[str], now: int) -> dict[str, dict[int, JobFacts]]:
    measured = durations.read(connection)
    pauses = control.closed(connection, now)
    found: dict[str, dict[int, JobFacts]] = {}
    takes: dict[tuple[str, int], int] = {}
    row: Any
    for row in obligations.jobs_of(connection, ids):
        client_id, job_id, module_type, version, state, priority, due_at, deadline_at, left, error, supplier_id = row
        p95_us = takes.get((module_type, version))
        if p95_us is None:
            p95_us = expected_of(measured, rules.registry.version(module_type, version)).p95_us
            takes[module_type, version] = p95_us
        stop = _stop(pauses, module_type, supplier_id) if pauses and state in _WAITING else None
        facts = JobFacts(job_id, module_type, state, priority, due_at, deadline_at, left, p95_us, error, stop)
        found.setdefault(client_id, {})[job_id] = facts
    return found


def _stop(pauses: Sequence[Pause], module_type: str, supplier_id: str | None) -> Stop | None:
    """The pause of all that cover a job that lasts longest."""
    mine = [one for one in pauses if covers(one.scope, one.name, module_type, supplier_id)]
    if not mine:
        return None
    longest = max(mine, key=lambda one: (one.until is None, one.until or 0))
    return Stop("everything" if longest.scope == "all" else f"{longest.scope} {longest.name}", longest.until)
