"""Couples for tests."""

from dataclasses import replace
from datetime import date
from typing import Any

from wedsync_ops.weddings.model import Client, Region


def couple(client_id: str, on: str = "2027-06-19", **changed: Any) -> Client:
    """A couple that marries in Chicago, with whatever is different about it."""
    client = Client(
        client_id=client_id,
        couple_name="Ann & Bo",
        email="ann@example.com",
        phone=None,
        wedding_on=date.fromisoformat(on),
        location="Chicago",
        region=Region.MIDWEST,
        supplier_id="s1",
        vendor_type="photographer",
        timezone=None,
        booked_on=None,
    )
    return replace(client, **changed)
