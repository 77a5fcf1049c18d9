"""Handlers of the module types that these tests register."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from wedsync_ops.handlers.contract import PermanentError, Run, Site, checked_by


def note(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    return {"noted": config["text"], "attempt": run.attempt}


def refuse(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    raise PermanentError(f"no room for {config['text']}")


def _interrupt(config: Mapping[str, Any], _context: Mapping[str, Any], _site: Site) -> Iterator[str]:
    if config["text"] == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    yield from ()


@checked_by(_interrupt)
def interrupting(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Note; while a job of a certain text is queued, Ctrl-C is pressed."""
    return note(config, context, run)
