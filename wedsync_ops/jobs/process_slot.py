"""The pool's side of one slot: its pipe, its process, and what is known of the order that it runs."""

import contextlib
import math
import os
import signal
import socket
from dataclasses import dataclass
from time import monotonic

from wedsync_ops.errors import WedsyncError
from wedsync_ops.jobs import protocol
from wedsync_ops.jobs.model import Order, Outcome, Result

GRACE_S = 0.5
"""How long a slot may take to stop by itself after the limit, in seconds; then it is killed."""
START_UP_S = 60.0
"""How long a new slot may take to come to life, in seconds: the handlers are imported meanwhile."""
_CHUNK = 64 * 1024


class PipeClosed(WedsyncError):
    """The slot closed its pipe."""

    code = "pipe_closed"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Why a slot was killed: what becomes of its order."""

    result: Result
    error: str


class ProcessSlot:
    """One slot. Nothing here blocks; what is wrong with the slot is raised as WedsyncError."""

    __slots__ = (
        "_began",
        "_frames",
        "_log",
        "_log_left",
        "_unsent",
        "fd",
        "hung_up",
        "last",
        "muted",
        "order",
        "pid",
        "pidfd",
        "pipe",
        "sentence",
        "started_at",
        "starts",
        "watch_at",
    )

    def __init__(self, pipe: socket.socket, starts: int = 1) -> None:
        pipe.settimeout(0)
        self.pipe = pipe
        self.fd = pipe.fileno()
        self.pid = 0
        self.pidfd = -1
        self.order: Order | None = None
        self.started_at = 0
        self.starts = starts
        self.watch_at = monotonic() + START_UP_S
        self.last = False
        self.sentence: Sentence | None = None
        self._frames = protocol.Frames()
        self._log: list[bytes] = []
        self._log_left = protocol.MAX_LOG + len(protocol.CUT)
        self._unsent: memoryview | None = None
        self._began = monotonic()
        self.hung_up = False
        self.muted = False

    @property
    def alive(self) -> bool:
        """Whether its process is known and was not seen to have died."""
        return self.pidfd >= 0

    def give(self, order: Order, started_at: int) -> bool:
        """Tell the slot what to run. Returns whether all is on its way, else ``flush`` goes on. Raises PipeClosed."""
        self.order = order
        self.started_at = started_at
        self._began = monotonic()
        if self.alive:
            self.watch_at = self._began + order.timeout_s + GRACE_S
        self._unsent = memoryview(protocol.order(order, started_at))
        return self.flush()

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

    def receive(self) -> Outcome | None:
        """Take what the slot has to say; an outcome when it is done. Raises PipeClosed and BadFrame."""
        try:
            chunk = self.pipe.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PipeClosed from error
        if not chunk:
            raise PipeClosed
        outcome = None
        for frame in self._frames.feed(chunk):
            outcome = self._take(frame) or outcome
        return outcome

    def receive_all(self) -> Outcome | None:
        """Take everything that a dead slot had still said; broken remains are ignored."""
        try:
            while True:
                outcome = self.receive()
                if outcome is not None or self.pipe.fileno() < 0:
                    return outcome
                if not self._waiting():
                    return None
        except WedsyncError:
            return None

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
        duration_us = int((monotonic() - self._began) * 1_000_000)
        return Outcome(
            order.job_id,
            order.token,
            order.attempt,
            sentence.result,
            self.started_at,
            duration_us,
            error=sentence.error,
            log=self._log_text(),
        )

    def _take(self, frame: bytes) -> Outcome | None:
        kind = protocol.kind_of(frame)
        if kind == protocol.DONE and self.order is not None and self.alive:
            outcome, self.last = protocol.read_done(frame, self.order, self.started_at, self._log_text())
            self.order = None
            self.watch_at = math.inf
            if self._log:
                self._log.clear()
                self._log_left = protocol.MAX_LOG + len(protocol.CUT)
            return outcome
        if kind == protocol.LOG:
            piece = protocol.read_log(frame)[: self._log_left]
            if piece and self.order is not None:
                self._log.append(piece)
                self._log_left -= len(piece)
        elif kind == protocol.HELLO and self.pid == 0:
            self._greet(protocol.read_hello(frame))
        else:
            raise protocol.BadFrame(f"the slot sent a frame of kind {kind} that was not expected")
        return None

    def _greet(self, pid: int) -> None:
        try:
            self.pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise protocol.BadFrame(f"the slot named process {pid}, which there is not") from error
        self.pid = pid
        self._began = monotonic()
        self.watch_at = math.inf if self.order is None else self._began + self.order.timeout_s + GRACE_S

    def _log_text(self) -> str | None:
        if not self._log:
            return None
        return b"".join(self._log).decode(errors="replace").replace("\x00", "\\0")

    def _waiting(self) -> bool:
        try:
            return bool(self.pipe.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False


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
