"""The pool's side of one slot: its channel, its pipe, its process, and what is known of the orders that it has.

The first order is the one that it runs. More may wait in its channel, *ahead*: until the slot takes them they can be
taken back.
"""

import contextlib
import math
import os
import signal
import socket
from collections import deque
from dataclasses import dataclass
from time import monotonic, monotonic_ns

from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs import protocol
from wedsync_ops.jobs.channel import DEPTH, PACKET, Channel
from wedsync_ops.jobs.footprint import resident_kb
from wedsync_ops.jobs.model import Order, Outcome, Result

GRACE_S = 0.08
"""How long a slot may take to stop by itself after the limit, in seconds; then it is killed."""
START_UP_S = 60.0
"""How long a new slot may take to come to life, in seconds: the handlers are imported meanwhile."""
_CHUNK = 64 * 1024


class PipeClosed(WedsyncError):
    """The slot closed its pipe."""

    code = "pipe_closed"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Why a slot was killed: what becomes of its order. A lost one is tried again after so many seconds, or at once."""

    result: Result
    error: str
    retry_after_s: float | None = None


class ProcessSlot:
    """One slot. Nothing here blocks; what is wrong with the slot is raised as WedsyncError."""

    __slots__ = (
        "_channel",
        "_frames",
        "_large",
        "_log",
        "_log_left",
        "_unsent",
        "ahead",
        "base_kb",
        "began",
        "cores",
        "fd",
        "hung_up",
        "last",
        "muted",
        "order",
        "outcomes",
        "peak_kb",
        "pid",
        "pidfd",
        "pipe",
        "sentence",
        "started_at",
        "starts",
        "untouched",
        "watch_at",
    )

    def __init__(self, pipe: socket.socket, starts: int = 1) -> None:
        pipe.settimeout(0)
        self.pipe = pipe
        self.fd = pipe.fileno()
        self.pid = 0
        self.pidfd = -1
        self.order: Order | None = None
        self.ahead: deque[Order] = deque()
        self.outcomes: list[Outcome] = []
        self.started_at = 0
        self.starts = starts
        self.watch_at = monotonic() + START_UP_S
        self.last = False
        self.sentence: Sentence | None = None
        self._frames = protocol.Frames()
        self._log: list[bytes] = []
        self._log_left = protocol.MAX_LOG + len(protocol.CUT)
        self._channel = Channel()
        self._large = False
        self._unsent: memoryview | None = None
        self.began = monotonic()
        self.untouched = False
        self.hung_up = False
        self.muted = False
        self.base_kb = 0
        self.peak_kb: int | None = None
        self.cores: frozenset[int] | None = None

    @property
    def alive(self) -> bool:
        """Whether its process is known and was not seen to have died."""
        return self.pidfd >= 0

    @property
    def orders_end(self) -> int:
        """The end of the channel that is sent to the slot."""
        return self._channel.end

    def was_sent(self) -> None:
        """The slot's end of the channel is on its way."""
        self._channel.let_go()

    def give(self, order: Order, now: int) -> bool:
        """Tell an idle slot what to run. Returns whether all is on its way, else ``flush`` goes on. Raises PipeClosed.

        ``now`` is the instant.
        """
        self._begin(order, now)
        frame = self._frame(order, now)
        self._large = len(frame) > PACKET
        if not self._large:
            self._put(frame)
            return True
        self._put(protocol.LARGE_FOLLOWS)
        self._unsent = memoryview(frame)
        return self.flush()

    def give_ahead(self, order: Order, now: int) -> bool:
        """Tell a busy slot what to run next. Returns whether there was room for it."""
        is_open = self.alive and self.sentence is None and not self.hung_up and not self._large
        if not is_open or len(self.ahead) >= DEPTH:
            return False
        frame = self._frame(order, now)
        if len(frame) > PACKET or not self._channel.put(frame):
            return False
        self.ahead.append(order)
        return True

    def take_back(self) -> list[Order]:
        """Take back what was given ahead and the slot has not taken. ``untouched`` then tells of its first order."""
        packets = self._channel.take_back()
        back = {protocol.job_of(packet) for packet in packets if packet != protocol.LARGE_FOLLOWS}
        returned = [order for order in self.ahead if order.job_id in back]
        self.ahead = deque(order for order in self.ahead if order.job_id not in back)
        self.untouched = len(packets) > len(returned)
        if self.untouched and self.ahead and self.order is not None:  # the slot has taken another one meanwhile
            returned.append(self.order)
            self._begin(self.ahead.popleft(), self.started_at)
            self.untouched = False
        return returned

    def ask_to_stop(self, until: float) -> None:
        """Let the handler know until which monotonic second it has, unless the slot is past hearing it."""
        if self._unsent is None and not self.hung_up:
            with contextlib.suppress(OSError):
                self.pipe.send(protocol.stop(until))

    def give_again(self) -> None:
        """Put the first order, which the slot had not taken, back into the channel."""
        if self.order is not None:
            self._put(protocol.LARGE_FOLLOWS if self._large else self._frame(self.order, self.started_at))

    def close(self) -> None:
        """Close the channel and the pipe: a slot that is alive ends by that."""
        self._channel.close()
        self.pipe.close()

    def flush(self) -> bool:
        """Go on sending. Returns whether everything is sent. Raises PipeClosed."""
        if self._unsent is None:
            return True
        try:
            sent = self.pipe.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PipeClosed from error
        self._unsent = self._unsent[sent:] if sent < len(self._unsent) else None
        return self._unsent is None

    def receive(self) -> bool:
        """Take what the slot has to say into ``outcomes``; whether it said anything. Raises PipeClosed and BadFrame."""
        try:
            chunk = self.pipe.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            raise PipeClosed from error
        if not chunk:
            raise PipeClosed
        for frame in self._frames.feed(chunk):
            self._take(frame)
        return True

    def receive_all(self) -> None:
        """Take everything that a dead slot had still said; broken remains are ignored."""
        with contextlib.suppress(WedsyncError):
            while self.receive():
                pass

    def kill(self, sentence: Sentence) -> None:
        """Kill the slot and its process group; the first sentence stands."""
        if self.sentence is None:
            self.sentence = sentence
        if self.alive:
            kill_group(self.pid, self.pidfd)

    def obituary(self, status: int) -> Outcome | None:
        """What becomes of the order of a slot that died with this wait status; None when it had none."""
        if self.order is None:
            return None
        sentence = self.sentence
        if sentence is None or (sentence.result is Result.KILLED and status != signal.SIGKILL):
            sentence = Sentence(Result.KILLED, _cause_of_death(status))
        return self.outcome(sentence)

    def outcome(self, sentence: Sentence) -> Outcome:
        """The outcome of the running order as seen from here. Only for a slot that has one."""
        order = self.order
        if order is None:
            raise WedsyncError("the slot has no order")
        duration_us = int((monotonic() - self.began) * 1_000_000)
        return Outcome(
            order.job_id,
            order.token,
            order.attempt,
            sentence.result,
            self.started_at,
            duration_us,
            error=sentence.error,
            log=self._log_text(),
            retry_after_s=sentence.retry_after_s,
            memory_kb=self.peak_kb,
        )

    def unstarted(self, order: Order, sentence: Sentence) -> Outcome:
        """The outcome of an order that the slot has not come to."""
        return Outcome(
            order.job_id, order.token, order.attempt, sentence.result, self.started_at, 0, error=sentence.error
        )

    def _begin(self, order: Order, now: int) -> None:
        self.order = order
        self.started_at = now
        self.began = monotonic()
        self.peak_kb = None
        if self.alive:
            self.watch_at = self.began + order.timeout_s + GRACE_S

    @staticmethod
    def _frame(order: Order, now: int) -> bytes:
        return protocol.order(order, now, monotonic_ns() // 1000)

    def _put(self, packet: bytes) -> None:
        if not self._channel.put(packet):  # an idle slot has taken everything
            raise PipeClosed

    def _take(self, frame: bytes) -> None:
        kind = protocol.kind_of(frame)
        if kind == protocol.DONE and self.order is not None and self.alive:
            outcome, self.last = protocol.read_done(frame, self.order, self._log_text())
            if self.peak_kb is not None and self.peak_kb > (outcome.memory_kb or 0):  # with what it had started
                outcome = outcome._replace(memory_kb=self.peak_kb)
            self.outcomes.append(outcome)
            self.order = None
            self.watch_at = math.inf
            if self._log:
                self._log.clear()
                self._log_left = protocol.MAX_LOG + len(protocol.CUT)
            self._large = False
            if self.ahead and not self.last:
                self._begin(self.ahead.popleft(), outcome.started_at + outcome.duration_us)
        elif kind == protocol.LOG:
            piece = protocol.read_log(frame)[: self._log_left]
            if piece and self.order is not None:
                self._log.append(piece)
                self._log_left -= len(piece)
        elif kind == protocol.HELLO and self.pid == 0:
            self._greet(protocol.read_hello(frame))
        else:
            raise protocol.BadFrame(f"the slot sent a frame of kind {kind} that was not expected")

    def _greet(self, pid: int) -> None:
        try:
            self.pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise protocol.BadFrame(f"the slot named process {pid}, which there is not") from error
        self.pid = pid
        self.base_kb = resident_kb(pid)
        self.began = monotonic()
        self.watch_at = math.inf if self.order is None else self.began + self.order.timeout_s + GRACE_S

    def _log_text(self) -> str | None:
        if not self._log:
            return None
        return b"".join(self._log).decode(errors="replace").replace("\x00", "\\0")


def kill_group(pid: int, pidfd: int) -> None:
    """Kill a process that was not yet waited for, and its group if it leads one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _cause_of_death(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:  # a real-time signal
            name = f"signal {number}"
        return f"the slot was killed by {name}"
    return f"the slot exited with code {os.waitstatus_to_exitcode(status)} in the middle of the job"
