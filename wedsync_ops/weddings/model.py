"""Weddings and the wedding season: the values that time rules are decided from, frozen."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo


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
