"""``callbacks``: what the text message gateway reports back."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import DryRun, Json, open_input
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import InvalidInput, PartlyDone, SettingError, WedsyncError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.handlers.callbacks import Suppress, Undelivered

app = group("Take in what the text message gateway reports back.")
_CHUNK = 500


@app.command()
def ingest(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="One callback a line, as JSON.")],
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Verify callbacks; suppress numbers that opted out or cannot be reached. Repeating it changes nothing.

    What WhatsApp did not deliver is sent by SMS where the job says so.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say

    with opened(context) as app_, open_input(file) as stream:
        report = _ingest(app_, stream, dry_run=dry_run)
    accepted = sum(report.counts.values())
    refused = len(report.errors)
    if json:
        outcome = {"accepted": accepted, **report.counts, "refused": refused, "errors": report.errors}
        emit("callbacks-ingest", {**outcome, "dry_run": dry_run})
    else:
        for entry in report.errors:
            say(f"line {entry['line']}: {entry['message']}")
        told = ", ".join(f"{count} {name}" for name, count in report.counts.items())
        say(f"{accepted} accepted ({told}), {refused} refused")
    if refused and not accepted:
        raise InvalidInput(f"nothing was taken: {refused} callbacks were refused", hint="each is named above")
    if refused:
        raise PartlyDone(f"{refused} callbacks were refused", hint="each is named above")


@dataclass(slots=True)
class _Report:
    """What became of the callbacks: how many by outcome, and each that was refused."""

    counts: Counter[str] = field(default_factory=lambda: Counter(suppressed=0, fallbacks=0, known=0, ignored=0))
    errors: list[dict[str, Any]] = field(default_factory=list)


def _ingest(app_: "App", stream: IO[bytes], *, dry_run: bool) -> _Report:
    from wedsync_ops.cli.ndjson import read_documents
    from wedsync_ops.cli.render import one_line
    from wedsync_ops.jobs import callbacks

    secret = app_.settings.sms_callback_secret
    if not secret:
        raise SettingError("the setting sms_callback_secret is missing", hint="set WEDSYNC_OPS_SMS_CALLBACK_SECRET")
    report, queue = _Report(), app_.queue()
    documents = read_documents(stream)
    while chunk := list(islice(documents, _CHUNK)):
        found: list[Suppress | Undelivered | None] = []
        for number, document in chunk:
            try:
                if isinstance(document, WedsyncError):
                    raise document
                found.append(callbacks.judge(document, secret, app_.clock.now()))
            except WedsyncError as error:
                report.errors.append({"line": number, "code": error.code, "message": one_line(str(error))})
        report.counts.update(callbacks.take(queue, found, dry_run=dry_run))
    return report
