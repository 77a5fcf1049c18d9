"""The alerts that the platform has raised, as the screen shows them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from wedsync_ops.alerts import actions
from wedsync_ops.alerts.model import Severity
from wedsync_ops.alerts.store import alerts
from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.top.model import OpenAlert


class RaisedAlerts:
    """The open alerts; whoever acknowledges one is named as ``alerts ack`` names them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def current(self, connection: Connection, now: int) -> Sequence[OpenAlert]:  # noqa: ARG002 - the port's signature
        """Every open alert, critical and longest ones first."""
        found = [alert for alert in alerts.unresolved(connection) if alert.is_open]
        found.sort(key=lambda alert: (alert.severity is not Severity.CRITICAL, alert.since, alert.id))
        return [
            OpenAlert(one.id, one.type, one.severity, one.state, one.module_type, one.since, one.message)
            for one in found
        ]

    def acknowledge(self, alert_id: int) -> str:
        """Say that somebody is at it. Raises UnknownAlert, Refused."""
        actions.acknowledge(self._database, self._clock, [alert_id])
        return f"alert {alert_id} is acknowledged"
