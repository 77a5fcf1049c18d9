"""What one attempt may send over the network: its bandwidth is kept to, and its bytes are counted, where they leave.

Every attempt has a bucket of its own, since ``network_bandwidth`` says what *one* execution may use. Bytes are counted
before encryption.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator

from wedsync_ops.handlers.bucket import Bucket
from wedsync_ops.handlers.contract import RetryAfter

BURST_S = 0.1
"""What so many seconds allow may leave at once."""
LEAST_BURST = 16 * 1024
"""The smallest burst, in bytes: the commands of a mail and a short text never wait."""
RETRY_S = 60.0
"""After how long an attempt that had no time left for its bytes is tried again, in seconds."""
_PIECE = 64 * 1024
_BYTES_PER_MBIT = 1_000_000 / 8


class Uplink:
    """Lets bytes out at ``mbps`` (10^6 bits a second), until the monotonic second that ``begin`` was given."""

    def __init__(
        self,
        mbps: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        rate = mbps * _BYTES_PER_MBIT
        self._clock = clock
        self._sleep = sleep
        self._bucket = None if rate == math.inf else Bucket(rate, max(LEAST_BURST, rate * BURST_S), clock())
        self._ends_at = math.inf
        self.sent = 0

    def begin(self, size: int, ends_at: float) -> None:
        """Begin to send ``size`` bytes, which must have left by then. Raises RetryAfter when they cannot have."""
        self._ends_at = ends_at
        self._wait_for(size)

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """Cut bytes into pieces, each given when it may leave. Raises RetryAfter when there is no time for one."""
        for piece in self._cut(raw):
            wait_s = self._wait_for(len(piece))
            if wait_s:
                self._sleep(wait_s)
            self._count(piece)
            yield piece

    async def pieces_later(self, raw: bytes) -> AsyncIterator[bytes]:
        """The same for a loop that must not stand still meanwhile."""
        for piece in self._cut(raw):
            wait_s = self._wait_for(len(piece))
            if wait_s:
                await asyncio.sleep(wait_s)
            self._count(piece)
            yield piece

    def _cut(self, raw: bytes) -> Iterator[bytes]:
        size = _PIECE if self._bucket is None else int(min(_PIECE, self._bucket.burst))
        return (raw[at : at + size] for at in range(0, len(raw), size))

    def _wait_for(self, size: int) -> float:
        if self._bucket is None:
            return 0.0
        now = self._clock()
        wait_s = self._bucket.wait_s(size, now)
        if now + wait_s > self._ends_at:
            left_s = max(0.0, self._ends_at - now)
            mbps = self._bucket.rate / _BYTES_PER_MBIT
            words = f"{size:,} bytes take {wait_s:.1f} s at the network_bandwidth of {mbps:g} Mbps"
            raise RetryAfter(RETRY_S, f"{words}, and the attempt has {left_s:.1f} s left")
        return wait_s

    def _count(self, piece: bytes) -> None:
        if self._bucket is not None:
            self._bucket.take(len(piece), self._clock())
        self.sent += len(piece)
