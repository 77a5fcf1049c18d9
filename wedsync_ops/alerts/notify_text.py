"""What a message says: its title, its text for people, its document for programs. Pure."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.alerts.model import Alert, Severity
from wedsync_ops.alerts.notify_model import Kind, Message
from wedsync_ops.errors import shortened
from wedsync_ops.instants import iso, to_datetime

SCHEMA = "wedsync-ops/alert-notification@1"
MOST_LISTED = 20
"""How many alerts of one message are told in full."""
_MOST_WEDDINGS = 5
_LONGEST_TITLE = 150
_WORDS = {
    Kind.OPENED: "",
    Kind.WORSENED: "worse: ",
    Kind.ESCALATED: "nobody has acknowledged: ",
    Kind.REPEATED: "still open: ",
    Kind.ACKNOWLEDGED: "acknowledged: ",
    Kind.RESOLVED: "resolved: ",
    Kind.TEST: "test, nothing is wrong: ",
}


def title(message: Message) -> str:
    """One line: how bad, and what."""
    if not message.alerts:
        return "[TEST] wedsync-ops: this channel works"
    what = _WORDS[message.kind]
    mark = f"[{severity(message).upper()}]" if message.kind is not Kind.RESOLVED else "[RESOLVED]"
    if len(message.alerts) == 1:
        (alert,) = message.alerts
        said = f"{name(alert)}: {alert.message}" if alert.message else name(alert)
        words = said if message.kind is Kind.RESOLVED else what + said
        return one_line(f"{mark} {words}", _LONGEST_TITLE)
    names = ", ".join(name(alert) for alert in message.alerts)
    return one_line(f"{mark} {what}{len(message.alerts)} alerts: {names}", _LONGEST_TITLE)


def severity(message: Message) -> Severity:
    """That of the worst alert of a message."""
    critical = any(alert.severity is Severity.CRITICAL for alert in message.alerts)
    return Severity.CRITICAL if critical else Severity.WARNING


def name(alert: Alert) -> str:
    """What an alert is called: its type, and whose it is."""
    parts = (alert.type.value, alert.module_type, alert.subject)
    return " ".join(dict.fromkeys(part for part in parts if part))


def text(message: Message, zone: ZoneInfo) -> str:
    """All that whoever is woken needs: what, since when, how bad, which weddings, what to do. Times in ``zone``."""
    if not message.alerts:
        return "This is a test of wedsync-ops. Nothing is wrong, and there is nothing to do."
    parts = ["\n".join(_lines(alert, message.kind, zone)) for alert in message.alerts[:MOST_LISTED]]
    left = len(message.alerts) - MOST_LISTED
    if left > 0:
        parts.append(f"And {left} more: wedsync-ops alerts list")
    return "\n\n".join(parts)


def document(message: Message) -> dict[str, Any]:
    """The message as the webhook and the JSON log carry it."""
    return {
        "schema": SCHEMA,
        "id": message.id,
        "kind": message.kind.value,
        "at": iso(message.at),
        "title": title(message),
        "alerts": [alert_document(alert) for alert in message.alerts],
    }


def alert_document(alert: Alert) -> dict[str, Any]:
    """One alert, with the keys of ``alerts list`` and what whoever acts on it needs besides."""
    return {
        "id": alert.id,
        "type": alert.type.value,
        "rule": alert.rule,
        "severity": alert.severity.value,
        "state": alert.state.value,
        "module_type": alert.module_type,
        "subject": alert.subject,
        "since": iso(alert.since),
        "value": alert.value,
        "threshold": alert.threshold,
        "message": alert.message,
        "runbook": alert.runbook,
        "command": alert.command,
        "acknowledged_by": alert.acknowledged_by,
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


def one_line(words: str, most: int) -> str:
    """Text without line ends or other characters that steer a terminal or a header."""
    return shortened("".join(c if c.isprintable() else " " for c in words), most)


def _lines(alert: Alert, kind: Kind, zone: ZoneInfo) -> Iterator[str]:
    yield one_line(f"{alert.severity.upper()} {name(alert)}: {alert.message}", 1_000)
    yield f"Since {to_datetime(alert.since, zone):%Y-%m-%d %H:%M:%S %Z}"
    if alert.value is not None:
        limit = "" if alert.threshold is None else f", the limit is {alert.threshold:g}"
        yield f"Value {alert.value:g}{limit}"
    if alert.weddings:
        first = ", ".join(
            one_line(f"{one.wedding_on} (couple {one.client_id or 'unknown'})", 100)
            for one in alert.weddings[:_MOST_WEDDINGS]
        )
        left = len(alert.weddings) - _MOST_WEDDINGS
        yield f"Weddings affected: {first}" + (f" and {left} more" if left > 0 else "")
    if kind is Kind.ACKNOWLEDGED:
        yield one_line(f"Acknowledged by {alert.acknowledged_by or 'somebody'}", 200)
    if alert.runbook:
        yield one_line(f"Runbook: {alert.runbook}", 500)
    if kind in (Kind.RESOLVED, Kind.ACKNOWLEDGED):
        return
    if alert.command:
        yield one_line(f"Next: {alert.command}", 500)
    yield f"Acknowledge: wedsync-ops alerts ack {alert.id}"
