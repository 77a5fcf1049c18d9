"""What ``health`` says of alerts that wait for somebody."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.stores.queues import NOW, queue_on
from wedsync_ops.alerts.model import Alert, AlertState, AlertType, Severity
from wedsync_ops.alerts.store import alerts
from wedsync_ops.db import Database
from wedsync_ops.operations.attention import check_open_alerts, check_schedules
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.operations.verdict import Status

EXPIRED = Alert(
    id=0,
    key="expired",
    group="expired",
    rule="expired",
    type=AlertType.EXPIRED,
    severity=Severity.CRITICAL,
    state=AlertState.FIRING,
    module_type=None,
    subject=None,
    since=NOW,
    opened_at=NOW,
    updated_at=NOW,
    message="3 jobs expired unstarted",
)


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Site:
    queue = queue_on(database, tmp_path)
    return Site(database, queue.clock, queue.rules)


def raise_alert(site: Site, alert: Alert) -> None:
    with site.database.transaction() as connection:
        alerts.insert(connection, alert)


def test_nothing_waits(site: Site) -> None:
    assert (check_open_alerts(site).status, check_open_alerts(site).reasons) == (Status.OK, [])
    assert check_schedules(site).message == "0 schedules, none of them late"


@pytest.mark.parametrize("state", [AlertState.FIRING, AlertState.NO_DATA])
def test_a_critical_alert_that_nobody_has_seen_degrades(site: Site, state: AlertState) -> None:
    raise_alert(site, replace(EXPIRED, state=state))
    verdict = check_open_alerts(site)
    assert (verdict.status, [one.code for one in verdict.reasons]) == (Status.WARNING, ["alert_open"])
    assert verdict.message.endswith("expired: 3 jobs expired unstarted")


@pytest.mark.parametrize(
    "alert",
    [
        replace(EXPIRED, severity=Severity.WARNING),
        replace(EXPIRED, state=AlertState.ACKNOWLEDGED),
        replace(EXPIRED, state=AlertState.SILENCED),
        replace(EXPIRED, state=AlertState.PENDING, opened_at=None),
    ],
)
def test_what_is_seen_or_no_more_than_a_warning_does_not(site: Site, alert: Alert) -> None:
    raise_alert(site, alert)
    assert check_open_alerts(site).status is Status.OK
