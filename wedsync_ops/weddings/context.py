"""What a job's context says of the wedding, its place, the recipient's time zone, the vendor, its subscription. Pure.

Wedding date, location and time zone stand at the top of the context or in its client_data, the vendor type at the
top, in supplier_data or in client_data, the tier at the top or in supplier_data; the first that is not null counts.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.errors import InvalidContext, InvalidInput
from wedsync_ops.instants import parse_date, zone_named
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Region, Wedding
from wedsync_ops.weddings.regions import region_of


def wedding_from(context: Mapping[str, Any], default_zone: ZoneInfo) -> Wedding | None:
    """The wedding that a context tells of, ``None`` when it names no date. ``default_zone`` is the platform's.

    The date is YYYY-MM-DD or an ISO time: with an offset, the day on which it lies in the wedding's zone. Raises
    InvalidContext when the date or the time zone is none.
    """
    return wedding_in(context, zone_from(context, default_zone))


def wedding_in(context: Mapping[str, Any], zone: ZoneInfo) -> Wedding | None:
    """The wedding that a context tells of, in the recipient's zone as ``zone_from`` gives it. Raises InvalidContext."""
    value = _found(context, "wedding_date", "client_data")
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidContext("context.wedding_date must be text", hint="write it as YYYY-MM-DD, such as 2027-06-19")
    return _wedding(value, zone)


def zone_from(context: Mapping[str, Any], default_zone: ZoneInfo) -> ZoneInfo:
    """The recipient's time zone, the platform's when the context names none. Raises InvalidContext when it is none."""
    value = _found(context, "timezone", "client_data")
    if value is None:
        return default_zone
    if not isinstance(value, str):
        raise InvalidContext("context.timezone must be text", hint="use an IANA name, such as Europe/London")
    try:
        return zone_named(value)
    except InvalidInput as error:
        raise InvalidContext(f"context.timezone: {error.message}", hint=error.advice) from error


def region_from(context: Mapping[str, Any]) -> Region:
    """The region of the wedding's place; unknown when the context names none, or none that is text."""
    value = _found(context, "location", "client_data")
    return region_of(value) if isinstance(value, str) else Region.UNKNOWN


def vendor_type_from(context: Mapping[str, Any]) -> str | None:
    """The vendor type that a context names, in the singular. Raises InvalidContext when it is not text."""
    value = _found(context, "vendor_type", "supplier_data", "client_data")
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidContext("context.vendor_type must be text", hint="such as photographer or venue")
    return singular(value) or None


def tier_from(context: Mapping[str, Any]) -> str | None:
    """The supplier's subscription tier, at the top or in supplier_data. Raises InvalidContext when it is not text."""
    value = _found(context, "subscription_tier", "supplier_data")
    if value is None or isinstance(value, str):
        return value
    raise InvalidContext("context.subscription_tier must be text", hint="such as starter or professional")


def _found(context: Mapping[str, Any], name: str, *places: str) -> Any:
    value = context.get(name)
    if value is not None:
        return value
    for place in places:
        inner = context.get(place)
        if inner is None:
            continue
        if not isinstance(inner, Mapping):
            raise InvalidContext(f"context.{place} must be an object")
        value = inner.get(name)
        if value is not None:
            return value
    return None


@lru_cache(maxsize=16_384)
def _wedding(text: str, zone: ZoneInfo) -> Wedding:
    try:
        return Wedding(parse_date(text, zone), zone)
    except InvalidInput as error:
        raise InvalidContext(f"context.wedding_date: {error.message}", hint=error.advice) from error
