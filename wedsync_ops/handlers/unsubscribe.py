"""One-click unsubscribing (RFC 8058): a token that names a recipient by digest only, and the headers that carry it."""

import base64
import hashlib
import hmac
from urllib.parse import quote

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.contract import Site, recipient_digest

_DIGEST_BYTES = _SIGNATURE_BYTES = 16


def token_for(site: Site, digest: str) -> str:
    """The token with which the recipient of that digest unsubscribes: the digest and 128 bits of HMAC-SHA256 over it.

    It never expires: whoever was written to may unsubscribe for good. Raises ValueError when there is no secret.
    """
    raw = bytes.fromhex(digest)
    return base64.urlsafe_b64encode(raw + _signature(site, raw)).rstrip(b"=").decode("ascii")


def digest_in(site: Site, token: str) -> str:
    """The recipient's digest in a token, or in a link that ends with one. Raises InvalidInput."""
    text = token.strip().rstrip("/").rpartition("/")[2]
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        digest, signature = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        if len(raw) == _DIGEST_BYTES + _SIGNATURE_BYTES and hmac.compare_digest(signature, _signature(site, digest)):
            return digest.hex()
        raise ValueError("another signature")
    except ValueError as error:
        raise InvalidInput(
            "the unsubscribe token is not one that was made here", hint="take it from a mail's List-Unsubscribe header"
        ) from error


def headers(site: Site, to: str, sender: str) -> dict[str, str]:
    """The headers by which mail programs offer to unsubscribe ``to`` (an address), by link or by mail to ``sender``.

    There are none while there is no secret to sign with.
    """
    if not site.link_secret:
        return {}
    token = token_for(site, recipient_digest(f"mailto:{to}"))
    link = f"{site.public_url.rstrip('/')}/u/{token}"
    return {
        "List-Unsubscribe": f"<{link}>,\r\n <mailto:{quote(sender, safe='@')}?subject=unsubscribe%20{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def _signature(site: Site, digest: bytes) -> bytes:
    if not site.link_secret:
        raise ValueError("there is no secret to sign with")
    return hmac.new(site.link_secret.encode(), b"unsubscribe\x00" + digest, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
