"""A slot: the child process that runs one job at a time, told what to run over its channel.

It holds nothing but its channel and the pipe for what it says, leads its own process group, dies with its worker, and
is deaf to the signals that a terminal or an init system sends to everybody: whoever wants it to stop closes the channel
or kills it.
"""

import contextlib
import fcntl
import io
import math
import os
import resource
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs import protocol
from wedsync_ops.jobs.channel import PACKET
from wedsync_ops.jobs.kernel import adopt_orphans, die_with
from wedsync_ops.jobs.model import Order, Outcome, Result
from wedsync_ops.jobs.run import Attempt, LimitReached, Verdict, failure

_CHUNK = 64 * 1024
_MB = 1024 * 1024
_OOM_SCORE = "500"  # when memory runs out, the kernel should take a slot and spare the worker


@dataclass(frozen=True, slots=True)
class Setup:
    """What every slot of a pool is told once: its worker's process id, the site, and when it is recycled."""

    worker: int
    site: Site
    recycle_jobs: int
    recycle_mb: int


class _Pipe:
    """The slot's end of its pipe. Several threads of a handler may write log lines at once."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._ear = threading.Lock()
        self._frames = protocol.Frames()
        self._asked: float | None = None
        self.sender = 0

    def receive(self) -> bytes:
        """The next frame that the worker sends; nothing when it has closed the pipe."""
        chunk = b""
        while True:
            for frame in self._frames.feed(chunk):
                return frame
            chunk = self._connection.recv(_CHUNK)
            if not chunk:
                return b""

    def begin(self) -> None:
        """An attempt begins: what was said to an earlier one is over."""
        self._asked = None

    def asked(self) -> float | None:
        """The monotonic second until which the running handler has, ``None`` while nobody has asked it to stop."""
        with self._ear:
            chunk = b""
            with contextlib.suppress(OSError):  # nothing was said, or the handler has closed it
                chunk = self._connection.recv(_CHUNK, socket.MSG_DONTWAIT)
            for frame in self._frames.feed(chunk):
                if protocol.kind_of(frame) == protocol.STOP:
                    self._asked = protocol.read_stop(frame)
        return self._asked

    def send(self, frame: bytes) -> None:
        with self._lock:
            self.sender = threading.get_ident()
            try:
                self._connection.sendall(frame)
            finally:
                self.sender = 0

    def close(self) -> None:
        self._connection.close()


class _Log(io.RawIOBase):
    """Where everything printed and logged goes: into the pipe, up to the bound."""

    def __init__(self, pipe: _Pipe, watch: "_Watch") -> None:
        self._pipe = pipe
        self._watch = watch
        self._left = protocol.MAX_LOG
        self.text = self._fresh_text()

    def start(self) -> None:
        """A new execution begins: its log has the whole bound, and prints go here whatever the last job did."""
        self._left = protocol.MAX_LOG
        sys.stdout = sys.stderr = self.text

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Closing it is for nobody."""

    def write(self, data: Any) -> int:
        """Send bytes as far as the bound allows; the rest is dropped."""
        size = len(data)
        if self._left > 0:
            kept = bytes(data[: self._left])
            self._left -= size
            if self._left <= 0:
                kept += protocol.CUT
            self._pipe.send(protocol.log(kept))
            self._watch.raise_late()
        return size

    def line(self, text: str) -> None:
        """Write a line of ``Run.log``, in order with what was printed."""
        self.flush_text()
        self.write(text.encode(errors="backslashreplace"))

    def flush_text(self) -> None:
        """Send what was printed and not yet sent."""
        try:
            self.text.flush()
        except ValueError:  # the handler detached it
            self.text = self._fresh_text()

    def _fresh_text(self) -> io.TextIOWrapper:
        buffer = io.BufferedWriter(self, 8192)
        return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class _Watch:
    """The limits of the running attempt, as far as the slot itself can hold it to them."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._armed = False
        self._data_mb = self._cpu_s = -1
        self._start_kb = _status_kb("VmData:")
        self._order: Order | None = None
        self.hit: LimitReached | None = None
        for number in (signal.SIGALRM, signal.SIGXCPU):
            signal.signal(number, self._on_signal)

    def arm(self, order: Order, used_s: float) -> None:
        """Set all limits for an order; ``used_s`` is the CPU time that this process has used so far."""
        self._order = order
        self.hit = None
        if order.memory_mb != self._data_mb:
            self._data_mb = order.memory_mb
            _soft_limit(resource.RLIMIT_DATA, self._start_kb * 1024 + order.memory_mb * _MB)
        cpu_s = math.ceil(used_s + order.cpu_s)
        if cpu_s != self._cpu_s:
            self._cpu_s = cpu_s
            _soft_limit(resource.RLIMIT_CPU, cpu_s)
        self._armed = True
        signal.setitimer(signal.ITIMER_REAL, order.timeout_s)

    def disarm(self) -> None:
        """From here on no limit is raised."""
        self._armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def lift_memory(self) -> None:
        """Make room for reporting an attempt that ran out of memory."""
        self._data_mb = -1
        _soft_limit(resource.RLIMIT_DATA, resource.RLIM_INFINITY)

    def raise_late(self) -> None:
        """Raise a limit that was reached while a frame was on its way (half a frame would break the pipe)."""
        if self._armed and self.hit is not None and threading.current_thread() is threading.main_thread():
            raise self.hit

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        order = self._order
        if not self._armed or order is None:
            return
        if number == signal.SIGXCPU:
            self.hit = LimitReached(f"the attempt used more than its limit of {order.cpu_s:g} CPU seconds")
        else:
            self.hit = LimitReached(f"the attempt ran into its limit of {order.timeout_s:g} s")
        if self._pipe.sender != threading.get_ident():
            raise self.hit


class Slot:
    """Runs orders from its channel until that closes or it has to be replaced."""

    def __init__(self, connection: socket.socket, orders: int, setup: Setup) -> None:
        self._setup = setup
        self._orders = orders
        self._pipe = _Pipe(connection)
        self._watch = _Watch(self._pipe)
        self._log = _Log(self._pipe, self._watch)
        self._jobs = 0
        self._peak = _PeakMemory()

    def serve(self) -> None:
        """Run one order after the other."""
        os.register_at_fork(after_in_child=self._close)  # what a handler forks must not speak for the slot
        while packet := os.read(self._orders, PACKET):
            frame = self._large() if packet == protocol.LARGE_FOLLOWS else packet
            if not frame or self._run(*protocol.read_order(frame)):
                return

    def _large(self) -> bytes:
        """An order that was too large for a packet, from the pipe; nothing when that was closed."""
        while frame := self._pipe.receive():
            if protocol.kind_of(frame) == protocol.ORDER:  # or it is what was said to an earlier one
                return frame
        return b""

    def _close(self) -> None:
        self._pipe.close()
        with contextlib.suppress(OSError):  # a handler closed it
            os.close(self._orders)

    def _run(self, order: Order, offset_us: int) -> bool:
        """Run one order and report it. Returns whether it was this slot's last."""
        self._jobs += 1
        self._log.start()
        self._pipe.begin()
        self._peak.reset()
        began, before = time.monotonic_ns(), resource.getrusage(resource.RUSAGE_SELF)
        started_at = began // 1000 + offset_us
        attempt = Attempt(order, self._setup.site, started_at, self._log.line, self._pipe.asked)
        used_s = before.ru_utime + before.ru_stime
        verdict = self._attempt(order, attempt, used_s)
        duration_us, after = (time.monotonic_ns() - began) // 1000, resource.getrusage(resource.RUSAGE_SELF)
        self._log.flush_text()
        cpu_us = round((after.ru_utime + after.ru_stime - used_s) * 1_000_000)
        memory_kb = after.ru_maxrss if self._peak.known else None
        last = self._worn_out(verdict, memory_kb)
        outcome = Outcome(
            order.job_id,
            order.token,
            order.attempt,
            verdict.result,
            started_at,
            duration_us,
            verdict.data,
            verdict.error,
            verdict.traceback,
            None,
            verdict.permanent,
            verdict.retry_after_s,
            verdict.enqueue,
            cpu_us,
            memory_kb,
            attempt.bytes_sent,
            tuple(attempt.files),
        )
        self._pipe.send(protocol.done(outcome, last=last))
        return last

    def _attempt(self, order: Order, attempt: Attempt, used_s: float) -> Verdict:
        watch = self._watch
        try:
            try:
                watch.arm(order, used_s)
                verdict = attempt.perform()
            finally:
                watch.disarm()
        except LimitReached as late:  # it came between the handler's end and the disarming
            watch.disarm()
            verdict = failure(late, order)
        except MemoryError as error:  # there was not even room to judge the first one
            watch.lift_memory()
            verdict = failure(error, order)
        if verdict.result is Result.OOM:
            watch.lift_memory()
        if watch.hit is not None and verdict.result is not Result.TIMEOUT:
            return failure(watch.hit, order)  # the handler swallowed it, or turned it into something else
        return verdict

    def _worn_out(self, verdict: Verdict, memory_kb: int | None) -> bool:
        if verdict.result in (Result.TIMEOUT, Result.OOM) or self._jobs >= self._setup.recycle_jobs:
            return True
        most_kb = self._setup.recycle_mb * 1024
        if memory_kb is not None and memory_kb > most_kb and _status_kb("VmRSS:") > most_kb:
            return True
        return _has_children()


class _PeakMemory:
    """Resets the peak resident size, which ``getrusage`` follows in a process that never called exec."""

    def __init__(self) -> None:
        self._clear: int | None
        try:
            self._clear = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            os.write(self._clear, b"5")
        except OSError:
            self._clear = None  # this kernel cannot; then the peak is unknown, not wrong

    def reset(self) -> None:
        """Begin anew."""
        if self._clear is not None:
            try:
                os.write(self._clear, b"5")
            except OSError:  # a handler closed it
                self._clear = None

    @property
    def known(self) -> bool:
        """Whether this kernel can tell."""
        return self._clear is not None


def main(connection: socket.socket, orders: int, setup: Setup) -> None:
    """Be a slot, in a freshly forked process; never returns."""
    code = 1
    try:
        connection = _isolate(connection, orders)
        if _adopted(setup.worker):
            Slot(connection, orders, setup).serve()
        code = 0
    except OSError:
        code = 2  # the pipe broke: nobody is left to report to
    finally:
        os._exit(code)


def _isolate(connection: socket.socket, orders: int) -> socket.socket:
    """Cut all ties to the process that this one was forked from, but the pipe and the channel."""
    os.setsid()
    with contextlib.suppress(OSError):  # waking a slot must not interrupt the worker, who has others to wake
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    adopt_orphans()  # what a handler leaves behind stays visible here, and is killed together with the slot
    pipe = connection.detach()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, not files
        if int(fd) > 2 and int(fd) not in (pipe, orders):
            with contextlib.suppress(OSError):  # the listing itself had one open
                os.close(int(fd))
    for kept in (pipe, orders):
        fcntl.fcntl(kept, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, _deaf)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    return socket.socket(fileno=pipe)


def _deaf(_number: int, _frame: FrameType | None) -> None:
    """Ignore a signal here, and only here: programs that a handler starts get the default back."""


def _adopted(worker: int) -> bool:
    """Wait until this process is the worker's child, then tie its life to the worker's."""
    until = time.monotonic() + 10
    while os.getppid() != worker:
        if time.monotonic() > until:
            return False
        time.sleep(0.0002)
    die_with(worker)
    return True


def _has_children() -> bool:
    """Whether the handler left processes behind that still run; dead ones are reaped."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False


def _soft_limit(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    within = value if hard == resource.RLIM_INFINITY or 0 <= value <= hard else hard
    resource.setrlimit(which, (within, hard))


def _status_kb(name: str) -> int:
    with Path("/proc/self/status").open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(name):
                return int(line.split()[1])
    return 0
