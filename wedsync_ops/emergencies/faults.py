"""What runs in a drill: module types whose work goes wrong, or takes long, as a file in the drill's folder says."""

import time
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from wedsync_ops.handlers.contract import Mail, Run

DEFINITIONS = b"""\
schema_version: 1
modules:
""" + b"".join(
    b"""\
  - id: drill-%(name)s
    display_name: Drill (%(name)s)
    category: drill
    provider: %(over)s
    handler: wedsync_ops.emergencies.faults:%(name)s
    retry: {attempts: 3, backoff: exponential, delay: 2000}
    resource_requirements: {cpu_limit: 1, memory_limit: 64, execution_timeout: 120}
    performance_targets: {max_execution_time: 1000}
    config_schema:
      type: object
      additionalProperties: false
      required: [folder]
      properties: {folder: {type: string}}
"""
    % {b"name": name, b"over": over}
    for name, over in ((b"flaky", b"drill"), (b"busy", b"drill"), (b"letter", b"smtp"))
)
"""Module types that exist in a drill's copy only."""
MODULES = ("drill-flaky", "drill-busy", "drill-letter")
FAULT, BUSY = "fault", "busy"
"""While a file of this name is in the folder: ``flaky`` fails; ``busy`` goes on."""
_LOOK_S = 0.05


def flaky(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:  # noqa: ARG001
    """Fail as long as the fault is there."""
    if (Path(config["folder"]) / FAULT).exists():
        raise ConnectionError("the provider refuses every request")
    return {"delivered": True}


def busy(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:  # noqa: ARG001
    """Take a slot until the file is gone."""
    while (Path(config["folder"]) / BUSY).exists() and run.time_left() > 1:
        time.sleep(_LOOK_S)
    return {"done": True}


def letter(config: Mapping[str, Any], context: Mapping[str, Any], run: Run) -> Mapping[str, Any]:  # noqa: ARG001
    """Send a mail."""
    message = EmailMessage()
    message["Subject"] = "Drill"
    message["From"] = "drill@wedsync.example"
    message["To"] = "couple@wedsync.example"
    message.set_content("This is a drill.")
    return {"message_id": run.deliver(Mail(message)).reference}
