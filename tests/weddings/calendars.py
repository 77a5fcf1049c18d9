"""The shipped season table and weddings for tests."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from wedsync_ops.instants import from_datetime
from wedsync_ops.weddings.model import Calendar, Wedding

ZONES = (
    "UTC",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)


def calendar(zone: str = "UTC") -> Calendar:
    return Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo(zone))


def wedding(on: str, zone: str = "UTC") -> Wedding:
    return Wedding(date.fromisoformat(on), ZoneInfo(zone))


def local(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """The instant of a wall-clock time in a zone; ``fold=1`` is the second of two."""
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))
