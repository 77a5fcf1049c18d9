"""The platform's log: one line an event, with a stable word for it and the ids that lead from it to the rows.

No line holds personal data, at any level. What a handler was given, and what it or a library says of its failure, may
hold some; so a line names the job, and not what is in it, and of an exception it tells the type and the place, not the
words. Those are kept with the execution, where retention and erasure reach them.
"""

import logging
import traceback
from types import TracebackType

Value = str | int | float | None
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_EVENT, _IDS = "wedsync_event", "wedsync_ids"
_worker: list[str] = []
"""The id of the worker that this process is, once it is one: all of its threads log under it."""


def bind(worker_id: str) -> None:
    """From here on every line of this process bears the worker's id."""
    _worker[:] = [worker_id]


def unbind() -> None:
    """This process is no worker any more."""
    _worker.clear()


def tell(logger: logging.Logger, level: int, event: str, message: str, **ids: Value) -> None:
    """Log an event: a stable word, a line for people, and ids, counts and lengths; nothing that people wrote."""
    logger.log(level, message, extra={_EVENT: event, _IDS: ids})


def fields(record: logging.LogRecord) -> dict[str, Value]:
    """The event of a record and its ids, the worker's own among them; what is not known is left out."""
    found: dict[str, Value] = {"event": getattr(record, _EVENT, None)}
    if _worker:
        found["worker_id"] = _worker[0]
    found |= getattr(record, _IDS, {})
    return {name: value for name, value in found.items() if value is not None}


def places(raised: ExcInfo) -> str:
    """A traceback without the words of its exceptions: types, files, lines and functions, causes first."""
    error = raised[1]
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        at = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
        parts.append("\n".join([*(f"  {place}" for place in at), type(error).__qualname__]))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(reversed(parts))
