"""E-mail messages put together by hand: few header objects, quoted-printable by C, no randomness.

A message depends on its input only, so that a repeated attempt makes the same bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wedsync_ops.handlers import unsubscribe
from wedsync_ops.handlers.addresses import named_address
from wedsync_ops.handlers.attachments import Attachment
from wedsync_ops.handlers.branding import content_id
from wedsync_ops.handlers.checks import recipient, reply_address
from wedsync_ops.handlers.contract import Site
from wedsync_ops.handlers.fields import text_of
from wedsync_ops.handlers.headers import PreparedMessage, mailbox, unstructured
from wedsync_ops.instants import to_datetime

if TYPE_CHECKING:
    from wedsync_ops.handlers.render import Rendered

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Invitation:
    """A calendar object (iCalendar text) and its method (REQUEST or CANCEL), as mails carry them (RFC 6047)."""

    method: str
    ics: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What an e-mail says, to whom, and for whom. Addresses are free of faults."""

    to: str
    to_name: str | None
    from_name: str | None
    reply_to: str | None
    subject: str
    html: str
    text: str
    attachments: Sequence[Attachment] = field(default=())
    important: bool = False
    invitation: Invitation | None = None
    logo: Attachment | None = None


def to_couple(
    rendered: "Rendered",
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    values: Mapping[str, Any],
    *,
    attachments: Sequence[Attachment] = (),
    invitation: Invitation | None = None,
) -> Letter:
    """The letter to a job's couple in their supplier's name. Raises PermanentError without a recipient."""
    return Letter(
        to=recipient(context),
        to_name=text_of(values, "couple_name"),
        from_name=text_of(values, "supplier_name"),
        reply_to=reply_address(config, context),
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        attachments=attachments,
        invitation=invitation,
        logo=rendered.logo,
    )


def message_from(letter: Letter, *, site: Site, key: str, now: int) -> PreparedMessage:
    """The letter as multipart/alternative (with attachments: inside multipart/mixed), dated ``now``. A logo is inside
    multipart/related with the HTML that shows it.

    It is sent from the platform's own address under the supplier's name, so that SPF and DMARC hold; answers go to
    the supplier, and the headers let the recipient unsubscribe. Raises ValueError when the setting mail_from is no
    address.
    """
    name, sender = named_address(site.mail_from)
    message = PreparedMessage()
    message["From"] = mailbox(letter.from_name or name, sender, "From")
    message["To"] = mailbox(letter.to_name or "", letter.to, "To")
    if letter.reply_to:
        message["Reply-To"] = letter.reply_to
    message["Subject"] = unstructured(letter.subject, "Subject")
    message["Date"] = rfc5322_date(now)
    if letter.important:
        message["Importance"] = "high"
    for header, value in unsubscribe.headers(site, letter.to, sender).items():
        message[header] = value
    boundary = "=_" + hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    message["MIME-Version"] = "1.0"
    bodies = [_text_part("plain", letter.text), _html_part(letter, boundary)]
    files = [_file_part(item) for item in letter.attachments]
    if letter.invitation is not None:
        # Most mail clients answer the part among the bodies; the others open the file.
        bodies.append(_calendar_part(letter.invitation))
        files.insert(0, _file_part(Attachment("invite.ics", "application/ics", letter.invitation.ics)))
    if not files:
        message.hold("alternative", boundary + "a", bodies)
        return message
    inner = PreparedMessage()
    inner.hold("alternative", boundary + "a", bodies)
    message.hold("mixed", boundary + "m", [inner, *files])
    return message


def rfc5322_date(instant: int) -> str:
    """An instant as a message's date, in UTC."""
    at = to_datetime(instant)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year} {at:%H:%M:%S} +0000"


def _text_part(subtype: str, text: str) -> PreparedMessage:
    part = PreparedMessage()
    part["Content-Type"] = f'text/{subtype}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    part.write(binascii.b2a_qp(lines.encode("utf-8", "replace"), istext=True).decode("ascii"))
    return part


def _html_part(letter: Letter, boundary: str) -> PreparedMessage:
    html = _text_part("html", letter.html)
    if letter.logo is None:
        return html
    related = PreparedMessage()
    related.hold('related; type="text/html"', boundary + "r", [html, _picture_part(letter.logo)])
    return related


def _picture_part(shown: Attachment) -> PreparedMessage:
    part = PreparedMessage()
    part["Content-Type"] = shown.media_type
    part["Content-Transfer-Encoding"] = "base64"
    part["Content-ID"] = f"<{content_id(shown)}>"
    part["Content-Disposition"] = f"inline;\r\n filename*=utf-8''{quote(shown.name, safe='')}"
    part.write(base64.encodebytes(shown.content).decode("ascii"))
    return part


def _calendar_part(invitation: Invitation) -> PreparedMessage:
    part = PreparedMessage()
    part["Content-Type"] = f'text/calendar; charset="utf-8"; method={invitation.method}'
    part["Content-Transfer-Encoding"] = "base64"
    part.write(base64.encodebytes(invitation.ics).decode("ascii"))
    return part


def _file_part(attachment: Attachment) -> PreparedMessage:
    part = PreparedMessage()
    name = quote(attachment.name, safe="")
    part["Content-Type"] = attachment.media_type
    part["Content-Transfer-Encoding"] = "base64"
    part["Content-Disposition"] = f"attachment;\r\n filename*=utf-8''{name}"
    part.write(base64.encodebytes(attachment.content).decode("ascii"))
    return part
