"""What commands print: one JSON document for programs, tables that fit the terminal for people."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wedsync_ops.errors import OutputLost, WedsyncError

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 80
"""The narrowest terminal that tables are made for, in columns."""


def emit(name: str, document: Mapping[str, Any]) -> None:
    """Print a document on standard output, its schema first: indented for a terminal, else on one line."""
    emit_raw([to_json({"schema": schema(name), **document}, indent=sys.stdout.isatty()), b"\n"])


@contextmanager
def answering(done: str | None, failure: WedsyncError | None = None) -> Iterator[None]:
    """Print an answer inside; the failure that it tells of, if any, is raised then, even when the reader has gone.

    When the answer cannot be written, the OutputLost that is raised says what was ``done`` all the same.
    """
    try:
        yield
    except BrokenPipeError:
        if failure is None:
            raise
    except OutputLost as error:
        said = done or (failure and failure.message)
        raise OutputLost(f"{said}, but {error.message}") if said else error from error
    if failure is not None:
        raise failure


def schema(name: str) -> str:
    """The schema's name of a command's document."""
    return f"wedsync-ops/{name}@1"


def to_json(document: Any, *, indent: bool = False) -> bytes:
    """A document as JSON; text that is no Unicode (from a file name, say) is written escaped."""
    import orjson

    option = orjson.OPT_INDENT_2 if indent else 0
    try:
        return orjson.dumps(document, option=option)
    except orjson.JSONEncodeError:
        return orjson.dumps(_encodable(document), option=option)


def emit_raw(parts: Iterable[bytes]) -> None:
    """Print bytes on standard output, whatever its encoding.

    Raises OutputLost when they cannot be written; BrokenPipeError when nobody reads them.
    """
    with _written():
        sys.stdout.flush()
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()


def error_document(code: str, message: str, details: Sequence[Any]) -> str:
    """The last line on standard error of a command that was given --json."""
    return to_json({"error": {"code": code, "message": message, "details": list(details)}}).decode()


def say(text: str) -> None:
    """Print a line for people."""
    emit_raw([one_line(text).encode("utf-8", "replace"), b"\n"])


def prose(text: str, indent: str = "   ") -> None:
    """Print a sentence for people, wrapped at the terminal's width, the lines after the first indented."""
    import textwrap

    lines = textwrap.wrap(
        one_line(text), width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    emit_raw([line.encode("utf-8", "replace") + b"\n" for line in lines])


def paragraph(text: str) -> None:
    """Print a text of several lines for people, with nothing in it that a terminal would obey."""
    lines = (line if line.isprintable() else _printable(line.expandtabs()) for line in text.splitlines())
    emit_raw([line.encode("utf-8", "replace") + b"\n" for line in lines])


def clear() -> None:
    """Begin a terminal's screen anew; where there is none, set what follows apart by an empty line."""
    emit_raw([b"\x1b[H\x1b[2J" if sys.stdout.isatty() else b"\n"])


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table that fits the terminal; numbers to the right, long texts folded, unknown values as a dash.

    A column whose name starts with ``>`` holds numbers.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(Text(cell(value)) for value in row))
    _print(made)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print names and values, one pair a line; a value may fold onto several."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(Text(name), Text(cell(value)))
    _print(made)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    if isinstance(value, dict | list | tuple):
        return one_line(to_json(value).decode())
    return one_line(str(value))


def moment(instant: int | None) -> str | None:
    """An instant as tables show it: UTC, to the second."""
    from wedsync_ops.instants import to_datetime

    return None if instant is None else to_datetime(instant).strftime("%Y-%m-%d %H:%M:%SZ")


def one_line(text: str) -> str:
    """A text on one line, with nothing in it that a terminal would obey."""
    joined = " ".join(text.split())
    return joined if joined.isprintable() else _printable(joined)


def console() -> "Console":
    """A console on standard output: as wide as the terminal, in colour only on one, and not with NO_COLOR."""
    from rich.console import Console

    options: dict[str, Any] = {
        "file": sys.stdout,
        "width": width(),
        "force_terminal": sys.stdout.isatty(),
        "highlight": False,
        "markup": False,
        "emoji": False,
    }
    made = Console(**options)
    return Console(**options, color_system=None) if made.no_color else made


def width() -> int:
    """How many columns there are to print on, never fewer than 80."""
    return max(_WIDTH, shutil.get_terminal_size().columns)


def _print(what: Any) -> None:
    made = console()
    with _written(), made.capture() as captured:  # rich itself would end the process at a broken pipe
        made.print(what)
    emit_raw([captured.get().encode("utf-8", "replace")])


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputLost(f"standard output cannot be written: {error.strerror}") from error


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value if isinstance(value, bool | int | float | None) else str(value)


def length(length_us: int | None) -> str | None:
    """A length of time (µs) in its largest unit."""
    if length_us is None:
        return None
    seconds = length_us / 1_000_000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"
