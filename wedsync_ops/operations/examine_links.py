"""Examines what the platform reaches over the network: whether somebody answers there. No message is sent."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from wedsync_ops.handlers.smtp import server_at
from wedsync_ops.operations.findings import Examined, Finding, problem
from wedsync_ops.settings import Settings

TIMEOUT_S = 3.0
"""How long a connection may take to be made, and TLS to be agreed on, in seconds."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody who should answer: the setting that names it, its host and port, and whether it begins with TLS."""

    setting: str
    host: str
    port: int
    tls: bool
    why: str


def peers(settings: Settings) -> Iterator[Peer]:
    """Whom the settings name."""
    if settings.smtp_url is not None:
        server = server_at(settings.smtp_url)
        yield Peer("smtp_url", server.host, server.port, server.tls, "mails are not sent, and tried again")
    for name, why in (
        ("sms_url", "texts are not sent, and tried again"),
        ("webhook_url", "callers are not told of finished jobs until it answers"),
    ):
        url = getattr(settings, name)
        if url is not None:
            parts = urlsplit(url)
            tls = parts.scheme == "https"
            yield Peer(name, parts.hostname or "", parts.port or (443 if tls else 80), tls, why)


def examine(settings: Settings, timeout_s: float = TIMEOUT_S) -> Examined:
    """Connect to each, agree on TLS where the address asks for it, and hang up."""
    facts: dict[str, object] = {}
    findings: list[Finding] = []
    for peer in peers(settings):
        fault = _fault(peer, timeout_s)
        facts[peer.setting] = f"{peer.host}:{peer.port} {'answers' if fault is None else fault}"
        if fault is not None:
            words = f"{peer.host}:{peer.port} ({peer.setting}): {fault}"
            probe = (
                f"openssl s_client -connect {peer.host}:{peer.port}" if peer.tls else f"nc -vz {peer.host} {peer.port}"
            )
            why = f"{peer.why}; look again with: {probe}"
            findings.append(problem("unreachable", words, why))
    return Examined(facts, findings)


def _fault(peer: Peer, timeout_s: float) -> str | None:
    try:
        with contextlib.ExitStack() as stack:
            reached = stack.enter_context(socket.create_connection((peer.host, peer.port), timeout_s))
            if peer.tls:
                context = ssl.create_default_context()
                stack.enter_context(context.wrap_socket(reached, server_hostname=peer.host))
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not valid: {error.verify_message}"
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error)
    return None
