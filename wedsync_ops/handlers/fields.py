"""The fields that a template may use, found in a job's context."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.errors import WedsyncError
from wedsync_ops.instants import parse_date

RESERVED = frozenset({"client", "supplier", "step", "wedding"})
"""Names that ``personalization`` cannot take."""
_LONGEST_NAME = 255
"""The most characters of a name of a couple, a supplier or a venue; longer ones are cut."""
_NOTHING: Mapping[str, Any] = {}
_SUPPLIER_NAMES = ("name", "business_name", "company_name", "display_name")
_PAIRS = (
    ("partner1_name", "partner2_name"),
    ("partner1_first_name", "partner2_first_name"),
    ("partner_1_name", "partner_2_name"),
    ("first_name", "partner_first_name"),
    ("first_name", "partner_name"),
    ("name", "partner_name"),
    ("bride_name", "groom_name"),
)
_SINGLES = ("name", "full_name", "client_name")


class Fields(dict[str, Any]):
    """Data of one owner (client, supplier, step, wedding), which knows whose they are when one is missing."""

    __slots__ = ("field_owner",)

    def __init__(self, owner: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.field_owner = owner


def fields_from(context: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """The merge fields and the four groups ``client``, ``supplier``, ``step`` and ``wedding``.

    What the context doesn't say is left out; the renderer knows polite words for it. ``zone`` is the wedding's.
    """
    client, supplier, step = (part(context, name) for name in ("client_data", "supplier_data", "step_data"))
    wedding = _wedding(context, client, step, zone)
    found = {
        "couple_name": couple_name(context, client),
        "wedding_date": wedding.get("date"),
        "venue_name": wedding.get("venue"),
        "supplier_name": supplier_name(context, supplier),
        "supplier_email": text_of(supplier, "email") or text_of(context, "supplier_email"),
        "client": Fields("client", client),
        "supplier": Fields("supplier", supplier),
        "step": Fields("step", step),
        "wedding": Fields("wedding", wedding),
    }
    return {name: value for name, value in found.items() if value is not None}


def part(context: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside the context; empty when there is none."""
    value = context.get(name)
    return value if isinstance(value, Mapping) else _NOTHING


def text_of(values: Mapping[str, Any], *names: str) -> str | None:
    """The first of these values that is a text and not blank, trimmed."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def couple_name(context: Mapping[str, Any], client: Mapping[str, Any]) -> str | None:
    """The couple's name: as given, else put together from the partners' names, else the client's."""
    name = text_of(client, "couple_name") or text_of(context, "couple_name") or _partners(client)
    return _cut(name)


def _partners(client: Mapping[str, Any]) -> str | None:
    for first, second in _PAIRS:
        one, other = text_of(client, first), text_of(client, second)
        if one and other:
            return f"{one} & {other}"
    whole = text_of(client, *_SINGLES)
    if whole:
        return whole
    names = [name for name in (text_of(client, "first_name"), text_of(client, "last_name")) if name]
    return " ".join(names) or None


def supplier_name(context: Mapping[str, Any], supplier: Mapping[str, Any]) -> str | None:
    """The supplier's name."""
    return _cut(text_of(supplier, *_SUPPLIER_NAMES) or text_of(context, "supplier_name"))


@lru_cache(maxsize=4096)
def date_in_words(text: str, zone: ZoneInfo | None = None) -> str:
    """``2027-06-19`` as ``Saturday, 19 June 2027``; ``zone`` as for ``parse_date``. Raises InvalidTime."""
    day = parse_date(text, zone)
    return f"{day:%A}, {day.day} {day:%B} {day.year}"


def _wedding(
    context: Mapping[str, Any], client: Mapping[str, Any], step: Mapping[str, Any], zone: ZoneInfo
) -> dict[str, Any]:
    wedding = dict(part(context, "wedding"))
    on = text_of(context, "wedding_date") or text_of(client, "wedding_date") or text_of(wedding, "date")
    if on is not None:
        wedding["iso_date"] = on
        wedding["date"] = _in_words(on, zone)
    venue = _venue(client) or _venue(step) or _venue(context) or _venue(wedding)
    location = text_of(context, "location") or text_of(client, "location")
    places = {"venue": venue, "location": location}
    return wedding | {name: value for name, value in places.items() if value is not None}


def _venue(values: Mapping[str, Any]) -> str | None:
    return _cut(text_of(values, "venue_name", "venue") or text_of(part(values, "venue"), "name"))


def _cut(name: str | None) -> str | None:
    return name if name is None or len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…"


def _in_words(text: str, zone: ZoneInfo) -> str:
    try:
        return date_in_words(text, zone)
    except WedsyncError:
        return text
