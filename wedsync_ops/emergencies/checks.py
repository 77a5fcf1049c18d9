"""Whether a step has taken effect: what is looked at, and what is said of it. Nothing is changed."""

import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Connection

from wedsync_ops.emergencies.model import Emergency, Scope, Step
from wedsync_ops.emergencies.place import Place
from wedsync_ops.emergencies.steps import backups, held_below, wanted_slots
from wedsync_ops.emergencies.store import facts
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.store import vital
from wedsync_ops.settings import Settings

SETTLED_US = 2 * SECOND
"""What started so soon after a step may have been on its way already."""
CONNECT_S = 3.0
"""How long a backup may take to answer, in seconds."""
_PORTS = {"smtp": 25, "smtps": 465, "http": 80, "https": 443}


class Found(NamedTuple):
    """What a check came to, ``None`` where that is not known yet, and in words."""

    ok: bool | None
    said: str


def answer(place: Place, step: Step) -> Found | None:
    """What the check of a step comes to that asks somebody else, who may be slow; ``None`` for any other check."""
    if step.plan.check != "backup_answers":
        return None
    return reachable(place.rules.settings, tuple(step.plan.with_.routes or ()))


def look(connection: Connection, place: Place, emergency: Emergency, step: Step) -> Found:
    """What the check of a step that is done comes to now, where the database tells."""
    return _CHECKS[step.plan.check or ""](connection, place, emergency, step)


def _nothing_starts(connection: Connection, place: Place, emergency: Emergency, step: Step) -> Found:
    since = (step.done_at or place.now) + SETTLED_US
    if place.now < since:
        return Found(None, "too early to tell")
    running = [one for one in vital.running(connection) if one.started_at > since]
    if emergency.scope in (Scope.MODULE, Scope.PROVIDER):
        names = set(place.modules_of(emergency))
        running = [one for one in running if one.module_type in names]
        begun = facts.begun_since(connection, sorted(names), since) + len(running)
    else:
        held = held_below(step.plan.with_.below or "normal")
        begun = facts.begun_of(connection, held, [one.id for one in running])
    return Found(not begun, f"{begun} have started since" if begun else "nothing has started since")


def _slots_reached(connection: Connection, place: Place, emergency: Emergency, step: Step) -> Found:  # noqa: ARG001
    crew = facts.crew(connection, place.now, place.lease_us)
    wanted, have = wanted_slots(crew, step.plan.with_), sum(one.slots for one in crew)
    there = have <= wanted if step.plan.do == "bound_slots" else have >= wanted
    return Found(there or None, f"{have} of {wanted} slots, on {len(crew)} workers")


def reachable(settings: Settings, routes: tuple[str, ...]) -> Found:
    """Whether the backup of every route that has one can be connected to."""
    silent = []
    for name, url in backups(settings, routes).items():
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "", parts.port or _PORTS[parts.scheme]), CONNECT_S).close()
        except OSError as error:
            silent.append(f"the backup of {name} does not answer: {error.strerror or error}")
    return Found(not silent or None, "; ".join(silent) or "it answers")


def _told(connection: Connection, place: Place, emergency: Emergency, step: Step) -> Found:  # noqa: ARG001
    if place.rules.settings.notify is None:
        return Found(ok=False, said="nobody is told: the setting notify names no channels")
    alert_id = facts.alert_id(connection, emergency.alert_key)
    states = {} if alert_id is None else facts.told(connection, alert_id)
    if states.get("sent"):
        return Found(ok=True, said=f"{states['sent']} sent")
    return Found(None, "none sent yet" + (f", {states['failed']} failed" if states.get("failed") else ""))


_CHECKS: Mapping[str, Callable[[Connection, Place, Emergency, Step], Found]] = {
    "nothing_starts": _nothing_starts,
    "slots_reached": _slots_reached,
    "told": _told,
}
