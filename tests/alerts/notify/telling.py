"""Alerts to tell of, written as evaluation and people write them, and the channels that hear of them."""

import email
import email.policy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.handlers.test_smtp import Taking
from tests.jobs.receivers import SECRET, Post, Receiver
from wedsync_ops.alerts.model import Alert, AlertEvent, AlertState, AlertType, EventKind, Severity, Wedding
from wedsync_ops.alerts.store import alerts
from wedsync_ops.db import Database
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import parse_instant
from wedsync_ops.testing.clock import FakeClock

START = "2027-06-14T09:00:00Z"
"""A Monday."""
NOW = parse_instant(START)
ROUTING_KEY = "r0utingkeythatnobodyguesses"
WEEK = AlertType.WEDDING_WEEK_ERRORS


def an_alert(type_: AlertType = AlertType.QUEUE_LENGTH, **changes: Any) -> Alert:
    """An alert that has just opened."""
    given: dict[str, Any] = {
        "id": 7,
        "key": f"{type_}:email",
        "group": type_.value,
        "rule": type_.value,
        "type": type_,
        "severity": Severity.CRITICAL if type_ in (WEEK, AlertType.CAPACITY) else Severity.WARNING,
        "state": AlertState.FIRING,
        "module_type": "email",
        "subject": None,
        "since": NOW,
        "opened_at": NOW,
        "updated_at": NOW,
        "value": 12.5,
        "threshold": 0.1,
        "message": "12.5 is over 0.1",
        "runbook": f"docs/runbooks/{type_}.md",
        "command": "wedsync-ops queue status",
    }
    return Alert(**{**given, **changes})


def wedding(day: str) -> Wedding:
    return Wedding(day, "c-ada", "s-lumen", 4711)


def an_event(alert: Alert, kind: EventKind = EventKind.OPENED) -> AlertEvent:
    return AlertEvent(id=1, alert_id=alert.id, kind=kind, at=NOW, alert=alert)


@dataclass
class Incident:
    """What happens to alerts, as it is written."""

    database: Database
    clock: FakeClock

    def open(self, type_: AlertType, module: str = "email", **changes: Any) -> int:
        now = self.clock.now()
        made = an_alert(
            type_, key=f"{type_}:{module}", module_type=module, since=now, opened_at=now, updated_at=now, **changes
        )
        with self.database.transaction() as connection:
            alerts.lock(connection)
            made = replace(made, id=alerts.insert(connection, made))
            alerts.record(connection, made, EventKind.OPENED, now)
        return made.id

    def happen(self, alert_id: int, kind: EventKind, **changes: Any) -> None:
        with self.database.transaction() as connection:
            alerts.lock(connection)
            known = alerts.get(connection, alert_id)
            assert known is not None
            changed = replace(known, updated_at=self.clock.now(), **changes)
            alerts.update(connection, changed)
            alerts.record(connection, changed, kind, self.clock.now())

    def worsen(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.WORSENED, severity=Severity.CRITICAL)

    def acknowledge(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.ACKNOWLEDGED, state=AlertState.ACKNOWLEDGED, acknowledged_by="ada")

    def silence(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.SILENCED, state=AlertState.SILENCED)

    def unsilence(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.UNSILENCED, state=AlertState.FIRING)

    def repeat(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.REPEATED)

    def resolve(self, alert_id: int) -> None:
        self.happen(alert_id, EventKind.RESOLVED, state=AlertState.RESOLVED, resolved_at=self.clock.now())


class Mailbox(Taking):
    """A mail server that can be told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.refuses:
            return "451 not now"
        return await super().handle_DATA(server, session, envelope)

    @property
    def mails(self) -> list[EmailMessage]:
        return [email.message_from_bytes(raw, policy=email.policy.default) for raw in self.taken]


def site(folder: Path, **changes: Any) -> Site:
    given: dict[str, Any] = {
        "outbox": folder / "outbox",
        "timezone": "UTC",
        "public_url": "https://ops.example",
        "mail_from": "WedSync <ops@wedsync.example>",
    }
    return Site(**{**given, **changes})


def secrets(folder: Path, **values: str) -> Mapping[str, Path]:
    """Files that hold secrets."""
    for name, value in values.items():
        (folder / name).write_text(value + "\n")
    return {name: folder / name for name in values}


def configured(folder: Path, routes: str, pager: str, hook: str, port: int, more: str = "") -> Path:
    """A file with a pager, a webhook and a mailbox, and these routes."""
    kept = secrets(folder, routing=ROUTING_KEY, signing=SECRET, server=f"smtp://localhost:{port}")
    file = folder / "notify.yaml"
    file.write_text(
        "schema_version: 1\nchannels:\n"
        f"  pager: {{type: pagerduty, url: '{pager}', routing_key: {{file: '{kept['routing']}'}}}}\n"
        f"  hook: {{type: webhook, url: '{hook}', secret: {{file: '{kept['signing']}'}}}}\n"
        f"  mail: {{type: smtp, to: oncall@example.org, server: {{file: '{kept['server']}'}}}}\n"
        f"{more}routes:\n{routes}"
    )
    return file


def pages(posts: list[Post]) -> list[tuple[str, str]]:
    """What a pager was sent: action and incident."""
    return [(post.document["event_action"], post.document["dedup_key"]) for post in posts]


def hooked(receiver: Receiver) -> list[tuple[str, list[int]]]:
    """What a webhook's receiver took: kind and the ids of the alerts."""
    return [(post.document["kind"], [one["id"] for one in post.document["alerts"]]) for post in receiver.taken]
