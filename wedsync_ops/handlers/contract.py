"""What a handler gets and what it may do: the contract for every module type, ours and third parties'.

    def handle(config: Mapping, context: Mapping, run: Run) -> Mapping

The mapping that it returns is the job's ``result_data`` and must be JSON. It may raise PermanentError (never retried),
RetryAfter (retried after that long) or NotNow (put off, which is no attempt); whatever else it raises is retried by the
module type's own rule. It runs once more whenever an earlier run's outcome was not recorded, so what it does must be
safe to repeat: ``run.deliver`` is, by the idempotency key.
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from wedsync_ops.errors import shortened

Handler = Callable[[Mapping[str, Any], Mapping[str, Any], "Run"], Mapping[str, Any]]
Check = Callable[[Mapping[str, Any], Mapping[str, Any], "Site"], Iterable[str]]
Address = Callable[[Mapping[str, Any], Mapping[str, Any], "Site"], str | None]
End = Callable[[Mapping[str, Any], Mapping[str, Any], "Site"], int | None]
CodeOf = Callable[[Mapping[str, Any], Mapping[str, Any], "Site"], str | None]
_H = TypeVar("_H", bound=Callable[..., Any])


class PermanentError(Exception):
    """The job can never succeed; it is discarded with this message and not retried."""


class RetryAfter(Exception):
    """The job should be tried again after ``seconds``; it costs an attempt like any failure."""

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(message or f"to be tried again after {seconds:g} s")
        self.seconds = max(0.0, float(seconds))


class NotNow(Exception):
    """The job must not be done at this moment but after ``seconds`` (1 or more); nothing was done, and it costs no
    attempt.
    """

    def __init__(self, seconds: float, message: str = "") -> None:
        super().__init__(message or f"put off for {seconds:g} s")
        self.seconds = max(1.0, float(seconds))


@dataclass(frozen=True, slots=True)
class Site:
    """Where and for whom this platform runs: the part of the settings that handlers may know."""

    outbox: Path
    timezone: str
    public_url: str
    mail_from: str
    templates_dir: Path | None = None
    attachments_dir: Path | None = None
    smtp_url: str | None = None
    sms_url: str | None = None
    sms_token: str | None = None
    quiet_hours: str | None = None
    """The span of a recipient's day without texts, as ``21:00-08:00``."""
    link_secret: str = ""
    """Signs links; hex digits."""
    smtp_url_backup: str | None = None
    sms_url_backup: str | None = None
    sms_token_backup: str | None = None

    def over(self, routes: Collection[str]) -> "Site":
        """The site with the backup of these routes (smtp, sms) in the place of what fails, where there is one."""
        site = self
        if "smtp" in routes and self.smtp_url_backup is not None:
            site = replace(site, smtp_url=self.smtp_url_backup)
        if "sms" in routes and self.sms_url_backup is not None:
            site = replace(site, sms_url=self.sms_url_backup, sms_token=self.sms_token_backup)
        return site


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail to send. Its Message-ID and Idempotency-Key are set when it is delivered."""

    message: EmailMessage


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered HTML page to publish under ``page_id``."""

    page_id: str
    html: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text message for ``to`` (E.164) by ``channel`` (sms, whatsapp); ``media_url`` is a picture's or document's.

    ``is_fallback`` tells it from another of the same job that could not be delivered. ``job_id`` makes the job known by
    the text's reference, when the gateway reports what became of it.
    """

    channel: str
    to: str
    body: str
    media_url: str | None = None
    is_fallback: bool = False
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: its id, where it lies or went, and whether it had been made before."""

    delivery_id: str
    reference: str
    repeated: bool
    file_name: str | None = None
    """The file's name, of what lies in the outbox."""


class Run(Protocol):
    """One attempt at a job, as its handler sees it."""

    @property
    def job_id(self) -> int:
        """The job's id."""
        ...

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this job and every manual retry of it."""
        ...

    @property
    def site(self) -> Site:
        """Where this platform runs."""
        ...

    @property
    def now(self) -> int:
        """The instant at which this attempt started, in microseconds since the epoch."""
        ...

    @property
    def suppressed(self) -> str | None:
        """Why the recipient must not be written to (bounce, complaint, unsubscribed, manual), ``None`` otherwise.

        Known for handlers that say whom they write to (``addressed_by``), as of the moment the job was claimed.
        """
        ...

    @property
    def send_delay_min(self) -> float | None:
        """How many minutes the config's ``send_delay`` made the job wait, as decided when it was queued (a wedding
        week cuts it); ``None`` when it asks for none, or that is not known.
        """
        ...

    @property
    def stopping(self) -> bool:
        """Whether the worker stops and this attempt will soon be broken off: come to an end, or raise NotNow."""
        ...

    def time_left(self) -> float:
        """Seconds until this attempt is stopped."""
        ...

    def log(self, message: str, **fields: Any) -> None:
        """Add a line to the execution's log (kept while the execution is; no personal data, please)."""
        ...

    def deliver(self, artefact: Mail | Page | Text) -> Receipt:
        """Deliver an artefact: into the outbox at most once per idempotency key, or to the configured server."""
        ...

    def enqueue(self, module_type: str, config: Mapping[str, Any], **options: Any) -> None:
        """Queue a further job in the transaction that finishes this one (so exactly when this one succeeds).

        Best called before anything is delivered: it raises InvalidJson when the jobs that a handler queues are no JSON
        or take more than 1 MiB together. It takes this job's context, without ``step_data.next_step``: the journey goes
        on once. ``options`` are those of a line of ``enqueue --file``: context, priority, at, delay, key, deadline,
        expires, replace.
        """
        ...


def checked_by(check: Check, texts: Check | None = None) -> Callable[[_H], _H]:
    """Give a handler a check that runs when a job is queued; each text that it yields refuses the job.

    The check must be quick and touch nothing but files: thousands of jobs are queued at once. ``texts`` checks what
    must be rendered for that. It is left out for further jobs of shipped handlers: their texts were accepted before.
    """

    def attach(handler: _H) -> _H:
        handler.check, handler.check_texts = check, texts  # type: ignore[attr-defined]
        return handler

    return attach


def addressed_by(address: Address) -> Callable[[_H], _H]:
    """Let a handler say whom a job writes to, as ``mailto:a@b.co`` or ``tel:+441632960001``, so that suppressed
    recipients are known to it. The address is kept as a digest only.
    """

    def attach(handler: _H) -> _H:
        handler.address = address  # type: ignore[attr-defined]
        return handler

    return attach


def recipient_of(handler: object, config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> str | None:
    """The digest of the address that a job writes to, ``None`` when its handler does not say. For checked jobs.

    Raises PermanentError when the handler cannot tell.
    """
    found = _told_by("address", handler, config, context, site)
    return None if found is None else recipient_digest(found)


class Ending(NamedTuple):
    """The instant from which on a job can do nothing any more, and where in config or context that is said."""

    at: int
    place: str


def ends_by(end: End, place: str) -> Callable[[_H], _H]:
    """Let a handler say from which instant on a job cannot succeed (``None``: it always can), so that one that would be
    due only then is refused when it is queued. ``place`` is where that is said, such as ``config.expires_at``.
    """

    def attach(handler: _H) -> _H:
        handler.end, handler.end_place = end, place  # type: ignore[attr-defined]
        return handler

    return attach


def ending_of(handler: object, config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> Ending | None:
    """When a job cannot succeed any more, ``None`` when its handler does not say. For checked jobs."""
    end: End | None = getattr(handler, "end", None)
    at = None if end is None else end(config, context, site)
    return None if at is None else Ending(at, getattr(handler, "end_place", "config"))


def claims(code_of: CodeOf, into: str | None = None) -> Callable[[_H], _H]:
    """Let a handler claim a code for its supplier and couple when a job is queued: the database gives a code to one
    couple of one supplier, and each of those one code, for good; a job that asks for another is refused.

    ``into`` is the key of the config that names a code. A job that names none claims the code that its couple holds,
    else the one that ``code_of`` makes, and runs with that in its config: it can't come out otherwise later.
    """

    def attach(handler: _H) -> _H:
        handler.code_of, handler.code_into = code_of, into  # type: ignore[attr-defined]
        return handler

    return attach


def claim_of(handler: object, config: Mapping[str, Any], context: Mapping[str, Any], site: Site) -> str | None:
    """The code that a job claims, ``None`` when its handler claims none. For checked jobs.

    Raises PermanentError when the handler cannot tell.
    """
    return _told_by("code_of", handler, config, context, site)


def made_into(handler: object, config: Mapping[str, Any]) -> str | None:
    """The key of the config into which a claimed code is to be written; ``None`` when the config names a code."""
    into: str | None = getattr(handler, "code_into", None)
    return None if into is None or config.get(into) else into


def recipient_digest(address: str) -> str:
    """The digest under which an address (``mailto:…`` or ``tel:…``) is suppressed; its case does not count."""
    return hashlib.blake2b(address.lower().encode(), digest_size=16).hexdigest()


def problems(
    handler: object, config: Mapping[str, Any], context: Mapping[str, Any], site: Site, *, texts: bool = True
) -> Sequence[str]:
    """What a handler's own checks have against a job; nothing when it has none. ``texts`` says whether to render."""
    checks: tuple[Check | None, ...] = (getattr(handler, "check", None),)
    if texts:
        checks += (getattr(handler, "check_texts", None),)
    try:
        return tuple(fault for check in checks if check is not None for fault in check(config, context, site))
    except Exception as error:  # noqa: BLE001 - another party's code, which may raise anything
        return (_failure("check", error),)


_TOLD = {"address": "address", "code_of": "code"}
_LONGEST_TOLD = 1_000


def _told_by(
    name: str, handler: object, config: Mapping[str, Any], context: Mapping[str, Any], site: Site
) -> str | None:
    tell: Callable[[Mapping[str, Any], Mapping[str, Any], Site], object] | None = getattr(handler, name, None)
    if tell is None:
        return None
    try:
        found = tell(config, context, site)
    except PermanentError:
        raise
    except Exception as error:
        raise PermanentError(_failure(_TOLD[name], error)) from error
    if found is None or (isinstance(found, str) and found.isprintable() and 0 < len(found) <= _LONGEST_TOLD):
        return found
    raise PermanentError(f"the handler's {_TOLD[name]} must be one line of text, or nothing")


def _failure(what: str, error: Exception) -> str:
    return shortened(" ".join(f"the handler's {what} failed with {type(error).__name__}: {error}".split()))
