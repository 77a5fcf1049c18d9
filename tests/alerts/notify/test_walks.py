"""Walks at random: alerts come and go, channels fail, senders die; what was promised of pages holds all the same.

The receivers are stand-ins for the world outside: they take a message, or fail before they have seen it.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import pytest

from tests.alerts.notify.telling import WEEK, Incident
from wedsync_ops.alerts.model import AlertType
from wedsync_ops.alerts.notifier import Notifier
from wedsync_ops.alerts.notify_model import CALLS, TAKEN, Kind, Message, Outcome, Plan
from wedsync_ops.alerts.notify_reading import read
from wedsync_ops.alerts.notifying import holder
from wedsync_ops.alerts.store import deliveries
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.testing.clock import FakeClock

FILE = b"""\
schema_version: 1
channels:
  one: {type: console}
  two: {type: console}
routes:
  - {match: {severity: critical}, channels: one, repeat_min: 8, escalate: [{after_min: 3, channels: two}]}
  - {channels: [one, two], group_window_s: 40, repeat_min: 12}
"""
TYPES = (WEEK, AlertType.QUEUE_LENGTH, AlertType.CAPACITY, AlertType.ANOMALY)


@dataclass
class World:
    """One receiver, which is down at times; what it has taken, with the instant."""

    name: str
    clock: FakeClock
    is_down: bool = False
    taken: list[tuple[int, Kind, int]] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)

    def send(self, message: Message) -> Outcome:
        if self.is_down:
            return Outcome("down")
        self.ids[message.id] += 1
        self.taken += [(self.clock.now(), message.kind, alert.id) for alert in message.alerts]
        return TAKEN

    def of(self, alert_id: int) -> list[tuple[int, Kind]]:
        return [(at, kind) for at, kind, about in self.taken if about == alert_id]


@dataclass
class Life:
    """What has happened to one alert."""

    id: int
    is_urgent: bool
    opened_at: int
    is_acknowledged: bool = False
    is_silenced: bool = False
    resolved_at: int | None = None
    quiet: list[tuple[int, int]] = field(default_factory=list)
    """Spans in which nobody may be called."""


def plan() -> Plan:
    found = read(FILE, ZoneInfo("UTC")).plan
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(6))
def test_what_was_promised_holds(sqlite_database: Database, clock: FakeClock, seed: int) -> None:
    rand = random.Random(seed)
    incident = Incident(sqlite_database, clock)
    worlds = {name: World(name, clock) for name in ("one", "two")}
    lives: list[Life] = []
    notifier = Notifier(sqlite_database, clock, plan(), worlds, holder(), rand)
    for step in range(160):
        clock.advance("15s")
        for world in worlds.values():
            world.is_down = step < 130 and rand.random() < 0.2
        _happen(rand, incident, lives)
        if rand.random() < 0.03:  # it dies, and another comes
            notifier = Notifier(sqlite_database, clock, plan(), worlds, holder(), rand)
        while notifier.round(10).more:
            pass
    for world in worlds.values():
        world.is_down = False
    clock.advance("2m")
    notifier = Notifier(sqlite_database, clock, plan(), worlds, holder(), rand)
    clock.advance("15s")
    while notifier.round(10).more:
        pass
    for world in worlds.values():
        assert set(world.ids.values()) <= {1}  # nothing is told twice
        for life in lives:
            _check(life, world)
    _check_all_settled(sqlite_database, clock)


def _happen(rand: random.Random, incident: Incident, lives: list[Life]) -> None:
    now = incident.clock.now()
    if rand.random() < 0.08:
        type_ = rand.choice(TYPES)
        opened = incident.open(type_, f"m{len(lives)}")
        lives.append(Life(opened, type_ in (WEEK, AlertType.CAPACITY), now))
    alive = [life for life in lives if life.resolved_at is None]
    if not alive or rand.random() > 0.1:
        return
    life = rand.choice(alive)
    what = rand.choice(("acknowledge", "silence", "unsilence", "resolve"))
    if what == "acknowledge" and not life.is_acknowledged and not life.is_silenced:
        incident.acknowledge(life.id)
        life.is_acknowledged = True
        life.quiet.append((now, 2**62))
    elif what == "silence" and not life.is_acknowledged and not life.is_silenced:
        incident.silence(life.id)
        life.is_silenced = True
        life.quiet.append((now, 2**62))
    elif what == "unsilence" and life.is_silenced:
        incident.unsilence(life.id)
        life.is_silenced = False
        life.quiet[-1] = (life.quiet[-1][0], now)
    elif what == "resolve":
        incident.resolve(life.id)
        life.resolved_at = now
        life.quiet.append((now, 2**62))


def _check(life: Life, world: World) -> None:
    told = world.of(life.id)
    calls = [at for at, kind in told if kind in CALLS]
    for since, until in life.quiet:
        assert not [at for at in calls if since <= at < until], (life, told)
    loud_until = min((since for since, _ in life.quiet), default=world.clock.now())
    if loud_until - life.opened_at >= 10 * MINUTE and (world.name == "one" or not life.is_urgent):
        assert calls, (life, told)
        assert min(calls) - life.opened_at <= 10 * MINUTE
    kinds = Counter(kind for _, kind in told)
    for kind in (Kind.OPENED, Kind.ACKNOWLEDGED, Kind.RESOLVED):
        assert kinds[kind] <= 1
    if calls and life.resolved_at is not None:
        assert kinds[Kind.RESOLVED] == 1
        assert told[-1][1] is Kind.RESOLVED
    if kinds[Kind.ACKNOWLEDGED]:
        assert life.is_acknowledged


def _check_all_settled(database: Database, clock: FakeClock) -> None:
    with database.reading() as connection:
        waiting = deliveries.show(connection, ["pending"], None, None, 10_000)
    assert [row for row in waiting if row.next_at < clock.now() - 60 * SECOND] == []
