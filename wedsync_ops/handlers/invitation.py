"""A meeting as an iCalendar object (RFC 5545) that invites to it, changes it or cancels it (iTIP, RFC 5546)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.compose import Invitation
from wedsync_ops.instants import MINUTE, to_datetime

_HEAD = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//WedSync//wedsync-ops//EN\r\nCALSCALE:GREGORIAN\r\nMETHOD:%b\r\n"
_END = b"END:VCALENDAR\r\n"
_UTC = "%Y%m%dT%H%M%SZ"
_INVITED = ";CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE"
_WIDTH = 74
"""Octets of a line without its end; one less than may be, for the space with which the next one begins."""
_BREAK = re.compile(r"\r\n?|\n")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Person:
    """A name, empty when it is not known, and an e-mail address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """A meeting that has a time. ``starts_at`` is an instant, shown in ``zone``; lengths are in minutes."""

    uid: str
    sequence: int
    cancelled: bool
    starts_at: int
    zone: ZoneInfo
    duration: int
    buffer_time: int
    summary: str
    description: str
    place: str | None
    join_uri: str | None
    organizer: Person
    attendee: Person

    @property
    def ends_at(self) -> int:
        """The instant at which it ends."""
        return self.starts_at + self.duration * MINUTE


def invitation(meeting: Meeting, now: int) -> Invitation:
    """The invitation to a meeting, or its cancellation, as of the instant ``now``. No line is longer than 75 octets."""
    from wedsync_ops.handlers.timezones import vtimezone

    method = "CANCEL" if meeting.cancelled else "REQUEST"
    start, end = (_moment(at, meeting.zone) for at in (meeting.starts_at, meeting.ends_at))
    zone = b""
    if "TZID" in start + end:  # UTC, and zones that never were anything else, are written without one
        zone = vtimezone(meeting.zone, to_datetime(meeting.starts_at, meeting.zone).year)
    told = "".join([_folded(line) for line in _event(meeting, start, end, now)])
    # Put together by hand: building it as objects takes as long as all the rest of the mail.
    return Invitation(method, b"".join((_HEAD % method.encode(), zone, told.encode(), _END)))


def _event(meeting: Meeting, start: str, end: str, now: int) -> Iterator[str]:
    """The lines of the event; ``start`` and ``end`` are written already, parameters included."""
    summary = f"SUMMARY:{_text(meeting.summary)}"
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(meeting.uid)}"
    yield f"SEQUENCE:{meeting.sequence}"
    yield f"DTSTAMP:{to_datetime(now):{_UTC}}"
    yield f"DTSTART{start}"
    yield f"DTEND{end}"
    yield summary
    yield f"DESCRIPTION:{_text(meeting.description)}"
    if meeting.place:
        yield f"LOCATION:{_text(meeting.place)}"
    if meeting.join_uri:
        kind = "PHONE" if meeting.join_uri.startswith("tel:") else "VIDEO"
        yield f"CONFERENCE;VALUE=URI;FEATURE={kind}:{meeting.join_uri}"
    yield f"ORGANIZER{_person(meeting.organizer)}"
    yield f"ATTENDEE{_person(meeting.attendee, _INVITED)}"
    yield f"STATUS:{'CANCELLED' if meeting.cancelled else 'CONFIRMED'}"
    yield f"TRANSP:{'TRANSPARENT' if meeting.cancelled else 'OPAQUE'}"
    yield f"X-WEDSYNC-BUFFER-MINUTES:{meeting.buffer_time}"
    if not meeting.cancelled:
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", summary.replace("SUMMARY", "DESCRIPTION", 1))
        yield from ("TRIGGER:-PT1H", "END:VALARM")
    yield "END:VEVENT"


def _moment(instant: int, zone: ZoneInfo) -> str:
    """An instant in the zone, but in UTC where the clocks show that time a second time: it would be read as the first.

    (RFC 5545, 3.3.5.) With the parameter that names the zone; zones that are UTC all year are written as that.
    """
    local = to_datetime(instant, zone)
    if local.fold or _is_utc(zone, local.year):
        return f":{to_datetime(instant):{_UTC}}"
    return f";TZID={zone.key}:{local:%Y%m%dT%H%M%S}"


@lru_cache(maxsize=256)
def _is_utc(zone: ZoneInfo, year: int) -> bool:
    days = (datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(-1, 367, 7))
    return all(not day.astimezone(zone).utcoffset() for day in days)


def _person(person: Person, more: str = "") -> str:
    """Parameters and address of a person. A name can hold neither a quote (RFC 5545, 3.2) nor a caret (RFC 6868)."""
    name = one_line(person.name, 100).replace('"', "'").replace("^", "^^")
    named = "" if not name else f';CN="{name}"'
    return f"{named}{more}:mailto:{person.address}"


def _text(value: str) -> str:
    """A value of type TEXT (RFC 5545, 3.3.11)."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return _BREAK.sub("\\\\n", escaped)


def _folded(line: str) -> str:
    """A content line with its end, folded (RFC 5545, 3.1) between characters."""
    raw = _CONTROL.sub("", line).encode("utf-8", "replace")
    pieces = []
    while len(raw) > _WIDTH:
        cut = _WIDTH
        while raw[cut] & 0xC0 == 0x80:  # in the middle of a character
            cut -= 1
        pieces.append(raw[:cut])
        raw = raw[cut:]
    return b"\r\n ".join([*pieces, raw]).decode() + "\r\n"
