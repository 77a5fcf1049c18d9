"""Where the platform reads time. Everything that decides gets the instant as an argument instead."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Where the platform reads time; injected, so that tests decide what time it is."""

    def now(self) -> int:
        """The instant, in microseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for lengths and timers."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        """The machine's instant, in microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """The machine's monotonic seconds."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class _Base:
    """What was read from a server, and when: its instant and the monotonic one, and by how much we had been ahead."""

    now: int
    at: int
    ahead: int


class OffsetClock:
    """The monotonic clock plus an offset measured from a server, so that several machines agree on the time.

    ``adjust`` measures anew: the monotonic clock stands still while a machine is suspended, and drifts. The time never
    runs backwards: where it was ahead it goes at half its pace until it is right. ``monotonic_ns`` counts nanoseconds.
    """

    def __init__(self, server_now: int, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()  # the heart adjusts while others read
        self._base = _Base(server_now, self._monotonic_us(), 0)

    def now(self) -> int:
        """The server's instant as this machine reckons it, in microseconds."""
        with self._lock:
            return self._now(self._monotonic_us())

    def adjust(self, server_now: int, within_us: int) -> None:
        """Take in what the server's clock said within the last so many microseconds: between asking and hearing it."""
        with self._lock:
            at = self._monotonic_us()
            said = self._now(at)
            ahead = max(0, said - (server_now + within_us))
            self._base = _Base(max(said, server_now), at, ahead)

    def monotonic(self) -> float:
        """The machine's monotonic seconds."""
        return self._monotonic_ns() / 1_000_000_000

    def _now(self, at: int) -> int:
        passed = at - self._base.at
        return self._base.now + passed - min(self._base.ahead, passed // 2)

    def _monotonic_us(self) -> int:
        return self._monotonic_ns() // 1000
