"""How orders reach a slot: a pipe in packet mode (``O_DIRECT``), one order a packet.

The slot takes one packet when it is ready to start it; until then the pool, which keeps a reading end too, can take the
packet back. The kernel gives a packet to one of the two and never to both, so that a job is either started or not.
"""

import contextlib
import fcntl
import os
import select

PACKET = select.PIPE_BUF
"""The most that one packet holds, in bytes; what is larger travels another way."""
DEPTH = 64
"""The most packets that wait in one channel."""


class Channel:
    """The pool's side of one slot's orders. Nothing here blocks."""

    __slots__ = ("_back", "_end", "_write")

    def __init__(self) -> None:
        self._end, self._write = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
        os.set_blocking(self._write, False)
        # Opened anew and not duplicated: whether reading blocks belongs to the open file, and the slot's end must.
        self._back = os.open(f"/proc/self/fd/{self._end}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # over the user's limit it stays smaller, and fewer orders fit
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, DEPTH * PACKET)

    @property
    def end(self) -> int:
        """The slot's end, to be sent to it."""
        return self._end

    def let_go(self) -> None:
        """Close the slot's end here, once the slot has it."""
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def put(self, packet: bytes) -> bool:
        """Put a packet into the pipe; False when it is full."""
        try:
            return os.write(self._write, packet) == len(packet)
        except BlockingIOError:
            return False

    def take_back(self) -> list[bytes]:
        """Take back the packets that the slot has not taken. It may take one in the midst of this."""
        packets: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while self._back >= 0 and (packet := os.read(self._back, PACKET)):
                packets.append(packet)
        return packets

    def close(self) -> None:
        """Close all ends; a slot that waits for an order ends by that."""
        self.let_go()
        for fd in (self._write, self._back):
            if fd >= 0:
                os.close(fd)
        self._write = self._back = -1
