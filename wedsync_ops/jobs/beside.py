"""What goes on beside a worker's loop: a thread for as long as a context is open, that keeps no process from ending."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wedsync_ops.errors import WedsyncError

_LOG = logging.getLogger(__name__)


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


def attempt(act: Callable[[], object], complaint: str) -> None:
    """Do one round: what goes wrong is logged behind a complaint, and the next round begins anew."""
    try:
        act()
    except WedsyncError as error:
        _LOG.warning("%s: %s", complaint, error)
    except Exception:  # noqa: BLE001 - a watch that ended in silence would be taken for good news
        _LOG.exception("%s", complaint)
