"""Lines: one for people on standard error, or one of JSON there or at the end of a file."""

import logging
import os
import sys

from wedsync_ops import codec
from wedsync_ops.alerts import notify_text
from wedsync_ops.alerts.model import Severity
from wedsync_ops.alerts.notify_model import TAKEN, Kind, Message, Outcome

_LOG = logging.getLogger("wedsync_ops.alerts")


class Console:
    """One line of the platform's log for each message."""

    def send(self, message: Message) -> Outcome:
        """Log a message: as an error when it is critical, as a warning, or as information that it is over."""
        level = logging.ERROR if notify_text.severity(message) is Severity.CRITICAL else logging.WARNING
        if message.kind in (Kind.RESOLVED, Kind.ACKNOWLEDGED):
            level = logging.INFO
        ids = " ".join(str(alert.id) for alert in message.alerts)
        _LOG.log(level, "%s%s", notify_text.title(message), f" (alerts show {ids})" if ids else "")
        return TAKEN


class Json:
    """One JSON document a line, on standard error or at the end of a file that only its owner reads."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def send(self, message: Message) -> Outcome:
        """Write a message."""
        line = codec.dumps(notify_text.document(message)) + b"\n"
        try:
            if self._file is None:
                sys.stderr.write(line.decode())
                sys.stderr.flush()
            else:
                _append(self._file, line)
        except OSError as error:
            return Outcome(f"the line cannot be written: {error.strerror}")
        return TAKEN


def _append(file: str, line: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while line:
            line = line[os.write(descriptor, line) :]
    finally:
        os.close(descriptor)
