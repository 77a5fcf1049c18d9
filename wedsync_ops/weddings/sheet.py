"""A sheet of couples as CSV: read row by row in bounded memory, every wrong row an error of its own.

A row may run over several lines inside quotes. A quote that is never closed would swallow the rows after it: when a row
of several lines makes no sense, only its first line is refused, and the next is read as a row again.
"""

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from wedsync_ops.errors import InputFileError, InvalidInput, WedsyncError, quoted
from wedsync_ops.weddings.intake import COLUMNS, REQUIRED, strangers

LONGEST = 64 * 1024
"""The most bytes of a row."""
MOST_LINES = 50
"""The most lines of a row."""
_PIECE = 1024 * 1024
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row, numbered as a spreadsheet does (the header is row 1), and the line of the file on which it begins.

    ``record`` is what its cells say by column, or why it cannot be read.
    """

    number: int
    line: int
    record: Mapping[str, Any] | WedsyncError


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without its end; ``text`` says why it cannot be used when it cannot."""

    number: int
    text: str | WedsyncError


def read_rows(stream: IO[bytes], *, ignore_unknown: bool = False) -> Iterator[Row]:
    """The rows below the header; blank ones are left out, and counted.

    ``ignore_unknown`` overlooks columns with unknown names. Raises InvalidInput for a file that is no such sheet,
    InputFileError when the stream breaks.
    """
    lines = _Lines(stream)
    columns = _columns(lines.next(), ignore_unknown=ignore_unknown)
    number = 1
    while (line := lines.next()) is not None:
        number += 1
        found = _cells(line, lines, len(columns))
        if isinstance(found, WedsyncError):
            yield Row(number, line.number, found)
        elif any(found):
            record = {name: cell for name, cell in zip(columns, found, strict=True) if name in COLUMNS}
            yield Row(number, line.number, record)


class _Lines:
    """The lines of a stream one by one; those that are put back come again."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._number = 0
        self._again: deque[_Line] = deque()

    def next(self) -> _Line | None:
        """The next line, ``None`` after the last."""
        if self._again:
            return self._again.popleft()
        try:
            raw = self._stream.readline(LONGEST)
            if not raw:
                return None
            self._number += 1
            if self._number == 1:
                _refuse_other_files(raw)
            is_whole = len(raw) < LONGEST or raw.endswith(b"\n")
            if not is_whole:
                self._skip()
        except OSError as error:
            raise InputFileError(f"the input cannot be read: {error.strerror}") from error
        if not is_whole:
            return _Line(self._number, InvalidInput(f"it is longer than {LONGEST:,} bytes"))
        return _Line(self._number, _decoded(raw, is_first=self._number == 1))

    def _skip(self) -> None:
        """Read to the end of a line, and keep nothing of it."""
        while (piece := self._stream.readline(_PIECE)) and not piece.endswith(b"\n"):
            pass

    def put_back(self, lines: Sequence[_Line]) -> None:
        """Let lines that were taken come again."""
        self._again.extendleft(reversed(lines))


def _decoded(raw: bytes, *, is_first: bool) -> str | WedsyncError:
    if is_first:
        raw = raw.removeprefix(BOM_UTF8)
    if b"\x00" in raw:
        return InvalidInput("it holds a NUL byte")
    try:
        return raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        before = raw[max(0, error.start - 20) : error.start].decode(errors="replace")
        wrong = f"it is not UTF-8: byte 0x{raw[error.start]:02x} after {before!r}"
        return InvalidInput(wrong, hint="save the file as UTF-8")


def _columns(line: _Line | None, *, ignore_unknown: bool) -> list[str]:
    if line is None:
        raise InvalidInput("the file is empty", hint=f"its first line must be {','.join(REQUIRED)}")
    if isinstance(line.text, WedsyncError):
        raise InvalidInput(f"the header cannot be read: {line.text}", hint="save the file as CSV in UTF-8")
    if "\r" in line.text:
        raise InvalidInput("its lines end in a carriage return alone", hint="save it with line feeds")
    found = _split(line.text)
    if isinstance(found, WedsyncError):
        raise InvalidInput(f"the header cannot be read: {found}")
    columns = [cell.lower() for cell in found]
    _check_delimiter(line.text, columns)
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"the header names the column {quoted(twice)} twice", hint="leave one of the two")
    stranger = None if ignore_unknown else strangers(filter(None, columns))
    missing = [name for name in REQUIRED if name not in columns]
    if missing and stranger is None:
        raise InvalidInput(f"the header lacks {', '.join(missing)}", hint=f"it must name {', '.join(REQUIRED)}")
    if stranger is not None:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise InvalidInput(f"there is no column {stranger}{lacks}", hint="remove it, or give --ignore-unknown")
    return columns


def _check_delimiter(text: str, columns: Sequence[str]) -> None:
    if len(columns) > 1:
        return
    for mark, name in _OTHER_DELIMITERS.items():
        if mark in text:
            raise InvalidInput(f"its fields are divided by {name}", hint="save it with commas")


def _cells(first: _Line, lines: _Lines, wanted: int) -> list[str] | WedsyncError:
    """The cells of the row that begins with a line, which may take further ones."""
    if isinstance(first.text, WedsyncError):
        return first.text
    if '"' not in first.text:
        return _counted(_plain(first.text), wanted)
    taken = [first]
    found = _split(first.text)
    while isinstance(found, _Unclosed) and (more := lines.next()) is not None:
        taken.append(more)
        text = _joined(taken)
        if text is None:
            break
        if isinstance(more.text, str) and '"' in more.text:
            found = _split(text)
    found = _counted(found, wanted)
    if len(taken) > 1 and (isinstance(found, WedsyncError) or _swallows_rows(found, wanted)):
        lines.put_back(taken[1:])
        return _Unclosed("a quote is opened and not closed as it should be")
    return found


def _swallows_rows(cells: Sequence[str], wanted: int) -> bool:
    """Whether a cell of several lines has the commas of a row: two quotes that were left open look like one cell."""
    return any("\n" in cell and cell.count(",") >= wanted - 1 for cell in cells)


def _joined(taken: Sequence[_Line]) -> str | None:
    """Lines as one text; ``None`` when they are too many, too long, or one of them cannot be used."""
    texts = [line.text for line in taken if isinstance(line.text, str)]
    if len(texts) < len(taken) or len(texts) > MOST_LINES or sum(map(len, texts)) > LONGEST:
        return None
    return "\n".join(texts)


class _Unclosed(InvalidInput):
    """A quote is opened and not closed."""


def _split(text: str) -> list[str] | WedsyncError:
    if '"' not in text:
        return _plain(text)
    try:
        return [cell.strip() for cell in next(csv.reader([text], strict=True, skipinitialspace=True))]
    except csv.Error as error:
        return _Unclosed() if "unexpected end" in str(error) else InvalidInput(f"it is not CSV: {error}")


def _plain(text: str) -> list[str]:
    return [cell.strip() for cell in text.split(",")]


def _counted(cells: list[str] | WedsyncError, wanted: int) -> list[str] | WedsyncError:
    if isinstance(cells, WedsyncError) or len(cells) == wanted:
        return cells
    if not any(cells):
        return [""] * wanted
    hint = "a field that holds a comma must stand in quotes" if len(cells) > wanted else None
    return InvalidInput(f"it has {len(cells)} fields, and the header {wanted}", hint=hint)


def _refuse_other_files(start: bytes) -> None:
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise InvalidInput("the file is in UTF-16", hint="save it as UTF-8")
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInput("the file is a spreadsheet or an archive", hint="export it as CSV in UTF-8")
    if start.startswith(b"\x1f\x8b"):
        raise InvalidInput("the file is compressed", hint="unpack it, such as by gzip -dc FILE | … import -")
