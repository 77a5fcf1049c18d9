"""Drills: the fault is injected into a copy, and how it is met is measured: detection, reaction, recovery.

*Detection* is from the fault to the declaration by rule, *reaction* from there until every step was taken and what it
is for can be seen, *recovery* until the work that matters is done again. At the end only the history may be left.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wedsync_ops.emergencies.actions import Wish, declare, protocols_of, resolve
from wedsync_ops.emergencies.faults import BUSY, FAULT
from wedsync_ops.emergencies.model import Scope
from wedsync_ops.emergencies.protocols import BREAKER
from wedsync_ops.emergencies.stage import Open, Stage, staged
from wedsync_ops.errors import InvalidInput, quoted
from wedsync_ops.instants import SECOND, local_date, zone_named
from wedsync_ops.jobs.store.requests import EVERY, Kind, Request, ask, withdraw
from wedsync_ops.settings import Loaded

DETECTION_S, REACTION_S, RECOVERY_S = 30.0, 60.0, 30.0
"""How long each may take, in seconds."""
_FLOOD = 40
_LETTERS = 8
_PENDING = "SELECT count(*) FROM emergency_steps WHERE state = 'pending'"
_LEFT = (
    "SELECT (SELECT count(*) FROM measures) + (SELECT count(*) FROM breakers) + (SELECT count(*) FROM slot_requests)"
    " + (SELECT count(*) FROM emergencies WHERE resolved_at IS NULL)"
    " + (SELECT count(*) FROM alerts WHERE type = 'emergency' AND resolved_at IS NULL)"
)


@dataclass(frozen=True, slots=True)
class Timed:
    """One of the times: what it took (``None``: it did not happen), what is allowed, and how that showed."""

    name: str
    took_s: float | None
    allowed_s: float
    said: str

    @property
    def ok(self) -> bool:
        """Whether it was in time."""
        return self.took_s is not None and self.took_s <= self.allowed_s


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a drill came to."""

    name: str
    short: bool
    times: tuple[Timed, ...]
    took_s: float
    left: int

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong, in words."""
        late = [
            f"{one.name} took {_words(one.took_s)}, {one.allowed_s:g} s are allowed" for one in self.times if not one.ok
        ]
        return (*late, *([f"{self.left} things are left in force"] if self.left else []))

    @property
    def passed(self) -> bool:
        """Whether everything was in time and nothing is left."""
        return not self.problems


def drill(loaded: Loaded, name: str, open_platform: Open, *, short: bool) -> Drilled:
    """Drill one emergency. Raises InvalidInput for a name without a protocol, DrillFailed when it cannot be done."""
    known = protocols_of(loaded.settings).by_name
    if name not in known:
        raise InvalidInput(f"there is no protocol {quoted(name)}", hint=f"known: {', '.join(sorted(known))}")
    began = time.monotonic()
    with staged(loaded, open_platform, short=short) as stage:
        times = _SCENARIOS.get(name, _by_hand)(stage, name)
        for emergency_id in _active(stage):
            resolve(stage.platform.desk(), emergency_id, note="the drill is over")
        left = stage.count(_LEFT)
        return Drilled(name, short, times, time.monotonic() - began, left)


def _failure_rate(stage: Stage, name: str) -> tuple[Timed, ...]:
    """A provider refuses everything, and is mended once the breaker is open."""
    stage.fault(FAULT, there=True)
    ids = stage.enqueue("drill-flaky", _FLOOD)
    detected = stage.until(lambda: _declared(stage, name), DETECTION_S)
    reacted = stage.until(lambda: _is_quiet(stage), REACTION_S)
    stage.fault(FAULT, there=False)
    done = "SELECT count(*) FROM jobs WHERE module_type = 'drill-flaky' AND state = 'completed'"
    recovered = stage.until(lambda: stage.count(done) == len(ids) and not _active(stage), RECOVERY_S)
    discarded = stage.count("SELECT count(*) FROM jobs WHERE module_type = 'drill-flaky' AND state = 'discarded'")
    return (
        Timed("detection", detected, DETECTION_S, "the breaker opened"),
        Timed("reaction", reacted, REACTION_S, "nothing of the provider runs any more, and an alert is raised"),
        Timed(
            "recovery", recovered, RECOVERY_S, f"the breaker closed, {len(ids)} jobs are done, {discarded} were lost"
        ),
    )


def _is_quiet(stage: Stage) -> bool:
    held = "SELECT count(*) FROM measures WHERE kind = 'module' OR kind = 'probe'"
    running = "SELECT count(*) FROM jobs WHERE state = 'running' AND module_type = 'drill-flaky'"
    return bool(stage.count(held)) and not stage.count(running) and not stage.count(_PENDING)


def _exhaustion(stage: Stage, name: str) -> tuple[Timed, ...]:
    """Memory is full (as a host reports it) while a flood of low jobs waits; what is urgent must go on."""
    now = stage.platform.clock.now()
    for ago in range(4):
        sampled = "INSERT INTO host_samples (host, sampled_at, memory_percent) VALUES ('drill', :at, 99.0)"
        stage.run(sampled, at=now - ago * 10 * SECOND)
    detected = stage.until(lambda: _declared(stage, name), DETECTION_S)
    stage.enqueue("drill-flaky", _FLOOD, priority="low")
    held = "SELECT count(*) FROM measures WHERE kind = 'priority' AND name = 'low'"
    reacted = stage.until(lambda: bool(stage.count(held)) and not stage.count(_PENDING), REACTION_S)
    urgent = stage.enqueue("drill-flaky", 4, priority="high")
    done = "SELECT count(*) FROM jobs WHERE module_type = 'drill-flaky' AND state = 'completed'"
    recovered = stage.until(lambda: stage.count(done) >= len(urgent), RECOVERY_S)
    shed = stage.count("SELECT count(*) FROM jobs WHERE state = 'available' AND priority_requested = 0")
    if shed != _FLOOD:
        recovered = None
    return (
        Timed("detection", detected, DETECTION_S, "memory over its limit was noticed"),
        Timed("reaction", reacted, REACTION_S, "low priority is held, slots are replaced, an alert is raised"),
        Timed("recovery", recovered, RECOVERY_S, f"urgent jobs are done, {shed} low ones wait and none is lost"),
    )


def _wedding_day(stage: Stage, name: str) -> tuple[Timed, ...]:
    """Every slot is taken and the mail server is down, on a wedding day."""
    with stage.platform.database.transaction() as connection:
        at = stage.platform.clock.now()
        ask(connection, Request(EVERY, "drill", Kind.EXACTLY, 2.0, "the drill holds the slots", "drill", at, None))
    stage.fault(BUSY, there=True)
    stage.enqueue("drill-busy", 2, priority="critical")
    full = "SELECT count(*) FROM jobs WHERE state = 'running' AND module_type = 'drill-busy'"
    stage.until(lambda: stage.count(full) >= 2, DETECTION_S)
    stage.until(lambda: stage.count("SELECT coalesce(sum(slots), 0) FROM workers") <= 2, DETECTION_S)
    today = local_date(stage.platform.clock.now(), zone_named("UTC")).isoformat()
    stage.enqueue("drill-letter", _LETTERS, day=today)
    detected = stage.until(lambda: _declared(stage, name), DETECTION_S)
    routed = "SELECT count(*) FROM measures WHERE kind = 'route'"
    slots = "SELECT coalesce(sum(slots), 0) FROM workers WHERE stopped_at IS NULL"
    reacted = stage.until(
        lambda: bool(stage.count(routed)) and not stage.count(_PENDING) and stage.count(slots) > 2, REACTION_S
    )
    recovered = stage.until(lambda: stage.sink.count >= _LETTERS, RECOVERY_S)
    most = stage.count(slots)
    stage.fault(BUSY, there=False)
    with stage.platform.database.transaction() as connection:
        withdraw(connection, "drill")
    return (
        Timed("detection", detected, DETECTION_S, "late jobs of today's weddings were noticed"),
        Timed("reaction", reacted, REACTION_S, f"{most} slots, the backup route is on, an alert is raised"),
        Timed("recovery", recovered, RECOVERY_S, f"{stage.sink.count} mails went out over the backup"),
    )


def _by_hand(stage: Stage, name: str) -> tuple[Timed, ...]:
    """Declared by hand, since no rule knows of it; what it puts in force is in force, and work goes on."""
    protocol = stage.platform.desk().protocols.of(name)
    named = (Scope.MODULE, "drill-busy") if protocol.opens_breaker else (Scope.ALL, "")
    began = time.monotonic()
    declare(stage.platform.desk(), Wish(name=name, scope=named[0], subject=named[1], reason="a drill"), by="drill")
    declared_s = time.monotonic() - began
    reacted = stage.until(lambda: not stage.count(_PENDING), REACTION_S)
    ids = stage.enqueue("drill-flaky", 4, priority="critical")
    done = "SELECT count(*) FROM jobs WHERE module_type = 'drill-flaky' AND state = 'completed'"
    recovered = stage.until(lambda: stage.count(done) >= len(ids), RECOVERY_S)
    return (
        Timed("detection", declared_s, DETECTION_S, "declared by hand"),
        Timed("reaction", reacted, REACTION_S, "every step was taken"),
        Timed("recovery", recovered, RECOVERY_S, "critical jobs are done"),
    )


def _declared(stage: Stage, name: str) -> bool:
    return bool(stage.count("SELECT count(*) FROM emergencies WHERE name = :name AND resolved_at IS NULL", name=name))


def _active(stage: Stage) -> list[int]:
    with stage.platform.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT id FROM emergencies WHERE resolved_at IS NULL ORDER BY id")
        return [int(row.id) for row in rows]


def _words(value: float | None) -> str:
    return "too long" if value is None else f"{value:.1f} s"


_SCENARIOS: Mapping[str, Callable[[Stage, str], tuple[Timed, ...]]] = {
    BREAKER: _failure_rate,
    "resource_exhaustion": _exhaustion,
    "wedding_day_outage": _wedding_day,
}
