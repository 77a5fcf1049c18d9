"""The weddings to come, each by the calendar of its own time zone, read page by page."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from wedsync_ops.instants import local_date, zone_named
from wedsync_ops.weddings import store
from wedsync_ops.weddings.model import KnownClient, Region, Wedding
from wedsync_ops.weddings.proximity import WEDDING_WEEK_DAYS, days_until
from wedsync_ops.weddings.store import Wanted

REGIONAL_DAYS = 30
"""Regional variations count the weddings from today to so many days ahead."""
PAGE = 500
"""Couples per read."""
_SPREAD = timedelta(days=1)
"""Somewhere on earth it is at most one day earlier, or later, than in UTC."""
_UTC = ZoneInfo("UTC")


class Coming(NamedTuple):
    """A wedding to come, and the calendar days until it, in its own zone."""

    known: KnownClient
    days: int


class Outlook(NamedTuple):
    """How many weddings there are in the next 7 days, and in the next 30 by region (regions with one, at least)."""

    active: int
    by_region: Mapping[Region, int]


def coming(
    connection: Connection, now: int, default_zone: ZoneInfo, wanted: Wanted, *, within_days: int | None = None
) -> Iterator[Coming]:
    """The weddings from today on, the soonest first; at most ``within_days`` ahead when that is given.

    Of ``wanted`` only supplier, region and limit count. ``default_zone`` is the platform's.
    """
    today = local_date(now, _UTC)
    last = None if within_days is None else today + timedelta(days=within_days) + _SPREAD
    span = replace(wanted, first=today - _SPREAD, last=last)
    found = (Coming(known, days_until(known.client.wedding(default_zone), now)) for known in pages(connection, span))
    ahead = (one for one in found if one.days >= 0 and (within_days is None or one.days <= within_days))
    return islice(ahead, wanted.limit or None)


def pages(connection: Connection, wanted: Wanted) -> Iterator[KnownClient]:
    """Every couple that is wanted, whatever the limit, read ``PAGE`` at a time."""
    page = replace(wanted, limit=PAGE)
    while found := store.list_clients(connection, page):
        yield from found
        if len(found) < PAGE:
            return
        page = replace(page, after=(found[-1].client.wedding_on, found[-1].client.client_id))


def outlook(connection: Connection, now: int, default_zone: ZoneInfo) -> Outlook | None:
    """What the next days hold, from an instant on; ``None`` while no couple is known."""
    if store.is_empty(connection):
        return None
    today = local_date(now, _UTC)
    active, by_region = 0, Counter[Region]()
    for count in store.counts(connection, today - _SPREAD, today + timedelta(days=REGIONAL_DAYS) + _SPREAD):
        zone = default_zone if count.timezone is None else zone_named(count.timezone)
        days = days_until(Wedding(count.wedding_on, zone), now)
        active += count.weddings if 0 <= days <= WEDDING_WEEK_DAYS else 0
        by_region[count.region] += count.weddings if 0 <= days <= REGIONAL_DAYS else 0
    return Outlook(active, {region: by_region[region] for region in Region if by_region[region]})
