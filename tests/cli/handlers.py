"""Handlers of the module types that these tests register."""

from collections.abc import Mapping
from typing import Any

from wedsync_ops.handlers.contract import PermanentError, Run


def note(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    return {"noted": config["text"], "attempt": run.attempt}


def refuse(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    raise PermanentError(f"no room for {config['text']}")
