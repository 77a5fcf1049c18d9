"""What was delivered into a test's outbox, read back as values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from pathlib import Path
from typing import overload

from wedsync_ops import codec
from wedsync_ops.handlers.delivery import file_name

_KINDS = (("mail", "eml"), ("page", "html"), ("text", "json"))


@dataclass(frozen=True, slots=True)
class SentMail:
    """An e-mail as its reader gets it. ``calendar`` is the invitation (iCalendar text), where there is one."""

    path: Path
    to: tuple[str, ...]
    sender: str
    reply_to: str | None
    subject: str
    text: str
    html: str
    calendar: str | None
    attachments: Mapping[str, bytes]
    message_id: str
    key: str
    message: EmailMessage = field(repr=False)


@dataclass(frozen=True, slots=True)
class SentText:
    """A text message; ``channel`` is sms or whatsapp, ``to`` a number in E.164."""

    path: Path
    channel: str
    to: str
    body: str
    media_url: str | None
    reference: str


@dataclass(frozen=True, slots=True)
class PublishedPage:
    """A published page."""

    path: Path
    html: str


Artefact = SentMail | SentText | PublishedPage


class Outbox(Sequence[Artefact]):
    """Every artefact that lies in the outbox folder now, in the order of delivery."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._files())

    @overload
    def __getitem__(self, index: int) -> Artefact: ...
    @overload
    def __getitem__(self, index: slice) -> list[Artefact]: ...
    def __getitem__(self, index: int | slice) -> Artefact | list[Artefact]:
        return self._all()[index]

    def __iter__(self) -> Iterator[Artefact]:
        return iter(self._all())

    def __repr__(self) -> str:
        return f"Outbox({[path.name for path in self._files()]})"

    @property
    def mails(self) -> list[SentMail]:
        """The e-mails."""
        return [one for one in self if isinstance(one, SentMail)]

    @property
    def texts(self) -> list[SentText]:
        """The text messages."""
        return [one for one in self if isinstance(one, SentText)]

    @property
    def pages(self) -> list[PublishedPage]:
        """The pages."""
        return [one for one in self if isinstance(one, PublishedPage)]

    def note(self, key: str) -> None:
        """An execution with this idempotency key has ended: what it delivered comes after all that is known."""
        for kind, suffix in _KINDS:
            name = file_name(key, kind, suffix)
            if name not in self._places and (self.folder / name).is_file():
                self._places[name] = len(self._places)

    def clear(self) -> None:
        """Remove every artefact. A job that delivered one would deliver it again."""
        for path in self._files():
            path.unlink()
        self._places.clear()

    def _all(self) -> list[Artefact]:
        return [_read(path) for path in self._files()]

    def _files(self) -> list[Path]:
        found = [path for path in self.folder.glob("*-*") if path.is_file() and path.name[0] != "."]
        # A file's time is too coarse: several are made within one tick of the kernel's.
        return sorted(found, key=lambda path: (self._places.get(path.name, len(self._places)), path.name))


def _read(path: Path) -> Artefact:
    raw = path.read_bytes()
    if path.suffix == ".json":
        fields = codec.load_object(raw, path.name)
        names = ("channel", "to", "body", "media_url", "reference")
        return SentText(path, **{name: fields[name] for name in names})
    if path.suffix == ".html":
        return PublishedPage(path, raw.decode())
    return _mail(path, BytesParser(policy=policy.default).parsebytes(raw))


def _mail(path: Path, message: EmailMessage) -> SentMail:
    parts = [part for part in message.walk() if not part.is_multipart()]
    calendar = next((_content(part) for part in parts if part.get_content_type() == "text/calendar"), None)
    return SentMail(
        path=path,
        to=tuple(address.addr_spec for address in message["To"].addresses) if "To" in message else (),
        sender=str(message["From"] or ""),
        reply_to=None if "Reply-To" not in message else str(message["Reply-To"]),
        subject=str(message["Subject"] or ""),
        text=_content(message.get_body(("plain",))),
        html=_content(message.get_body(("html",))),
        calendar=calendar,
        attachments=dict(_attachments(message)),
        message_id=str(message["Message-ID"] or ""),
        key=str(message["Idempotency-Key"] or ""),
        message=message,
    )


def _attachments(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    for part in message.iter_attachments():
        name, content = part.get_filename(), part.get_payload(decode=True)
        if name is not None and isinstance(content, bytes):
            yield name, content


def _content(part: MIMEPart | None) -> str:
    return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
