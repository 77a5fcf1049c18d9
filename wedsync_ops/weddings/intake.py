"""What a couple's record must be before it is taken in: every fault of a record at once. Pure."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.errors import InvalidInput, WedsyncError, quoted
from wedsync_ops.instants import parse_date, zone_named
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Client
from wedsync_ops.weddings.regions import region_of

REQUIRED = ("client_id", "couple_name", "email", "wedding_date", "location", "supplier_id", "vendor_type")
"""What every record has; of these only the location may be empty."""
OPTIONAL = ("phone", "timezone", "booked_on")
COLUMNS = (*REQUIRED, *OPTIONAL)
_IDS = ("client_id", "supplier_id")
_LONGEST = {
    "client_id": 200,
    "couple_name": 200,
    "email": 320,
    "wedding_date": 40,
    "location": 500,
    "supplier_id": 200,
    "vendor_type": 50,
    "phone": 40,
    "timezone": 60,
    "booked_on": 40,
}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_WRONG = "\x00"
"""Stands for a text that was refused; none that is taken holds it."""
_CALENDAR_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_PHONE = re.compile("[+\uff0b]?[\\d().\\-/\u2010-\u2015 \u00a0\u202f]+")
_DIGITS = re.compile(r"\d")
_FEWEST_DIGITS = 5


def strangers(names: Iterable[str]) -> str | None:
    """What is wrong with the first name that no column has, ``None`` when there is no such name."""
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name[:60], COLUMNS, n=1)
            return f"{quoted(name)}" + (f"; did you mean {near[0]!r}?" if near else "")
    return None


def client_from(record: Mapping[str, Any], zone: ZoneInfo, address_fault: Callable[[object], str | None]) -> Client:
    """The couple that a record tells of.

    ``zone`` is the platform's; ``address_fault`` says what is wrong with an e-mail address, ``None`` when nothing is.
    Raises InvalidInput with every fault of the record.
    """
    faults: list[str] = []
    texts = {name: _text(record, name, faults) for name in COLUMNS}
    faults += [f"{name} is empty" for name in REQUIRED if texts[name] == "" and name != "location"]
    if texts["email"] not in ("", _WRONG) and (fault := address_fault(texts["email"])) is not None:
        faults.append(f"email {fault}" if fault.startswith(("is", "must", "holds")) else f"email: {fault}")
    if texts["phone"] and not _is_phone(texts["phone"]):
        faults.append(f"phone: {quoted(texts['phone'])} is not a phone number")
    timezone = _zone(texts["timezone"], faults)
    wedding_on = _date("wedding_date", texts["wedding_date"], timezone or zone, faults)
    booked_on = _date("booked_on", texts["booked_on"], timezone or zone, faults)
    if booked_on is not None and wedding_on is not None and booked_on > wedding_on:
        faults.append(f"booked_on {booked_on} is after the wedding on {wedding_on}")
    if faults or wedding_on is None:
        raise InvalidInput("; ".join(faults))
    return Client(
        client_id=texts["client_id"],
        couple_name=texts["couple_name"],
        email=texts["email"],
        phone=texts["phone"] or None,
        wedding_on=wedding_on,
        location=texts["location"],
        region=region_of(texts["location"]),
        supplier_id=texts["supplier_id"],
        vendor_type=singular(texts["vendor_type"]),
        timezone=None if timezone is None else timezone.key,
        booked_on=booked_on,
    )


def _text(record: Mapping[str, Any], name: str, faults: list[str]) -> str:
    """A field without white space around it (and on one line, unless it is an id); empty when there is none."""
    value = record.get(name)
    if value is None:
        return ""
    if type(value) is int and name in _IDS:
        value = str(value)
    if not isinstance(value, str):
        faults.append(f"{name} must be text")
        return _WRONG
    text = value.strip()
    if text.isprintable() and "  " not in text and len(text) <= _LONGEST[name]:
        return text
    text = text if name in _IDS else " ".join(text.split())
    if len(text) > _LONGEST[name]:
        faults.append(f"{name} is longer than {_LONGEST[name]} characters")
        return _WRONG
    if _CONTROL.search(text):
        faults.append(f"{name} holds a control character or what is no character")
        return _WRONG
    return text


def _is_phone(text: str) -> bool:
    return text == _WRONG or (_PHONE.fullmatch(text) is not None and len(_DIGITS.findall(text)) >= _FEWEST_DIGITS)


def _zone(text: str, faults: list[str]) -> ZoneInfo | None:
    if text in ("", _WRONG):
        return None
    try:
        return zone_named(text)
    except WedsyncError as error:
        faults.append(f"timezone: {error}")
        return None


def _date(name: str, text: str, zone: ZoneInfo, faults: list[str]) -> date | None:
    if text in ("", _WRONG):
        return None
    try:
        return parse_date(text, zone)
    except WedsyncError as error:
        if _CALENDAR_DATE.fullmatch(text) and "not a date" in error.message:
            faults.append(f"{name}: the calendar has no {text}")
        else:
            faults.append(f"{name}: {error}")
        return None
