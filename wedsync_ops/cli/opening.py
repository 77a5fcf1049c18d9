"""From the global options to settings, logging and the opened platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from wedsync_ops.cli.logged import log_to_stderr
from wedsync_ops.settings import Loaded, load

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.operations.maintenance import Site


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
def observed(context: typer.Context) -> "Iterator[Site]":
    """The platform to look at only: nothing is made, brought up to date or written."""
    from wedsync_ops.app import observe
    from wedsync_ops.operations.maintenance import Site

    loaded = load_settings(context)
    log_to_stderr(loaded.settings.log_level, loaded.settings.log_format)
    seen = observe(loaded)
    try:
        yield Site(seen.database, seen.clock, seen.rules())
    finally:
        seen.close()
