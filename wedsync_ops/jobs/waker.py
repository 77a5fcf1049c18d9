"""Wakes the worker's loop from a signal handler or another thread."""

import contextlib
import os


class Waker:
    """A pipe: ``wake`` may be called from anywhere, the loop waits for ``fileno`` and then calls ``quiet``."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """What can be read once somebody has called."""
        return self._read

    def wake(self) -> None:
        """Have the loop look at what is new."""
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it has ended
            os.write(self._write, b"\x01")

    def quiet(self) -> None:
        """Take the calls back that were made until now."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 64)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)
