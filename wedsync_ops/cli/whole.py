"""What is begun is ended before a Ctrl-C is heard."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def whole() -> Iterator[None]:
    """What is begun is ended, and counted, before a Ctrl-C is heard; a second one is heard at once."""
    heard = False
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # nohup and a shell's & have it ignored
        yield
        return

    def note(*_: Any) -> None:
        nonlocal heard
        heard = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
