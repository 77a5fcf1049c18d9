"""Callbacks of the text message gateway, taken in: verified, then numbers that must rest are suppressed, and what
WhatsApp has not delivered is sent by SMS where that is wanted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from wedsync_ops.errors import InvalidInput, WedsyncError
from wedsync_ops.handlers import sms
from wedsync_ops.handlers.callbacks import TOLERANCE_S, Suppress, Undelivered, consequence, verify_callback
from wedsync_ops.handlers.contract import Text
from wedsync_ops.handlers.delivery import reference_for
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import intake, wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.events import without_next_step
from wedsync_ops.jobs.model import Queued, Request, own_key
from wedsync_ops.jobs.prepare import Prepared, prepare
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import suppressions, view

_REQUIRED = ("timestamp", "signature", "body")
_KEYS = (*_REQUIRED, "received_at")
_LATEST_S = 10**12


def judge(raw: Mapping[str, Any], secret: str, now: int) -> Suppress | Undelivered | None:
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


def take(queue: Queue, found: Sequence[Suppress | Undelivered | None], *, dry_run: bool = False) -> dict[str, int]:
    """Suppress whom the callbacks name, and queue the SMS instead of WhatsApp, in one transaction; on a dry run only
    count.

    Returns how many numbers are newly ``suppressed``, how many ``fallbacks`` were queued, how many of both were
    ``known`` before, and how many callbacks were ``ignored``.
    """
    named = [item for item in found if isinstance(item, Suppress)]
    missed = [item for item in found if isinstance(item, Undelivered)]
    counts = {"suppressed": 0, "fallbacks": 0, "known": 0, "ignored": 0}
    try:
        with queue.database.transaction() as connection:
            now = queue.clock.now()
            new = sum(suppressions.add(connection, item.digest, item.reason, item.note, now) for item in named)
            queued = _queue_instead(connection, queue.rules, missed, now)
            fresh = sum(not answer.duplicate for answer in queued)
            ignored = len(found) - len(named) - len(queued)
            known = len(found) - ignored - new - fresh
            counts = {"suppressed": new, "fallbacks": fresh, "known": known, "ignored": ignored}
            if dry_run:
                raise _RolledBack
    except _RolledBack:
        return counts
    if fresh:
        queue.ring()
    return counts


def _queue_instead(connection: Connection, rules: Rules, missed: Sequence[Undelivered], now: int) -> list[Queued]:
    """Queue an SMS for each message whose job wants one, once for each; those that were queued are answered."""
    wanted = [prepared for item in missed if (prepared := _instead(connection, rules, item)) is not None]
    if not wanted:
        return []
    wakeup.notify(connection)
    answers = intake.place(connection, rules, wanted, now=now, bounded=False)
    return [answer for answer in answers if isinstance(answer, Queued)]


def _instead(connection: Connection, rules: Rules, missed: Undelivered) -> Prepared | None:
    """The SMS that a message's job asked for, as far as the job is still kept; ``None`` when it cannot be sent."""
    job = view.show_job(connection, missed.job_id)
    if job is None or not isinstance(job.config, dict) or not isinstance(job.context, dict):
        return None
    config = sms.instead_of_whatsapp(job.config)
    text = Text("whatsapp", "", "", job_id=missed.job_id)
    if config is None or reference_for(job.key or own_key(missed.job_id), text) != missed.reference:
        return None
    if isinstance(job.result_data, dict) and job.result_data.get("channel_used") != "whatsapp":
        return None  # it went by SMS already, or nothing was sent
    context, priority = without_next_step(job.context), job.job.priority_requested.word
    request = Request(job.job.module_type, config, context, priority=priority, key=f"{missed.reference}:sms")
    try:
        return prepare(rules, request)
    except WedsyncError:  # no consent to SMS, or too long for one
        return None


class _RolledBack(WedsyncError):
    """A dry run is undone."""


def _arrival(received_at: object, now: int) -> int:
    if received_at is None:
        return now
    if isinstance(received_at, bool) or not isinstance(received_at, int) or not 0 <= received_at < _LATEST_S:
        raise InvalidInput("received_at must be whole seconds since the epoch")
    return received_at * SECOND
