"""What each step of a protocol does, and how it is undone. Both are rows, written together with the note of the step.

So a step is done or it is not, whenever the process that takes it dies, and doing it twice is doing it once.
"""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from wedsync_ops.alerts import raising
from wedsync_ops.alerts.model import Severity, Wedding
from wedsync_ops.alerts.store import facts as affected
from wedsync_ops.emergencies.breaker import Breaker, BreakerState, Key, covered, opened
from wedsync_ops.emergencies.model import Emergency, Scope
from wedsync_ops.emergencies.place import Place
from wedsync_ops.emergencies.protocols import With
from wedsync_ops.emergencies.store import emergencies, facts
from wedsync_ops.errors import WrongState
from wedsync_ops.instants import MINUTE, local_date
from wedsync_ops.jobs import wakeup
from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.store import measures, requests
from wedsync_ops.jobs.store.measures import Kind, Measure
from wedsync_ops.jobs.store.requests import EVERY, Request
from wedsync_ops.jobs.store.workers import Worker
from wedsync_ops.settings import Settings

_RECENT_US = 15 * MINUTE
Effect = Callable[[Connection, Place, Emergency, With], str]
"""Does a step, and says in words what was done. Raises the WedsyncError that keeps it from being done."""
Undo = Callable[[Connection, Place, Emergency], None]


def take(connection: Connection, place: Place, emergency: Emergency, do: str, given: With) -> str:
    """Do a step; returns what was done, in words. Raises WedsyncError."""
    said = _EFFECTS[do](connection, place, emergency, given)
    wakeup.notify(connection)
    return said


def undo(connection: Connection, place: Place, emergency: Emergency, do: str) -> None:
    """Undo a step, be it done or not."""
    if do in _UNDO:
        _UNDO[do](connection, place, emergency)
        wakeup.notify(connection)


def apply_breaker(connection: Connection, place: Place, emergency: Emergency, breaker: Breaker) -> None:
    """Put in force what a breaker says, for every module type that it covers by now."""
    names = covered(breaker.key, place.providers)
    is_open = breaker.state is BreakerState.OPEN
    kind, other = (Kind.MODULE, Kind.PROBE) if is_open else (Kind.PROBE, Kind.MODULE)
    measures.withdraw(connection, emergency.source, other)
    value = None if is_open else 1
    _put(connection, place, emergency, kind, names, reason=breaker.said, value=value)
    emergencies.put_breaker(connection, breaker)


def _open_breaker(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:  # noqa: ARG001
    key = Key(emergency.scope, emergency.subject)
    known = next((one for one in emergencies.breakers(connection) if one.key == key), None)
    if known is not None and known.emergency_id != emergency.id:
        raise WrongState(f"the breaker of {key.words} is open already, by emergency {known.emergency_id}")
    if known is None:
        known = opened(key, emergency.id, emergency.reason or "opened by hand", place.now, place.policy)
    apply_breaker(connection, place, emergency, known)
    names = covered(key, place.providers)
    return f"nothing of {', '.join(names)} starts" if names else f"nothing goes over {key.name}"


def _close_breaker(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    emergencies.drop_breakers(connection, emergency.id)
    measures.withdraw(connection, emergency.source, Kind.MODULE)
    measures.withdraw(connection, emergency.source, Kind.PROBE)


def held_below(word: str) -> list[str]:
    """The priorities below one, in words."""
    return [step.word for step in Priority if step < Priority[word.upper()]]


def _hold(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:
    held = held_below(given.below or "normal")
    _put(connection, place, emergency, Kind.PRIORITY, held, reason=emergency.reason)
    return f"jobs of priority {', '.join(held)} are held; they can still be queued"


def _let_go(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    measures.withdraw(connection, emergency.source, Kind.PRIORITY)


def _recycle(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:  # noqa: ARG001
    _put(connection, place, emergency, Kind.RECYCLE, [""], value=place.now)
    return "every slot is replaced, when it has nothing to do"


def _recycled(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    measures.withdraw(connection, emergency.source, Kind.RECYCLE)


def wanted_slots(crew: Sequence[Worker], given: With) -> int:
    """How many slots a step asks for in all: a number, or the fewest or most that the living workers may have."""
    if isinstance(given.slots, int):
        return given.slots
    bounds = ((one.min_slots if given.slots == "min" else one.max_slots, one.slots) for one in crew)
    return sum(own if bound is None else bound for bound, own in bounds)


def _slots(kind: requests.Kind) -> Effect:
    def ask(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:
        settings = place.rules.settings
        usual = settings.min_slots if given.slots == "min" else settings.max_slots  # where no worker lives yet
        slots = wanted_slots(facts.crew(connection, place.now, place.lease_us), given) or usual
        said = f"{emergency.name}: {emergency.reason or 'declared by hand'}"
        asked = Request(
            EVERY, emergency.source, kind, float(slots), said, emergency.declared_by, place.now, emergency.until
        )
        requests.ask(connection, asked)
        return f"{str(kind).replace('_', ' ')} {slots} slots are asked for"

    return ask


def _any_slots(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    requests.withdraw(connection, emergency.source)


def backups(settings: Settings, routes: tuple[str, ...]) -> dict[str, str]:
    """The backup of each of these routes that has one."""
    known = {"smtp": settings.smtp_url_backup, "sms": settings.sms_url_backup}
    return {name: url for name in routes if (url := known.get(name)) is not None}


def _reroute(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:
    routes = given.routes or ()
    found = backups(place.rules.settings, routes)
    if not found:
        missing = " and ".join(f"{name}_url_backup" for name in routes)
        raise WrongState(f"there is no backup route: {missing} {'is' if len(routes) == 1 else 'are'} not set")
    _put(connection, place, emergency, Kind.ROUTE, list(found), reason=emergency.reason)
    return f"deliveries go over the backup of {', '.join(found)}"


def _route_back(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    measures.withdraw(connection, emergency.source, Kind.ROUTE)


def _page(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:
    said = f"{emergency.name} of {emergency.about}: {emergency.reason or 'declared by hand'}"
    alert_id = raising.raised(
        connection,
        emergency.alert_key,
        severity=Severity(given.severity or "critical"),
        message=said,
        now=place.now,
        module_type=emergency.subject if emergency.scope is Scope.MODULE else None,
        weddings=_weddings(connection, place, emergency),
    )
    return f"alert {alert_id} is raised"


def _weddings(connection: Connection, place: Place, emergency: Emergency) -> list[Wedding]:
    today, since = local_date(place.now, place.rules.calendar.zone), place.now - _RECENT_US
    found: list[Wedding] = []
    for name in place.modules_of(emergency):
        found += affected.weddings(connection, name, since, today)
    return sorted(found, key=lambda one: (one.wedding_on, one.job_id))[: affected.WEDDINGS]


def _all_clear(connection: Connection, place: Place, emergency: Emergency) -> None:
    raising.ended(connection, emergency.alert_key, place.now, emergency.ending or "the emergency is over")


def _watch(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:  # noqa: ARG001
    _put(connection, place, emergency, Kind.WATCH, [""])
    return "alerts are evaluated every few seconds"


def _unwatch(connection: Connection, place: Place, emergency: Emergency) -> None:  # noqa: ARG001
    measures.withdraw(connection, emergency.source, Kind.WATCH)


def _note(connection: Connection, place: Place, emergency: Emergency, given: With) -> str:  # noqa: ARG001
    return given.text or ""


def _put(
    connection: Connection,
    place: Place,
    emergency: Emergency,
    kind: Kind,
    names: list[str],
    *,
    reason: str | None = None,
    value: int | None = None,
) -> None:
    made = [Measure(emergency.source, kind, name, value, reason, place.now, emergency.until) for name in names]
    measures.put(connection, made)


_EFFECTS: Mapping[str, Effect] = {
    "open_breaker": _open_breaker,
    "hold": _hold,
    "recycle_slots": _recycle,
    "bound_slots": _slots(requests.Kind.EXACTLY),
    "scale_up": _slots(requests.Kind.AT_LEAST),
    "use_backup_routes": _reroute,
    "page": _page,
    "watch_closely": _watch,
    "note": _note,
}
_UNDO: Mapping[str, Undo] = {
    "open_breaker": _close_breaker,
    "hold": _let_go,
    "recycle_slots": _recycled,
    "bound_slots": _any_slots,
    "scale_up": _any_slots,
    "use_backup_routes": _route_back,
    "page": _all_clear,
    "watch_closely": _unwatch,
}
