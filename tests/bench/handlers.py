"""Handlers that do nothing, so that a benchmark measures only the platform."""

from collections.abc import Mapping
from typing import Any

from wedsync_ops.handlers.contract import Run


def noop(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Return at once."""
    return {}
