"""The one table from errors to exit codes (the contract that scripts rely on)."""

from wedsync_ops import errors

DONE = 0
FAILED = 1
USAGE = 2
INVALID = 3
NOT_FOUND = 4
REFUSED = 5
PARTLY = 6
INTERRUPTED = 130
UNKNOWN = 3
"""Of ``check`` and ``health``, whatever keeps it from answering: monitoring knows 0 ok, 1 warning, 2 critical."""

TABLE: tuple[tuple[type[errors.WedsyncError], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.InvalidInput, INVALID),
    (errors.NotFound, NOT_FOUND),
    (errors.Refused, REFUSED),
    (errors.PartlyDone, PARTLY),
    (errors.Interrupted, INTERRUPTED),
    (errors.WedsyncError, FAILED),
)
"""Most specific first; the first class that fits decides."""


def code_of(error: errors.WedsyncError) -> int:
    """The exit code of an error."""
    return next(code for kind, code in TABLE if isinstance(error, kind))
