"""Maintenance: one command for cron. Each task works in short transactions and can be repeated at any time.

What several machines could do twice, one does under a term; the others leave it out.
"""

import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

from sqlalchemy import Connection

from wedsync_ops.alerts.alerter import Alerter
from wedsync_ops.alerts.model import EventKind
from wedsync_ops.alerts.store import deliveries
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import ExtraMissing, InvalidInput, TermOver, UsageError, quoted
from wedsync_ops.instants import DAY
from wedsync_ops.jobs import draining
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.rescue import rescue
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, events, lanes, retention, terms
from wedsync_ops.jobs.store.retention import Key, Policy, Sweep
from wedsync_ops.jobs.store.terms import Term
from wedsync_ops.jobs.webhooks import deliver
from wedsync_ops.metrics.levels import Kept, Level, start_of
from wedsync_ops.metrics.rollup import Roller
from wedsync_ops.metrics.store import buckets
from wedsync_ops.operations.report.keeping import keep
from wedsync_ops.planning import frame
from wedsync_ops.planning.settling import settle
from wedsync_ops.planning.store import forgetting
from wedsync_ops.planning.unplanned import unplanned
from wedsync_ops.scaling.forecaster import refresh

_LOG = logging.getLogger(__name__)

TERM_S = 120.0
"""How long a process has a task for itself unless it renews that, in seconds."""
Writing = Callable[[], AbstractContextManager[Connection]]
"""What opens a transaction to write in."""


@dataclass(frozen=True, slots=True)
class Site:
    """What maintenance works on."""

    database: Database
    clock: Clock
    rules: Rules


@dataclass(frozen=True, slots=True)
class Done:
    """What a task came to: counts by the name of what it did."""

    task: str
    counts: Mapping[str, int]
    skipped: str | None = None
    """Why it was left out, or not done to its end; ``None`` when it was done."""


def run(site: Site, names: Sequence[str]) -> list[Done]:
    """Run the named tasks in order, each after what it needs, all of them when none is named.

    Raises UsageError for an unknown name.
    """
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise UsageError(f"there is no maintenance task {quoted(unknown[0])}", hint=f"use one of {', '.join(TASKS)}")
    return [_done(site, name) for name in _in_order(names)] if names else [_spared(site, name) for name in TASKS]


def _in_order(names: Sequence[str]) -> list[str]:
    """The names with what each needs before it: alerts and forecasts are made of what has been rolled up."""
    wanted: list[str] = []
    for name in names:
        if name in ("alerts", "forecast") and "rollup" not in wanted:
            wanted.append("rollup")
        wanted.append(name)
    return wanted


def _spared(site: Site, name: str) -> Done:
    """One of all tasks: what is wrong with its settings must not keep the others from being done."""
    try:
        return _done(site, name)
    except (UsageError, InvalidInput, ExtraMissing) as error:
        _LOG.error("the task %s could not be done: %s", name, error)
        return Done(name, {}, str(error))


def _done(site: Site, name: str) -> Done:
    task = TASKS[name]
    if not task.alone:
        return _attempted(site, name)
    sole = Sole(site, f"maintenance {name}")
    try:
        if not sole.take():
            return Done(name, {}, "another process is at it")
        return Done(name, task.run(site, sole.writing))
    except TermOver as error:
        return Done(name, {}, error.message)
    finally:
        sole.leave()


def _attempted(site: Site, name: str) -> Done:
    try:
        return Done(name, TASKS[name].run(site, site.database.transaction))
    except TermOver as error:
        return Done(name, {}, error.message)


class Sole:
    """The right of one process to do a task, renewed as long as it writes."""

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self._name = name
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._leader = Leader(site.database, site.clock, TERM_S)
        self._term: Term | None = None
        self._renewed_at = 0.0

    def take(self) -> bool:
        """Take or renew the term; whether it is this process's now."""
        self._renewed_at = self._site.clock.monotonic()
        self._term = self._leader.lead(self._name, self._holder)
        return self._term is not None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes place only while nobody else does the task. Raises TermOver."""
        if self._site.clock.monotonic() - self._renewed_at > TERM_S / 3:
            self.take()
        if self._term is None:
            raise TermOver(f"another process has taken over {self._name!r}")
        with self._leader.writing(self._term) as connection:
            yield connection

    def leave(self) -> None:
        """Let others do it at once."""
        with self._site.database.transaction() as connection:
            terms.vacate(connection, self._holder)


@dataclass(frozen=True, slots=True)
class Task:
    """A task, what it is for, and how it is run."""

    about: str
    run: Callable[[Site, Writing], Mapping[str, int]]
    alone: bool = False
    """Whether only one process should be at it."""


def _rescue(site: Site, _writing: Writing) -> Mapping[str, int]:
    return {"jobs": rescue(site.database, site.rules, site.clock.now())}


def _counters(site: Site, writing: Writing) -> Mapping[str, int]:
    with site.database.reading() as connection:
        errors = lanes.errors(connection)
    corrected = 0
    if errors:
        with writing() as connection:
            corrected = lanes.correct(connection, errors)
    with writing() as connection:
        durations.measure(connection, site.clock.now())
    return {"lanes_corrected": corrected}


def _drains(site: Site, _writing: Writing) -> Mapping[str, int]:
    return {"drained": draining.advance_all(Queue(site.database, site.clock, site.rules))}


def _webhooks(site: Site, _writing: Writing) -> Mapping[str, int]:
    came_to = deliver(site.database, site.clock, site.rules.settings)
    return {"delivered": came_to.delivered, "failed": int(came_to.error is not None)}


def _reports(site: Site, _writing: Writing) -> Mapping[str, int]:
    return keep(site.database, site.rules, site.clock.now())


def _events(site: Site, before: int, writing: Writing) -> int:
    total = 0
    while True:
        with writing() as connection:
            done = events.drop(connection, before, webhook=site.rules.settings.webhook_url is not None)
        total += done
        if done < retention.CHUNK:
            return total


def _rollup(site: Site, writing: Writing) -> Mapping[str, int]:
    rolled = Roller(site.database, site.clock, site.rules.settings, writing).round()
    return {"executions_rolled_up": rolled.executions, "buckets_dropped": rolled.dropped}


def _measured(site: Site, before: int, writing: Writing) -> int:
    """Roll up, and note from when on executions are kept; returns the last id that may go: those after it are new."""
    _rollup(site, writing)
    with writing() as connection:
        buckets.keep(connection, Kept(raw=before))
        return buckets.state(connection).up_to


def _retention(site: Site, writing: Writing) -> Mapping[str, int]:
    settings, now = site.rules.settings, site.clock.now()
    policy = Policy(
        now=now,
        old=start_of(Level.DAY, now - settings.retention_days * DAY),
        dead=now - settings.dead_letter_days * DAY,
        samples=now - DAY,
        workers=now - 7 * DAY,
        keep_completed=settings.keep_completed,
        keep_failed=settings.keep_failed,
    )
    with site.database.reading() as connection:
        module_types = retention.module_types(connection)
        days_after = frame.load(connection, site.rules).days_after()
        untold = None if settings.webhook_url is None else events.Untold(connection)
    counts = {**dict.fromkeys(retention.COUNTS, 0), "plan_steps_dropped": 0}
    counts["steps_settled"] = settle(site.database, writing)
    policy = replace(policy, measured=_measured(site, policy.old, writing))
    several = (
        *retention.sweeps(policy, module_types, untold or retention.nothing_held),
        *_told_long_ago(policy.old),
        *forgetting.sweeps(policy.old, days_after),
    )
    for one in several:
        for name, count in sweep(site.database, one, writing).items():
            counts[name] += count
    counts["events_dropped"] = _events(site, policy.old, writing)
    counts["deliveries_dropped"] = _deliveries(policy.old, writing)
    counts["events_untold"] = 0 if untold is None else untold.count
    return counts


def _told_long_ago(before: int) -> Iterator[Sweep]:
    """Alerts and emergencies that were over before an instant, silences that ended, what was decided and done."""
    dated = (("alerts", "resolved_at"), ("alert_events", "at"), ("alert_silences", "until"), ("scale_decisions", "at"))
    for table, column in (*dated, ("emergencies", "resolved_at"), ("freeze_overrides", "at")):
        yield retention.leftovers(table, {"id": "bigint"}, column, before)
    step = {"emergency_id": "bigint", "position": "bigint"}
    yield retention.leftovers("emergency_steps", step, "started_at", before)


def sweep(database: Database, one: Sweep, writing: Writing | None = None) -> Mapping[str, int]:
    """Forget all that a sweep finds; returns how much, by name. Looks while it reads, and writes only in between."""
    counts: Counter[str] = Counter()
    after: Key | None = ()
    while after is not None:
        with database.reading() as connection:
            keys, after = one.look(connection, after)
        if keys:
            with (writing or database.transaction)() as connection:
                counts.update(one.forget(connection, keys))
    return counts


def _alerts(site: Site, _writing: Writing) -> Mapping[str, int]:
    """Evaluate under the term that workers evaluate under, too."""
    alerter = Alerter(site.database, site.clock, lambda: site.rules)
    try:
        done = alerter.evaluate()
    finally:
        alerter.leave()
    if done.skipped is not None:
        raise TermOver(done.skipped)
    names = {EventKind.OPENED: "opened", EventKind.RESOLVED: "resolved"}
    return {"rules": done.rules, **{name: done.events.get(kind, 0) for kind, name in names.items()}}


def _emergencies(site: Site, _writing: Writing) -> Mapping[str, int]:
    """Look under the term that workers look under, too."""
    from wedsync_ops.emergencies.actions import Desk, protocols_of
    from wedsync_ops.emergencies.watcher import Watcher

    watcher = Watcher(Desk(site.database, site.clock, lambda: site.rules, protocols_of(site.rules.settings)))
    try:
        looked = watcher.look()
    finally:
        watcher.leave()
    if looked.skipped is not None:
        raise TermOver(looked.skipped)
    return {"declared": looked.declared, "resolved": looked.resolved, "steps": looked.steps}


def _forecast(site: Site, writing: Writing) -> Mapping[str, int]:
    made = refresh(site.database, site.rules, site.clock.now(), writing, promised=unplanned)
    return {"module_types": made.module_types, "hours": made.hours, "dropped": made.dropped}


def _notify(site: Site, _writing: Writing) -> Mapping[str, int]:
    """Tell under the term that workers tell under, too."""
    from wedsync_ops.alerts.notifying import notify  # with HTTP and mail behind it

    told = notify(site.database, site.clock, site.rules.site, site.rules.settings.notify)
    if told is None:
        raise TermOver("another process tells people of alerts")
    return {"planned": told.planned, "sent": told.sent, "failed": told.failed}


def _deliveries(before: int, writing: Writing) -> int:
    total = 0
    while True:
        with writing() as connection:
            done = deliveries.drop(connection, before)
        total += done
        if done < deliveries.CHUNK:
            return total


TASKS: Mapping[str, Task] = {
    "rescue": Task("take up the jobs of workers that died", _rescue),
    "counters": Task("check the lane counters against the jobs, and measure expected durations", _counters, alone=True),
    "rollup": Task("add finished executions to the buckets that metrics are read from", _rollup, alone=True),
    "drains": Task("note what has been drained, so that nothing of it starts", _drains),
    "alerts": Task("evaluate the alert rules, as workers do while they run", _alerts),
    "emergencies": Task("go on with emergencies, declare and end them by rule, as workers do", _emergencies),
    "forecast": Task("foretell the load of the next two weeks, as workers do while they run", _forecast, alone=True),
    "notify": Task("tell people of alerts, as workers do while they run", _notify),
    "webhooks": Task("post finished jobs to the webhook, as workers do while they run", _webhooks),
    "reports": Task("write the reports of the last hour and the last day, and forget old ones", _reports, alone=True),
    "retention": Task("forget what has been kept for long enough", _retention, alone=True),
}
