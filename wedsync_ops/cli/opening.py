"""From the global options to settings, logging and the opened platform."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from wedsync_ops.instants import SECOND, iso
from wedsync_ops.settings import Loaded, load

if TYPE_CHECKING:
    from wedsync_ops.app import App


def load_settings(context: typer.Context, **overrides: Any) -> Loaded:
    """The settings that hold for this command; ``overrides`` are options of its own that are settings, too.

    Raises SettingError, InputFileError.
    """
    given = context.find_root().obj
    options = {"db": given.db, "log_level": given.log_level, "log_format": given.log_format, **overrides}
    return load(options, config_file=given.config)


@contextmanager
def opened(context: typer.Context, **overrides: Any) -> "Iterator[App]":
    """The platform with its database open, and logging to standard error."""
    from wedsync_ops.app import open_app

    loaded = load_settings(context, **overrides)
    log_to_stderr(loaded.settings.log_level, loaded.settings.log_format)
    app = open_app(loaded)
    try:
        yield app
    finally:
        app.close()


@contextmanager
def observed(context: typer.Context) -> "Iterator[App]":
    """The platform to look at only: nothing is made, brought up to date or written."""
    from wedsync_ops.app import observe

    loaded = load_settings(context)
    log_to_stderr(loaded.settings.log_level, loaded.settings.log_format)
    seen = observe(loaded)
    try:
        yield seen
    finally:
        seen.close()


def log_to_stderr(level: str, form: str) -> None:
    """Send the platform's log to standard error, as text or as one JSON object a line."""
    handler = _Stderr()
    handler.setFormatter(_JsonLines() if form == "json" else _Text())
    logger = logging.getLogger("wedsync_ops")
    logger.handlers = [handler]
    logger.setLevel(level.upper())


class _Stderr(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _Text(logging.Formatter):
    """``time LEVEL logger: message``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return iso(int(record.created * SECOND)) or ""


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        from wedsync_ops.cli.render import to_json

        entry = {
            "at": iso(int(record.created * SECOND)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return to_json(entry).decode()
