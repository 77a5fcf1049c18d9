"""The garbage collector, told what a worker's process is: much that stays, and values that come and go in groups."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 10_000, 20, 50


@contextmanager
def for_a_long_run() -> Iterator[None]:
    """Keep the collector from walking through everything that was imported each time a group of jobs has passed."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
