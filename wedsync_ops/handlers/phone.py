"""Phone numbers in the form that gateways take, E.164: ``+`` and the country's code, at most 15 digits.

A number that is written as within its country is read with the countries that the client's data suggest, in this
order: ``country``, ``location``, ``timezone``. The first with which it is a number in use counts, else the first with
which it could be one.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from wedsync_ops.handlers.fields import part, text_of

_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # what copying from an address book adds
_WRITTEN = re.compile("[+\uff0b]?[\\d().\\-/\u2010-\u2015 \u00a0\u2009\u202f]+")
_LONGEST = 40
_LONGEST_E164 = 16
_ZIP = re.compile(r"[\s\d-]+$")
_ALIASES = {
    "UK": "GB",
    "USA": "US",
    "BRITAIN": "GB",
    "GREAT BRITAIN": "GB",
    "UNITED KINGDOM": "GB",
    "ENGLAND": "GB",
    "SCOTLAND": "GB",
    "WALES": "GB",
    "NORTHERN IRELAND": "GB",
    "UNITED STATES OF AMERICA": "US",
    "U.S.A.": "US",
    "CZECHIA": "CZ",
    "SOUTH KOREA": "KR",
    "THE NETHERLANDS": "NL",
}
_STATES = (
    "AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,"
    "DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,"
    "KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,"
    "MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,"
    "NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,"
    "SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,"
    "WV West Virginia,WI Wisconsin,WY Wyoming"
)
_AMERICAN = frozenset(word.upper() for state in _STATES.split(",") for word in state.split(" ", 1))


def regions_from(context: Mapping[str, Any]) -> tuple[str, ...]:
    """The countries (ISO 3166, two letters) whose numbers the client's may be, the likeliest first."""
    client = part(context, "client_data")
    country = text_of(client, "country_code", "country") or text_of(context, "country_code", "country")
    location = text_of(client, "location") or text_of(context, "location")
    zone = text_of(client, "timezone") or text_of(context, "timezone")
    return _regions(country, location, zone)


def number_from(text: object, regions: tuple[str, ...]) -> tuple[str | None, str]:
    """A phone number in E.164, or ``None`` and what is wrong with it, which never repeats the number."""
    if not isinstance(text, str):
        return None, "is not text"
    return _number(text[: _LONGEST * 4], regions)


@lru_cache(maxsize=16_384)
def _number(text: str, regions: tuple[str, ...]) -> tuple[str | None, str]:
    written = _INVISIBLE.sub("", text).strip(" ")
    if not written:
        return None, "is missing"
    if len(written) > _LONGEST or not _WRITTEN.fullmatch(written):
        return None, "is not one single phone number"
    if written.startswith("00"):
        written = f"+{written[2:]}"
    if written.startswith(("+", "\uff0b")):
        number = next(_read(written, (None,)), None)
        return (number, "") if number else (None, "is not a possible phone number")
    if not regions:
        return None, "is written without a country; write it with + or give client_data.country"
    found = list(_read(written, regions))
    if not found:
        return None, f"is not a possible phone number in {' or '.join(regions)}; write it with + if it is another's"
    return found[0] if len(found) == 1 else next(filter(_is_in_use, found), found[0]), ""


def _is_in_use(number: str) -> bool:
    import phonenumbers

    return phonenumbers.is_valid_number(phonenumbers.parse(number))


def _read(written: str, regions: tuple[str | None, ...]) -> Iterator[str]:
    """The number in E.164 as each region reads it, where it is possible there."""
    import phonenumbers

    for region in regions:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE:
            e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if len(e164) <= _LONGEST_E164:
                yield e164


@lru_cache(maxsize=16_384)
def _regions(country: str | None, location: str | None, zone: str | None) -> tuple[str, ...]:
    of_zone = _zones().get(zone or "")
    found = [*_named(country), *_located(location, of_zone), of_zone]
    return tuple(dict.fromkeys(region for region in found if region))


def _named(country: str | None) -> Iterator[str]:
    if country:
        name = country.upper()
        code = _ALIASES.get(name) or _countries().get(name)
        if code:
            yield code


def _located(location: str | None, of_zone: str | None) -> list[str]:
    """The country at a location's end. What names a state of the USA and a country, too, is the zone's or both."""
    if not location:
        return []
    last = location[-100:].rpartition(",")[2].strip()
    last = _ZIP.sub("", last) or last
    found = ["US"] if last.upper() in _AMERICAN else []
    found += _named(last)
    return [of_zone, *found] if of_zone in found else found


@cache
def _countries() -> Mapping[str, str]:
    """Country codes by name and by themselves, in capitals, from the time zone data's own table (ISO 3166)."""
    rows = [line.split("\t") for line in _lines("iso3166.tab")]
    return {name.upper(): code for code, name in rows} | {code: code for code, _ in rows}


@cache
def _zones() -> Mapping[str, str]:
    """Country codes by time zone; a zone's old names have the country of its own."""
    found = {zone: code for code, _, zone, *_ in (line.split("\t") for line in _lines("zone.tab"))}
    for line in _lines("tzdata.zi"):
        if line.startswith("L "):
            _, target, name = line.split()
            if target in found:
                found.setdefault(name, found[target])
    return found


def _lines(name: str) -> list[str]:
    text = (files("tzdata.zoneinfo") / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
