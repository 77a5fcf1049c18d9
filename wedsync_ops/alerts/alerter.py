"""Evaluates the rules: reads what they are judged by, and writes what that makes of the alerts.

One of all processes does it at a time, under a term. All that is known is in the database: whoever is next goes on
where the last one stopped, and evaluating twice changes nothing. Telling people is not done here: whoever does it reads
the events. In a worker this runs in a thread with connections of its own; the loop knows nothing of it.
"""

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.alerts import asking
from wedsync_ops.alerts.definitions import from_text
from wedsync_ops.alerts.evaluate import Judged, Step, conclude, judge
from wedsync_ops.alerts.facts import Affected, Facts, Targets
from wedsync_ops.alerts.model import EventKind, Rule
from wedsync_ops.alerts.rules import ended_asked, together, windows_asked
from wedsync_ops.alerts.store import alerts, facts, points, silences
from wedsync_ops.alerts.watching import Watching, usual
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseError, InvalidInput, StorageFull, TermOver
from wedsync_ops.instants import MINUTE, SECOND, local_date
from wedsync_ops.jobs.batch import expected_of
from wedsync_ops.jobs.beside import attempt, beside
from wedsync_ops.jobs.leader import Leader, Leadership
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations, measures, terms
from wedsync_ops.jobs.store.terms import Term
from wedsync_ops.metrics.store import present as metrics
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)

TERM = "alerts"
"""The name of the term under which one process evaluates."""
TERM_S = 45.0
"""How long a process has the evaluation for itself unless it renews that, in seconds: after a death the next one waits.
"""
SHORTEST_TERM_S = 5.0
WATCHED_S = 5.0
"""The pause between two evaluations while an emergency asks for more of them, in seconds."""
AFFECTED_US = 15 * MINUTE
"""How far back an alert that opens looks for the weddings that are affected."""
EVALUATED = "evaluated"
"""The mark that says when the rules were last evaluated."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an evaluation came to: events by kind, and how many rules; ``skipped`` says why it was left out."""

    rules: int
    events: Mapping[EventKind, int]
    skipped: str | None = None


class Alerter:
    """Evaluates again and again, as long as nobody else does. Not for several threads at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        load_rules: Callable[[], Rules],
        leadership: Leadership | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._load_rules = load_rules
        self._leadership = leadership or Leader(database, clock, TERM_S)
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._watching = Watching(database, self._writing)
        self._term: Term | None = None

    def evaluate(self) -> Evaluated:
        """Evaluate once, unless another process does. Raises DatabaseError, StorageFull."""
        self._term = self._leadership.lead(TERM, self._holder)
        if self._term is None:
            return Evaluated(0, {}, "another process evaluates the alerts")
        try:
            rules = self._load_rules()
            self._watching.catch_up(self._clock.now())
            now = self._clock.now()
            with self._database.reading() as connection:
                watched = rules_in_force(connection)
                seen = look(connection, self._watching, watched, rules, now)
                judged = judge(watched, seen)
                affected = _affected(connection, watched, judged, rules, now)
            with self._writing() as connection:
                counts = apply(connection, watched, judged, affected, now)
                asking.ask(connection, watched, alerts.unresolved(connection), seen.slots, now)
                points.set_mark(connection, EVALUATED, now)
        except TermOver as error:
            return Evaluated(0, {}, error.message)
        return Evaluated(len(watched), counts)

    def _writing(self) -> AbstractContextManager[Connection]:
        if self._term is None:
            raise TermOver("another process evaluates the alerts")
        return self._leadership.writing(self._term)

    def leave(self) -> None:
        """Let another process evaluate at once."""
        with self._database.transaction() as connection:
            terms.vacate(connection, self._holder)


def rules_in_force(connection: Connection) -> tuple[Rule, ...]:
    """The built-in rules, changed and added to by those that were registered; one that cannot be read is left out."""
    own = []
    for name, text in silences.own_rules(connection).items():
        try:
            own.append(from_text(text))
        except InvalidInput as error:
            _LOG.error("the alert rule %s is not evaluated: %s", name, error)
    return together(own)


def look(connection: Connection, watching: Watching, watched: Sequence[Rule], rules: Rules, now: int) -> Facts:
    """Everything that the rules are judged by, as it is now."""
    lease_us = round(rules.settings.lease_s * SECOND)
    by_metric = {rule.metric: rule for rule in watched}
    workers, slots = facts.living(connection, now, lease_us)
    silent = by_metric.get("silent_workers")
    return Facts(
        now=now,
        modules=targets(rules),
        windows=watching.windows(connection, now, windows_asked(watched)),
        ended={length: facts.ended(connection, now - length, now) for length in ended_asked(watched)},
        waiting=metrics.queue_lengths(connection, now),
        workers=workers,
        slots=slots,
        silent=() if silent is None else facts.silent(connection, now - silent.window_us, now, lease_us),
        late=facts.late(connection, now),
        broken=facts.broken(connection, now, _p95(connection, rules)),
        webhook=facts.webhook(connection) if rules.settings.webhook_url is not None else (0, None),
        usual=usual(connection, now, rules.calendar.zone) if "deviation" in by_metric else {},
    )


def _p95(connection: Connection, rules: Rules) -> Mapping[str, int]:
    """What nineteen of twenty executions of each module type take, in microseconds."""
    measured = durations.read(connection)
    return {module.module_id: expected_of(measured, module).p95_us for module in rules.registry.modules()}


def targets(rules: Rules) -> Mapping[str, Targets]:
    """What every module type is held to."""
    found = {}
    for module in rules.registry.modules():
        aims = module.definition.performance_targets
        is_used = rules.registry.is_usable(module.module_id)
        found[module.module_id] = Targets(
            aims.error_rate_threshold, aims.max_execution_time, aims.target_throughput, is_used
        )
    return found


def _affected(
    connection: Connection, watched: Sequence[Rule], judged: Sequence[Judged], rules: Rules, now: int
) -> Affected:
    """The weddings of the alerts that are about to open or have become worse."""
    today = local_date(now, rules.calendar.zone)
    by_name = {rule.name: rule for rule in watched}
    weddings = {}
    known, hushed = alerts.unresolved(connection), silences.in_force(connection, now)
    for step in conclude(watched, judged, known, hushed, now):
        alert = step.alert
        if alert is None or not {EventKind.OPENED, EventKind.WORSENED} & set(step.events):
            continue
        since = now - min(by_name[alert.rule].window_us, AFFECTED_US)
        modules = [alert.module_type] if alert.module_type is not None else [*rules.registry.pointers]
        several = [one for name in modules for one in facts.weddings(connection, name, since, today)]
        several.sort(key=lambda one: (one.wedding_on, one.job_id))
        weddings[alert.key] = tuple(several[: facts.WEDDINGS])
    return weddings


def apply(
    connection: Connection, watched: Sequence[Rule], judged: Sequence[Judged], affected: Affected, now: int
) -> Mapping[EventKind, int]:
    """Conclude with the alerts as they are now, and write what changes; returns how much happened, by kind."""
    alerts.lock(connection)
    counts: Counter[EventKind] = Counter()
    known, hushed = alerts.unresolved(connection), silences.in_force(connection, now)
    for step in conclude(watched, judged, known, hushed, now):
        counts.update(step.events)
        _write(connection, step, now, affected)
    return counts


def _write(connection: Connection, step: Step, now: int, affected: Affected) -> None:
    alert = step.alert
    if alert is None:
        if step.before is not None:
            alerts.delete(connection, step.before.id)
        return
    if alert.key in affected:
        alert = replace(alert, weddings=affected[alert.key])
    if alert.id:
        alerts.update(connection, alert)
    else:
        alert = replace(alert, id=alerts.insert(connection, alert))
    for kind in step.events:
        alerts.record(connection, alert, kind, now, note=step.note)


@contextmanager
def alerting(settings: Settings, clock: Clock, load_rules: Callable[[], Rules]) -> Iterator[None]:
    """Evaluate in a thread for as long as the context is open, unless the settings leave it to others."""
    if not settings.alerts_every_s:
        yield
        return
    with beside("alerts", _Rounds(settings, clock, load_rules).run, settings.busy_timeout_s):
        yield


class _Rounds:
    def __init__(self, settings: Settings, clock: Clock, load_rules: Callable[[], Rules]) -> None:
        self._settings = settings
        self._clock = clock
        self._load_rules = load_rules

    def run(self, stopped: threading.Event) -> None:
        database = db.connect(self._settings)
        term_s = max(SHORTEST_TERM_S, 1.5 * self._settings.alerts_every_s)
        alerter = Alerter(database, self._clock, self._load_rules, Leader(database, self._clock, term_s))
        try:
            while not stopped.wait(self._pause_s(database)):
                attempt(alerter.evaluate, "the alerts could not be evaluated")
            attempt(alerter.leave, "the term could not be given back")
        finally:
            database.close()

    def _pause_s(self, database: Database) -> float:
        """Seconds to the next evaluation: few while an emergency asks for that."""
        every_s = self._settings.alerts_every_s
        try:
            with database.reading() as connection:
                return min(every_s, WATCHED_S) if measures.is_watched(connection, self._clock.now()) else every_s
        except (DatabaseError, StorageFull):
            return every_s
