"""Where the platform reads time. Everything that decides gets the instant as an argument instead."""

import time
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


class OffsetClock:
    """The monotonic clock plus an offset measured from a server, so that several machines agree on the time."""

    def __init__(self, server_now: int) -> None:
        self._offset = server_now - time.monotonic_ns() // 1000

    def now(self) -> int:
        """The server's instant as this machine reckons it, in microseconds."""
        return time.monotonic_ns() // 1000 + self._offset

    def monotonic(self) -> float:
        """The machine's monotonic seconds."""
        return time.monotonic()
