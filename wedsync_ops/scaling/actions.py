"""What people do with the number of slots: look, set it for a while, let it go, look back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from wedsync_ops import codec
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, NotFound, Refused, quoted
from wedsync_ops.instants import SECOND, iso, parse_instant
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import requests, workers
from wedsync_ops.jobs.store.requests import EVERY, Kind, Request
from wedsync_ops.metrics.exposition import Family, Sample
from wedsync_ops.scaling.decide import decide, replicas
from wedsync_ops.scaling.documents import past_from, situation_from
from wedsync_ops.scaling.model import Decision, Reason
from wedsync_ops.scaling.observe import Foresee, Observed, nothing, observe
from wedsync_ops.scaling.policy import policy_of
from wedsync_ops.scaling.replay import Moment
from wedsync_ops.scaling.store import decisions
from wedsync_ops.scaling.store.decisions import Row
from wedsync_ops.settings import Settings, operator

HAND = "hand"
"""The source of what somebody has set by hand."""
LONGEST_TEXT = 500
"""The most characters of a reason."""
_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope as it stands: what was seen, what would be decided now, when that was last done, workers needed."""

    seen: Observed
    decision: Decision
    decided_at: int | None
    worker_slots: int
    replicas: int

    @property
    def name(self) -> str:
        """What the scope is called."""
        return self.seen.fleet.scope

    @property
    def wanted(self) -> int:
        """The slots wanted, those of workers that keep their size included."""
        return self.decision.wanted + self.seen.situation.fixed


@dataclass(frozen=True, slots=True)
class Status:
    """How scaling stands at an instant: every scope, and what is asked for."""

    at: int
    scopes: tuple[Scope, ...]
    asked: tuple[Request, ...]


def status(database: Database, clock: Clock, rules: Rules, foresee: Foresee = nothing) -> Status:
    """How scaling stands now; nothing is written. Raises DatabaseError."""
    now = clock.now()
    with database.reading() as connection:
        states = decisions.states(connection)
        pasts = {scope: past_from(orjson.loads(one.past)) for scope, one in states.items()}
        seen = observe(connection, rules, now, pasts, foresee)
        asked = tuple(requests.in_force(connection, now))
    found = []
    for one in seen:
        state = states.get(one.fleet.scope)
        found.append(_scope(one, rules, now, None if state is None else state.at))
    return Status(now, tuple(found), asked)


def _scope(one: Observed, rules: Rules, now: int, decided_at: int | None) -> Scope:
    decision = decide(now, one.situation, policy_of(rules.settings))
    size = max((member.fits for member in one.members), default=rules.settings.max_slots)
    is_asked = decision.reason in (Reason.PINNED, Reason.EMERGENCY)
    needed = decision.recommended if is_asked else decision.demanded
    total = needed + one.situation.fixed if one.fleet.sized else max(needed, one.situation.fixed)
    return Scope(one, decision, decided_at, size, replicas(total, size))


def pin(
    database: Database,
    clock: Clock,
    *,
    source: str,
    slots: int,
    said: str,
    until: int | None = None,
    scope: str = EVERY,
    actor: str | None = None,
) -> Request:
    """Have so many slots or more at once, until an instant, in place of what the source asked for before.

    Every scope's workers get their part of what is asked of ``EVERY`` scope. Raises DatabaseError, StorageFull.
    """
    return _asked(database, Request(scope, source, Kind.AT_LEAST, float(slots), said, actor, clock.now(), until))


def _asked(database: Database, request: Request) -> Request:
    with database.transaction() as connection:
        requests.ask(connection, request)
    return request


def unpin(database: Database, source: str, scope: str | None = None) -> int:
    """End what a source asks for; returns how many requests that were."""
    with database.transaction() as connection:
        return requests.withdraw(connection, source, scope)


def slots_now(database: Database, clock: Clock, settings: Settings) -> int:
    """How many slots the living workers have."""
    since = clock.now() - round(settings.lease_s * SECOND)
    with database.reading() as connection:
        return sum(one.slots for one in workers.living(connection) if one.heartbeat_at >= since)


def set_slots(
    database: Database, clock: Clock, rules: Rules, slots: int, *, until: int | None, reason: str, scope: str | None
) -> Request:
    """Have exactly so many slots, whatever the load. Raises Refused, NotFound, InvalidInput.

    ``scope`` may be left out where there is only one.
    """
    if not rules.settings.autoscale:
        raise Refused("workers keep their size: the setting autoscale is false", hint="start them with --concurrency")
    if len(reason) > LONGEST_TEXT:
        raise InvalidInput(f"the reason has {len(reason):,} characters, and at most {LONGEST_TEXT} are kept")
    if until is not None and until <= clock.now():
        raise InvalidInput(f"{iso(until)} is over already")
    one = _named(status(database, clock, rules), scope)
    if one.seen.fleet.fixed and not one.seen.fleet.sized:
        raise Refused(f"every worker of {one.name} was started with --concurrency and keeps its size")
    least, most = one.seen.situation.least, one.seen.situation.most
    if not least <= slots <= most:
        raise Refused(f"{slots} is outside of {least} to {most}, which the workers may have together")
    who = operator()
    said = f"{who} has set it" + (f": {reason.strip()}" if reason.strip() else "")
    return _asked(database, Request(one.name, HAND, Kind.EXACTLY, float(slots), said, who, clock.now(), until))


def automatic(database: Database, scope: str | None) -> int:
    """Let the load decide again; returns how many settings by hand that ended."""
    return unpin(database, HAND, scope)


def history(database: Database, *, since: int = 0, scope: str | None = None, limit: int = 100) -> list[Row]:
    """The latest decisions, the newest first, at most ``limit`` (0: all)."""
    with database.reading() as connection:
        return decisions.latest(connection, since=since, scope=scope or "", limit=limit or _ALL)


def recorded(database: Database, *, since: int, scope: str) -> list[Moment]:
    """What decisions on a scope were made by, the oldest first."""
    rows = reversed(history(database, since=since, scope=scope, limit=0))
    return [Moment(row.at, situation_from(_inputs(row)), row.wanted) for row in rows]


def moment_from(raw: bytes, number: int) -> Moment:
    """The moment of a line of a series: ``at``, and inputs of a decision. Raises InvalidInput, naming the line."""
    try:
        document = dict(codec.load_object(raw, "the line"))
        at = document.pop("at", None)
        if not isinstance(at, str):
            raise InvalidInput("at is missing", hint="each line needs its time as ISO 8601 text")
        wanted = document.pop("wanted", None)
        if wanted is not None and (type(wanted) is not int or wanted < 0):
            raise InvalidInput("wanted must be a whole number of 0 or more")
        return Moment(parse_instant(at), situation_from(document), wanted)
    except InvalidInput as error:
        raise InvalidInput(f"line {number}: {error.message}", hint=error.advice) from error


def inputs_of(row: Row) -> dict[str, object]:
    """What a decision was made by, and what it came to, as a document."""
    found: dict[str, object] = orjson.loads(row.inputs)
    return found


def families(found: Status) -> Sequence[Family]:
    """The figures for the exposition."""
    return (
        _family("wanted_slots", "Slots that the load calls for.", found, lambda one: one.wanted),
        _family("wanted_replicas", "Workers of the configured size that hold them.", found, lambda one: one.replicas),
        _family("slots", "Slots that there are.", found, lambda one: one.seen.situation.capacity),
    )


def _family(name: str, about: str, found: Status, figure: Callable[[Scope], float]) -> Family:
    return Family(name, about, tuple(Sample({"scope": one.name}, figure(one)) for one in found.scopes))


def _inputs(row: Row) -> dict[str, object]:
    return {name: value for name, value in inputs_of(row).items() if name != "decision"}


def _named(found: Status, scope: str | None) -> Scope:
    names = [one.name for one in found.scopes]
    if scope is None and len(names) == 1:
        return found.scopes[0]
    if scope is None:
        raise Refused("there are workers of several scopes", hint=f"name one with --scope: {'; '.join(names)}")
    if scope not in names:
        raise NotFound(f"no worker is of the scope {quoted(scope)}", hint=f"there is {'; '.join(names)}")
    return found.scopes[names.index(scope)]
