"""What people do with alerts: look, acknowledge, silence. Each change is one transaction, and an event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from wedsync_ops.alerts.alerter import EVALUATED, rules_in_force
from wedsync_ops.alerts.evaluate import resolved, settled
from wedsync_ops.alerts.model import Alert, AlertEvent, AlertState, AlertType, EventKind, Rule, Severity, Silence
from wedsync_ops.alerts.replay import QUARTER_US, Series
from wedsync_ops.alerts.store import alerts, points, silences
from wedsync_ops.alerts.watching import usual
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, Refused, UnknownAlert, WrongState, quoted
from wedsync_ops.instants import DAY, HOUR, MINUTE, iso
from wedsync_ops.settings import operator

LONGEST_TEXT = 500
"""The most characters of a note or a reason."""
LONGEST_SILENCE_US = 30 * DAY
STALE_US = 3 * MINUTE
"""How long ago the last evaluation may be before nobody knows how things stand."""
_ORDER = {severity: place for place, severity in enumerate((Severity.CRITICAL, Severity.WARNING))}
_ALL = 2**62


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand: the open alerts, critical and longest ones first, and the last evaluation (µs)."""

    alerts: tuple[Alert, ...]
    evaluated_at: int | None
    now: int

    @property
    def is_stale(self) -> bool:
        """Whether the last evaluation is so long ago that nobody knows; or ahead, of before the clock was set back."""
        return self.evaluated_at is None or abs(self.now - self.evaluated_at) > STALE_US


def standing(database: Database, clock: Clock) -> Standing:
    """How things stand now."""
    with database.reading() as connection:
        found = [alert for alert in alerts.unresolved(connection) if alert.is_open]
        return Standing(_sorted(found), points.mark(connection, EVALUATED), clock.now())


def list_alerts(
    database: Database, *, states: Sequence[AlertState] = (), every: bool = False, limit: int = 100
) -> tuple[Alert, ...]:
    """The open alerts, or those in some states; with ``every`` pending and the latest resolved ones, too.

    Critical ones come first, then the longest; resolved ones at the end, the latest first, at most ``limit`` (0: all).
    """
    with database.reading() as connection:
        found = alerts.unresolved(connection)
        wants_resolved = AlertState.RESOLVED in states or (every and not states)
        over = alerts.resolved(connection, 0, limit or _ALL) if wants_resolved else []
    if states:
        found = [alert for alert in found if alert.state in states]
    elif not every:
        found = [alert for alert in found if alert.is_open]
    return (*_sorted(found), *over)


def _sorted(found: Sequence[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(found, key=lambda alert: (not alert.is_open, _ORDER[alert.severity], alert.since, alert.id)))


def show(database: Database, alert_id: int) -> tuple[Alert, list[AlertEvent]]:
    """One alert, and everything that happened to it. Raises UnknownAlert."""
    with database.reading() as connection:
        return _known(connection, alert_id), alerts.events_of(connection, alert_id)


def history(database: Database, *, since: int, limit: int) -> list[AlertEvent]:
    """What happened to alerts since an instant, the latest first, at most ``limit`` (0: all)."""
    with database.reading() as connection:
        return alerts.latest_events(connection, since, limit or _ALL)


def acknowledge(
    database: Database, clock: Clock, ids: Sequence[int], *, note: str | None = None, by: str | None = None
) -> list[Alert]:
    """Say that somebody is at it: the alerts are not told again. One that is acknowledged already stays as it is.

    All or none. Raises UnknownAlert, WrongState for one that is pending or over, InvalidInput.
    """
    _check_text(note, "the note")
    who, now = by or operator(), clock.now()
    done = []
    with database.transaction() as connection:
        alerts.lock(connection)
        for alert_id in dict.fromkeys(ids):
            alert = _open(connection, alert_id, "acknowledged")
            if alert.acknowledged_at is None:
                hushed = silences.in_force(connection, now)
                marked = replace(alert, acknowledged_at=now, acknowledged_by=who, note=note, updated_at=now)
                alert, _ = settled(marked, hushed, now)
                alerts.update(connection, alert)
                alerts.record(connection, alert, EventKind.ACKNOWLEDGED, now, actor=who, note=note)
            done.append(alert)
    return done


def resolve(
    database: Database, clock: Clock, ids: Sequence[int], *, note: str | None = None, by: str | None = None
) -> list[Alert]:
    """Say that alerts are over, where nothing else can: without data nobody knows. What still holds opens anew.

    All or none. Raises UnknownAlert, WrongState for one that is pending or over, InvalidInput.
    """
    _check_text(note, "the note")
    who, now = by or operator(), clock.now()
    done = []
    with database.transaction() as connection:
        alerts.lock(connection)
        for alert_id in dict.fromkeys(ids):
            alert = _open(connection, alert_id, "resolved")
            step = resolved(alert, now, note)
            if step.alert is not None:
                alerts.update(connection, step.alert)
                alerts.record(connection, step.alert, EventKind.RESOLVED, now, actor=who, note=note)
                done.append(step.alert)
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Hush:
    """What should be silent: one alert, or all of a type, of a module type, or of both."""

    alert_id: int | None = None
    type: AlertType | None = None
    module_type: str | None = None


def silence(
    database: Database, clock: Clock, hush: Hush, *, until: int, reason: str, by: str | None = None
) -> tuple[Silence, list[Alert]]:
    """Let nobody hear of some alerts until an instant, those that open meanwhile included; also the ones affected now.

    Raises InvalidInput, UnknownAlert, WrongState for an alert that is over.
    """
    _check_text(reason, "the reason")
    who, now = by or operator(), clock.now()
    if not now < until <= now + LONGEST_SILENCE_US:
        raise InvalidInput("a silence must end later than now, and within 30 days")
    with database.transaction() as connection:
        alerts.lock(connection)
        if hush.alert_id is not None and _known(connection, hush.alert_id).resolved_at is not None:
            raise WrongState(f"alert {hush.alert_id} is resolved", hint="silence its type instead: --type")
        made = Silence(
            id=0,
            alert_id=hush.alert_id,
            type=hush.type,
            module_type=hush.module_type,
            reason=reason,
            created_by=who,
            created_at=now,
            until=until,
        )
        made = replace(made, id=silences.insert(connection, made))
        return made, _settle(connection, now, who, reason)


def unsilence(database: Database, clock: Clock, ids: Sequence[int], *, by: str | None = None) -> list[Alert]:
    """End silences; the alerts that become loud by that. Raises UnknownAlert, Refused for one that is over."""
    who, now = by or operator(), clock.now()
    with database.transaction() as connection:
        alerts.lock(connection)
        for silence_id in ids:
            found = silences.get(connection, silence_id)
            if found is None:
                raise UnknownAlert(f"there is no silence {silence_id}", hint="see 'wedsync-ops alerts silences'")
            if found.ended_at is not None or found.until <= now:
                raise Refused(f"silence {silence_id} is over")
        silences.end(connection, ids, now, who)
        return _settle(connection, now, who, None)


def silences_in_force(database: Database, clock: Clock) -> list[Silence]:
    """The silences that hold now."""
    with database.reading() as connection:
        return silences.in_force(connection, clock.now())


def _settle(connection: Connection, now: int, who: str, note: str | None) -> list[Alert]:
    """Put every alert into the state that follows from the silences of now; those that became silent or loud."""
    in_force, changed = silences.in_force(connection, now), []
    for before in alerts.unresolved(connection):
        alert, events = settled(before, in_force, now)
        if alert != before:
            alerts.update(connection, alert)
        for kind in events:
            alerts.record(connection, alert, kind, now, actor=who, note=note)
            changed.append(alert)
    return changed


def rules(database: Database) -> tuple[Rule, ...]:
    """Every rule that is in force."""
    with database.reading() as connection:
        return rules_in_force(connection)


def recorded(database: Database, since: int, until: int, zone: ZoneInfo) -> Series:
    """The executions of the minutes in a range (of the last day), as evaluation kept them, and what was usual then."""
    with database.reading() as connection:
        kept = tuple(points.kept(connection, MINUTE, since, until))
        quarters = range(since // QUARTER_US * QUARTER_US, until + HOUR, QUARTER_US)
        return Series(kept, usual={quarter: usual(connection, quarter, zone) for quarter in quarters})


def to_document(alert: Alert) -> dict[str, Any]:
    """An alert as the JSON contract wants it."""
    return {
        "id": alert.id,
        "type": alert.type,
        "severity": alert.severity,
        "state": alert.state,
        "module_type": alert.module_type,
        "since": iso(alert.since),
        "value": alert.value,
        "threshold": alert.threshold,
        "message": alert.message,
        "runbook": alert.runbook,
        "rule": alert.rule,
        "subject": alert.subject,
        "worst": alert.worst,
        "opened_at": iso(alert.opened_at),
        "updated_at": iso(alert.updated_at),
        "resolved_at": iso(alert.resolved_at),
        "acknowledged_at": iso(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by,
        "note": alert.note,
        "silenced_until": iso(alert.silenced_until),
        "no_data_since": iso(alert.missing_since),
        "command": alert.command,
        "weddings": [
            {
                "wedding_date": one.wedding_on,
                "client_id": one.client_id,
                "supplier_id": one.supplier_id,
                "job_id": one.job_id,
            }
            for one in alert.weddings
        ],
    }


def event_document(event: AlertEvent) -> Mapping[str, Any]:
    """Something that happened to an alert, as the JSON contract wants it."""
    alert = event.alert
    return {
        "id": event.id,
        "alert_id": event.alert_id,
        "at": iso(event.at),
        "kind": event.kind,
        "type": alert.type,
        "severity": alert.severity,
        "state": alert.state,
        "module_type": alert.module_type,
        "value": alert.value,
        "threshold": alert.threshold,
        "message": alert.message,
        "actor": event.actor,
        "note": event.note,
    }


def _known(connection: Connection, alert_id: int) -> Alert:
    found = alerts.get(connection, alert_id)
    if found is None:
        raise UnknownAlert(f"there is no alert {alert_id}")
    return found


def _open(connection: Connection, alert_id: int, what: str) -> Alert:
    alert = _known(connection, alert_id)
    if not alert.is_open:
        raise WrongState(f"alert {alert_id} is {alert.state}", hint=f"only open alerts can be {what}")
    return alert


def _check_text(text: str | None, what: str) -> None:
    if text is not None and (not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable()):
        raise InvalidInput(f"{what} must be 1 to {LONGEST_TEXT} printable characters, not {quoted(text)}")
