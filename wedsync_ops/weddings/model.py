"""Weddings and the wedding season: the values that time rules are decided from, frozen."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from wedsync_ops.instants import zone_named


class Season(StrEnum):
    """How busy a month is for wedding suppliers."""

    PEAK = "peak"
    MID = "mid"
    OFF = "off"


class Region(StrEnum):
    """Where a wedding is: a region of the USA, a place elsewhere, or nobody knows."""

    WEST_COAST = "west_coast"
    NORTHEAST = "northeast"
    SOUTH = "south"
    MIDWEST = "midwest"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the platform counts as peak, mid and weekend, and how much load each brings.

    Months run from 1 to 12; every month in neither set is off season. Multipliers count from the load of an
    off-season weekday. ``zone`` is the platform's: season and weekend are asked in it.
    """

    peak_months: frozenset[int]
    mid_months: frozenset[int]
    peak_multiplier: float
    mid_multiplier: float
    off_multiplier: float
    weekend_multiplier: float
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Wedding:
    """A wedding day, and the time zone in which it starts and ends."""

    on: date
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Client:
    """A couple as its supplier knows it.

    ``timezone`` is an IANA name, that of the wedding and of the couple; ``None`` stands for the platform's.
    ``vendor_type`` is in the singular, ``region`` the one that ``location`` (which may be empty) lies in.
    """

    client_id: str
    couple_name: str
    email: str
    phone: str | None
    wedding_on: date
    location: str
    region: Region
    supplier_id: str
    vendor_type: str
    timezone: str | None
    booked_on: date | None

    def zone(self, default: ZoneInfo) -> ZoneInfo:
        """The wedding's time zone; ``default`` is the platform's."""
        return default if self.timezone is None else zone_named(self.timezone)

    def wedding(self, default: ZoneInfo) -> Wedding:
        """The wedding in its time zone; ``default`` is the platform's."""
        return Wedding(self.wedding_on, self.zone(default))


@dataclass(frozen=True, slots=True)
class KnownClient:
    """A couple as it is kept, with the instants of its first import and of its last change.

    ``revision`` counts from 1 and grows by one with every change.
    """

    client: Client
    revision: int
    imported_at: int
    updated_at: int
