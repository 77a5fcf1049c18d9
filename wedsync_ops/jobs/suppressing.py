"""What callers do with the list of recipients that must not be written to: note them, one or many, and free them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, NotFound
from wedsync_ops.handlers.addresses import address_fault, ascii_address
from wedsync_ops.handlers.contract import Site, recipient_digest
from wedsync_ops.handlers.unsubscribe import digest_in
from wedsync_ops.jobs.store import suppressions
from wedsync_ops.jobs.store.suppressions import REASONS, Suppression

_DIGEST = re.compile(r"[0-9a-f]{32}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164
_SPACING = re.compile(r"[\s().-]")
_LONGEST_NOTE = 500


class Entry(NamedTuple):
    """A recipient to suppress: the digest of the address, why, and a note."""

    digest: str
    reason: str
    note: str | None


def digest_of(address: str) -> str:
    """The digest of an e-mail address or a phone number with ``+``; ``mailto:`` or ``tel:`` may stand before it.

    Raises InvalidInput, which does not repeat what was given.
    """
    text = address.strip()
    scheme, colon, rest = text.partition(":")
    kind = scheme.lower() if colon and scheme.lower() in {"mailto", "tel"} else ""
    text = rest.strip() if kind else text
    if kind == "tel" or (not kind and text.startswith("+")):
        number = _SPACING.sub("", text)
        if not _PHONE.fullmatch(number):
            raise InvalidInput("that is not a phone number", hint="write it as +441632960001")
        return recipient_digest(f"tel:{number}")
    if address_fault(text) is not None:
        raise InvalidInput("that is neither an e-mail address nor a phone number such as +441632960001")
    return recipient_digest(f"mailto:{ascii_address(text)}")


def entry_from(values: Mapping[str, Any]) -> Entry:
    """An entry from ``address``, ``reason`` and perhaps ``note``. Raises InvalidInput that names what is wrong."""
    unknown = [name for name in values if name not in ("address", "reason", "note")]
    if unknown:
        raise InvalidInput(f"there is no key {str(unknown[0])[:60]!r}", hint="the keys are address, reason, note")
    address, reason, note = values.get("address"), values.get("reason"), values.get("note")
    if not isinstance(address, str) or not address.strip():
        raise InvalidInput("address is missing")
    if not isinstance(reason, str) or reason not in REASONS:
        raise InvalidInput(f"reason must be one of {', '.join(REASONS)}")
    if not isinstance(note, str | None):
        raise InvalidInput("note must be a string")
    return Entry(digest_of(address), reason, clean_note(note))


def clean_note(note: str | None) -> str | None:
    """A note as it is kept: one line of at most 500 characters, ``None`` when it is blank."""
    line = " ".join((note or "").split())
    return line.replace("\x00", "").encode("utf-8", "replace").decode()[:_LONGEST_NOTE] or None


def suppress(database: Database, clock: Clock, entries: Sequence[Entry]) -> set[str]:
    """Suppress recipients; returns the digests that were not suppressed before. Jobs claimed from now on know it."""
    with database.transaction() as connection:
        return suppressions.add_many(connection, entries, clock.now())


def free(database: Database, recipient: str) -> str:
    """Let a recipient, given by address or digest, be written to again; returns the digest. Raises NotFound."""
    digest = recipient if _DIGEST.fullmatch(recipient) else digest_of(recipient)
    with database.transaction() as connection:
        if not suppressions.remove(connection, digest):
            raise NotFound("that recipient is not suppressed", hint="see 'wedsync-ops suppressions list'")
    return digest


def listed(database: Database, limit: int = 0) -> list[Suppression]:
    """The suppressed recipients, the latest first, at most ``limit`` (0 = all)."""
    with database.reading() as connection:
        return suppressions.list_all(connection, limit)


def unsubscribe(database: Database, clock: Clock, site: Site, token: str) -> tuple[str, bool]:
    """Suppress whoever an unsubscribe token (or its link) names; the digest, and whether it changed anything.

    Raises InvalidInput when the token was not made here.
    """
    digest = digest_in(site, token)
    return digest, bool(suppress(database, clock, [Entry(digest, "unsubscribed", None)]))
