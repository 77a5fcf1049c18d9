"""One-click unsubscribing (RFC 8058): a token that names a recipient by digest only, and the headers that carry it."""

import base64
import hmac
from urllib.parse import quote

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers import links
from wedsync_ops.handlers.contract import Site, recipient_digest

_BYTES = 16  # of the digest, and of its signature
_PURPOSE = "unsubscribe"
_MARK = "u"  # a token never begins with a hyphen, which a command line would take for an option
_IN_ADDRESSES = ":/?#[]@!$&'()*+,;=%~"


def token_for(site: Site, digest: str) -> str:
    """The token with which the recipient of that digest unsubscribes: the digest and 128 bits of HMAC-SHA256 over it.

    It never expires: whoever was written to may unsubscribe for good. Raises PermanentError without a secret.
    """
    signed = bytes.fromhex(digest) + links.digest(site, _PURPOSE, digest)
    return _MARK + base64.urlsafe_b64encode(signed).rstrip(b"=").decode("ascii")


def digest_in(site: Site, token: str) -> str:
    """The recipient's digest in a token, or in a link that ends with one. Raises InvalidInput."""
    if not site.link_secret:
        raise InvalidInput("the platform has no secret to know its links by", hint="see the setting link_secret")
    text = token.strip().rstrip("/").rpartition("/")[2]
    try:
        if not text.startswith(_MARK):
            raise ValueError("another kind of text")
        encoded = text.removeprefix(_MARK)
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        digest, signature = raw[:_BYTES], raw[_BYTES:]
        if len(raw) == 2 * _BYTES and hmac.compare_digest(signature, links.digest(site, _PURPOSE, digest.hex())):
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
    link = quote(links.public(site, f"/u/{token}"), safe=_IN_ADDRESSES)
    return {
        "List-Unsubscribe": f"<{link}>,\r\n <mailto:{quote(sender, safe='@')}?subject=unsubscribe%20{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
