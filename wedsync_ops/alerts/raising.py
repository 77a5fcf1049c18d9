"""Alerts that no rule watches: somebody raises one, and ends it. People are told of them as of every other."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from wedsync_ops.alerts.evaluate import COMMANDS, resolved
from wedsync_ops.alerts.model import Alert, AlertState, AlertType, EventKind, Severity, Wedding
from wedsync_ops.alerts.rules import EMERGENCY
from wedsync_ops.alerts.store import alerts


def raised(
    connection: Connection,
    key: str,
    *,
    severity: Severity,
    message: str,
    now: int,
    module_type: str | None = None,
    weddings: Sequence[Wedding] = (),
) -> int:
    """Raise the alert of a key, unless it is there; returns its id."""
    alerts.lock(connection)
    known = next((one for one in alerts.unresolved(connection) if one.key == key), None)
    if known is not None:
        return known.id
    alert = Alert(
        id=0,
        key=key,
        group=AlertType.EMERGENCY,
        rule=EMERGENCY.name,
        type=AlertType.EMERGENCY,
        severity=severity,
        state=AlertState.FIRING,
        module_type=module_type,
        subject=None,
        since=now,
        opened_at=now,
        updated_at=now,
        message=message,
        runbook=EMERGENCY.runbook_of,
        command=COMMANDS[AlertType.EMERGENCY],
        weddings=tuple(weddings),
        told_at=now,
    )
    alert = replace(alert, id=alerts.insert(connection, alert))
    alerts.record(connection, alert, EventKind.OPENED, now)
    return alert.id


def ended(connection: Connection, key: str, now: int, note: str) -> bool:
    """Resolve the alert of a key; whether there was one."""
    alerts.lock(connection)
    known = next((one for one in alerts.unresolved(connection) if one.key == key), None)
    step = None if known is None else resolved(known, now, note)
    if step is None or step.alert is None:
        return False
    alerts.update(connection, step.alert)
    alerts.record(connection, step.alert, EventKind.RESOLVED, now, note=note)
    return True
