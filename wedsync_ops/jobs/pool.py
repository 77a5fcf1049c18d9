"""The pool of slots: give it orders, wait for outcomes. One thread uses it; it has no locks and never blocks for long.

Short jobs can be given ahead: they wait with a busy slot, which starts one when it is done with the last, without the
pool's help. What has not started can be taken back at any moment.

Each slot is a process of its own, or for an order ``in_thread`` a thread of this one. A slot that breaks a rule, its
limit above all, is killed with everything that it started, and replaced.
"""

import math
import os
import select
from collections.abc import Collection, Mapping, Sequence
from secrets import token_hex
from time import monotonic
from types import MappingProxyType
from typing import Self

from wedsync_ops.clock import Clock
from wedsync_ops.errors import WedsyncError
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.forkserver import ForkServer
from wedsync_ops.jobs.kernel import adopt_orphans
from wedsync_ops.jobs.model import Order, Outcome
from wedsync_ops.jobs.processes import ProcessSlots
from wedsync_ops.jobs.slot import Setup
from wedsync_ops.jobs.thread_slot import ThreadSlots

_EVENTS = 128


class Pool:
    """``size`` slots for the handlers of one site.

    ``preload`` names handlers to import before slots are forked. A slot is replaced after ``recycle_jobs`` jobs, or
    when it holds more than ``recycle_mb`` MB after one. Slots start when they are first needed, or by ``warm``.
    """

    def __init__(
        self,
        *,
        size: int,
        site: Site,
        clock: Clock,
        preload: Sequence[str] = (),
        recycle_jobs: int = 5000,
        recycle_mb: int = 512,
    ) -> None:
        adopt_orphans()
        self._size = size
        self._clock = clock
        self._epoll = select.epoll()
        setup = Setup(os.getpid(), site, recycle_jobs, recycle_mb)
        server = ForkServer(setup, preload, f"{os.getpid()}-{token_hex(8)}")
        self._processes = ProcessSlots(size, server, self._epoll)
        self._threads = ThreadSlots(site)
        self._threads_watch = math.inf
        self._epoll.register(self._threads.fd, select.EPOLLIN)
        self._calls = select.epoll()
        self._epoll.register(self._calls.fileno(), select.EPOLLIN)
        self._extra: frozenset[int] = frozenset()
        self._outcomes: list[Outcome] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """How many jobs may run at once."""
        return self._size

    @property
    def free(self) -> int:
        """How many orders may be given now."""
        return max(0, self._size - len(self._processes) - len(self._threads))

    @property
    def needs_recycle(self) -> bool:
        """Whether a thread was left behind, so that this process should start itself anew soon."""
        return self._threads.needs_recycle

    @property
    def running(self) -> Mapping[int, int]:
        """The jobs under way, with the instants at which they started."""
        return MappingProxyType(self._processes.roster.running() | self._threads.running())

    @property
    def ahead(self) -> int:
        """How many orders were given ahead and are not known to have started."""
        return self._processes.roster.ahead + self._threads.ahead

    def pids(self) -> list[int]:
        """The process ids of all living slots."""
        return self._processes.pids()

    def warm(self) -> None:
        """Start all slots, without waiting for them."""
        self._processes.warm()

    def start(self, order: Order) -> None:
        """Run an order in a free slot. Raises WedsyncError when none is free."""
        if self.free == 0:
            raise WedsyncError(f"job {order.job_id} cannot start: all {self._size} slots are busy")
        if order.in_thread:
            self._threads.start(order, self._clock.now())
            self._threads_watch = min(self._threads_watch, monotonic() + order.timeout_s)
        else:
            self._processes.start(order, self._clock.now())

    def start_ahead(self, order: Order) -> bool:
        """Let an order wait behind those that run; False when there is no room for it, or some of them have to go."""
        if len(self._processes) + len(self._threads) > self._size:
            return False
        now = self._clock.now()
        if order.in_thread:
            return self._threads.start_ahead(order, now)
        return self._processes.roster.start_ahead(order, now)

    def take_back(self, longer_than_s: float = -1.0) -> list[int]:
        """Take back what was given ahead and has not started; returns those jobs, and any that a dead slot left.

        With a time: only what waits behind jobs that have been running for longer than that, in seconds.
        """
        self._processes.take_back(longer_than_s)
        returned, self._processes.roster.returned = self._processes.roster.returned, []
        return [*returned, *self._threads.take_back(longer_than_s)]

    def wait(
        self, timeout_s: float, extra_fds: Collection[int] = (), gather_s: float = 0.0
    ) -> tuple[list[Outcome], set[int]]:
        """Wait for outcomes, or until one of the extra descriptors can be read, at most for ``timeout_s`` seconds.

        Outcomes are let gather for ``gather_s`` seconds. The extra descriptors must stay open from call to call, until
        a call leaves them out.
        """
        if self._extra != extra_fds:
            self._listen_to(frozenset(extra_fds))
        if gather_s:
            self._threads.prepare()
            self._calls.poll(gather_s)
        until = monotonic() + timeout_s
        ready: set[int] = set()
        while True:
            self._turn(until, ready)
            if self._outcomes or ready or monotonic() >= until:
                break
        outcomes, self._outcomes = self._outcomes, []
        return outcomes, ready

    def cancel(self, job_id: int, reason: str) -> bool:
        """Stop a running job; its outcome follows. Returns whether it was running."""
        if job_id in self._threads:
            self._outcomes.append(self._threads.cancel(job_id, reason))
            return True
        return self._processes.cancel(job_id, reason)

    def ask_to_stop(self, notice_s: float) -> None:
        """Let the handlers that run know that they are broken off after so many seconds; they see it when they look."""
        until = monotonic() + notice_s
        self._processes.ask_to_stop(until)
        self._threads.ask_to_stop(until)

    def abort(self) -> list[int]:
        """Kill every slot now. Returns the jobs that were running; no outcome follows for them."""
        return [*self._threads.abort(), *self._processes.abort()]

    def resize(self, size: int) -> None:
        """Change the number of slots: new ones start now, surplus ones end at once when idle, else with their job."""
        self._size = size
        self._processes.resize(size)
        self._threads.resize(size)

    def close(self) -> None:
        """Let the slots end, kill those that have not within 2 s, and reap everything."""
        if self._closed:
            return
        self._closed = True
        self._listen_to(frozenset())
        self._epoll.unregister(self._calls.fileno())
        self._calls.close()
        self._epoll.unregister(self._threads.fd)
        self._threads.close()
        self._processes.close()
        self._epoll.close()

    def _turn(self, until: float, ready: set[int]) -> None:
        now = monotonic()
        processes, threads = self._processes, self._threads
        watch = min(processes.next_watch, self._threads_watch)
        if now >= watch:
            self._look_at_watches()
            watch = min(processes.next_watch, self._threads_watch)
        patience_s = threads.prepare()
        told = processes.roster.outcomes
        pause_s = 0.0 if self._outcomes or told else max(0.0, min(until, watch, now + patience_s) - now)
        events = self._epoll.poll(None if pause_s == math.inf else pause_s, _EVENTS)
        for fd, mask in events:
            if fd == self._calls.fileno():
                ready.update(extra for extra, _ in self._calls.poll(0))
            elif fd == threads.fd:
                threads.quiet()
            else:
                processes.on(fd, mask)
        if patience_s < math.inf and not events:
            threads.hurry()
        if threads:
            self._outcomes += threads.collect()
        if told:
            self._outcomes += told
            told.clear()

    def _look_at_watches(self) -> None:
        self._processes.look_at_watches()
        self._outcomes += self._threads.collect()
        self._outcomes += self._threads.overdue()
        self._threads_watch = self._threads.next_watch()

    def _listen_to(self, extra: frozenset[int]) -> None:
        for fd in self._extra - extra:
            try:
                self._calls.unregister(fd)
            except OSError:  # closed meanwhile, which unregistered it
                continue
        for fd in extra - self._extra:
            self._calls.register(fd, select.EPOLLIN)
        self._extra = extra
