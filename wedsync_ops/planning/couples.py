"""From a couple as it is imported to the requests of its steps. Pure."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.instants import iso
from wedsync_ops.jobs.model import Request
from wedsync_ops.planning.definitions import Journey, Step, length_us
from wedsync_ops.planning.journeys import context_of, key_of
from wedsync_ops.planning.model import Couple
from wedsync_ops.weddings.model import Client


def couple_of(client: Client, default_zone: ZoneInfo) -> Couple:
    """A couple as journeys see it; ``default_zone`` is the platform's."""
    zone = client.zone(default_zone)
    client_data = {"couple_name": client.couple_name, "email": client.email}
    if client.phone is not None:
        client_data["phone"] = client.phone
    context: Mapping[str, Any] = {
        "client_id": client.client_id,
        "supplier_id": client.supplier_id,
        "client_data": client_data,
        "supplier_data": {"vendor_type": client.vendor_type},
        "wedding_date": client.wedding_on.isoformat(),
        "timezone": zone.key,
        "location": client.location or None,
        "vendor_type": client.vendor_type,
    }
    return Couple(
        client_id=client.client_id,
        supplier_id=client.supplier_id,
        vendor_type=client.vendor_type,
        wedding_on=client.wedding_on,
        booked_on=client.booked_on,
        zone=zone,
        context={name: value for name, value in context.items() if value is not None},
    )


def request_of(journey: Journey, step: Step, couple: Couple, at: str | None) -> Request:
    """The request for the job of a step that is to happen at ``at`` (ISO text), at once without it."""
    return Request(
        step.module,
        step.config,
        context_of(couple, journey, step),
        step.priority,
        at=at,
        key=key_of(journey.id, step.id, couple.client_id),
    )


def limits_of(step: Step, at: int) -> tuple[int | None, int | None]:
    """The deadline and the expiry of a step that is to happen at an instant, in microseconds."""
    deadline = None if step.deadline is None else at + length_us(step.deadline)
    return deadline, None if step.expires is None else at + length_us(step.expires)


def dated_request(journey: Journey, step: Step, couple: Couple, at: int) -> Request:
    """As ``request_of``, with the deadline and the expiry that follow from the instant."""
    deadline, expires = limits_of(step, at)
    return request_of(journey, step, couple, iso(at))._replace(deadline=iso(deadline), expires=iso(expires))
