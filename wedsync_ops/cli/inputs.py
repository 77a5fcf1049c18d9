"""What commands are given: JSON from an argument, a file or standard input; times; a yes."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.errors import InputFileError, UsageError, quoted

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from wedsync_ops.operations.verdict import Bounds

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
JSON_METAVAR = "JSON|@FILE|-"


def finite(value: float | None) -> float | None:
    """The callback of every option that is a number with a point: ``nan`` and ``inf`` are wrong usage."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def bound(unit: str, about: str) -> Any:
    """An option that says from where on something is a warning, or critical."""
    return typer.Option(metavar=unit, min=0, callback=finite, help=about)


def in_order(warning: float, critical: float, of: str = "", *, below: bool = False) -> "Bounds":
    """Both of these; ``of`` is how their names end. Raises UsageError when what is critical is not the worse one."""
    from wedsync_ops.operations.verdict import Bounds

    made = Bounds(warning, critical, below)
    if not made.is_in_order:
        raise UsageError(f"--critical{of} is {'more' if below else 'less'} than --warning{of}")
    return made


def read_objects(**arguments: str) -> dict[str, dict[str, Any]]:
    """Read JSON objects given as ``JSON``, ``@FILE`` or ``-`` (standard input, for one of them), by name.

    Raises InputFileError for a file that cannot be read, InvalidJson for content that is none, UsageError.
    """
    from wedsync_ops import codec

    if list(arguments.values()).count("-") > 1:
        raise UsageError(f"only one of {' and '.join('--' + name for name in arguments)} can be '-'")
    return {name: codec.given_object(_raw(argument, name), f"the {name}") for name, argument in arguments.items()}


@contextmanager
def open_input(file: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for ``-`` (which stays open), for bytes. Raises InputFileError."""
    if file == "-":
        yield sys.stdin.buffer
        return
    with _opened(file) as opened:
        yield opened


def _opened(file: str) -> IO[bytes]:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise InputFileError(f"the file {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputFileError(f"the file {quoted(file)} cannot be read: {error}") from error


def read_input(file: str, limit: int) -> bytes:
    """The content of a file or standard input, at most ``limit`` bytes and one more. Raises InputFileError."""
    with open_input(file) as opened:
        try:
            return opened.read(limit + 1)
        except OSError as error:
            raise InputFileError(f"the file {file} cannot be read: {error.strerror}") from error


def instant_of(text: str | None, option: str, zone: "ZoneInfo | None" = None) -> int | None:
    """An option's time as an instant; without an offset it is taken in ``zone``. Raises UsageError."""
    from wedsync_ops.errors import InvalidTime
    from wedsync_ops.instants import parse_instant

    if text is None:
        return None
    try:
        return parse_instant(text, zone=zone)
    except InvalidTime as error:
        raise UsageError(f"{option}: {error.message}", hint=error.advice) from error


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed. Raises UsageError off a terminal, Abort when the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this asks for a yes, and there is no terminal to ask on", hint="give --yes, or --dry-run first"
        )
    typer.confirm(question, abort=True, err=True)


def _raw(argument: str, name: str) -> str | bytes:
    from wedsync_ops.codec import MAX_BYTES

    if argument == "-":
        return read_input("-", MAX_BYTES)
    if argument.startswith("@"):
        if len(argument) == 1:
            raise UsageError(f"--{name} '@' names no file", hint="write @FILE")
        return read_input(argument[1:], MAX_BYTES)
    return argument
