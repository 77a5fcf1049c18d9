"""Sending over SMTP. One connection per thread is kept between jobs, and asked whether it lives before it is used.

``smtp://`` takes TLS where the server offers it; with a user in the URL TLS is required, unless the server is on this
machine. ``smtps://`` is TLS from the start. Errors name the server and its answer's code: no password, no address.
"""

import contextlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import Any
from urllib.parse import unquote, urlsplit

from wedsync_ops.handlers.contract import PermanentError, Site
from wedsync_ops.handlers.delivery import mail_domain
from wedsync_ops.handlers.uplink import Uplink

LONGEST_WAIT_S = 30.0
"""The most seconds that one answer of the server is waited for."""
_SHORTEST_WAIT_S = 0.05
_GOOD_BYE_S = 1.0
_SHARE = 0.9  # of the time left: the rest is for telling what went wrong
_LOGIN = frozenset({530, 534, 535, 538})
"""Answers that ask for a login, or another one (RFC 4954): nothing to do with the recipient or the message."""
_POLICY = re.compile(rb"5\.7\.[0-9]{1,3}(?![0-9.])")
"""The enhanced status (RFC 3463) of a refusal by policy: relaying, authentication, what a rule may permit tomorrow."""
_TOO_LARGE = 552
_kept = threading.local()


class DeliveryFailed(Exception):
    """The mail server could not be reached, or refused for now; the job is tried again."""


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server as a URL names it. ``port`` defaults to 587 with a user, 465 for smtps, else 25."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, so that nobody in between can listen."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


@lru_cache(maxsize=8)
def server_at(url: str) -> Server:
    """The server of an ``smtp://`` or ``smtps://`` URL. Raises DeliveryFailed, without the URL, when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DeliveryFailed("the setting smtp_url is not a URL") from error
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise DeliveryFailed("the setting smtp_url must be smtp://host or smtps://host")
    tls = parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    return Server(parts.hostname, port or (465 if tls else 587 if user else 25), tls, user, password)


def host_of(url: str) -> str:
    """``host:port`` of a server, for receipts and errors."""
    server = server_at(url)
    return f"{server.host}:{server.port}"


class _Answers:
    """The server's lines, read until an instant: one that sends a byte now and then holds nobody for longer."""

    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._read = b""

    def readline(self, most: int) -> bytes:
        """The next line with its end, at most so many bytes. Raises TimeoutError when the time is over, OSError."""
        while b"\n" not in self._read and len(self._read) < most:
            sock, left_s = self._connection.sock, self._connection.ends_at - monotonic()
            if sock is None or left_s <= 0:
                raise TimeoutError("its answer takes too long")
            sock.settimeout(min(LONGEST_WAIT_S, left_s))
            piece = sock.recv(4096)
            if not piece:
                break
            self._read += piece
        end = self._read.find(b"\n", 0, most) + 1 or min(most, len(self._read))
        line, self._read = self._read[:end], self._read[end:]
        return line

    def close(self) -> None:
        """Nothing: the connection closes itself."""


class _Plain(smtplib.SMTP):
    """A connection whose bytes all leave through an uplink, and whose answers come in time."""

    uplink: Uplink
    ends_at: float

    def getreply(self) -> tuple[int, bytes]:
        """The next answer, if it comes in time."""
        self.file = self.file or _Answers(self)
        return super().getreply()

    def send(self, s: Any) -> None:
        """Send a command or a message, as fast as the attempt may."""
        for piece in self.uplink.pieces(s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)):
            super().send(piece)


class _Tls(smtplib.SMTP_SSL):
    """The same with TLS from the start."""

    uplink: Uplink
    ends_at: float

    def getreply(self) -> tuple[int, bytes]:
        """The next answer, if it comes in time."""
        self.file = self.file or _Answers(self)
        return super().getreply()

    def send(self, s: Any) -> None:
        """Send a command or a message, as fast as the attempt may."""
        for piece in self.uplink.pieces(s.encode(self.command_encoding) if isinstance(s, str) else bytes(s)):
            super().send(piece)


_Connection = _Plain | _Tls


def send(
    raw: bytes, sender: str, recipients: Sequence[str], *, url: str, site: Site, timeout_s: float, uplink: Uplink
) -> None:
    """Hand a message to the server for all recipients, within nine tenths of ``timeout_s`` (seconds).

    Raises PermanentError when a recipient or the message is refused for good (5xx), DeliveryFailed for the rest: no
    connection, a refusal for now (4xx), a login that fails or is missing, a refusal by policy (5.7.x): settings and
    rules may be mended; RetryAfter when the attempt's bandwidth leaves no time for the message.
    """
    server = server_at(url)
    ends_at = monotonic() + timeout_s * _SHARE
    uplink.begin(len(raw), ends_at)
    with _told(server):
        connection = _connection(url, server, site, ends_at, uplink)
        try:
            _transmit(connection, raw, sender, recipients, ends_at)
        except BaseException:
            _drop(connection)
            raise


def close() -> None:
    """Say good-bye to the server that this thread kept, if any."""
    connection: _Connection | None = getattr(_kept, "connection", None)
    _kept.connection = None
    if connection is not None:
        connection.uplink = Uplink()
        _allow(connection, monotonic() + _GOOD_BYE_S)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            connection.quit()


def _transmit(connection: _Connection, raw: bytes, sender: str, recipients: Sequence[str], ends_at: float) -> None:
    _allow(connection, ends_at)
    code, answer = connection.mail(sender, [f"size={len(raw)}"] if connection.has_extn("size") else [])
    if code != 250:
        _sender_refused(code, answer)
    for recipient in recipients:
        _allow(connection, ends_at)
        code, answer = connection.rcpt(recipient)
        if code not in {250, 251}:
            _refused(code, answer, "the recipient")
    _allow(connection, ends_at)
    code, answer = connection.data(raw)
    if code != 250:
        _refused(code, answer, "the message")


def _allow(connection: _Connection, ends_at: float) -> None:
    """Let the next answers take what is left until then."""
    connection.ends_at = max(ends_at, monotonic() + _SHORTEST_WAIT_S)
    if connection.sock is not None:
        connection.sock.settimeout(_wait_s(ends_at))


def _wait_s(ends_at: float) -> float:
    return max(_SHORTEST_WAIT_S, min(LONGEST_WAIT_S, ends_at - monotonic()))


def _sender_refused(code: int, answer: bytes) -> None:
    if code == _TOO_LARGE:
        _refused(code, answer, "the message as too large")
    if 500 <= code < 600 and code not in _LOGIN:
        raise DeliveryFailed(f"the sender was refused ({code}); see the setting mail_from")
    _refused(code, answer, "the sender")


def _refused(code: int, answer: bytes | str, what: str) -> None:
    """Raise what a refusal means; ``answer`` is the server's words, which may begin with an enhanced status."""
    words = answer if isinstance(answer, bytes) else answer.encode()
    policy = _POLICY.match(words)
    if code in _LOGIN:
        raise DeliveryFailed(f"it wants a login for {what}, or another one ({code}); see the setting smtp_url")
    if 500 <= code < 600 and policy:
        raise DeliveryFailed(f"{what} was refused by policy ({code} {policy[0].decode('ascii')})")
    if 500 <= code < 600:
        raise PermanentError(f"the mail server refused {what} for good ({code})")
    raise DeliveryFailed(f"{what} was refused for now ({code})")


def _connection(url: str, server: Server, site: Site, ends_at: float, uplink: Uplink) -> _Connection:
    connection: _Connection | None = getattr(_kept, "connection", None)
    if connection is not None:
        connection.uplink = uplink
        if _kept.url == url and _lives(connection, ends_at):
            return connection
        _drop(connection)
    connection = _open(server, mail_domain(site.mail_from), ends_at, uplink)
    _kept.connection, _kept.url = connection, url
    return connection


def _lives(connection: _Connection, ends_at: float) -> bool:
    try:
        if connection.sock is None:
            return False
        _allow(connection, ends_at)
        return connection.noop()[0] == 250 and connection.rset()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _open(server: Server, local_name: str, ends_at: float, uplink: Uplink) -> _Connection:
    connection: _Connection
    if server.tls:
        context = ssl.create_default_context()
        connection = _Tls(local_hostname=local_name, timeout=_wait_s(ends_at), context=context)
    else:
        connection = _Plain(local_hostname=local_name, timeout=_wait_s(ends_at))
    connection.uplink, connection.ends_at = uplink, ends_at
    try:
        _greet(connection, server, ends_at)
    except BaseException:
        connection.close()
        raise
    return connection


def _greet(connection: _Connection, server: Server, ends_at: float) -> None:
    connection._host = server.host  # type: ignore[union-attr]  # noqa: SLF001 - the name TLS checks; connect() leaves it
    code, _ = connection.connect(server.host, server.port)
    if code != 220:
        raise DeliveryFailed(f"it does not take mail now ({code})")
    _allow(connection, ends_at)
    connection.ehlo_or_helo_if_needed()
    if not server.tls and not server.is_local:
        if connection.has_extn("starttls"):
            _allow(connection, ends_at)
            connection.starttls(context=ssl.create_default_context())
            connection.ehlo_or_helo_if_needed()
        elif server.user is not None:
            raise DeliveryFailed("it offers no TLS, without which the password is not sent; use smtps://")
    if server.user is not None:
        _allow(connection, ends_at)
        connection.login(server.user, server.password or "")


def _drop(connection: smtplib.SMTP) -> None:
    _kept.connection = None
    connection.close()


@contextlib.contextmanager
def _told(server: Server) -> Iterator[None]:
    """Turn what the talk may raise into one line that names the server and no secret."""
    place = f"{server.host}:{server.port}"
    try:
        yield
    except DeliveryFailed as error:
        raise DeliveryFailed(f"the mail server {place}: {error}") from None
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryFailed(f"the mail server {place} refused the login ({error.smtp_code})") from None
    except smtplib.SMTPDataError as error:
        _refused(error.smtp_code, error.smtp_error, f"the message to {place}")
    except smtplib.SMTPResponseException as error:
        raise DeliveryFailed(f"the mail server {place} answered {error.smtp_code}") from None
    except ssl.SSLError as error:
        raise DeliveryFailed(f"the mail server {place}: TLS failed ({error.reason or 'certificate'})") from None
    except (TimeoutError, socket.gaierror, smtplib.SMTPException, OSError) as error:
        is_late = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
        reason = "no answer in time" if is_late else getattr(error, "strerror", None) or type(error).__name__
        raise DeliveryFailed(f"the mail server {place} cannot be used: {reason}") from None
