"""One attempt at a job: the handler's view of it, and how what the handler did becomes a verdict."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wedsync_ops import codec
from wedsync_ops.errors import InvalidInput, InvalidJson
from wedsync_ops.handlers.contract import Handler, Mail, NotNow, Page, PermanentError, Receipt, RetryAfter, Site, Text
from wedsync_ops.jobs.events import next_step, without_next_step
from wedsync_ops.jobs.model import Order, Result

if TYPE_CHECKING:
    from wedsync_ops.handlers.uplink import Uplink

MAX_ERROR = 500
"""The longest error text of an execution, in characters."""
MAX_TRACEBACK = 16 * 1024
"""The longest traceback kept of an execution, in characters."""
_LONGEST_WAIT_S = 366 * 86_400.0
_FURTHER = "the list of jobs that the handler queued"
_ROW_OPTIONS = frozenset({"context", "priority", "at", "delay", "key", "deadline", "expires", "replace"})


class LimitReached(BaseException):
    """Raised inside a handler that ran into a limit of time.

    A BaseException, so that a handler's own ``except Exception`` lets it through.
    """


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended; the fields are those of Outcome."""

    result: Result
    data: bytes | None = None
    error: str | None = None
    traceback: str | None = None
    permanent: bool = False
    retry_after_s: float | None = None
    enqueue: bytes | None = None


def _not_asked() -> None:
    """Nobody stops."""


class Attempt:
    """The ``Run`` that a handler gets. ``write`` takes lines of log.

    ``asked`` tells the monotonic second until which the handler has when its worker stops, ``None`` while it doesn't.
    """

    __slots__ = (
        "_asked",
        "_context",
        "_ends_at",
        "_now",
        "_order",
        "_rows",
        "_site",
        "_size",
        "_uplink",
        "_write",
        "bytes_sent",
        "files",
    )

    def __init__(
        self,
        order: Order,
        site: Site,
        now: int,
        write: Callable[[str], None],
        asked: Callable[[], float | None] = _not_asked,
    ) -> None:
        self._order = order
        self._asked = asked
        self._site = site.over(order.routes) if order.routes else site
        self._now = now
        self._ends_at = monotonic() + order.timeout_s
        self._write = write
        self._rows: list[bytes] = []
        self._size = 1  # of the list that the rows make, in bytes
        self._context: Mapping[str, Any] = {}
        self._uplink: Uplink | None = None
        self.bytes_sent: int | None = None
        self.files: list[str] = []

    @property
    def job_id(self) -> int:
        """The job's id."""
        return self._order.job_id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._order.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt at this job and every manual retry of it."""
        return self._order.idempotency_key

    @property
    def site(self) -> Site:
        """Where this platform runs."""
        return self._site

    @property
    def now(self) -> int:
        """The instant at which this attempt started, in microseconds since the epoch."""
        return self._now

    @property
    def suppressed(self) -> str | None:
        """Why the recipient must not be written to, ``None`` otherwise."""
        return self._order.suppressed

    @property
    def send_delay_min(self) -> float | None:
        """How many minutes of ``send_delay`` the job waited, ``None`` when that is not known."""
        return self._order.send_delay_min

    def time_left(self) -> float:
        """Seconds until this attempt is stopped, 0 when its time is over. A worker that stops leaves less."""
        until = self._asked()
        ends_at = self._ends_at if until is None else min(self._ends_at, until)
        return max(0.0, ends_at - monotonic())

    @property
    def stopping(self) -> bool:
        """Whether the worker stops, so that the handler should come to an end or put the job off (``NotNow``)."""
        return self._asked() is not None

    def log(self, message: str, **fields: Any) -> None:
        """Add a line to the execution's log; fields follow as ``name=value``."""
        self._write(" ".join([str(message), *(f"{name}={value!r}" for name, value in fields.items())]) + "\n")

    def deliver(self, artefact: Mail | Page | Text) -> Receipt:
        """Deliver an artefact: into the outbox at most once per idempotency key, or to the configured server."""
        from wedsync_ops.handlers.delivery import deliver
        from wedsync_ops.handlers.uplink import Uplink

        uplink = self._uplink = self._uplink or Uplink(self._order.network_mbps)
        before = uplink.sent
        written = 0
        try:
            receipt, written = deliver(
                artefact,
                site=self._site,
                idempotency_key=self.idempotency_key,
                now=self._now,
                timeout_s=self.time_left(),
                uplink=uplink,
            )
        finally:  # what a failed delivery has sent has been sent
            self.bytes_sent = (self.bytes_sent or 0) + written + uplink.sent - before
        if receipt.file_name is not None:
            self.files.append(receipt.file_name)
        return receipt

    def enqueue(self, module_type: str, config: Mapping[str, Any], **options: Any) -> None:
        """Queue a further job in the transaction that finishes this one.

        Raises TypeError for an unknown option, and InvalidJson for what is not JSON or, with what was queued before,
        takes more than 1 MiB: a handler that queues before it delivers has then sent nothing.

        The step that the journey takes next is this job's to tell: a further job's context has only one of its own.
        """
        unknown = options.keys() - _ROW_OPTIONS
        if unknown:
            raise TypeError(f"enqueue has no option {min(unknown)!r}; it takes {', '.join(sorted(_ROW_OPTIONS))}")
        given = {name: value for name, value in options.items() if value is not None}
        context = dict(given.pop("context", self._context))
        if next_step(None, context) == next_step(None, self._context):
            context = without_next_step(context)
        row = {"module_type": module_type, "config": dict(config), "context": context, **given}
        raw = _written([row], _FURTHER)[1:-1]
        size = self._size + len(raw) + 1
        if size > codec.MAX_BYTES:
            raise _too_large(_FURTHER, size)
        self._rows.append(raw)
        self._size = size

    def perform(self) -> Verdict:
        """Run the handler and judge what it returned or raised. Lets nothing through but a late LimitReached."""
        order = self._order
        try:
            handler = self.handler()
        except InvalidInput as error:
            return unable(error)
        try:
            config = MappingProxyType(codec.load_object(order.config, "the job's config"))
            self._context = context = MappingProxyType(codec.load_object(order.context, "the job's context"))
            data = _result(handler(config, context, self), next_step(None, context))
            rows = b"[%b]" % b",".join(self._rows) if self._rows else None
        except BaseException as error:  # noqa: BLE001 - an executor: whatever a handler raises is its outcome
            return self.judge(error)
        return Verdict(Result.OK, data, enqueue=rows)

    def handler(self) -> Handler:
        """The handler that the order names. Raises InvalidInput when there is none."""
        return handler_named(self._order.handler)

    def judge(self, error: BaseException) -> Verdict:
        """The verdict on what the handler raised."""
        return failure(error, self._order)


@lru_cache(maxsize=512)
def handler_named(name: str) -> Handler:
    """The handler of that name, looked up once per process. Raises InvalidInput when there is none."""
    from wedsync_ops.modules.resolve import resolve

    return resolve(name)


def unable(error: InvalidInput) -> Verdict:
    """The verdict where the handler is not installed; another worker may have it, as while a version is rolled out."""
    text = one_line(f"this worker cannot run it: {error.message}")
    return Verdict(Result.LOST, error=text, permanent=True)


def failure(error: BaseException, order: Order) -> Verdict:
    """The verdict on an attempt that ended with this exception."""
    trace = trace_of(error)
    if isinstance(error, LimitReached):
        return Verdict(Result.TIMEOUT, error=one_line(str(error)), traceback=trace)
    text = describe(error)
    if isinstance(error, MemoryError):
        text = f"MemoryError: the attempt needed more memory than its limit of {order.memory_mb} MB allows"
        return Verdict(Result.OOM, error=text, traceback=trace)
    if isinstance(error, PermanentError):
        return Verdict(Result.ERROR, error=text, traceback=trace, permanent=True)
    if isinstance(error, NotNow):
        return Verdict(Result.CANCELLED, error=one_line(str(error)), retry_after_s=min(error.seconds, _LONGEST_WAIT_S))
    if isinstance(error, RetryAfter):
        wait_s = min(error.seconds, _LONGEST_WAIT_S)
        return Verdict(Result.ERROR, error=text, traceback=trace, retry_after_s=wait_s)
    return Verdict(Result.ERROR, error=text, traceback=trace)


def describe(error: BaseException) -> str:
    """``ExceptionType: message`` on one line."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a handler's own __str__ may do anything
        text = "(its message cannot be read)"
    name = type(error).__name__
    return one_line(f"{name}: {text}" if text else name)


def one_line(text: str) -> str:
    """Text as one printable line of at most 500 characters."""
    line = clean(" ".join(text[: 8 * MAX_ERROR].split()))
    return line if len(line) <= MAX_ERROR else line[: MAX_ERROR - 1] + "…"


def trace_of(error: BaseException) -> str:
    """Where an exception came from, without our own frames; when too long, its end."""
    where = error.__traceback__
    inner = where.tb_next if where is not None and where.tb_frame.f_code is Attempt.perform.__code__ else where
    try:
        text = "".join(traceback.format_exception(type(error), error, inner))
    except Exception:  # noqa: BLE001 - formatting calls code of the handler's exception
        return describe(error)
    return bounded(text)


def bounded(text: str) -> str:
    """The end of a traceback, as much as is kept."""
    text = clean(text)
    return text if len(text) <= MAX_TRACEBACK else "[…]\n" + text[-MAX_TRACEBACK + 4 :]


def clean(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogates."""
    return text.replace("\x00", "\\0").encode(errors="backslashreplace").decode()


def _result(value: object, following: Any = None) -> bytes:
    """A handler's result as JSON, with the step that follows, unless the handler has named one of its own."""
    if not isinstance(value, Mapping):
        raise InvalidJson(f"a handler must return a JSON object, not {type(value).__name__}")
    result = value if isinstance(value, dict) else dict(value)
    raw = _written(result, "the handler's result")
    if following is None or result.get("next_step") is not None:
        return raw
    whole = codec.dumps({**result, "next_step": following})
    return whole if len(whole) <= codec.MAX_BYTES else raw  # what was delivered must not fail for its size


def _written(value: Any, what: str) -> bytes:
    """JSON of a value within the codec's limits.

    What is far too large is refused before it is written: orjson crashes when it runs into a limit of memory.
    """
    codec.check(value, what)
    if _weight(value, codec.MAX_BYTES) > codec.MAX_BYTES:
        raise InvalidJson(f"{what} is too large", hint=f"at most {codec.MAX_BYTES:,} bytes are accepted")
    raw = codec.dumps(value)
    if len(raw) > codec.MAX_BYTES:
        raise _too_large(what, len(raw))
    return raw


def _too_large(what: str, size: int) -> InvalidJson:
    return InvalidJson(f"{what} measures {size:,} bytes", hint=f"at most {codec.MAX_BYTES:,} are accepted")


def _weight(value: Any, enough: int) -> int:
    """How many bytes a checked value takes as JSON at the very least; counts no further than ``enough``."""
    if isinstance(value, str):
        return len(value) + 2
    total = 2
    if isinstance(value, dict):
        for key, item in value.items():
            total += len(key) + 4 + _weight(item, enough - total)
            if total > enough:
                break
    elif isinstance(value, list | tuple):
        for item in value:
            total += 1 + _weight(item, enough - total)
            if total > enough:
                break
    return total - 1
