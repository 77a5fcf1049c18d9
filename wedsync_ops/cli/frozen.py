"""Making a change although weddings are near: the option, and the reason that goes with it."""

from typing import Annotated

import typer

from wedsync_ops.errors import UsageError

Override = Annotated[bool, typer.Option("--override", help="Do it although weddings are near; needs --reason.")]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept in 'emergency history'.")]


def reason_of(override: bool, reason: str | None) -> str | None:
    """The reason to override the freeze; ``None`` where nobody does. Raises UsageError."""
    if override and not reason:
        raise UsageError("--override needs --reason", hint="say why it cannot wait")
    return reason if override else None
