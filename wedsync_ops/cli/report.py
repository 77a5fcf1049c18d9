"""``report``: an hour or a day of the platform, for people who were not there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from wedsync_ops.operations.report.model import Report

app = single()


@app.command()
def report(
    context: typer.Context,
    daily: Annotated[bool, typer.Option("--daily", help="The last whole day (the default).")] = False,
    hourly: Annotated[bool, typer.Option("--hourly", help="The last whole hour.")] = False,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="The last that had ended by then, instead of by now (ISO 8601).")
    ] = None,
    format_: Annotated[
        Literal["text", "json", "html"] | None,
        typer.Option("--format", help="What it is written as: text unless given."),
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    json: Json = False,
) -> None:
    """Report on an hour or a day: executions, times, errors, waits, weddings, availability, season."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit_raw, say
    from wedsync_ops.operations.report.measure import known_since, make
    from wedsync_ops.operations.report.period import DAILY, HOURLY, period

    if daily and hourly:
        raise UsageError("--daily and --hourly exclude each other")
    if json and format_ not in (None, "json"):
        raise UsageError(f"--json excludes --format {format_}")
    with opened(context) as opened_app:
        rules, now = opened_app.rules(), opened_app.clock.now()
        given = instant_of(at, "--at", rules.calendar.zone)
        if given is not None and given > now:
            raise UsageError("--at lies in the future: nothing is known of that yet")
        over = period(HOURLY if hourly else DAILY, now if given is None else given, rules.calendar.zone)
        if given is not None and over.from_at < known_since(opened_app.database):
            raise UsageError(
                "--at: retention has taken the executions of that time",
                hint="ask 'metrics --range', which knows counts and times for longer, or open a report that was kept",
            )
        made = make(opened_app.database, rules, over, now)
    content = _written(made, "json" if json else format_ or "text", pretty=output is None and sys.stdout.isatty())
    if output is None:
        emit_raw([content])
        return
    _save(output, content)
    if not json:
        say(f"the {over.kind} report was written to {output}")


def _written(made: "Report", form: str, *, pretty: bool) -> bytes:
    from wedsync_ops.cli.render import schema, to_json
    from wedsync_ops.operations.report.document import to_document
    from wedsync_ops.operations.report.page import to_html
    from wedsync_ops.operations.report.text import to_text

    if form == "json":
        return to_json({"schema": schema("report"), **to_document(made)}, indent=pretty) + b"\n"
    if form == "html":
        return to_html(made).encode("utf-8", "replace")
    return "".join(f"{line}\n" for line in to_text(made)).encode("utf-8", "replace")


def _save(file: Path, content: bytes) -> None:
    from wedsync_ops.operations.report.keeping import write

    try:
        write(file, content)
    except OSError as error:
        raise InputFileError(f"the file {file} cannot be written: {error.strerror}") from error
