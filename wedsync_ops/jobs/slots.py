"""What a worker's loop needs of its slots, wherever they run: the pool of processes and threads is one such thing."""

from collections.abc import Collection, Mapping
from typing import Protocol, Self

from wedsync_ops.jobs.model import Order, Outcome


class Slots(Protocol):
    """Takes orders and gives outcomes. ``Pool`` says of each part what it does."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    @property
    def size(self) -> int:
        """How many jobs may run at once."""
        ...

    @property
    def free(self) -> int:
        """How many orders may be given now."""
        ...

    @property
    def needs_recycle(self) -> bool:
        """Whether this process should start itself anew soon."""
        ...

    @property
    def running(self) -> Mapping[int, int]:
        """The jobs under way, with the instants at which they started."""
        ...

    @property
    def ahead(self) -> int:
        """How many orders were given ahead and are not known to have started."""
        ...

    def start(self, order: Order) -> None:
        """Run an order in a free slot."""
        ...

    def start_ahead(self, order: Order) -> bool:
        """Let an order wait behind those that run; False when there is no room for it."""
        ...

    def resize(self, size: int) -> None:
        """Have so many slots: what runs goes on, and surplus slots end when they have nothing to do."""
        ...

    def take_back(self, longer_than_s: float = -1.0) -> list[int]:
        """Take back what was given ahead and has not started."""
        ...

    def wait(
        self, timeout_s: float, extra_fds: Collection[int] = (), gather_s: float = 0.0
    ) -> tuple[list[Outcome], set[int]]:
        """Wait for outcomes, or until one of the extra descriptors can be read, at most for ``timeout_s`` seconds."""
        ...

    def cancel(self, job_id: int, reason: str) -> bool:
        """Break off a job; its outcome follows. Returns whether it was here."""
        ...

    def ask_to_stop(self, notice_s: float) -> None:
        """Let the handlers that run know that they are broken off after so many seconds."""
        ...

    def abort(self) -> list[int]:
        """Break off everything now; the jobs that were running."""
        ...
