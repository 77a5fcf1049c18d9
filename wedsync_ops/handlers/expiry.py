"""``expires_at`` of a config: a day, which counts to its end where the couple is, or a time with its offset. Pure."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from wedsync_ops.errors import InvalidTime
from wedsync_ops.handlers.contract import Site
from wedsync_ops.instants import local_midnight, parse_date, parse_instant, to_datetime, zone_named
from wedsync_ops.weddings.context import zone_from

PLACE = "config.expires_at"
"""Where the time stands, for messages."""
_DATE = len("2027-06-19")
_NEVER = re.compile(r"9[0-9]{3}-")  # beyond the years that instants have; 9999-12-31 is what people write for never
_LEAP_SECOND = re.compile(r"(?<=:[0-5][0-9]):60")


def ends_at(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> int | None:
    """The instant from which on the page or the offer is over; ``None`` when it never is.

    A time is written as RFC 3339 has it: letters of either case, and a leap second counts as the one before. Raises
    InvalidTime for what is no time, InvalidContext for a couple's zone that is none.
    """
    text = config.get("expires_at")
    if not text or _NEVER.match(text):
        return None
    zone = zone_from(context, zone_named(site.timezone))
    if len(text) == _DATE:
        return local_midnight(parse_date(text) + timedelta(days=1), zone)
    return parse_instant(_LEAP_SECOND.sub(":59", text.upper()), zone=zone)


def fault(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> str | None:
    """What is wrong with a config's ``expires_at``, in one line that begins with where it is, else ``None``."""
    try:
        ends_at(config, context, site)
    except InvalidTime as error:
        return f"{PLACE}: {error.message}"
    return None


def last_day(end: int, context: Mapping[str, Any], site: Site) -> date:
    """The day on which something that ends at the instant ``end`` is last good, where the couple is."""
    return to_datetime(end - 1, zone_from(context, zone_named(site.timezone))).date()
