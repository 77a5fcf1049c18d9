"""The meeting module: an invitation for the couple's calendar when the time is known, else a link to choose one."""

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from wedsync_ops import codec
from wedsync_ops.errors import InvalidTime, WedsyncError
from wedsync_ops.handlers import links
from wedsync_ops.handlers.addresses import address_fault, ascii_address, named_address, one_line
from wedsync_ops.handlers.checks import couple_address, recipient, recipient_fault
from wedsync_ops.handlers.contract import Mail, PermanentError, Run, Site, addressed_by, checked_by, ends_by
from wedsync_ops.handlers.fields import part, text_of
from wedsync_ops.instants import DAY, MINUTE, iso, parse_instant, to_datetime, zone_named
from wedsync_ops.weddings.context import zone_from

if TYPE_CHECKING:
    from wedsync_ops.handlers.compose import Invitation

LINK_DAYS = 30
"""Days for which a link to choose a time is good; one to choose another is so until the meeting starts, if later."""
_BUFFER_MIN = 15
_VIDEO_ADDRESSES = ("video_url", "meeting_url", "join_url")
_STEP_IDS = ("meeting_id", "step_id", "id")
_SEQUENCES = ("sequence", "change_count")
_DATE_ONLY = re.compile(r"\d{4}-?\d{2}-?\d{2}|\d{4}-?W\d{2}(-?\d)?")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{4,29}")
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where people meet, in words, and the address that joins them (https, tel), if there is one."""

    words: str | None
    join_uri: str | None


def check(_config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Iterator[str]:
    """What keeps this invitation from ever being sent, each in one line that begins with where it is."""
    fault = recipient_fault(context)
    if fault:
        yield fault
    step = part(context, "step_data")
    yield from _step_faults(step)
    if step.get("starts_at") is not None:
        fault = _start_fault(step["starts_at"], context, site)
        if fault:
            yield f"context.step_data.starts_at: {fault}"


def ends_at(config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> int | None:
    """The end of the meeting, from which on there is nothing to invite to; ``None`` while it has no time."""
    starts_at = _start(part(context, "step_data"), context, site)
    return None if starts_at is None else starts_at + config["duration"] * MINUTE


@addressed_by(couple_address)
@ends_by(ends_at, "context.step_data.starts_at")
@checked_by(check)
def handle(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Invite the couple: to a time, with an entry for their calendar; or to choose one, by a signed link."""
    from wedsync_ops.handlers import compose, render

    step = part(context, "step_data")
    starts_at = _start(step, context, run.site)
    cancelled = bool(step.get("cancelled"))
    link_id = _link_id(config, context)
    url = None if cancelled else _link(config, link_id, starts_at, run)
    result = {
        "meeting_scheduled": run.suppressed is None and not cancelled,
        "scheduling_link_id": link_id,
        "scheduling_url": url,
        "meeting_type": config["meeting_type"],
        "duration": config["duration"],
        "ics_uid": None if starts_at is None else _uid(config, context),
        "starts_at": iso(starts_at),
    }
    if cancelled:
        result["cancelled"] = True
    if run.suppressed is not None:
        return result | {"suppressed": run.suppressed}
    place = _place(config, context)
    values = render.values_for(context, run.site) | _shown(config, place, url) | {"cancelled": cancelled}
    entry = None
    if starts_at is not None:
        zone = zone_from(context, zone_named(run.site.timezone))
        values |= {"starts_at": _in_words(starts_at, config["duration"], zone), "fixed": True}
        entry = _entry(config, context, run, starts_at, place, values)
    else:
        values |= {"starts_at": "", "fixed": False}
    rendered = render.mail("meeting-invitation", values, run.site)
    letter = compose.to_couple(rendered, config, context, values, invitation=entry)
    run.deliver(Mail(compose.message_from(letter, site=run.site, key=run.idempotency_key, now=run.now)))
    return result


def _step_faults(step: Mapping[str, Any]) -> Iterator[str]:
    for name in _SEQUENCES:
        number = step.get(name)
        if number is not None and (type(number) is not int or not 0 <= number <= _LARGEST):
            yield f"context.step_data.{name}: must be a whole number from 0 to {_LARGEST}"
    cancelled = step.get("cancelled")
    if cancelled is not None and not isinstance(cancelled, bool):
        yield "context.step_data.cancelled: must be true or false"
    if cancelled is True and step.get("starts_at") is None:
        yield "context.step_data.starts_at: is needed to cancel a meeting"
    for name in _VIDEO_ADDRESSES:
        fault = None if step.get(name) is None else links.web_address_fault(step[name])
        if fault:
            yield f"context.step_data.{name}: {fault}"


def _start_fault(value: Any, context: Mapping[str, Any], site: Site) -> str | None:
    if not isinstance(value, str):
        return "must be a time as text, such as 2027-03-14T10:00 or 2027-03-14T10:00:00-04:00"
    if _DATE_ONLY.fullmatch(value.strip()):
        return f"{value[:60]!r} has no time of day"
    try:
        zone = zone_from(context, zone_named(site.timezone))
        parse_instant(value, zone=zone)
    except InvalidTime as error:
        return error.message
    except WedsyncError as error:  # of the zone, which has a place of its own
        return str(error)
    moment = datetime.fromisoformat(value.strip())
    if moment.tzinfo is None and moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != (
        moment
    ):
        return f"{value[:60]!r} does not exist in {zone.key}: the clocks go forward then"
    return None


def _start(step: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> int | None:
    """The meeting's start, ``None`` while there is none."""
    if step.get("starts_at") is None:
        return None
    return parse_instant(step["starts_at"], zone=zone_from(context, zone_named(site.timezone)))


def _entry(
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    run: Run,
    starts_at: int,
    place: _Place,
    values: Mapping[str, Any],
) -> "Invitation":
    """The entry for the couple's calendar. Raises PermanentError when the meeting was over before it could be sent."""
    from wedsync_ops.handlers.invitation import Meeting, Person, invitation

    if starts_at + config["duration"] * MINUTE <= run.now:
        raise PermanentError(f"the meeting of {iso(starts_at)} was over before the invitation could be sent")
    step = part(context, "step_data")
    supplier = text_of(values, "supplier_name") or ""
    kind = _kind(config)
    lines = [f"{kind} with {one_line(supplier) or 'your supplier'}", f"When: {values['starts_at']}"]
    lines += [f"Where: {place.words}"] if place.words else []
    lines += [f"To choose another time: {values['scheduling_url']}"] if values["scheduling_url"] else []
    meeting = Meeting(
        uid=_uid(config, context),
        sequence=next((step[name] for name in _SEQUENCES if step.get(name) is not None), 0),
        cancelled=values["cancelled"],
        starts_at=starts_at,
        zone=zone_from(context, zone_named(run.site.timezone)),
        duration=config["duration"],
        buffer_time=config.get("buffer_time", _BUFFER_MIN),
        summary=lines[0],
        description="\n".join(lines),
        place=place.words,
        join_uri=place.join_uri,
        organizer=Person(supplier, _organizer(context, run.site)),
        attendee=Person(text_of(values, "couple_name") or "", recipient(context)),
    )
    return invitation(meeting, run.now)


def _organizer(context: Mapping[str, Any], site: Site) -> str:
    """Who gets the answers: the supplier, else the platform's own address."""
    own = part(context, "supplier_data").get("email")
    return ascii_address(own) if own and address_fault(own) is None else named_address(site.mail_from)[1]


def _shown(config: Mapping[str, Any], place: _Place, url: str | None) -> dict[str, Any]:
    web = place.join_uri if place.join_uri and not place.join_uri.startswith("tel:") else ""
    return {
        "meeting_type": _kind(config),
        "meeting_place": place.words or "",
        "duration": config["duration"],
        "video_url": web,
        "scheduling_url": url or "",
    }


def _kind(config: Mapping[str, Any]) -> str:
    """``site_visit`` as ``Site visit``."""
    words = one_line(config["meeting_type"].replace("_", " "), 100) or "meeting"
    return words[0].upper() + words[1:]


def _place(config: Mapping[str, Any], context: Mapping[str, Any]) -> _Place:
    step, supplier = part(context, "step_data"), part(context, "supplier_data")
    location = text_of(config, "location") or text_of(step, "location")
    kind = config.get("format") or ("video" if config.get("video_provider") else "in_person")
    if kind == "video":
        address = text_of(step, *_VIDEO_ADDRESSES)
        provider = text_of(config, "video_provider")
        words = f"Video call ({one_line(provider, 100)})" if provider else "Video call"
        return _Place(f"{words}: {address}" if address else words, address)
    if kind == "phone":
        number = one_line(text_of(step, "phone") or text_of(supplier, "phone") or "", 40)
        words = f"By phone: {number}" if number else "By phone"
        return _Place(words, "tel:" + re.sub(r"[^+0-9]", "", number) if _PHONE.fullmatch(number) else None)
    location = location or text_of(supplier, "address")
    return _Place(one_line(location, 500) or None if location else None, None)


def _in_words(starts_at: int, duration: int, zone: ZoneInfo) -> str:
    start, end = to_datetime(starts_at, zone), to_datetime(starts_at + duration * MINUTE, zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%A} {end:%H:%M}"
    day, names = f"{start:%A}, {start.day} {start:%B} {start.year}", (start.tzname(), end.tzname())
    if names[0] != names[1]:  # the clocks are changed meanwhile
        return f"{day}, {start:%H:%M} {names[0]} to {until} {names[1]} ({zone.key})"
    return f"{day}, {start:%H:%M} to {until} ({names[0]}, {zone.key})"


def _identity(config: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """What makes it this meeting and no other, however often its time changes: couple, journey and step."""
    step = part(context, "step_data")
    own = next(
        (str(step[name]) for name in _STEP_IDS if isinstance(step.get(name), str | int) and step[name] != ""), None
    )
    names = ("supplier_id", "client_id", "journey_instance_id")
    told = [*(str(context.get(name)) for name in names), "step" if own else "type", own or config["meeting_type"]]
    return "wedsync-ops:meeting:" + codec.canonical(told).decode()


def _uid(config: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    """The event's UID: a name-based UUID (RFC 7986, 5.3, wants one that tells nothing)."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, _identity(config, context)))


def _link_id(config: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    return "meet-" + uuid.uuid5(uuid.NAMESPACE_URL, _identity(config, context) + ":link").hex


def _link(config: Mapping[str, Any], link_id: str, starts_at: int | None, run: Run) -> str:
    told = {"duration": str(config["duration"]), "buffer": str(config.get("buffer_time", _BUFFER_MIN))}
    return links.signed(run.site, f"/meetings/{link_id}", told, max(run.now + LINK_DAYS * DAY, starts_at or 0))
