"""PagerDuty, Events API v2: an alert is one incident, triggered, acknowledged and resolved by its ``dedup_key``."""

from typing import Any

from wedsync_ops import codec
from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.channels.http import Post, post
from wedsync_ops.alerts.notify_model import TAKEN, Kind, Message, Outcome
from wedsync_ops.errors import shortened
from wedsync_ops.instants import iso

_ACTIONS = {Kind.ACKNOWLEDGED: "acknowledge", Kind.RESOLVED: "resolve"}
_LONGEST_SUMMARY = 1_000
"""PagerDuty takes 1,024 characters."""


class Pagerduty:
    """One integration; its routing key is the secret. ``source`` tells platforms apart."""

    def __init__(self, url: str, routing_key: str, source: str, timeout_s: float) -> None:
        self._url = url
        self._routing_key = routing_key
        self._source = source
        self._timeout_s = timeout_s

    def send(self, message: Message) -> Outcome:
        """Send the event of each alert. A test is triggered and resolved, so that no incident stays."""
        for event in events(message, self._routing_key, self._source):
            outcome = post(Post(self._url, codec.dumps(event), {"Content-Type": "application/json"}, self._timeout_s))
            if outcome.error is not None:
                return outcome
        return TAKEN


def events(message: Message, routing_key: str, source: str) -> list[dict[str, Any]]:
    """The events of a message, as PagerDuty takes them."""
    if not message.alerts:
        test = {"routing_key": routing_key, "dedup_key": f"{source}-{message.id}"}
        summary = {"summary": notify_text.title(message), "source": source, "severity": "info"}
        return [{**test, "event_action": "trigger", "payload": summary}, {**test, "event_action": "resolve"}]
    made = []
    for alert in message.alerts:
        action = _ACTIONS.get(message.kind, "trigger")
        event: dict[str, Any] = {
            "routing_key": routing_key,
            "event_action": action,
            "dedup_key": f"{source}-alert-{alert.id}",
        }
        if action == "trigger":
            alone = message._replace(alerts=(alert,))
            event["client"] = "wedsync-ops"
            event["payload"] = {
                "summary": shortened(notify_text.title(alone), _LONGEST_SUMMARY),
                "source": source,
                "severity": alert.severity.value,
                "timestamp": iso(alert.since),
                "component": alert.module_type,
                "group": alert.group,
                "class": alert.type.value,
                "custom_details": notify_text.alert_document(alert),
            }
        made.append(event)
    return made
