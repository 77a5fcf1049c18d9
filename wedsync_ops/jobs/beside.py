"""What goes on beside a worker's loop: a thread for as long as a context is open, that keeps no process from ending."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(name: str, run: Callable[[threading.Event], None], last_s: float) -> Iterator[None]:
    """Run something in a thread, which ends soon after the event is set; waits for that at most ``last_s`` seconds."""
    stopped = threading.Event()
    thread = threading.Thread(target=run, args=(stopped,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(last_s)
