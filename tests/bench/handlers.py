"""Handlers that do nothing, so that a benchmark measures only the platform; and some that take time or memory."""

import time
from collections.abc import Mapping
from typing import Any

from wedsync_ops.handlers.contract import Run


def noop(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Return at once."""
    return {}


def five_ms(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
    """Wait, as for a server that answers soon."""
    time.sleep(0.005)
    return {}
