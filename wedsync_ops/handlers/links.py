"""Signed links: whoever holds one may open what it names, until it expires; nobody can make one or change one.

The signature is HMAC-SHA256 (RFC 2104) under ``site.link_secret``, cut to its first 128 bits, over the link's path and
its query, the expiry among it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import SECOND

_EXPIRES, _SIGNATURE = "expires", "signature"
_BITS = 128


def signed(site: Site, path: str, params: Mapping[str, str], expires_at: int) -> str:
    """A link below ``public_url`` to ``path`` (which begins with a slash), valid until the instant ``expires_at``.

    It is valid to the second. Raises ValueError when there is no secret to sign with, or a name of ``params`` is taken.
    """
    if params.keys() & {_EXPIRES, _SIGNATURE}:
        raise ValueError(f"the names {_EXPIRES} and {_SIGNATURE} are taken in a signed link")
    query = urlencode([*sorted(params.items()), (_EXPIRES, str(expires_at // SECOND))], errors="replace")
    return f"{site.public_url.rstrip('/')}{path}?{query}&{_SIGNATURE}={_signature(site, path, query)}"


def verify(site: Site, link: str, now: int) -> dict[str, str]:
    """The parameters of a link that ``signed`` made and that has not expired at the instant ``now``.

    ``link`` is the whole address, or its path (below that of ``public_url``) and query. Raises InvalidInput.
    """
    try:
        parts = urlsplit(link)
        base = urlsplit(site.public_url.rstrip("/")).path if parts.netloc else ""
        query, _, signature = parts.query.rpartition(f"&{_SIGNATURE}=")
        expected = _signature(site, parts.path.removeprefix(base), query)
        if not hmac.compare_digest(signature.encode(), expected.encode()):
            raise ValueError("another signature")
        params = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
        expires = int(params.pop(_EXPIRES))
    except (ValueError, KeyError) as error:
        raise InvalidInput("the link is not one that was signed here") from error
    if expires * SECOND <= now:
        raise InvalidInput("the link has expired")
    return params


def _signature(site: Site, path: str, query: str) -> str:
    if not site.link_secret:
        raise ValueError("there is no secret to sign links with: set link_secret, or make the database writable")
    message = f"{path}?{query}".encode()
    return hmac.new(site.link_secret.encode(), message, hashlib.sha256).hexdigest()[: _BITS // 4]
