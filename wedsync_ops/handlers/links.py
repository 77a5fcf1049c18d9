"""Links that only this platform can have made: signed, expiring, each good for one path only. Pure.

A link is ``public_url`` + path + ``?`` + parameters + ``expires`` (seconds since the epoch) + ``sig``: the first 128
bits of an HMAC-SHA256 (RFC 2104) under ``link_secret`` over path, parameters and expiry, as base64url (RFC 4648). The
path says what a link is for, so one for a meeting opens no form; ``public_url`` is not signed, so that it may change.
Whoever serves the links verifies them with ``verify``.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from wedsync_ops.handlers.contract import PermanentError, Site
from wedsync_ops.instants import SECOND, iso

_BYTES = 16
_EXPIRES, _SIGNATURE = "expires", "sig"
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_SECONDS = re.compile(r"[0-9]{1,12}")
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]_a-z~]*)?", re.IGNORECASE | re.ASCII)
_LONGEST = 2000


class LinkRefused(ValueError):
    """The link was not made here, was changed, or has expired."""


def signed(site: Site, path: str, params: Mapping[str, str], expires_at: int) -> str:
    """The link to ``path`` (such as ``/meetings/abc``) with these parameters, good until the instant ``expires_at``.

    Raises PermanentError when the platform has no secret to sign with, ValueError for a path that needs escaping and
    for parameters named like the link's own.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(f"{path[:80]!r} is no path for a link")
    if params.keys() & {_EXPIRES, _SIGNATURE}:
        raise ValueError(f"{_EXPIRES} and {_SIGNATURE} are the link's own parameters")
    expires = expires_at // SECOND
    query = {**params, _EXPIRES: str(expires), _SIGNATURE: _signature(site, path, params, expires)}
    return f"{public(site, path)}?{urlencode(query, quote_via=quote)}"


def verify(site: Site, link: str | tuple[str, Mapping[str, str]], now: int) -> dict[str, str]:
    """The parameters of a link that is good at the instant ``now``: its URL, or its path and its parameters.

    Raises LinkRefused for every other link; it is told apart in constant time where secrets matter.
    """
    path, given = _parts(site, link) if isinstance(link, str) else (link[0], dict(link[1]))
    signature, expires = given.pop(_SIGNATURE, ""), given.pop(_EXPIRES, "")
    if not _SECONDS.fullmatch(expires):
        raise LinkRefused("the link has no expiry")
    expected = _signature(site, path, given, int(expires))
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        raise LinkRefused("the link was not made here, or was changed")
    if int(expires) * SECOND <= now:
        raise LinkRefused(f"the link expired at {iso(int(expires) * SECOND)}")
    return given


def public(site: Site, path: str) -> str:
    """A path below the platform's public URL."""
    return site.public_url.rstrip("/") + path


def digest(site: Site, *purpose: str) -> bytes:
    """16 bytes that follow from these texts and the platform's secret, and cannot be guessed without it.

    Raises PermanentError when the platform has no secret.
    """
    if not site.link_secret:
        raise PermanentError("the platform has no secret to sign links with; give the setting link_secret")
    texts = [text.encode("utf-8", "surrogatepass") for text in purpose]
    told = b"".join(b"%d:%b," % (len(text), text) for text in texts)  # netstrings: no two lists read the same
    return hmac.digest(site.link_secret.encode("utf-8", "surrogateescape"), told, hashlib.sha256)[:_BYTES]


def web_address_fault(value: object) -> str | None:
    """What is wrong with an address that people are sent to, ``None`` when it is a plain http or https one."""
    if not isinstance(value, str):
        return "must be text, an http or https address"
    if len(value) > _LONGEST:
        return f"is longer than {_LONGEST:,} characters"
    return None if _WEB.fullmatch(value) else "must be an http or https address, without spaces and without a password"


def _signature(site: Site, path: str, params: Mapping[str, str], expires: int) -> str:
    pairs = [text for name in sorted(params) for text in (name, params[name])]
    raw = digest(site, "link", path, str(expires), *pairs)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _parts(site: Site, url: str) -> tuple[str, dict[str, str]]:
    try:
        found = urlsplit(url)
        pairs = parse_qsl(found.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise LinkRefused("the link cannot be read") from error
    params = dict(pairs)
    if len(params) < len(pairs):
        raise LinkRefused("the link gives a parameter twice")
    return found.path.removeprefix(urlsplit(site.public_url).path.rstrip("/")), params
