"""The console entry: global options, and the one place where errors become a line and an exit code."""

import errno
import os
import re
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

if "run-worker" in sys.argv:
    # A worker may be told to be quiet before it knows what that is: it hears of it when it does. Importing takes long.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,))

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from wedsync_ops import __version__
from wedsync_ops.cli import exits
from wedsync_ops.cli.lazy import LazyGroup
from wedsync_ops.errors import OutputLost, StorageFull, UsageError, WedsyncError, quoted

app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NAME = "wedsync-ops"
_WITH_VALUE = ("--db", "--config", "--log-level", "--log-format")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What stands before the command."""

    db: str | None
    config: Path | None
    log_level: str | None
    log_format: str | None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{_NAME} {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    db: Annotated[str | None, typer.Option(metavar="URL", help="The database; a SQLite file in the home.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="A YAML file of settings.")] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, typer.Option(help="The least that is logged.")
    ] = None,
    log_format: Annotated[Literal["text", "json"] | None, typer.Option(help="How it is logged.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001
    version: Annotated[  # noqa: ARG001 - read by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The platform under WedSync's journey modules: registers, executes, measures, and never misses a wedding date."""
    context.obj = GlobalOptions(db, config, log_level, log_format)


def run(argv: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own unless given) and return its exit code."""
    _open_what_is_closed()
    arguments = list(sys.argv[1:] if argv is None else argv)
    code: Any
    try:
        code = get_command(app).main(arguments, prog_name=_NAME, standalone_mode=False)
    except KeyboardInterrupt:
        code = exits.INTERRUPTED
    except SystemExit as stop:
        pipe = stop.__context__  # Typer ends like this at any broken pipe
        code = _failed(pipe, arguments) if isinstance(pipe, BrokenPipeError) else stop.code
    except Exception as error:  # noqa: BLE001 - the edge: whatever happens becomes one line and an exit code
        code = _failed(error, arguments)
    _drop_what_cannot_be_written()
    return code if isinstance(code, int) else exits.DONE


def _open_what_is_closed() -> None:
    """A standard stream that is closed is /dev/null: else the next file that is opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process


def _failed(error: Exception, arguments: Sequence[str]) -> int:
    """The exit code of an error, once it is told. That nobody reads standard output any more is none."""
    if isinstance(error, BrokenPipeError) and _reader_has_gone():
        return exits.DONE
    return _report(error, arguments)


def _reader_has_gone() -> bool:
    poll = select.poll()
    poll.register(1, 0)
    return bool(poll.poll(0))


def _drop_what_cannot_be_written() -> None:
    """Python writes what is left at exit, and would complain of it in its own words."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


@dataclass(frozen=True, slots=True)
class _Failure:
    exit: int
    code: str
    message: str
    details: Sequence[Any] = ()


def _report(error: Exception, arguments: Sequence[str]) -> int:
    from wedsync_ops.cli.render import error_document, one_line

    failure = _not_text(error, arguments) or _translated(error)
    message = one_line(failure.message)
    if "--json" in arguments:
        line = error_document(failure.code, message, failure.details)
    else:
        line = f"{'internal ' if failure.code == 'internal' else ''}error: {message}"
    with suppress(OSError, ValueError):  # where standard error cannot be written, the exit code has to do
        if "--debug" in arguments:
            import traceback

            traceback.print_exception(error)
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    return exits.UNKNOWN if _command(arguments) in ("check", "health") else failure.exit


def _command(arguments: Sequence[str]) -> str | None:
    """The command that is named, past the global options and their values."""
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-"):
            return word
        if word in _WITH_VALUE:
            next(rest, None)
    return None


def _not_text(error: Exception, arguments: Sequence[str]) -> _Failure | None:
    """Files may be named by any bytes; nothing else that is asked for or kept is, and no database takes them."""
    if not isinstance(error, UnicodeEncodeError | TypeError):
        return None
    strange = next((each for each in arguments if _SURROGATE.search(each)), None)
    return None if strange is None else _Failure(exits.USAGE, UsageError.code, f"{quoted(strange)} is not UTF-8")


def _translated(error: Exception) -> _Failure:
    if isinstance(error, WedsyncError):
        return _Failure(exits.code_of(error), error.code, str(error), error.details)
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        where = _NAME if context is None else context.command_path
        return _Failure(exits.USAGE, UsageError.code, f"{error.format_message()} (see '{where} --help')")
    if isinstance(error, typer.Abort):
        return _Failure(exits.FAILED, "declined", "stopped at the question; nothing was changed")
    if isinstance(error, OSError):
        return _translated_os(error)
    if isinstance(error, MemoryError):
        return _Failure(exits.FAILED, WedsyncError.code, "there is not enough memory")
    message = f"{type(error).__name__}: {error} (repeat it with --debug before the command, and report what that shows)"
    return _Failure(exits.FAILED, "internal", message)


def _translated_os(error: OSError) -> _Failure:
    reason = error.strerror or str(error)
    if _came_from_typers_echo(error):
        return _Failure(exits.FAILED, OutputLost.code, f"standard output cannot be written: {reason}")
    message = f"{error.filename}: {reason}" if error.filename else reason
    code = StorageFull.code if error.errno in _NO_SPACE else WedsyncError.code
    return _Failure(exits.FAILED, code, message)


def _came_from_typers_echo(error: OSError) -> bool:
    """Whether Typer was printing (help, version, completion); all else is printed by ``render``."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and at.tb_frame.f_code.co_name == "echo"
