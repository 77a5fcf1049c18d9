"""Delivery: into the outbox folder, or over SMTP and HTTP when a server or a gateway is configured.

An outbox takes a delivery at most once per idempotency key and kind: the file's name comes from the key, and it
appears whole or not at all. Over SMTP and HTTP it is at least once; Message-ID and Idempotency-Key come from the key.
"""

import hashlib
import re
from collections.abc import Iterator
from email.message import EmailMessage
from functools import lru_cache

from wedsync_ops import codec
from wedsync_ops.handlers import outbox
from wedsync_ops.handlers.addresses import named_address
from wedsync_ops.handlers.contract import Mail, Page, PermanentError, Receipt, Site, Text
from wedsync_ops.handlers.uplink import Uplink

_SLUG = re.compile(r"[^a-z0-9]+")
_PLAIN_KEY = re.compile(r"[!-~]{1,200}")


def deliver(
    artefact: Mail | Page | Text, *, site: Site, idempotency_key: str, now: int, timeout_s: float, uplink: Uplink
) -> tuple[Receipt, int]:
    """Deliver an artefact; answers its receipt and the bytes written (0 when it had been delivered before).

    What goes to a server leaves through ``uplink``, which counts it.

    ``now`` (an instant) dates a mail that has no Date. ``timeout_s`` bounds the talk with a server. Raises
    OSError when the outbox cannot be written (nothing is left half written), PermanentError when the server
    refuses the recipient or the content for good, RetryAfter when it says when to come back or the bandwidth leaves no
    time, and
    smtp.DeliveryFailed or gateway.GatewayFailed for what may go better later.
    """
    if isinstance(artefact, Page):
        name = file_name(idempotency_key, "page", "html")
        return outbox.put(site.outbox, name, artefact.html.encode("utf-8", "replace"), artefact.page_id)
    if isinstance(artefact, Text):
        return _deliver_text(artefact, site, idempotency_key, now, timeout_s, uplink)
    message_id = message_id_for(idempotency_key, site)
    message = artefact.message
    recipients = _recipients(message) if site.smtp_url is not None else []
    del message["Bcc"]
    _set(message, "Message-ID", message_id)
    _set(message, "Idempotency-Key", key_header(idempotency_key))
    if "Date" not in message:
        from wedsync_ops.handlers.compose import rfc5322_date

        _set(message, "Date", rfc5322_date(now))
    raw = message_bytes(message)
    if site.smtp_url is None:
        return outbox.put(site.outbox, file_name(idempotency_key, "mail", "eml"), raw, message_id)
    from wedsync_ops.handlers import smtp

    url, sender = site.smtp_url, _sender(message)
    smtp.send(raw, sender, recipients, url=url, site=site, timeout_s=timeout_s, uplink=uplink)
    return Receipt(message_id, f"smtp {smtp.host_of(url)}", repeated=False), 0


def _deliver_text(text: Text, site: Site, key: str, now: int, timeout_s: float, uplink: Uplink) -> tuple[Receipt, int]:
    document, reference = text_document(text, key), reference_for(key, text)
    if site.sms_url is None:
        return outbox.put(site.outbox, file_name(key, "text", "json"), document, reference)
    from wedsync_ops.handlers import gateway

    header = key_header(f"{key}/{text.channel}" if text.is_fallback else key)
    message_id = gateway.send(document, header, site=site, now=now, timeout_s=timeout_s, uplink=uplink)
    receipt = Receipt(message_id or reference, f"gateway {gateway.host_of(site.sms_url)}", repeated=False)
    return receipt, 0


def text_document(text: Text, key: str) -> bytes:
    """A text message as JSON: what the outbox keeps, and what the gateway is sent."""
    fields = {
        "reference": reference_for(key, text),
        "channel": text.channel,
        "to": text.to,
        "body": text.body.encode("utf-8", "replace").decode(),
        "media_url": text.media_url,
    }
    return codec.dumps(fields, indent=True) + b"\n"


def reference_for(key: str, text: Text) -> str:
    """The id under which the platform knows a text message, the same for every attempt at it: its job's, and a hash."""
    job = "" if text.job_id is None else f"{text.job_id}-"
    return f"text-{job}{_hash(key, f'{text.channel} fallback' if text.is_fallback else 'text')}"


def file_name(key: str, kind: str, suffix: str) -> str:
    """The name of a delivery's file: readable from the key, unique by a hash of key and kind."""
    slug = _SLUG.sub("-", key[:60].lower()).strip("-")[:40].strip("-") or "job"
    return f"{kind}-{slug}-{_hash(key, kind)}.{suffix}"


def message_id_for(key: str, site: Site) -> str:
    """The Message-ID of the mail of this key."""
    return f"<{_hash(key, 'message-id')}@{mail_domain(site.mail_from)}>"


def key_header(key: str) -> str:
    """The Idempotency-Key header: the key itself where a header can hold it, else a hash of it."""
    return key if _PLAIN_KEY.fullmatch(key) and not key.startswith("=?") else _hash(key, "header")


@lru_cache(maxsize=16)
def mail_domain(mail_from: str) -> str:
    """The domain that the platform sends from."""
    try:
        return named_address(mail_from)[1].rpartition("@")[2]
    except ValueError:
        return "localhost"


def message_bytes(message: EmailMessage) -> bytes:
    """The message with CRLF line ends, as it is stored and sent. Raises PermanentError when it is no good message."""
    try:
        if message.policy.linesep == "\r\n":
            return message.as_bytes()
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n", max_line_length=78))
    except (ValueError, LookupError, TypeError) as error:
        raise PermanentError(f"the message cannot be written: {type(error).__name__}") from error


def _set(message: EmailMessage, name: str, value: str) -> None:
    del message[name]
    message[name] = value


def _hash(key: str, kind: str) -> str:
    return hashlib.blake2b(f"{kind}\x00{key}".encode("utf-8", "replace"), digest_size=16).hexdigest()


def _sender(message: EmailMessage) -> str:
    return next(_addresses(message, "Sender", "From"), "")


def _recipients(message: EmailMessage) -> list[str]:
    found = list(dict.fromkeys(_addresses(message, "To", "Cc", "Bcc")))
    if not found:
        raise PermanentError("the message has no recipient")
    return found


def _addresses(message: EmailMessage, *names: str) -> Iterator[str]:
    for name in names:
        for header in message.get_all(name, []):
            yield from (address.addr_spec for address in header.addresses)
