"""What the text message gateway reports back: whether a callback is genuine, and what follows from it. Pure.

The format is that of docs/reference/sms-gateway.md.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wedsync_ops import codec
from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.contract import recipient_digest

TOLERANCE_S = 300
"""The most seconds between a callback's timestamp and its arrival, either way."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_REFERENCE = re.compile(r"text-([0-9]{1,18})-[0-9a-f]{32}")
_CHANNELS = ("sms", "whatsapp")
_STOP_WORDS = frozenset({"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "optout", "opt out"})


@dataclass(frozen=True, slots=True)
class Suppress:
    """A number that must not be written to again: its digest, the reason, and where that is known from."""

    digest: str
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A WhatsApp message that was taken and then not delivered: our reference of it, and its job's id."""

    reference: str
    job_id: int


def sign(secret: str, timestamp: str, body: str) -> str:
    """The signature of a callback: ``sha256=`` and the HMAC-SHA256 of ``timestamp.body`` in hex (RFC 2104)."""
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()


def verify_callback(secret: str, timestamp: str, body: str, signature: str, now: int) -> bool:
    """Whether a callback was signed with this secret, at most five minutes from ``now`` (an instant).

    ``timestamp`` is in seconds since the epoch. The comparison takes the same time wherever the signatures differ.
    An empty secret verifies nothing.
    """
    if not secret or not _TIMESTAMP.fullmatch(timestamp):
        return False
    try:
        is_genuine = hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode())
    except UnicodeEncodeError:
        return False
    return is_genuine and abs(int(timestamp) * 1_000_000 - now) <= TOLERANCE_S * 1_000_000


def consequence(body: str) -> Suppress | Undelivered | None:
    """Whom a genuine callback forbids to write to, or which message it says WhatsApp has not delivered; else ``None``.

    Suppressed are numbers that opted out, and those that SMS can never reach: a failure of WhatsApp says nothing of a
    number. Raises InvalidInput, which repeats no number, when the body is no callback.
    """
    event = codec.load_object(body, "the body")
    kind = event.get("type")
    if not isinstance(kind, str):
        raise InvalidInput("the body has no type")
    if kind == "opted_out" or (kind == "received" and _is_stop(event.get("text"))):
        return Suppress(_digest(event, "from" if kind == "received" else "to"), "unsubscribed", f"sms gateway: {kind}")
    if kind == "failed" and event.get("permanent") is True and _channel(event) == "sms":
        return Suppress(_digest(event, "to"), "bounce", "sms gateway: failed for good")
    return _undelivered(event) if kind == "failed" else None


def _undelivered(event: Mapping[str, Any]) -> Undelivered | None:
    found = _REFERENCE.fullmatch(str(event.get("reference")))
    if found is None or event.get("channel") != "whatsapp" or event.get("code") == "opted_out":
        return None
    return Undelivered(found[0], int(found[1]))


def _is_stop(text: object) -> bool:
    return isinstance(text, str) and " ".join(text.lower().strip(" \t\r\n.!").split()) in _STOP_WORDS


def _channel(event: Mapping[str, Any]) -> str:
    channel = event.get("channel")
    if channel not in _CHANNELS:
        raise InvalidInput(f"the body's channel must be one of {', '.join(_CHANNELS)}")
    return str(channel)


def _digest(event: Mapping[str, Any], name: str) -> str:
    number = event.get(name)
    if not isinstance(number, str) or not _E164.fullmatch(number):
        raise InvalidInput(f"the body's {name!r} is not a phone number in E.164")
    return recipient_digest(f"tel:{number}")
