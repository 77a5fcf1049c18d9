"""Which region of the country a place lies in, by a table of whole words and names of several. Pure.

A place is read from its end, part by part as its commas divide it, because places are written from the small to the
large: "Portland, Maine" lies in Maine. Within a part the longest name counts, and of equally long ones the last: "West
Virginia" is not Virginia. Words are whole: "Chicago" holds the letters "ca" and is not in California. The code of a
state counts where it ends its part in capitals, or is all of it: "meet me in Paris" is neither Maine nor Indiana.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from wedsync_ops.errors import SettingError, quoted
from wedsync_ops.weddings.model import Region

_STATES: Mapping[Region, str] = {
    Region.WEST_COAST: "CA California, OR Oregon, WA Washington",
    Region.NORTHEAST: (
        "CT Connecticut, MA Massachusetts, ME Maine, NH New Hampshire, NJ New Jersey, NY New York, PA Pennsylvania,"
        " RI Rhode Island, VT Vermont"
    ),
    Region.SOUTH: (
        "AL Alabama, AR Arkansas, DC District of Columbia, DE Delaware, FL Florida, GA Georgia, KY Kentucky,"
        " LA Louisiana, MD Maryland, MS Mississippi, NC North Carolina, OK Oklahoma, SC South Carolina, TN Tennessee,"
        " TX Texas, VA Virginia, WV West Virginia"
    ),
    Region.MIDWEST: (
        "IA Iowa, IL Illinois, IN Indiana, KS Kansas, MI Michigan, MN Minnesota, MO Missouri, ND North Dakota,"
        " NE Nebraska, OH Ohio, SD South Dakota, WI Wisconsin"
    ),
    Region.OTHER: (
        "AK Alaska, AZ Arizona, CO Colorado, HI Hawaii, ID Idaho, MT Montana, NM New Mexico, NV Nevada, PR Puerto Rico,"
        " UT Utah, WY Wyoming"
    ),
}
"""Codes and names, by the regions of the US Census; its West without the coast is elsewhere."""
_PLACES: Mapping[Region, str] = {
    Region.WEST_COAST: (
        "Los Angeles, San Diego, San Jose, San Francisco, Sacramento, Oakland, Fresno, Long Beach, Anaheim, Malibu,"
        " Santa Barbara, Santa Monica, Palm Springs, Napa, Sonoma, Carmel, Monterey, Big Sur, Lake Tahoe, Bay Area,"
        " Orange County, Portland, Eugene, Bend, Seattle, Spokane, Tacoma, Bellevue"
    ),
    Region.NORTHEAST: (
        "New York City, NYC, Manhattan, Brooklyn, Queens, Bronx, Staten Island, Long Island, Hamptons, Hudson Valley,"
        " Buffalo, Albany, Boston, Cape Cod, Nantucket, Martha's Vineyard, Providence, Newport, Hartford, Philadelphia,"
        " Pittsburgh, Jersey City, Newark, Burlington, New England"
    ),
    Region.SOUTH: (
        "Houston, Dallas, Fort Worth, Austin, San Antonio, El Paso, Atlanta, Savannah, Miami, Orlando, Tampa,"
        " Jacksonville, Key West, Fort Lauderdale, Charlotte, Raleigh, Durham, Asheville, Charleston, Myrtle Beach,"
        " Nashville, Memphis, Knoxville, Louisville, New Orleans, Baton Rouge, Birmingham, Richmond, Virginia Beach,"
        " Baltimore, Annapolis, Washington DC, Oklahoma City, Tulsa, Little Rock"
    ),
    Region.MIDWEST: (
        "Chicago, Detroit, Ann Arbor, Grand Rapids, Milwaukee, Madison, Minneapolis, St Paul, Saint Paul, Twin Cities,"
        " Cleveland, Columbus, Cincinnati, Indianapolis, St Louis, Saint Louis, Kansas City, Omaha, Des Moines,"
        " Wichita, Fargo, Sioux Falls"
    ),
    Region.OTHER: (
        "Denver, Boulder, Aspen, Vail, Phoenix, Scottsdale, Sedona, Tucson, Las Vegas, Reno, Salt Lake City, Park City,"
        " Boise, Jackson Hole, Albuquerque, Santa Fe, Anchorage, Honolulu, Maui, Kauai, Oahu, UK, United Kingdom,"
        " England, Scotland, Wales, Northern Ireland, Ireland, Canada, Mexico, Jamaica, Bahamas, France, Italy, Spain,"
        " Portugal, Germany, Austria, Switzerland, Greece, Netherlands, Belgium, India, Thailand, Indonesia, Japan,"
        " Australia, New Zealand, South Africa, Brazil, London, Paris, Rome, Toronto, Vancouver, Sydney, Melbourne,"
        " Tbilisi"
    ),
}
"""Cities and landscapes that are often named without their state, and places elsewhere."""
_COUNTRY = frozenset({"usa", "us", "united states", "united states of america"})
_ZIP = re.compile(r"\d{5}(?:-\d{4})?")


def _names() -> Iterator[tuple[str, Region]]:
    for region, listed in _STATES.items():
        for state in listed.split(","):
            yield state.split(maxsplit=1)[1].casefold(), region
    for region, listed in _PLACES.items():
        for place in listed.split(","):
            yield place.strip().casefold(), region


_CODES: Mapping[str, Region] = {
    state.split()[0]: region for region, listed in _STATES.items() for state in listed.split(",")
}
_NAMES: Mapping[str, Region] = dict(_names())
_LONGEST = max(len(name.split()) for name in (*_NAMES, *_COUNTRY))


def region_named(name: str) -> Region:
    """The region of that name. Raises SettingError when there is none."""
    try:
        return Region(name.strip().lower().replace("-", "_"))
    except ValueError as error:
        known = ", ".join(Region)
        raise SettingError(f"there is no region {quoted(name)}", hint=f"use one of {known}") from error


@lru_cache(maxsize=16_384)
def region_of(place: str) -> Region:
    """The region of a place as people write it: unknown for an empty one, other for one that no table names."""
    parts = [words for part in place.replace(".", "").split(",") if (words := part.split())]
    if not parts:
        return Region.UNKNOWN
    found = (_region_of_part(_without_country(words)) for words in reversed(parts))
    return next((region for region in found if region is not None), Region.OTHER)


def _without_country(words: list[str]) -> list[str]:
    """The words without a ZIP code and the country at their end, which both say nothing of the region."""
    if words and _ZIP.fullmatch(words[-1]):
        return _without_country(words[:-1])
    for length in range(min(len(words), _LONGEST), 0, -1):
        if " ".join(words[-length:]).casefold() in _COUNTRY:
            return _without_country(words[:-length])
    return words


def _region_of_part(words: list[str]) -> Region | None:
    if not words:
        return None
    last = words[-1].upper()
    if last in _CODES and (words[-1] == last or len(words) == 1) and " ".join(words).casefold() not in _NAMES:
        return _CODES[last]
    plain = [word.strip("()[];:!?\"'").casefold() for word in words]
    for length in range(min(len(plain), _LONGEST), 0, -1):
        for start in range(len(plain) - length, -1, -1):
            known = _NAMES.get(" ".join(plain[start : start + length]))
            if known is not None:
                return known
    return None
