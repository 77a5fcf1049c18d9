"""Posting over HTTP, once, within a time: certificates are verified, no redirect is followed, no proxy is used.

Errors name the kind of failure and the status; never the address, which may hold a secret.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import NamedTuple

from wedsync_ops.alerts.notify_model import TAKEN, Outcome

_MOST_ANSWER = 64 * 1024
_SECONDS = re.compile(r"[0-9]{1,6}")
_NOT_THE_MESSAGE = frozenset({401, 403, 404, 407, 408, 409, 410, 421, 423, 425, 429})
"""Refusals of 4xx that the same message need not meet again: settings are mended, limits pass."""


class Post(NamedTuple):
    """What is posted where, within how many seconds."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout_s: float


def post(what: Post) -> Outcome:
    """Post once; the timeout is that of the whole exchange, however slowly its parts arrive."""
    import httpx2

    try:
        return asyncio.run(_exchange(what))
    except TimeoutError:
        return Outcome(f"no answer within {what.timeout_s:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
        return Outcome(f"it cannot be reached: {type(error).__name__}")


async def _exchange(what: Post) -> Outcome:
    import httpx2

    timeout = httpx2.Timeout(what.timeout_s)
    async with (
        asyncio.timeout(what.timeout_s),
        httpx2.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", what.url, content=what.body, headers=dict(what.headers)) as response,
    ):
        length = 0
        async for part in response.aiter_raw():
            length += len(part)
            if length > _MOST_ANSWER:
                break
        return _outcome(response.status_code, response.headers.get("Retry-After"))


def _outcome(status: int, retry_after: str | None) -> Outcome:
    if 200 <= status < 300:
        return TAKEN
    is_final = 400 <= status < 500 and status not in _NOT_THE_MESSAGE
    text = (retry_after or "").strip()
    return Outcome(f"it answered {status}", is_final, float(text) if _SECONDS.fullmatch(text) else None)
