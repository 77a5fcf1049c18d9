"""What alerting offers those who watch."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from wedsync_ops.top.model import OpenAlert


class Alerts(Protocol):
    """Where alerts come from, and who is told that somebody takes care of one: what alerting offers this room."""

    def current(self, connection: Connection, now: int) -> Sequence[OpenAlert]:
        """Every open alert, the most severe first."""
        ...

    def acknowledge(self, alert_id: int) -> str:
        """Take care of an alert; what came of it, in words. Raises WedsyncError."""
        ...


class NoAlerts:
    """For a platform that raises none."""

    def current(self, connection: Connection, now: int) -> Sequence[OpenAlert]:  # noqa: ARG002 - the port's signature
        """None."""
        return ()

    def acknowledge(self, alert_id: int) -> str:
        """There is nothing to acknowledge."""
        return f"there is no alert {alert_id}"
