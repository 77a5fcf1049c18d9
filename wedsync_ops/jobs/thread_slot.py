"""Slots that are threads of the worker: fast and trusting, for module types with ``isolation: thread``.

Handing over the interpreter lock costs more than a short job, so orders wait in one queue that a thread which is awake
empties by itself; only when it does not get to them within a millisecond are more threads woken. A thread cannot be
killed: one that overruns its limit is left behind, and the worker should start itself anew.
"""

import contextlib
import math
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from time import monotonic

from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs import protocol
from wedsync_ops.jobs.model import Order, Outcome, Result
from wedsync_ops.jobs.run import Attempt, bounded

_PATIENCE_S = 0.001
"""How long an order may wait for a thread that is awake, in seconds, before others are woken."""


class _Thread:
    """A thread that runs orders. ``gate`` is closed while it rests."""

    def __init__(self, work: Callable[["_Thread"], None]) -> None:
        self.gate = threading.Semaphore(0)
        self.left_behind = False
        self.dismissed = False
        self.thread = threading.Thread(target=work, args=(self,), name="slot", daemon=True)
        self.thread.start()


class _Ticket:
    """An order on its way through a thread."""

    __slots__ = ("ahead", "began", "dropped", "offset_us", "order", "runner", "started_at")

    def __init__(self, order: Order, now: int, *, ahead: bool) -> None:
        self.order = order
        self.started_at = now
        self.offset_us = now - time.monotonic_ns() // 1000
        self.ahead = ahead
        self.began = math.inf
        self.runner: _Thread | None = None
        self.dropped = False


class ThreadSlots:
    """The threads of a pool. All methods are for the pool's own thread."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tickets: dict[int, _Ticket] = {}
        self._share = 0
        self._pending: deque[_Ticket] = deque()
        self._done: deque[tuple[_Ticket, Outcome]] = deque()
        self._threads: list[_Thread] = []
        self._resting: deque[_Thread] = deque()
        self._eager = False
        self._closing = False
        self._asked: float | None = None
        self.needs_recycle = False
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __len__(self) -> int:
        """How many slots these take."""
        return self._share

    @property
    def ahead(self) -> int:
        """How many orders were given ahead and are not known to have started."""
        return len(self._tickets) - self._share

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._tickets

    def running(self) -> dict[int, int]:
        """The jobs under way, with the instants at which they started."""
        return {
            job_id: ticket.started_at
            for job_id, ticket in self._tickets.items()
            if ticket.runner is not None or not ticket.ahead
        }

    def start(self, order: Order, now: int) -> None:
        """Take an order; it runs as soon as ``prepare`` was called. ``now`` is the instant."""
        self._share += 1
        self._add(_Ticket(order, now, ahead=False))

    def start_ahead(self, order: Order, now: int) -> bool:
        """Let an order wait behind those that run; False when none does."""
        if self._share == 0:
            return False
        self._add(_Ticket(order, now, ahead=True))
        return True

    def take_back(self, longer_than_s: float) -> list[int]:
        """Take back what no thread has begun, when each of them has been at its job for longer than so many seconds."""
        last = max((ticket.began for ticket in self._tickets.values() if ticket.runner is not None), default=math.inf)
        if longer_than_s >= 0 and last >= monotonic() - longer_than_s:
            return []
        returned = []
        with contextlib.suppress(IndexError):
            while True:
                ticket = self._pending.pop()
                if not ticket.ahead:
                    self._pending.append(ticket)
                    break
                if self._tickets.pop(ticket.order.job_id, None) is not None:
                    returned.append(ticket.order.job_id)
        return returned

    def prepare(self) -> float:
        """See that orders get threads before the pool waits. Returns how long it may wait at most, in seconds."""
        self._eager = True
        if not self._tickets:
            return math.inf
        if self._done:
            return 0.0
        if not self._pending:
            return math.inf
        self._eager = False
        if len(self._resting) == len(self._threads):
            self._wake()
        return _PATIENCE_S

    def hurry(self) -> None:
        """The patience is over: give every waiting order a thread."""
        for _ in range(len(self._pending)):
            self._wake()

    def collect(self) -> list[Outcome]:
        """The outcomes since the last call."""
        outcomes = []
        while self._done:
            ticket, outcome = self._done.popleft()
            if not ticket.dropped:
                del self._tickets[outcome.job_id]
                outcomes.append(outcome)
        self._share = min(self._share, len(self._tickets))
        return outcomes

    def quiet(self) -> None:
        """Take back the wake-up call."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)

    def next_watch(self) -> float:
        """The monotonic second at which the next limit is reached."""
        soon = monotonic()
        return min(
            (min(ticket.began, soon) + ticket.order.timeout_s for ticket in self._tickets.values()), default=math.inf
        )

    def overdue(self) -> list[Outcome]:
        """Leave behind what has reached its limit."""
        now = monotonic()
        late = [ticket for ticket in self._tickets.values() if ticket.began + ticket.order.timeout_s <= now]
        return [
            self._abandon(
                ticket,
                Result.TIMEOUT,
                f"the attempt ran into its limit of {ticket.order.timeout_s:g} s; its thread cannot be stopped",
            )
            for ticket in late
        ]

    def cancel(self, job_id: int, reason: str) -> Outcome:
        """Leave one job behind, or never start it."""
        return self._abandon(self._tickets[job_id], Result.CANCELLED, reason)

    def ask_to_stop(self, until: float) -> None:
        """Let the handlers that run know until which monotonic second they have."""
        self._asked = until

    def abort(self) -> list[int]:
        """Leave everything behind."""
        jobs = list(self._tickets)
        for ticket in list(self._tickets.values()):
            self._abandon(ticket, Result.CANCELLED, "aborted")
        return jobs

    def resize(self, size: int) -> None:
        """Let threads end that rest, as long as there are more than ``size``."""
        while len(self._threads) > size and self._resting:
            thread = self._resting.popleft()
            self._threads.remove(thread)
            thread.dismissed = True
            thread.gate.release()

    def close(self) -> None:
        """End the threads that can be ended."""
        self.abort()
        self._closing = True
        for thread in self._threads:
            thread.gate.release()
        for thread in self._threads:
            thread.thread.join(2)
        if all(not thread.thread.is_alive() for thread in self._threads) and not self.needs_recycle:
            os.close(self.fd)
            self.fd = -1

    def _wake(self) -> None:
        if self._resting:
            self._resting.popleft().gate.release()
        elif len(self._threads) < self._share:
            thread = _Thread(self._work)
            self._threads.append(thread)
            thread.gate.release()

    def _abandon(self, ticket: _Ticket, result: Result, error: str) -> Outcome:
        ticket.dropped = True
        del self._tickets[ticket.order.job_id]
        self._share = min(self._share, len(self._tickets))
        trace = None
        duration_us = 0
        if ticket.runner is None:
            with contextlib.suppress(ValueError):  # a thread took it in this very moment; it will see `dropped`
                self._pending.remove(ticket)
        else:
            duration_us = int((monotonic() - ticket.began) * 1_000_000)
            trace = _where(ticket.runner)
            self._leave(ticket.runner)
        order = ticket.order
        return Outcome(
            order.job_id,
            order.token,
            order.attempt,
            result,
            ticket.started_at,
            duration_us,
            error=error,
            traceback=trace,
        )

    def _add(self, ticket: _Ticket) -> None:
        self._tickets[ticket.order.job_id] = ticket
        self._pending.append(ticket)

    def _leave(self, thread: _Thread) -> None:
        thread.left_behind = True
        self.needs_recycle = True
        if thread in self._threads:
            self._threads.remove(thread)

    def _work(self, me: _Thread) -> None:
        while True:
            me.gate.acquire()
            while not (self._closing or me.left_behind or me.dismissed):
                try:
                    ticket = self._pending.popleft()
                except IndexError:
                    break
                if ticket.dropped:
                    continue
                ticket.runner = me
                self._done.append((ticket, self._run(ticket)))
                if self._eager or not self._pending:
                    os.eventfd_write(self.fd, 1)
            if self._closing or me.left_behind or me.dismissed:
                return
            self._resting.append(me)

    def _run(self, ticket: _Ticket) -> Outcome:
        order = ticket.order
        log = _Lines()
        began, cpu = time.monotonic_ns(), time.thread_time_ns()
        ticket.began, ticket.started_at = began / 1e9, began // 1000 + ticket.offset_us
        attempt = Attempt(order, self._site, ticket.started_at, log.write, lambda: self._asked)
        verdict = attempt.perform()
        cpu_us, duration_us = (time.thread_time_ns() - cpu) // 1000, (time.monotonic_ns() - began) // 1000
        return Outcome(
            order.job_id,
            order.token,
            order.attempt,
            verdict.result,
            ticket.started_at,
            duration_us,
            verdict.data,
            verdict.error,
            verdict.traceback,
            log.text(),
            verdict.permanent,
            verdict.retry_after_s,
            verdict.enqueue,
            cpu_us,
            None,
            attempt.bytes_sent,
            tuple(attempt.files),
        )


class _Lines:
    """An execution's log, bounded."""

    __slots__ = ("_left", "_lines")

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._left = protocol.MAX_LOG

    def write(self, line: str) -> None:
        """Add a line, or what the bound leaves of it."""
        if self._left <= 0:
            return
        raw = line.replace("\x00", "\\0").encode(errors="backslashreplace")
        self._lines.append(raw[: self._left].decode(errors="replace"))
        self._left -= len(raw)
        if self._left <= 0:
            self._lines.append(protocol.CUT.decode())

    def text(self) -> str | None:
        """All of it; None when there is none."""
        return "".join(self._lines) if self._lines else None


def _where(thread: _Thread) -> str | None:
    """Where a thread is at this moment."""
    frame = sys._current_frames().get(thread.thread.ident or 0)  # noqa: SLF001 - documented for exactly this
    return None if frame is None else bounded("".join(traceback.format_stack(frame)))
