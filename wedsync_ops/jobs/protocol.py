"""What a pool and its slots say to each other: length-prefixed frames.

Orders travel over a channel of packets, what a slot says over a socket pair. A frame is its whole length, its kind, a
fixed binary head and raw parts; JSON parts travel as the bytes that they are and are parsed by nobody but the handler's
side. A slot is not trusted: whatever it sends is checked here.
"""

import struct
from collections.abc import Iterator

from wedsync_ops.codec import MAX_BYTES
from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs.model import Order, Outcome, Result

HELLO, ORDER, LOG, DONE, LARGE, STOP = 1, 2, 3, 4, 5, 6

MAX_FRAME = 2 * MAX_BYTES + 256 * 1024
"""The most that one frame may measure, in bytes: two documents of 1 MiB and what surrounds them."""
MAX_LOG = 64 * 1024
"""The most that is kept of one execution's log, in bytes."""
CUT = b"[the log was cut here: it is longer than 64 KiB]\n"

_HEAD = struct.Struct("<IB")
_JOB = struct.Struct("<q")
_HELLO = struct.Struct("<IBi")
_STOP = struct.Struct("<IBd")
_ORDER = struct.Struct("<IBqqqqIIddddBIIIII")
_DONE = struct.Struct("<IBqqIBBqqqqqdiiiii")
_RESULTS = tuple(Result)
_NUMBERS = {result: number for number, result in enumerate(_RESULTS)}
_PERMANENT, _LAST = 1, 2
_NO_TIME = -1.0
_ROUTES = ("smtp", "sms")


class BadFrame(WedsyncError):
    """The slot sent something that is no frame."""

    code = "bad_frame"


class Frames:
    """Cuts a stream of bytes into whole frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take what was received and give the frames that are complete now. Raises BadFrame after the good ones."""
        rest = self._rest
        rest += chunk
        at = 0
        try:
            while len(rest) - at >= _HEAD.size:
                size = _HEAD.unpack_from(rest, at)[0]
                if not _HEAD.size <= size <= MAX_FRAME:
                    raise BadFrame(f"the slot announced a frame of {size:,} bytes")
                if len(rest) - at < size:
                    return
                at += size
                yield bytes(rest[at - size : at])
        finally:
            del rest[:at]


def kind_of(frame: bytes) -> int:
    """Which of HELLO, ORDER, LOG, DONE, LARGE and STOP a whole frame is."""
    return frame[4]


def hello(pid: int) -> bytes:
    """Announce a new slot by its process id."""
    return _HELLO.pack(_HELLO.size, HELLO, pid)


def read_hello(frame: bytes) -> int:
    """The process id of a new slot. Raises BadFrame."""
    if len(frame) != _HELLO.size:
        raise BadFrame
    return int(_HELLO.unpack(frame)[2])


def log(text: bytes) -> bytes:
    """A piece of an execution's log."""
    return _HEAD.pack(_HEAD.size + len(text), LOG) + text


def read_log(frame: bytes) -> bytes:
    """The piece of log in a frame."""
    return frame[_HEAD.size :]


def stop(until: float) -> bytes:
    """Let a slot's handler know until which second of the machine's monotonic clock it has."""
    return _STOP.pack(_STOP.size, STOP, until)


def read_stop(frame: bytes) -> float:
    """The monotonic second until which the handler has."""
    return float(_STOP.unpack(frame)[2])


LARGE_FOLLOWS = _HEAD.pack(_HEAD.size, LARGE)
"""The packet that stands for an order which is too large for one, and comes over the socket pair."""


def order(wanted: Order, handed_at: int, handed_us: int) -> bytes:
    """Tell a slot what to run. ``handed_at`` is the instant of this, ``handed_us`` the monotonic microsecond."""
    handler, key = wanted.handler.encode(), wanted.idempotency_key.encode()
    config, context = wanted.config, wanted.context
    suppressed = b"" if wanted.suppressed is None else wanted.suppressed.encode()
    sizes = (len(handler), len(key), len(suppressed), len(config), len(context))
    head = _ORDER.pack(
        _ORDER.size + sum(sizes),
        ORDER,
        wanted.job_id,
        wanted.token,
        handed_at,
        handed_us,
        wanted.attempt,
        wanted.memory_mb,
        wanted.timeout_s,
        wanted.cpu_s,
        _NO_TIME if wanted.send_delay_min is None else wanted.send_delay_min,
        wanted.network_mbps,
        sum(1 << place for place, name in enumerate(_ROUTES) if name in wanted.routes),
        *sizes,
    )
    return b"".join((head, handler, key, suppressed, config, context))


def job_of(packet: bytes) -> int:
    """The job that an order is for."""
    return int(_JOB.unpack_from(packet, _HEAD.size)[0])


def read_order(frame: bytes) -> tuple[Order, int]:
    """What a slot is told to run, and what to add to its monotonic microseconds to get the platform's time."""
    _, _, job_id, token, handed_at, handed_us, attempt, *limits = _ORDER.unpack_from(frame)
    memory_mb, timeout_s, cpu_s, delay_min, network_mbps, routes, *sizes = limits
    handler_at = _ORDER.size
    key_at = handler_at + sizes[0]
    reason_at = key_at + sizes[1]
    config_at = reason_at + sizes[2]
    context_at = config_at + sizes[3]
    handler, key = frame[handler_at:key_at].decode(), frame[key_at:reason_at].decode()
    suppressed = frame[reason_at:config_at].decode() or None
    config, context = frame[config_at:context_at], frame[context_at:]
    wanted = Order(
        job_id,
        token,
        attempt,
        handler,
        config,
        context,
        key,
        timeout_s,
        memory_mb,
        cpu_s,
        suppressed=suppressed,
        send_delay_min=None if delay_min == _NO_TIME else delay_min,
        network_mbps=network_mbps,
        routes=frozenset(name for place, name in enumerate(_ROUTES) if routes >> place & 1) if routes else frozenset(),
    )
    return wanted, handed_at - handed_us


def done(outcome: Outcome, *, last: bool) -> bytes:
    """Report an execution; ``last`` says that the slot takes no further order. The log went ahead, in LOG frames."""
    parts = (
        outcome.data,
        None if outcome.error is None else outcome.error.encode(errors="replace"),
        None if outcome.traceback is None else outcome.traceback.encode(errors="replace"),
        outcome.enqueue,
        "/".join(outcome.delivered).encode() if outcome.delivered else None,
    )
    sizes = [-1 if part is None else len(part) for part in parts]
    body = b"".join([part for part in parts if part])
    head = _DONE.pack(
        _DONE.size + len(body),
        DONE,
        outcome.job_id,
        outcome.token,
        outcome.attempt,
        _NUMBERS[outcome.result],
        _PERMANENT * outcome.permanent | _LAST * last,
        outcome.started_at,
        outcome.duration_us,
        -1 if outcome.cpu_us is None else outcome.cpu_us,
        -1 if outcome.memory_kb is None else outcome.memory_kb,
        -1 if outcome.bytes_sent is None else outcome.bytes_sent,
        _NO_TIME if outcome.retry_after_s is None else outcome.retry_after_s,
        *sizes,
    )
    return head + body


def read_done(frame: bytes, running: Order, log_text: str | None) -> tuple[Outcome, bool]:
    """The outcome of what the slot was running, and whether that was its last. Raises BadFrame for any other."""
    try:
        return _read_done(frame, running, log_text)
    except (struct.error, IndexError, ValueError) as error:
        raise BadFrame(f"the slot sent a broken report: {error}") from error


def _read_done(frame: bytes, running: Order, log_text: str | None) -> tuple[Outcome, bool]:
    _, _, job_id, token, attempt, result, flags, started_at, *figures = _DONE.unpack_from(frame)
    duration_us, cpu_us, memory_kb, bytes_sent, wait_s, *sizes = figures
    if (job_id, token, attempt) != running[:3]:
        raise BadFrame(f"the slot reported job {job_id}, but runs job {running.job_id}")
    data, error, trace, enqueue, delivered = _parts(frame, sizes)
    outcome = Outcome(
        job_id,
        token,
        attempt,
        _RESULTS[result],
        started_at,
        duration_us,
        data,
        None if error is None else error.decode(),
        None if trace is None else trace.decode(),
        log_text,
        bool(flags & _PERMANENT),
        None if wait_s < 0 else wait_s,
        enqueue,
        None if cpu_us < 0 else cpu_us,
        None if memory_kb < 0 else memory_kb,
        None if bytes_sent < 0 else bytes_sent,
        () if delivered is None else tuple(delivered.decode().split("/")),
    )
    return outcome, bool(flags & _LAST)


def _parts(frame: bytes, sizes: list[int]) -> list[bytes | None]:
    parts: list[bytes | None] = []
    at = _DONE.size
    for size in sizes:
        if size < 0:
            parts.append(None)
            continue
        parts.append(frame[at : at + size])
        at += size
    if at != len(frame):
        raise BadFrame("the slot sent a report whose parts do not fit its length")
    return parts
