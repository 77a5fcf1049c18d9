"""The pool of slots: give it orders, wait for outcomes. One thread uses it; it has no locks and never blocks for long.

Each slot is a process of its own, or for an order ``in_thread`` a thread of this one. A slot that breaks a rule, its
limit above all, is killed with everything that it started, and replaced.
"""

import math
import os
import select
import socket
from collections.abc import Collection, Mapping, Sequence
from secrets import token_hex
from time import monotonic
from types import TracebackType

from wedsync_ops.clock import Clock
from wedsync_ops.errors import WedsyncError
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.forkserver import ForkServer
from wedsync_ops.jobs.kernel import adopt_orphans
from wedsync_ops.jobs.model import Order, Outcome, Result
from wedsync_ops.jobs.process_slot import GRACE_S, PipeClosed, ProcessSlot, Sentence
from wedsync_ops.jobs.slot import Setup
from wedsync_ops.jobs.thread_slot import ThreadSlots
from wedsync_ops.jobs.undertaker import Undertaker

_EVENTS = 128
_STARTS = 6
_LAST_WORDS_S = 0.1
_DEATH_S = 5.0
_CLOSE_S = 2.0
_IN = select.EPOLLIN
_IN_OUT = select.EPOLLIN | select.EPOLLOUT


class Pool:
    """``size`` slots for the handlers of one site.

    ``preload`` names handlers to import before slots are forked. A slot is replaced after ``recycle_jobs`` jobs, or
    when it holds more than ``recycle_mb`` MB after one.
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
        setup = Setup(os.getpid(), site, recycle_jobs, recycle_mb)
        self._server = ForkServer(setup, preload, f"{os.getpid()}-{token_hex(8)}")
        self._epoll = select.epoll()
        self._slots: dict[int, ProcessSlot] = {}
        self._idle: list[ProcessSlot] = []
        self._busy: dict[int, ProcessSlot] = {}
        self._unstarted: list[tuple[float, Order, int, int]] = []
        self._undertaker = Undertaker(self._epoll, self._server)
        self._threads = ThreadSlots(site)
        self._epoll.register(self._threads.fd, _IN)
        self._extra: frozenset[int] = frozenset()
        self._outcomes: list[Outcome] = []
        self._next_watch = math.inf
        self._closed = False
