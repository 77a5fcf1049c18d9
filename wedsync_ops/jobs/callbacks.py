"""Callbacks of the text message gateway, taken in: verified, then numbers that must rest are suppressed."""

from collections.abc import Mapping, Sequence
from typing import Any

from wedsync_ops.clock import Clock
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, WedsyncError
from wedsync_ops.handlers.callbacks import TOLERANCE_S, Suppress, consequence, verify_callback
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.store import suppressions

_REQUIRED = ("timestamp", "signature", "body")
_KEYS = (*_REQUIRED, "received_at")
_LATEST_S = 10**12


def judge(raw: Mapping[str, Any], secret: str, now: int) -> Suppress | None:
    """What follows from one raw callback, if anything. Raises InvalidInput when it is not genuine or no callback.

    It is measured against ``received_at`` (seconds since the epoch), the moment at which whoever took it wrote it down,
    else against ``now`` (an instant).
    """
    for name in raw:
        if name not in _KEYS:
            raise InvalidInput(f"there is no key {name[:60]!r}", hint=f"the keys are {', '.join(_KEYS)}")
    timestamp, signature, body = raw.get("timestamp"), raw.get("signature"), raw.get("body")
    if isinstance(timestamp, int) and not isinstance(timestamp, bool):
        timestamp = str(timestamp)
    if not (isinstance(timestamp, str) and isinstance(signature, str) and isinstance(body, str)):
        raise InvalidInput(f"{', '.join(_REQUIRED)} must be texts")
    if not verify_callback(secret, timestamp, body, signature, _arrival(raw.get("received_at"), now)):
        raise InvalidInput(
            "the signature does not verify", hint=f"it must be fresh ({TOLERANCE_S} s) and made with our secret"
        )
    return consequence(body)


def take(
    database: Database, clock: Clock, found: Sequence[Suppress | None], *, dry_run: bool = False
) -> dict[str, int]:
    """Suppress whom the callbacks name, in one transaction; on a dry run only count.

    Returns how many numbers are newly ``suppressed``, were ``known`` before, and how many callbacks were ``ignored``.
    """
    named = [item for item in found if item is not None]
    new = 0
    try:
        with database.transaction() as connection:
            now = clock.now()
            new = sum(suppressions.add(connection, item.digest, item.reason, item.note, now) for item in named)
            if dry_run:
                raise _RolledBack
    except _RolledBack:
        pass
    return {"suppressed": new, "known": len(named) - new, "ignored": len(found) - len(named)}


class _RolledBack(WedsyncError):
    """A dry run is undone."""


def _arrival(received_at: object, now: int) -> int:
    if received_at is None:
        return now
    if isinstance(received_at, bool) or not isinstance(received_at, int) or not 0 <= received_at < _LATEST_S:
        raise InvalidInput("received_at must be whole seconds since the epoch")
    return received_at * SECOND
