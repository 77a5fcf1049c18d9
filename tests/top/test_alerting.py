"""The alerts that the platform raised, on the live screen."""

from pathlib import Path

import pytest

from tests.stores.queues import NOW, queue_on
from wedsync_ops.alerts.model import Alert, AlertState, AlertType, Severity
from wedsync_ops.alerts.store import alerts
from wedsync_ops.db import Database
from wedsync_ops.errors import WedsyncError
from wedsync_ops.top.alerting import RaisedAlerts


def raised(key: str, severity: Severity, state: AlertState = AlertState.FIRING, since: int = NOW) -> Alert:
    return Alert(
        id=0,
        key=key,
        group=key,
        rule="queue_length",
        type=AlertType.QUEUE_LENGTH,
        severity=severity,
        state=state,
        module_type=None,
        subject=None,
        since=since,
        opened_at=None if state is AlertState.PENDING else since,
        updated_at=since,
        message=f"{key} is wrong",
    )


def test_open_alerts_are_shown_the_worst_first_and_acknowledged(database: Database, tmp_path: Path) -> None:
    queue = queue_on(database, tmp_path)
    port = RaisedAlerts(database, queue.clock)
    with database.transaction() as connection:
        for one in (
            raised("a", Severity.WARNING, since=NOW - 9),
            raised("b", Severity.CRITICAL),
            raised("c", Severity.CRITICAL, AlertState.PENDING),
        ):
            alerts.insert(connection, one)
    with database.reading() as connection:
        found = port.current(connection, NOW)
    assert [(one.severity, one.state, one.message) for one in found] == [
        ("critical", "firing", "b is wrong"),
        ("warning", "firing", "a is wrong"),
    ]
    assert port.acknowledge(found[1].id) == f"alert {found[1].id} is acknowledged"
    with database.reading() as connection:
        assert [one.state for one in port.current(connection, NOW)] == ["firing", "acknowledged"]
    with pytest.raises(WedsyncError):
        port.acknowledge(10**6)
