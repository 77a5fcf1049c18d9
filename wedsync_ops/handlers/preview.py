"""Preview: what a job would deliver, rendered in full while nothing is written and nothing is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from wedsync_ops.errors import InvalidConfig, InvalidContext
from wedsync_ops.handlers.contract import Handler, Mail, Page, PermanentError, Receipt, Site, Text, problems
from wedsync_ops.handlers.delivery import message_id_for, reference_for, text_document

KEY = "preview"
"""The idempotency key that every preview has."""
_TIME_S = 30.0
_NAMES = {"text/html": "html", "text/calendar": "invitation"}


@dataclass(frozen=True, slots=True)
class Artefact:
    """A part of what would be delivered: its name, its media type and its text."""

    name: str
    media_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a job would come to: its result, what it would deliver, the jobs that it would queue, and its log."""

    result_data: Mapping[str, Any]
    artefacts: tuple[Artefact, ...]
    enqueued: tuple[Mapping[str, Any], ...]
    log: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The preview as a JSON object."""
        return {
            "result_data": dict(self.result_data),
            "artefacts": [
                {"name": item.name, "media_type": item.media_type, "text": item.text} for item in self.artefacts
            ],
            "enqueued": [dict(row) for row in self.enqueued],
            "log": list(self.log),
        }


def preview(
    handler: Handler,
    config: Mapping[str, Any],
    context: Mapping[str, Any],
    site: Site,
    now: int,
    *,
    send_delay_min: float | None = None,
) -> Preview:
    """Run a handler as if at the instant ``now``, recording what it would deliver.

    ``send_delay_min`` is how many minutes the job would have waited for its ``send_delay``.
    Raises InvalidConfig or InvalidContext when the handler's check refuses the job, and InvalidContext when the handler
    itself says that it can never succeed.
    """
    refusals = problems(handler, config, context, site)
    if refusals:
        kind = InvalidConfig if refusals[0].startswith("config") else InvalidContext
        raise kind("; ".join(refusals), details=refusals)
    run = _Rehearsal(site, now, send_delay_min=send_delay_min)
    try:
        result = handler(config, context, run)
    except PermanentError as error:
        raise InvalidContext(str(error)) from error
    return Preview(result, tuple(run.artefacts), tuple(run.enqueued), tuple(run.lines))


@dataclass(slots=True)
class _Rehearsal:
    """A ``Run`` that notes what it is asked to do."""

    site: Site
    now: int
    job_id: int = 0
    attempt: int = 1
    idempotency_key: str = KEY
    suppressed: str | None = None
    send_delay_min: float | None = None
    artefacts: list[Artefact] = field(default_factory=list)
    enqueued: list[Mapping[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def stopping(self) -> bool:
        return False

    def time_left(self) -> float:
        return _TIME_S

    def log(self, message: str, **fields: Any) -> None:
        self.lines.append(" ".join([message, *(f"{name}={value!r}" for name, value in fields.items())]))

    def deliver(self, artefact: Mail | Page | Text) -> Receipt:
        if isinstance(artefact, Page):
            self.artefacts.append(Artefact("page", "text/html", artefact.html))
            return Receipt(artefact.page_id, "preview", repeated=False)
        if isinstance(artefact, Text):
            self.artefacts.append(Artefact("text", "application/json", text_document(artefact, KEY).decode()))
            return Receipt(reference_for(KEY, artefact), "preview", repeated=False)
        self.artefacts.extend(_parts(artefact.message))
        return Receipt(message_id_for(KEY, self.site), "preview", repeated=False)

    def enqueue(self, module_type: str, config: Mapping[str, Any], **options: Any) -> None:
        self.enqueued.append({"module_type": module_type, "config": dict(config), **options})


def _parts(message: EmailMessage) -> list[Artefact]:
    shown = ("From", "To", "Cc", "Reply-To", "Subject")
    headers = "".join(f"{name}: {message[name]}\n" for name in shown if message[name] is not None)
    found = [Artefact("headers", "text/rfc822-headers", headers)]
    for part in message.walk():
        kind = part.get_content_type()
        file = part.get_filename()
        if part.is_multipart() or not isinstance(part, EmailMessage):
            continue
        if file is not None:
            size = len(part.get_payload(decode=True) or b"")
            found.append(Artefact(f"attachment {file}", kind, f"{size:,} bytes"))
        else:
            found.append(Artefact(_NAMES.get(kind, "text"), kind, part.get_content()))
    return found
