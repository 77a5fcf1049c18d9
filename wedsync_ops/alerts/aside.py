"""Doing something beside, in a thread that keeps no process from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_T = TypeVar("_T")


def aside(name: str, call: Callable[[], _T]) -> "Future[_T]":
    """Call something in a thread of its own; what it answers or raises is in the future."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            answer = call()
        except BaseException as error:  # noqa: BLE001 - whoever asks the future gets it
            future.set_exception(error)
        else:
            future.set_result(answer)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
