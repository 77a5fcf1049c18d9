"""Sending text messages through an HTTP gateway: the contract of docs/reference/sms-gateway.md, from our side.

One connection per thread is kept between jobs (a slot's process has one thread). Redirects are not followed, and
proxies of the environment not used. Errors name the gateway and its answer's code: no token, no number, no text.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from wedsync_ops import codec
from wedsync_ops.errors import InvalidJson
from wedsync_ops.handlers.contract import PermanentError, RetryAfter, Site
from wedsync_ops.handlers.uplink import Uplink
from wedsync_ops.instants import SECOND, from_datetime

if TYPE_CHECKING:
    import httpx2

LONGEST_WAIT_S = 10.0
"""The most seconds that the whole exchange is waited for, however slowly its parts arrive."""
LONGEST_RETRY_S = 86_400.0
"""The most seconds that a Retry-After is obeyed for."""
MAX_ANSWER = 64 * 1024
"""The most of an answer that is read, in bytes."""
_SHORTEST_WAIT_S = 0.05
_SHARE = 0.9  # of the time left: the rest is for telling what went wrong
_NOT_THE_MESSAGE = frozenset({401, 402, 403, 404, 405, 407, 408, 409, 425})
_MESSAGE_ID = re.compile(r"[!-~]{1,200}")
_CODE = re.compile(r"[a-z][a-z_]{0,39}")  # no digits: what a gateway writes here must not hold a number
_SECONDS = re.compile(r"[0-9]+")
_TOKEN = re.compile(r"[!-~]+")
_kept = threading.local()


class GatewayFailed(Exception):
    """The gateway could not be reached, or did not take the message for now; the job is tried again."""


class GatewayRefused(PermanentError):
    """The gateway refused the message for good. ``code`` is the gateway's own word for why, when it gave one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


@lru_cache(maxsize=8)
def host_of(url: str) -> str:
    """``host:port`` of a gateway, for receipts and errors. Raises GatewayFailed, without the URL, when it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise GatewayFailed("the setting sms_url is not a URL") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise GatewayFailed("the setting sms_url must be https://host or http://host")
    return f"{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"


def send(
    document: bytes, idempotency_key: str, *, site: Site, now: int, timeout_s: float, uplink: Uplink
) -> str | None:
    """Hand a message to the gateway at ``site.sms_url``; answers the provider's message id, if it gave one.

    ``now`` (an instant) is what a Retry-After that is a date is counted from. Raises RetryAfter, GatewayRefused (for
    good), GatewayFailed for the rest: no connection, no answer in time, one that is cut off, 5xx, a refusal that has
    nothing to do with the message (401, 404 and the like: the setting may be mended), a redirect. RetryAfter also when
    the attempt's bandwidth leaves no time for the message.
    """
    url, token = site.sms_url or "", site.sms_token
    place = host_of(url)
    if token is not None and not _TOKEN.fullmatch(token):
        raise GatewayFailed("the setting sms_token holds what a header cannot: white space, or more than ASCII")
    wait_s = max(_SHORTEST_WAIT_S, min(LONGEST_WAIT_S, timeout_s * _SHARE))
    uplink.begin(len(document), monotonic() + wait_s)
    with _told(place):
        status, retry_after, answer = _exchange(_Letter(url, token, document, idempotency_key), wait_s, uplink)
    if 200 <= status < 300:
        return _text_in(answer, "message_id", _MESSAGE_ID)
    raise _failure(place, status, _seconds(retry_after, now), _text_in(answer, "code", _CODE))


def close() -> None:
    """Close the connection that this thread kept, if any."""
    kept: _Line | None = getattr(_kept, "line", None)
    _kept.line = None
    if kept is not None:
        kept.close()


class _Line:
    """A connection that is kept open, and the loop that it lives in."""

    def __init__(self) -> None:
        import httpx2

        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0)
        self.client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, limits=limits)
        self.runner = asyncio.Runner()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.runner.run(self.client.aclose())
        self.runner.close()


class _Letter(NamedTuple):
    """What is sent: where to, as whom, what, and under which key."""

    url: str
    token: str | None
    document: bytes
    idempotency_key: str


def _exchange(letter: _Letter, wait_s: float, uplink: Uplink) -> tuple[int, str | None, bytes]:
    """The answer's status, its Retry-After and the beginning of its body."""
    line: _Line | None = getattr(_kept, "line", None)
    try:
        if line is None:
            line = _kept.line = _Line()
        return line.runner.run(_talk(line.client, letter, wait_s, uplink))
    except BaseException:
        close()
        raise


async def _talk(
    client: "httpx2.AsyncClient", letter: _Letter, wait_s: float, uplink: Uplink
) -> tuple[int, str | None, bytes]:
    import httpx2

    url, token, document, idempotency_key = letter
    headers = {
        "Content-Length": str(len(document)),
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Idempotency-Key": idempotency_key,
    }

    def bearer(request: httpx2.Request) -> httpx2.Request:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    ends_at = asyncio.get_running_loop().time() + wait_s
    content = uplink.pieces_later(document)
    request = client.build_request("POST", url, content=content, headers=headers, timeout=httpx2.Timeout(wait_s))
    async with asyncio.timeout_at(ends_at):
        # A user and password in the URL hold where no token is set.
        response = await (
            client.send(request, stream=True, auth=bearer) if token else client.send(request, stream=True)
        )
    try:
        async with asyncio.timeout_at(ends_at):
            body = await _beginning(response)
    except (TimeoutError, httpx2.TimeoutException):
        body = b""  # the status has told what became of the message
    finally:
        await response.aclose()
    return response.status_code, response.headers.get("Retry-After"), body


async def _beginning(response: "httpx2.Response") -> bytes:
    body = b""
    async for piece in response.aiter_raw(MAX_ANSWER):
        body += piece
        if len(body) > MAX_ANSWER:
            return b""
    return body


def _failure(place: str, status: int, seconds: float | None, code: str | None) -> Exception:
    why = f"{status}, {code}" if code else str(status)
    if status in {429, 503} and seconds is not None:
        return RetryAfter(seconds, f"the gateway {place} asks to come back in {seconds:g} s ({why})")
    if 300 <= status < 400:
        return GatewayFailed(f"the gateway {place} answered with a redirect ({status}), which is not followed")
    if 400 <= status < 500 and status != 429 and status not in _NOT_THE_MESSAGE:
        return GatewayRefused(f"the gateway {place} refused the message for good ({why})", code)
    return GatewayFailed(f"the gateway {place} did not take the message ({why})")


def _seconds(retry_after: str | None, now: int) -> float | None:
    """A Retry-After header (RFC 9110, section 10.2.3: seconds or a date) as seconds from now, at most a day."""
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_RETRY_S)
    try:
        at = parsedate_to_datetime(text)
        seconds = (from_datetime(at) - now) / SECOND
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_S)


def _text_in(answer: bytes, name: str, form: re.Pattern[str]) -> str | None:
    """A field of the answer, when that is a JSON object and the field a text of this form."""
    try:
        value: Any = codec.load_object(answer, "the answer").get(name)
    except InvalidJson:
        return None
    return value if isinstance(value, str) and form.fullmatch(value) else None


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """Turn what the talk may raise into one line that names the gateway and no secret."""
    import httpx2

    try:
        yield
    except (TimeoutError, httpx2.TimeoutException):
        raise GatewayFailed(f"the gateway {place} did not answer in time") from None
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, OSError) as error:
        raise GatewayFailed(f"the gateway {place} cannot be used: {type(error).__name__}") from None
