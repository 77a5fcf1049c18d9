"""How the log is written: to standard error, as text or as one JSON object a line."""

import logging
import sys

from wedsync_ops import journal
from wedsync_ops.instants import SECOND, iso


def log_to_stderr(level: str, form: str) -> None:
    """Send the platform's log to standard error; of libraries what they warn of, in the same form."""
    formatter = JsonLines() if form == "json" else TextLines()
    logger = logging.getLogger("wedsync_ops")
    logger.handlers = [_handler(formatter, logging.NOTSET)]
    logger.setLevel(level.upper())
    logging.lastResort = _handler(formatter, logging.WARNING)  # for loggers without a handler, which are theirs
    if form == "json":
        logging.captureWarnings(capture=True)
        logging.getLogger("py.warnings").handlers = [logging.lastResort]


def _handler(formatter: logging.Formatter, level: int) -> "_Stderr":
    made = _Stderr(level)
    made.setFormatter(formatter)
    return made


class _Stderr(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        sys.stderr.write(self.format(record) + "\n")


class TextLines(logging.Formatter):
    """``time LEVEL logger: message name=value …``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """The time in UTC, to the microsecond."""
        return iso(int(record.created * SECOND)) or ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, with what the record names behind it."""
        named = "".join(f" {name}={value}" for name, value in journal.fields(record).items())
        return super().formatMessage(record) + named

    def formatException(self, ei: journal.ExcInfo) -> str:  # noqa: N802
        """The places of a traceback."""
        return journal.places(ei)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with all that it names."""
        from wedsync_ops.cli.render import to_json

        entry = {
            "at": iso(int(record.created * SECOND)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **journal.fields(record),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["traceback"] = journal.places(record.exc_info)
        return to_json(entry).decode()
