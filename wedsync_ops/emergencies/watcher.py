"""Looks after emergencies: goes on with their steps, checks them, moves breakers, declares and ends by rule.

One of all processes does it at a time, under a term. All that is known is in the database, so that whoever is next goes
on where the last one stopped, and looking twice changes nothing. In a worker this runs in a thread of its own.
"""

import logging
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.emergencies import conditions
from wedsync_ops.emergencies.actions import Desk, Wish, carry_on, declare, finish, resolve
from wedsync_ops.emergencies.breaker import Breaker, Key, Ran, advance, covered, failing, look_back
from wedsync_ops.emergencies.checks import Found, answer, look
from wedsync_ops.emergencies.conditions import Facts
from wedsync_ops.emergencies.model import RULE, Emergency, Scope, Step, StepState
from wedsync_ops.emergencies.place import Place
from wedsync_ops.emergencies.protocols import BREAKER
from wedsync_ops.emergencies.steps import apply_breaker
from wedsync_ops.emergencies.store import emergencies, facts
from wedsync_ops.errors import Refused
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.beside import attempt, beside
from wedsync_ops.jobs.conclude import wedding_days
from wedsync_ops.jobs.leader import Leader, Leadership
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import measures, terms
from wedsync_ops.jobs.store.measures import Kind
from wedsync_ops.jobs.stuck import next_in_line
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)
TERM = "emergencies"
"""The name of the term under which one process looks after emergencies."""
TERM_S = 15.0
_WEDDING_DAY = (0, 1)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look came to: how many were declared and resolved, steps taken, breakers moved; ``skipped``: why none."""

    declared: int = 0
    resolved: int = 0
    steps: int = 0
    breakers: int = 0
    skipped: str | None = None


class Watcher:
    """Looks again and again, as long as nobody else does. Not for several threads at once."""

    def __init__(self, desk: Desk, leadership: Leadership | None = None) -> None:
        self._desk = desk
        self._leadership = leadership or Leader(desk.database, desk.clock, TERM_S)
        self._led_at: float | None = None
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"

    def look(self) -> Looked:
        """Look once, unless another process does. Raises DatabaseError, StorageFull."""
        if not self._leads():
            return Looked(skipped="another process looks after emergencies")
        counts: Counter[str] = Counter()
        place = self._desk.place()
        for emergency in self._active():
            if emergency.ending is not None:
                finish(self._desk, emergency)
                counts["resolved"] += 1
            else:
                counts["steps"] += carry_on(self._desk, emergency, place)
                self._check(emergency, place)
        counts.update(self._move_breakers(place))
        counts.update(self._by_rule(place))
        return Looked(counts["declared"], counts["resolved"], counts["steps"], counts["breakers"])

    def _leads(self) -> bool:
        """Whether this process is the one; the term is renewed when a third of it is over, not at every look."""
        now = self._desk.clock.monotonic()
        if self._led_at is None or now - self._led_at >= TERM_S / 3:
            self._led_at = None if self._leadership.lead(TERM, self._holder) is None else now
        return self._led_at is not None

    def leave(self) -> None:
        """Let another process look at once."""
        self._led_at = None
        with self._desk.database.transaction() as connection:
            terms.vacate(connection, self._holder)

    def _active(self) -> list[Emergency]:
        with self._desk.database.reading() as connection:
            return emergencies.active(connection)

    def _check(self, emergency: Emergency, place: Place) -> None:
        """See whether the steps that were taken have an effect, until they have, or their time is over."""
        with self._desk.database.reading() as connection:
            taken = emergencies.steps(connection, [emergency.id])
        open_ = [step for step in taken if step.state is StepState.DONE and step.plan.check and step.check_ok is None]
        if not open_:
            return
        # Whoever is slow to answer keeps no transaction open.
        answers = {step.position: answer(place, step) for step in open_}
        with self._desk.database.reading() as connection:
            found = [checked(connection, place, emergency, step, answers[step.position]) for step in open_]
        changed = [step for step in found if step not in open_]
        if changed:
            with self._desk.database.transaction() as connection:
                for step in changed:
                    emergencies.save_step(connection, step)

    # -- breakers ----------------------------------------------------------------------------------------------------

    def _move_breakers(self, place: Place) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        with self._desk.database.reading() as connection:
            known = emergencies.breakers(connection)
            active = {one.id: one for one in emergencies.active(connection)}
            ran = _ran(connection, place, known)
            in_force = {(one.source, one.kind, one.name) for one in measures.in_force(connection, place.now)}
        for breaker in known:
            emergency = active.get(breaker.emergency_id)
            if emergency is None or emergency.ending is not None:
                continue
            names = covered(breaker.key, place.providers)
            moved, said = advance(breaker, place.now, [one for name in names for one in ran[name]], place.policy)
            if moved is None:
                counts["resolved"] += self._resolve(emergency, said)
            elif moved != breaker or not _is_in_force(emergency, moved, names, in_force):
                self._apply(place, emergency, moved)
            counts["breakers"] += moved != breaker
        if conditions.opens_by_itself(place.rules.settings.emergency_auto):
            for key, why in failing(place.now, ran, place.providers, known, place.policy).items():
                counts["declared"] += self._declare(BREAKER, why, key)
        return counts

    def _apply(self, place: Place, emergency: Emergency, breaker: Breaker) -> None:
        with self._desk.database.transaction() as connection:
            emergencies.lock(connection)
            current = emergencies.get(connection, emergency.id)
            if current is None or current.ending is not None:
                return  # somebody resolves it meanwhile
            apply_breaker(connection, place, emergency, breaker)
            wakeup.notify(connection)
        wakeup.ring(self._desk.database, place.rules.settings.home)
        _LOG.warning("%s: the breaker is %s: %s", emergency.words, breaker.state, breaker.said)

    # -- rules -------------------------------------------------------------------------------------------------------

    def _by_rule(self, place: Place) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        active = [one for one in self._active() if one.ending is None]
        auto = place.rules.settings.emergency_auto
        if not active and auto != "all":
            return counts
        with self._desk.database.reading() as connection:
            seen = Facts(
                memory_percent=facts.memory_percent(connection, place.now),
                critical_wait_us=_critical_wait_us(connection, place.rules, place.now),
            )
        for emergency in active:
            since, why = conditions.over(emergency, place.protocols.of(emergency.name), seen, place.now)
            if why is not None:
                counts["resolved"] += self._resolve(emergency, why)
            elif since != emergency.well_since:
                self._note_well(emergency, since)
        for name, why in conditions.called_for(place.protocols.by_name, seen, auto).items():
            if not any(one.name == name for one in active):
                counts["declared"] += self._declare(name, why, None)
        return counts

    def _note_well(self, emergency: Emergency, since: int | None) -> None:
        with self._desk.database.transaction() as connection:
            emergencies.lock(connection)
            current = emergencies.get(connection, emergency.id)
            if current is not None and current.ending is None:
                emergencies.update(connection, replace(current, well_since=since))

    def _declare(self, name: str, why: str, key: Key | None) -> int:
        scope, subject = (Scope.ALL, "") if key is None else (Scope(key.scope), key.name)
        try:
            declare(self._desk, Wish(name=name, scope=scope, subject=subject, reason=why), by=RULE)
        except Refused as error:  # somebody was quicker
            _LOG.info("%s", error)
            return 0
        return 1

    def _resolve(self, emergency: Emergency, why: str) -> int:
        try:
            resolve(self._desk, emergency.id, note=why, by=RULE)
        except Refused as error:
            _LOG.info("%s", error)
            return 0
        return 1


def checked(connection: Connection, place: Place, emergency: Emergency, step: Step, answered: Found | None) -> Step:
    """A step with what its check came to; one that is not satisfied in time has failed.

    ``answered`` is what ``answer`` found; ``None`` where the database tells.
    """
    found = answered or look(connection, place, emergency, step)
    late = found.ok is None and place.now - (step.done_at or place.now) > step.plan.within_us
    ok, said = (False, f"{found.said}, within {step.plan.within}") if late else found
    if ok is None:
        return step
    return replace(step, checked_at=place.now, check_ok=ok, check_said=said)


def _ran(connection: Connection, place: Place, known: Sequence[Breaker]) -> Mapping[str, Sequence[Ran]]:
    """The latest executions of each module type: since its breaker moved last or was closed, within the window."""
    policy, providers = place.policy, place.providers
    since = look_back(place.now, providers, known, emergencies.last_resolved(connection, BREAKER), policy)
    found = facts.ran(connection, since, since, max(policy.latest, policy.probes))
    unknown = {name for one in known for name in covered(one.key, providers)} - found.keys()
    return {**{name: [] for name in unknown}, **found}


def _is_in_force(
    emergency: Emergency, breaker: Breaker, names: Sequence[str], in_force: set[tuple[str, Kind, str]]
) -> bool:
    kind = Kind.MODULE if breaker.state == "open" else Kind.PROBE
    return all((emergency.source, kind, name) in in_force for name in names)


def _critical_wait_us(connection: Connection, rules: Rules, now: int) -> int:
    """How long a job of a wedding of today or tomorrow has been due that could start and has not."""
    waits = [
        now - one.due_at
        for one in next_in_line(connection, now)
        if one.priority is Priority.CRITICAL and wedding_days(rules, one.wedding_on, one.timezone, now) in _WEDDING_DAY
    ]
    return max(waits, default=0)


@contextmanager
def watching(desk: Desk, settings: Settings) -> Iterator[None]:
    """Look in a thread for as long as the context is open."""
    with beside("emergencies", _Rounds(desk, settings).run, settings.busy_timeout_s):
        yield


class _Rounds:
    def __init__(self, desk: Desk, settings: Settings) -> None:
        self._desk = desk
        self._settings = settings

    def run(self, stopped: threading.Event) -> None:
        database = db.connect(self._settings)
        desk = replace(self._desk, database=database)
        term_s = max(TERM_S, 3 * self._settings.emergencies_every_s)
        watcher = Watcher(desk, Leader(database, desk.clock, term_s))
        try:
            while not stopped.wait(self._settings.emergencies_every_s):
                attempt(watcher.look, "emergencies could not be looked after")
            attempt(watcher.leave, "the term could not be given back")
        finally:
            database.close()
