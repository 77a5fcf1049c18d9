"""A meeting as an iCalendar object (RFC 5545) that invites to it, changes it or cancels it (iTIP, RFC 5546)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from wedsync_ops.handlers.addresses import one_line
from wedsync_ops.handlers.compose import Invitation
from wedsync_ops.instants import to_datetime

if TYPE_CHECKING:
    from icalendar import Alarm, Event, vCalAddress

_HEAD = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//WedSync//wedsync-ops//EN\r\nCALSCALE:GREGORIAN\r\nMETHOD:%b\r\n"
_END = b"END:VCALENDAR\r\n"
_ALARM = timedelta(hours=1)


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


def invitation(meeting: Meeting, now: int) -> Invitation:
    """The invitation to a meeting, or its cancellation, as of the instant ``now``. No line is longer than 75 octets."""
    from wedsync_ops.handlers.timezones import vtimezone

    method = "CANCEL" if meeting.cancelled else "REQUEST"
    event = _event(meeting, now)
    zone = b""
    if any(
        "TZID" in event[name].params for name in ("DTSTART", "DTEND")
    ):  # UTC, and zones that never were anything else, are written without one
        zone = vtimezone(meeting.zone, to_datetime(meeting.starts_at, meeting.zone).year)
    told: bytes = event.to_ical(sorted=False)
    # Put together by hand: the zone is the same for many meetings, and writing it takes longer than all the rest.
    return Invitation(method, b"".join((_HEAD % method.encode(), zone, told, _END)))


def _event(meeting: Meeting, now: int) -> "Event":
    from icalendar import Event, vUri

    ends_at = meeting.starts_at + meeting.duration * 60_000_000
    event = Event()
    event.add("UID", meeting.uid)
    event.add("SEQUENCE", meeting.sequence)
    event.add("DTSTAMP", to_datetime(now))
    event.add("DTSTART", _moment(meeting.starts_at, meeting.zone))
    event.add("DTEND", _moment(ends_at, meeting.zone))
    event.add("SUMMARY", meeting.summary)
    event.add("DESCRIPTION", meeting.description)
    if meeting.place:
        event.add("LOCATION", meeting.place)
    if meeting.join_uri:
        kind = "PHONE" if meeting.join_uri.startswith("tel:") else "VIDEO"
        event.add("CONFERENCE", vUri(meeting.join_uri), parameters={"VALUE": "URI", "FEATURE": kind})
    event.add("ORGANIZER", _person(meeting.organizer))
    attendee = _person(meeting.attendee)
    attendee.params.update(CUTYPE="INDIVIDUAL", ROLE="REQ-PARTICIPANT", PARTSTAT="NEEDS-ACTION", RSVP="TRUE")
    event.add("ATTENDEE", attendee)
    event.add("STATUS", "CANCELLED" if meeting.cancelled else "CONFIRMED")
    event.add("TRANSP", "TRANSPARENT" if meeting.cancelled else "OPAQUE")
    event.add("X-WEDSYNC-BUFFER-MINUTES", str(meeting.buffer_time))
    if not meeting.cancelled:
        event.add_component(_alarm(meeting.summary))
    return event


def _moment(instant: int, zone: ZoneInfo) -> datetime:
    """An instant in the zone, but in UTC where the clocks show that time a second time: it would be read as the first.

    (RFC 5545, 3.3.5.)
    """
    local = to_datetime(instant, zone).replace(microsecond=0)
    return local.astimezone(UTC) if local.fold else local


def _alarm(summary: str) -> "Alarm":
    from icalendar import Alarm

    alarm = Alarm()
    alarm.add("ACTION", "DISPLAY")
    alarm.add("DESCRIPTION", summary)
    alarm.add("TRIGGER", -_ALARM)
    return alarm


def _person(person: Person) -> "vCalAddress":
    from icalendar import vCalAddress

    address = vCalAddress(f"mailto:{person.address}")
    name = one_line(person.name, 100).replace('"', "'")  # a parameter has no way to hold one (RFC 5545, 3.2)
    if name:
        address.params["CN"] = name
    return address
