"""Where a test's jobs run: in this process, or in the real slots, kept warm from drain to drain.

Both are driven by the worker's own loop. Waiting is what moves the fake clock: by as long as the loop wanted to wait
where handlers run in this process, by as long as it took where they run in slots of their own.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from wedsync_ops import codec
from wedsync_ops.handlers.contract import Handler, Mail, Page, Receipt, Site, Text
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.model import FAILED, Order, Outcome
from wedsync_ops.jobs.pool import Pool
from wedsync_ops.jobs.protocol import MAX_LOG
from wedsync_ops.jobs.run import Attempt, Verdict
from wedsync_ops.testing.clock import FakeClock

_ENDLESS_S = 60.0


class Ended(NamedTuple):
    """An execution that has ended, with what its handler raised when it ran in this process."""

    order: Order
    outcome: Outcome
    raised: BaseException | None = None

    @property
    def has_failed(self) -> bool:
        """Whether it failed, other than by asking to be tried again later."""
        return self.outcome.result in FAILED and self.outcome.retry_after_s is None

    @property
    def must_stop(self) -> bool:
        """Whether it ended by what is meant for whoever runs the test."""
        return self.raised is not None and is_for_pytest(self.raised)


def is_for_pytest(raised: BaseException) -> bool:
    """Whether an exception is no failure but meant for whoever runs the test: Ctrl-C, pytest's own skip and fail."""
    return not isinstance(raised, Exception | SystemExit)


class SeenAttempt(Attempt):
    """An attempt that remembers what its handler raised, delivered and queued. ``handler`` stands for the named one."""

    __slots__ = ("_own", "delivered", "raised")

    def __init__(
        self, order: Order, site: Site, now: int, write: Callable[[str], None], handler: Handler | None = None
    ) -> None:
        super().__init__(order, site, now, write)
        self._own = handler
        self.delivered: list[Mail | Page | Text] = []
        self.raised: BaseException | None = None

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The further jobs that were asked for."""
        return tuple(codec.load_object(raw, "a further job") for raw in self._rows)

    def handler(self) -> Handler:
        """The handler that was given, else the one that the order names."""
        return self._own or super().handler()

    def judge(self, error: BaseException) -> Verdict:
        """Remember the exception itself; its verdict is the usual one."""
        self.raised = error
        return super().judge(error)

    def deliver(self, artefact: Mail | Page | Text) -> Receipt:
        """Deliver, and remember what was delivered."""
        receipt = super().deliver(artefact)
        self.delivered.append(artefact)
        return receipt


class InlineSlots:
    """One slot that is this process: a handler has ended when ``start`` returns. No limit is enforced."""

    needs_recycle = False
    ahead = 0

    def __init__(self, site: Site, clock: FakeClock, on_end: Callable[[Ended], None]) -> None:
        self._site = site
        self._clock = clock
        self._on_end = on_end
        self._outcomes: list[Outcome] = []
        self._running: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to let go of."""

    @property
    def size(self) -> int:
        """One job at a time, so that the order is the queue's."""
        return 1

    @property
    def free(self) -> int:
        """One, until its outcome is collected."""
        return 1 - len(self._outcomes)

    @property
    def running(self) -> Mapping[int, int]:
        """The job whose handler is running."""
        return MappingProxyType(self._running)

    def start(self, order: Order) -> None:
        """Run an order to its end."""
        started_at = self._clock.now()
        self._running = {order.job_id: started_at}
        log: list[str] = []
        attempt = SeenAttempt(order, self._site, started_at, log.append)
        cpu_ns = time.thread_time_ns()
        verdict = attempt.perform()
        cpu_us = (time.thread_time_ns() - cpu_ns) // 1000
        self._running = {}
        outcome = Outcome(
            order.job_id,
            order.token,
            order.attempt,
            verdict.result,
            started_at,
            max(0, self._clock.now() - started_at),
            verdict.data,
            verdict.error,
            verdict.traceback,
            "".join(log)[:MAX_LOG] or None,
            verdict.permanent,
            verdict.retry_after_s,
            verdict.enqueue,
            cpu_us,
            None,
            attempt.bytes_sent,
            tuple(attempt.files),
        )
        self._outcomes.append(outcome)
        self._on_end(Ended(order, outcome, attempt.raised))

    def start_ahead(self, order: Order) -> bool:  # noqa: ARG002 - the same for all slots
        """Nothing waits here."""
        return False

    def resize(self, size: int) -> None:
        """It stays one slot."""

    def cancel(self, job_id: int, reason: str) -> bool:  # noqa: ARG002 - the same for all slots
        """Nothing runs while the loop does."""
        return False

    def ask_to_stop(self, notice_s: float) -> None:
        """Nothing runs while the loop does."""

    def take_back(self, longer_than_s: float = -1.0) -> list[int]:  # noqa: ARG002 - the same for all slots
        """Nothing waits here."""
        return []

    def wait(
        self,
        timeout_s: float,
        extra_fds: Collection[int] = (),  # noqa: ARG002 - whatever calls, the loop looks by itself when time has passed
        gather_s: float = 0.0,  # noqa: ARG002 - nothing gathers while nothing runs
    ) -> tuple[list[Outcome], set[int]]:
        """Give the outcome, or let as much time pass as there is to wait."""
        outcomes, self._outcomes = self._outcomes, []
        if not outcomes:
            self._clock.set(self._clock.now() + round(min(timeout_s, _ENDLESS_S) * SECOND))
        return outcomes, set()

    def abort(self) -> list[int]:
        """Nothing runs while the loop does."""
        return []


class KeptPool(Pool):
    """The real slots, kept from one worker to the next; ``close`` ends them. Time passes while the loop waits."""

    def __init__(
        self, *, size: int, site: Site, clock: FakeClock, preload: Sequence[str], on_end: Callable[[Ended], None]
    ) -> None:
        super().__init__(size=size, site=site, clock=clock, preload=preload)
        self._fake = clock
        self._on_end = on_end
        self._orders: dict[int, Order] = {}

    def __exit__(self, *_: object) -> None:
        """Stay open, but forget the descriptors of the worker that ends."""
        self._listen_to(frozenset())

    def start(self, order: Order) -> None:
        """Run an order, and remember it until it has ended."""
        super().start(order)
        self._orders[order.job_id] = order

    def start_ahead(self, order: Order) -> bool:
        """Let an order wait, and remember it until it has ended."""
        is_taken = super().start_ahead(order)
        if is_taken:
            self._orders[order.job_id] = order
        return is_taken

    def wait(
        self, timeout_s: float, extra_fds: Collection[int] = (), gather_s: float = 0.0
    ) -> tuple[list[Outcome], set[int]]:
        """Wait for outcomes. The clock moves by as long as that took, and to where each execution ended."""
        began = time.monotonic()
        outcomes, ready = super().wait(timeout_s, extra_fds, gather_s)
        passed = self._fake.now() + math.ceil((time.monotonic() - began) * SECOND)
        self._fake.set(max(passed, *(one.started_at + one.duration_us for one in outcomes), 0))
        for outcome in outcomes:
            self._on_end(Ended(self._orders.pop(outcome.job_id), outcome))
        return outcomes, ready
