"""Slack, through an incoming webhook."""

from zoneinfo import ZoneInfo

from wedsync_ops import codec
from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.channels.http import Post, post
from wedsync_ops.alerts.model import Severity
from wedsync_ops.alerts.notify_model import Kind, Message, Outcome
from wedsync_ops.errors import shortened

_LONGEST = 2_900
"""A section holds 3,000 characters."""
_MARKS = {Kind.RESOLVED: ":white_check_mark:", Kind.ACKNOWLEDGED: ":eyes:", Kind.TEST: ":wave:"}


class Slack:
    """One channel's incoming webhook; its address is the secret."""

    def __init__(self, url: str, zone: ZoneInfo, timeout_s: float) -> None:
        self._url = url
        self._zone = zone
        self._timeout_s = timeout_s

    def send(self, message: Message) -> Outcome:
        """Post a message."""
        body = codec.dumps(payload(message, self._zone))
        return post(Post(self._url, body, {"Content-Type": "application/json"}, self._timeout_s))


def payload(message: Message, zone: ZoneInfo) -> dict[str, object]:
    """The message as Slack takes it; names and texts cannot call anybody or make links."""
    is_critical = notify_text.severity(message) is Severity.CRITICAL
    mark = _MARKS.get(message.kind, ":rotating_light:" if is_critical else ":warning:")
    title = f"{mark} {_escaped(notify_text.title(message))}"
    body = _cut(_escaped(notify_text.text(message, zone)))
    return {
        "text": title,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": title}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"```{body}```"}},
        ],
    }


def _escaped(text: str) -> str:
    """Source: Slack's "Formatting text for app surfaces": these three characters, and nothing else."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("```", "'''")


def _cut(text: str) -> str:
    short = shortened(text, _LONGEST)
    return short if short == text else short[: short.rfind("\n")] + "\n…"
