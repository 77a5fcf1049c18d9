"""Lines of JSON, jobs above all: read one by one in bounded memory, each wrong one an error of its own."""

import difflib
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from wedsync_ops import codec
from wedsync_ops.errors import InputFileError, InvalidInput, InvalidJson, WedsyncError, quoted
from wedsync_ops.jobs.model import Request

_REQUIRED = ("module_type", "config", "context")
_TEXTS = ("priority", "at", "key", "deadline", "expires")
_KEYS = (*_REQUIRED, *_TEXTS, "delay", "replace")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank: its number from 1, and what it asks for or why it cannot be read."""

    number: int
    request: Request | WedsyncError


def read_lines(stream: IO[bytes]) -> Iterator[Line]:
    """The lines of a stream as requests. Raises InputFileError when the stream itself breaks."""
    for number, document in read_documents(stream):
        yield Line(number, document if isinstance(document, WedsyncError) else _read(document))


def read_documents(stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | WedsyncError]]:
    """The lines that are not blank as JSON objects, or why they are none, each with its number from 1.

    A byte-order mark before the first is skipped.

    Raises InputFileError when the stream itself breaks.
    """
    number = 0
    while True:
        number += 1
        raw, is_whole = _next(stream)
        if not raw:
            return
        if number == 1:
            raw = raw.removeprefix(BOM_UTF8)
        if not is_whole:
            too_long = InvalidJson("the line is too long", hint=f"at most {codec.MAX_BYTES:,} bytes are accepted")
            yield number, too_long
        elif raw.strip():
            yield number, _loaded(raw)


def _next(stream: IO[bytes]) -> tuple[bytes, bool]:
    """The next line, and whether it is whole; of one that is too long the rest is skipped."""
    limit = codec.MAX_BYTES + 2
    try:
        raw = piece = stream.readline(limit)
        is_whole = len(raw) < limit or raw.endswith(b"\n")
        while len(piece) == limit and not piece.endswith(b"\n"):
            piece = stream.readline(limit)
    except OSError as error:
        raise InputFileError(f"the input cannot be read: {error.strerror}") from error
    return raw, is_whole


def _loaded(raw: bytes) -> dict[str, Any] | WedsyncError:
    try:
        return codec.given_object(raw.strip(), "the line")
    except WedsyncError as error:
        return error


def _read(document: dict[str, Any]) -> Request | WedsyncError:
    try:
        return _request(document)
    except WedsyncError as error:
        return error


def _request(value: dict[str, Any]) -> Request:
    for name in value:
        if name not in _KEYS:
            near = difflib.get_close_matches(name, _KEYS, n=1)
            suggestion = f"; did you mean {near[0]!r}?" if near else ""
            raise InvalidInput(f"there is no key {quoted(name)}{suggestion}", hint=f"the keys are {', '.join(_KEYS)}")
    for name in _REQUIRED:
        if name not in value:
            raise InvalidInput(f"{name} is missing")
    if not isinstance(value["module_type"], str):
        raise InvalidInput(f"module_type must be a string, not {codec.kind_of(value['module_type'])}")
    for name in _TEXTS:
        if not isinstance(value.get(name), str | None):
            raise InvalidInput(f"{name} must be a string, not {codec.kind_of(value[name])}")
    return Request(**value)
