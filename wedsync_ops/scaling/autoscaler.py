"""Decides again and again how many slots every worker is to have, and keeps each decision with its reason.

One of all processes does it at a time, under a term; what the next one must know is in the database. Workers read what
is wanted of them from their own rows. In a worker this runs in a thread with connections of its own; the loop knows
nothing of it.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

import orjson
from sqlalchemy import Connection

from wedsync_ops import db
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import DAY, HOUR, MINUTE, SECOND
from wedsync_ops.jobs.beside import attempt, beside
from wedsync_ops.jobs.leader import Leader, Leadership
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import requests, terms, workers
from wedsync_ops.jobs.store.terms import Term
from wedsync_ops.journal import tell
from wedsync_ops.scaling.decide import decide, remember
from wedsync_ops.scaling.documents import decision_document, past_document, past_from, situation_document
from wedsync_ops.scaling.model import Decision, Limit, Past
from wedsync_ops.scaling.observe import Foresee, Observed, nothing, observe
from wedsync_ops.scaling.policy import policy_of
from wedsync_ops.scaling.share import share
from wedsync_ops.scaling.store import decisions
from wedsync_ops.scaling.store.decisions import Row, State
from wedsync_ops.settings import Settings

_LOG = logging.getLogger(__name__)

TERM = "autoscaler"
"""The name of the term under which one process decides."""
SHORTEST_TERM_S = 15.0
"""How long a process has the decisions for itself at least unless it renews that: after a death the next one waits."""
SAVE_US = 15 * SECOND
"""How often what is known is written where nothing changes; as much may be lost with a process."""
RULES_US = MINUTE
HELD_US = MINUTE
"""How far apart at least two decisions are that are kept only because they were held."""
AGAIN_US = HOUR
"""How often a decision that is held all the time for one reason is kept."""
_FORGET_US = 30 * DAY


@dataclass(frozen=True, slots=True)
class Scaled:
    """What a round came to: the decisions by scope, and how many were kept; ``skipped`` says why it was left out."""

    decisions: Mapping[str, Decision]
    recorded: int = 0
    skipped: str | None = None


class Autoscaler:
    """Decides as long as nobody else does. Not for several threads at once. ``foresee`` tells what is expected."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        load_rules: Callable[[], Rules],
        foresee: Foresee = nothing,
        leadership: Leadership | None = None,
        term_s: float = SHORTEST_TERM_S,
    ) -> None:
        self._database = database
        self._clock = clock
        self._load_rules = load_rules
        self._foresee = foresee
        self._term_us = round(term_s * SECOND)
        self._leadership = leadership or Leader(database, clock, term_s)
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._term: Term | None = None
        self._rules: Rules | None = None
        self._rules_at = 0
        self._states: dict[str, State] = {}
        self._pasts: dict[str, Past] = {}

    def decide(self) -> Scaled:
        """Decide once, unless another process does. Raises DatabaseError, StorageFull."""
        if not self._leads():
            return Scaled({}, skipped="another process decides on the number of slots")
        rules, now = self._fresh_rules(), self._clock.now()
        with self._database.reading() as connection:
            seen = observe(connection, rules, now, self._pasts, self._foresee)
        policy = policy_of(rules.settings)
        found: dict[str, Decision] = {}
        writes: list[_Write] = []
        for one in seen:
            situation, scope = one.situation, one.fleet.scope
            decision = found[scope] = decide(now, situation, policy)
            self._pasts[scope] = remember(decision, now, situation, policy)
            writes.append(self._write_for(one, decision, now))
        due = [write for write in writes if write.is_due]
        try:
            if due:
                self._save(due, now)
        except TermOver as error:
            self._term = None
            return Scaled({}, skipped=error.message)
        return Scaled(found, sum(write.row is not None for write in due))

    def leave(self) -> None:
        """Let another process decide at once."""
        if self._term is not None:
            self._term = None
            with self._database.transaction() as connection:
                terms.vacate(connection, self._holder)

    def _leads(self) -> bool:
        """Whether this process decides; a term that it takes anew begins with what is in the database."""
        held, now = self._term, self._clock.now()
        if held is not None and 0 <= now - held.renewed_at < self._term_us // 3:
            return True
        self._term = self._leadership.lead(TERM, self._holder)
        if self._term is None:
            return False
        if held is None or held.number != self._term.number:
            with self._database.reading() as connection:
                self._states = decisions.states(connection)
            self._pasts = {scope: past_from(orjson.loads(one.past)) for scope, one in self._states.items()}
        return True

    def _fresh_rules(self) -> Rules:
        now = self._clock.now()
        if self._rules is None or not 0 <= now - self._rules_at < RULES_US:
            self._rules, self._rules_at = self._load_rules(), now
        return self._rules

    def _write_for(self, one: Observed, decision: Decision, now: int) -> "_Write":
        scope = one.fleet.scope
        before = self._states.get(scope)
        row = _row(one, decision, now) if one.fleet.sized and is_news(one, decision, before, now) else None
        wanted = share(decision.wanted, one.members)
        changed = {
            worker.id: wanted[worker.id] for worker in one.fleet.sized if worker.wanted_slots != wanted[worker.id]
        }
        told, told_at = (before.told, before.told_at) if before is not None else (None, None)
        if row is not None:
            told, told_at = signature(decision, one), now
        past = orjson.dumps(past_document(self._pasts[scope])).decode()
        is_due = row is not None or bool(changed) or before is None or not 0 <= now - before.at < SAVE_US
        return _Write(State(scope, now, past, told, told_at), row, changed, is_due)

    def _save(self, writes: "list[_Write]", now: int) -> None:
        term = self._term
        if term is None:
            return
        with self._leadership.writing(term) as connection:
            for write in writes:
                self._write(connection, write)
            requests.drop(connection, now)
            decisions.drop_states(connection, now - _FORGET_US)
        for write in writes:
            self._states[write.state.scope] = write.state
            if write.row is not None:
                row = write.row
                tell(
                    _LOG,
                    logging.INFO,
                    "slots_wanted",
                    row.said,
                    scope=row.scope,
                    slots=row.slots_before,
                    wanted=row.wanted,
                )

    @staticmethod
    def _write(connection: Connection, write: "_Write") -> None:
        decisions.save_state(connection, write.state)
        for worker_id, slots in write.wanted.items():
            workers.want(connection, worker_id, slots)
        if write.row is not None:
            decisions.record(connection, write.row)


@dataclass(frozen=True, slots=True)
class _Write:
    """What a decision leaves in the database: what is known of the scope, the decision where it is news, sizes."""

    state: State
    row: Row | None
    wanted: Mapping[str, int]
    is_due: bool


def signature(decision: Decision, one: Observed) -> str:
    """What makes a decision the same as another one."""
    return f"{decision.reason} {','.join(decision.limits)} {one.situation.slots} {decision.wanted}"


def is_news(one: Observed, decision: Decision, before: State | None, now: int) -> bool:
    """Whether a decision is kept: it changes something, or may not add slots, and is not the one that was kept last."""
    slots = one.situation.slots
    told_at = None if before is None else before.told_at
    is_same = before is not None and before.told == signature(decision, one)
    if decision.wanted != slots:
        return not is_same or not _is_lately(told_at, now, AGAIN_US)
    if decision.recommended <= slots or decision.limits in ((), (Limit.STABILISING,)):
        return False
    return not _is_lately(told_at, now, AGAIN_US if is_same else HELD_US)


def _is_lately(at: int | None, now: int, span_us: int) -> bool:
    return at is not None and 0 <= now - at < span_us


def _row(one: Observed, decision: Decision, now: int) -> Row:
    inputs = {**situation_document(one.situation), **_outcome(decision)}
    return Row(
        id=0,
        at=now,
        scope=one.fleet.scope,
        slots_before=one.situation.slots,
        wanted=decision.wanted,
        reason=decision.reason.value,
        limits=",".join(decision.limits),
        said=decision.said,
        inputs=orjson.dumps(inputs).decode(),
    )


def _outcome(decision: Decision) -> Mapping[str, object]:
    document = decision_document(decision)
    return {"decision": {name: document[name] for name in ("recommended", "demanded", "demand", "load")}}


@contextmanager
def autoscaling(
    settings: Settings, clock: Clock, load_rules: Callable[[], Rules], foresee: Foresee = nothing
) -> Iterator[None]:
    """Decide in a thread for as long as the context is open."""
    with beside("autoscaler", _Rounds(settings, clock, load_rules, foresee).run, settings.busy_timeout_s):
        yield


class _Rounds:
    def __init__(self, settings: Settings, clock: Clock, load_rules: Callable[[], Rules], foresee: Foresee) -> None:
        self._settings = settings
        self._clock = clock
        self._load_rules = load_rules
        self._foresee = foresee

    def run(self, stopped: threading.Event) -> None:
        database = db.connect(self._settings)
        every_s = self._settings.autoscale_every_s
        term_s = max(SHORTEST_TERM_S, 3 * every_s)
        autoscaler = Autoscaler(database, self._clock, self._load_rules, self._foresee, term_s=term_s)
        try:
            while not stopped.wait(every_s):
                attempt(autoscaler.decide, "nothing could be decided on the number of slots")
            attempt(autoscaler.leave, "the term could not be given back")
        finally:
            database.close()
