"""The console entry: global options, and the one place where errors become a line and an exit code."""

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from wedsync_ops import __version__
from wedsync_ops.cli import exits
from wedsync_ops.cli.lazy import LazyGroup
from wedsync_ops.errors import StorageFull, UsageError, WedsyncError

app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NAME = "wedsync-ops"
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
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = get_command(app).main(arguments, prog_name=_NAME, standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except SystemExit as stop:
        return _silenced(stop.code)
    except BrokenPipeError:
        return _silenced(exits.FAILED)
    except Exception as error:  # noqa: BLE001 - the edge: whatever happens becomes one line and an exit code
        return _report(error, arguments)
    return code if isinstance(code, int) else exits.DONE


@dataclass(frozen=True, slots=True)
class _Failure:
    exit: int
    code: str
    message: str
    details: Sequence[Any] = ()


def _report(error: Exception, arguments: Sequence[str]) -> int:
    from wedsync_ops.cli.render import one_line

    if "--debug" in arguments:
        import traceback

        traceback.print_exception(error)
    failure = _translated(error)
    message = one_line(failure.message)
    if "--json" in arguments:
        from wedsync_ops.cli.render import error_document

        sys.stderr.write(error_document(failure.code, message, failure.details) + "\n")
    else:
        sys.stderr.write(f"{'internal ' if failure.code == 'internal' else ''}error: {message}\n")
    return failure.exit


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
    if error.errno in _NO_SPACE:
        full = StorageFull()
        return _Failure(exits.FAILED, full.code, str(full))
    reason = error.strerror or str(error)
    message = f"{error.filename}: {reason}" if error.filename else reason
    return _Failure(exits.FAILED, WedsyncError.code, message)


def _silenced(code: Any) -> int:
    """Whoever read standard output has gone, or completion has ended: write nothing more, not even at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return code if isinstance(code, int) else exits.DONE
