"""``clients``: take over couples from a file, and keep them up to date."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import DryRun, Json, open_input
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import Interrupted, InvalidInput, PartlyDone, WedsyncError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.weddings.actions import Importer, Report
    from wedsync_ops.weddings.sheet import Row

app = group("Take over couples from a file, and keep them up to date.")
_NDJSON = (".ndjson", ".jsonl")
_BLINK_S = 0.2


@app.command("import")
def import_file(
    context: typer.Context,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV with a header, or NDJSON.")],
    format_: Annotated[
        Literal["csv", "ndjson"] | None,
        typer.Option("--format", help="What the file is; else told by its name: .ndjson, .jsonl, all else CSV."),
    ] = None,
    atomic: Annotated[bool, typer.Option("--atomic", help="All rows or none; at most 100,000.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Also tell what changed of whom.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only count; list no errors.")] = False,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Overlook columns with unknown names.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Take couples in: new ones and changed ones.

    Rows that are known as they are change nothing, so the same file can be imported again.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.handlers.addresses import address_fault
    from wedsync_ops.weddings.actions import Importer, Judge

    kind = format_ or ("ndjson" if file.lower().endswith(_NDJSON) else "csv")
    with opened(context) as opened_app, open_input(file) as stream:
        judge = Judge(opened_app.calendar.zone, address_fault)
        with Importer(opened_app.database, opened_app.clock, judge, atomic=atomic, dry_run=dry_run) as importer:
            rows = _rows(stream, kind, ignore_unknown=ignore_unknown)
            failure = _taken_in(importer, rows, _Progress(stream), dry_run=dry_run)
            failure = failure or _failure(importer.report, atomic=atomic, dry_run=dry_run)
            to_move = 0 if dry_run or not importer.report.moved else _to_move(opened_app)
            _show(importer.report, failure, to_move, dry_run=dry_run, diff=diff, quiet=quiet, json=json)
    return exits.DONE


def _to_move(opened_app: "App") -> int:
    """How many couples were planned for another wedding day than they have now."""
    from wedsync_ops.planning.store import plans

    with opened_app.database.reading() as connection:
        return plans.count_moved(connection)


def _rows(stream: IO[bytes], kind: str, *, ignore_unknown: bool) -> "Iterator[Row]":
    from wedsync_ops.weddings.sheet import read_rows

    return (
        _documents(stream, ignore_unknown=ignore_unknown)
        if kind == "ndjson"
        else read_rows(stream, ignore_unknown=ignore_unknown)
    )


def _documents(stream: IO[bytes], *, ignore_unknown: bool) -> "Iterator[Row]":
    from wedsync_ops.cli.ndjson import read_documents
    from wedsync_ops.weddings.intake import strangers
    from wedsync_ops.weddings.sheet import Row

    for number, document in read_documents(stream):
        stranger = None
        if not ignore_unknown and not isinstance(document, WedsyncError):
            stranger = strangers(document)
        wrong = InvalidInput(f"there is no key {stranger}") if stranger is not None else None
        yield Row(number, number, wrong or document)


def _taken_in(
    importer: "Importer", rows: "Iterator[Row]", progress: "_Progress", *, dry_run: bool
) -> WedsyncError | None:
    """Take the rows in; what broke it off once rows were taken, if anything."""
    from wedsync_ops.cli.whole import whole
    from wedsync_ops.weddings.actions import BATCH

    report = importer.report
    try:
        while batch := list(islice(rows, BATCH)):
            with whole():
                importer.take(batch)
            progress.show(report.last_row)
        with whole():
            importer.finish()
    except KeyboardInterrupt:
        return _interrupted(report, dry_run=dry_run)
    except WedsyncError as error:
        if dry_run or not report.done:
            raise
        again = "import the file again: what was taken in is not taken twice"
        return PartlyDone(f"it stopped after row {report.last_row}: {error}", hint=again)
    finally:
        progress.clear()
    return None


def _interrupted(report: "Report", *, dry_run: bool) -> Interrupted:
    if dry_run or not report.imported + report.updated:
        return Interrupted("interrupted; nothing was changed", hint="import the file again")
    return Interrupted(
        f"interrupted after row {report.last_row}; {report.imported} were imported and {report.updated} updated",
        hint="import the file again: what was taken in is not taken twice",
    )


def _failure(report: "Report", *, atomic: bool, dry_run: bool) -> WedsyncError | None:
    if not report.done and not report.refused:
        return InvalidInput("the file holds no couple", hint="write one a row below the header, or one object a line")
    if atomic and report.refused:
        return InvalidInput(f"nothing was imported: {report.refused} rows were refused", hint="each is named above")
    if not report.done:
        return InvalidInput(f"nothing was imported: all {report.refused} rows were refused", hint="see above why")
    if report.refused:
        total = report.done + report.refused
        others = "a dry run; nothing was changed" if dry_run else "the others were taken in"
        return PartlyDone(f"{report.refused} of {total} rows were refused", hint=others)
    return None


def _show(
    report: "Report",
    failure: WedsyncError | None,
    to_move: int,
    *,
    dry_run: bool,
    diff: bool,
    quiet: bool,
    json: bool,
) -> None:
    from wedsync_ops.cli.render import answering, emit, say

    done = None if dry_run else f"{report.imported} couples were imported and {report.updated} updated"
    with answering(done, failure):
        if json:
            document = _document(report, dry_run=dry_run, diff=diff, quiet=quiet)
            emit("clients-import", {**document, "plans_to_move": to_move})
            return
        _print(report, dry_run=dry_run, diff=diff, quiet=quiet)
        if to_move:
            say(f"{to_move} weddings were planned for another day: run 'wedsync-ops journeys plan --moved'")


def _document(report: "Report", *, dry_run: bool, diff: bool, quiet: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "imported": report.imported,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "refused": report.refused,
        "wedding_dates_moved": report.moved,
        "dry_run": dry_run,
    }
    if not quiet:
        document["errors"] = [fault._asdict() for fault in report.errors]
        document["errors_not_listed"] = report.refused - len(report.errors)
    if diff:
        document["changed_fields"] = dict(report.changed_fields.most_common())
        document["changes"] = [
            {
                "row": change.row,
                "client_id": change.client_id,
                "fields": {name: {"from": old, "to": new} for name, (old, new) in change.fields.items()},
            }
            for change in report.changes
        ]
        document["changes_not_listed"] = report.updated - len(report.changes)
    return document


def _print(report: "Report", *, dry_run: bool, diff: bool, quiet: bool) -> None:
    from wedsync_ops.cli.render import say

    if not quiet:
        for fault in report.errors:
            where = f"row {fault.row}" + (f" (line {fault.line})" if fault.line != fault.row else "")
            say(f"{where}: {fault.message}")
        if report.refused > len(report.errors):
            say(f"and {report.refused - len(report.errors)} further rows that were refused")
    if diff:
        for change in report.changes:
            facts = ", ".join(f"{name} {old or '-'} -> {new or '-'}" for name, (old, new) in change.fields.items())
            say(f"{change.client_id}: {facts}")
        if report.updated > len(report.changes):
            say(f"and {report.updated - len(report.changes)} further couples that changed")
    would = "would be " if dry_run else ""
    moved = f" ({report.moved} with another wedding date)" if report.moved else ""
    say(
        f"{report.imported} {would}imported, {report.updated} {would}updated{moved}, {report.unchanged} unchanged,"
        f" {report.refused} refused"
    )


class _Progress:
    """How far a file is read: on standard error, when that is a terminal."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._is_shown = sys.stderr.isatty()
        self._shown_at = 0.0
        self._size = 0
        with suppress(OSError, ValueError):
            found = os.fstat(stream.fileno())
            self._size = found.st_size if stat.S_ISREG(found.st_mode) else 0

    def show(self, row: int) -> None:
        """Tell the row that was reached, a few times a second."""
        if not self._is_shown or time.monotonic() - self._shown_at < _BLINK_S:
            return
        self._shown_at = time.monotonic()
        percent = f" ({100 * self._stream.tell() // self._size} %)" if self._size else ""
        sys.stderr.write(f"\r\x1b[K{row:,} rows read{percent}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line empty for what comes."""
        if self._is_shown and self._shown_at:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
