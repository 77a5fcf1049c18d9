"""An event: that a job has finished. Its document, its place in the journey, its signature. Pure."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

from wedsync_ops.instants import SECOND, iso
from wedsync_ops.jobs.model import State

LONGEST_WAIT_US = 15 * 60 * SECOND
"""No wait for a receiver that fails is longer than this, in microseconds."""
_FIRST_WAIT_US = SECOND
_MAX_DOUBLINGS = 20
_PREFIX = "whsec_"
GONE = 410


class Event(NamedTuple):
    """A job's finish as it is read from the feed; ``at`` in microseconds.

    ``attempt`` and ``error`` are of that finish, whatever has become of the job since. What retention has removed of
    the job is ``None``.
    """

    id: int
    job_id: int
    state: State
    at: int
    module_type: str | None
    client_id: str | None
    supplier_id: str | None
    key: str | None
    attempt: int | None
    error: str | None
    context: Mapping[str, Any] | None
    result_data: Mapping[str, Any] | None


def document(event: Event) -> dict[str, Any]:
    """The event as ``events`` prints it and a webhook posts it."""
    context = event.context or {}
    return {
        "id": event.id,
        "job_id": event.job_id,
        "module_type": event.module_type,
        "state": event.state.value,
        "at": iso(event.at),
        "client_id": event.client_id,
        "supplier_id": event.supplier_id,
        "journey_instance_id": context.get("journey_instance_id"),
        "key": event.key,
        "attempt": event.attempt,
        "result_data": event.result_data,
        "error": event.error,
        "next_step": next_step(event.result_data, context),
    }


def next_step(result_data: Mapping[str, Any] | None, context: Mapping[str, Any]) -> Any:
    """The step that the journey takes next: what the handler answered, else what ``step_data`` said beforehand."""
    answered = (result_data or {}).get("next_step")
    if answered is not None:
        return answered
    step = context.get("step_data")
    return step.get("next_step") if isinstance(step, Mapping) else None


def without_next_step(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context as a further job gets it: the step that follows is its parent's to tell, and is told once."""
    step = context.get("step_data")
    if not isinstance(step, Mapping) or "next_step" not in step:
        return dict(context)
    return {**context, "step_data": {name: value for name, value in step.items() if name != "next_step"}}


def message_id(event: Event) -> str:
    """What a receiver tells repeated deliveries of one event by; the same at every attempt."""
    return f"evt_{event.id}_{event.at}"


def headers(secret: bytes, identity: str, now: int, body: bytes) -> dict[str, str]:
    """The headers of a signed delivery.

    Source: Standard Webhooks, version 1 of the symmetric signature: HMAC-SHA256 over ``id.timestamp.body``, in base64.
    """
    stamp = str(now // SECOND)
    digest = hmac.digest(secret, b".".join((identity.encode(), stamp.encode(), body)), hashlib.sha256)
    return {
        "Content-Type": "application/json",
        "Webhook-Id": identity,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: of ``whsec_…`` what follows, decoded from base64; of any other text its UTF-8."""
    return base64.b64decode(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else secret.encode()


def wait_us(failures: int, status: int | None, rand: float) -> int:
    """How long a receiver that failed so many times in a row is left alone, in microseconds.

    Doubling from 1 second up to 15 minutes, of which ``rand`` in [0, 1) takes away up to half, so that receivers that
    come back are not met by everybody at once. One that says 410 Gone is left alone for the longest at once.
    """
    doublings = _MAX_DOUBLINGS if status == GONE else min(max(failures, 1) - 1, _MAX_DOUBLINGS)
    return round(min(_FIRST_WAIT_US * 2.0**doublings, LONGEST_WAIT_US) * (1 - rand / 2))
