"""``suppressions``: who must not be written to, because mail bounced, they complained, or they unsubscribed."""

from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import Json, open_input
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import InvalidInput, InvalidJson, PartlyDone, WedsyncError

if TYPE_CHECKING:
    from wedsync_ops.jobs.suppressing import Entry

app = group("See, add, remove and import recipients that must not be written to.")
Recipient = Annotated[str, typer.Argument(metavar="ADDRESS", help="An e-mail address, or a phone number with +.")]
_CHUNK = 1000
_LONGEST_LINE = 64 * 1024
_MOST_ERRORS = 1000


@app.command("list")
def list_suppressions(
    context: typer.Context,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List suppressed recipients, the latest first. They are kept as digests; no address is known."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.instants import iso
    from wedsync_ops.jobs import suppressing

    with opened(context) as opened_app:
        found = suppressing.listed(opened_app.database, limit)
    if json:
        rows = [{"recipient": s.recipient, "reason": s.reason, "note": s.note, "since": iso(s.since)} for s in found]
        emit("suppressions-list", {"suppressions": rows})
        return
    table(("Recipient", "Reason", "Since", "Note"), [(s.recipient, s.reason, moment(s.since), s.note) for s in found])


@app.command()
def add(
    context: typer.Context,
    address: Recipient,
    reason: Annotated[
        Literal["bounce", "complaint", "unsubscribed", "manual"], typer.Option(help="Why they are not written to.")
    ] = "manual",
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="A note for others; no address, please.")] = None,
    json: Json = False,
) -> None:
    """Write to this recipient no more."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import suppressing

    entry = suppressing.Entry(suppressing.digest_of(address), reason, suppressing.clean_note(note))
    with opened(context) as opened_app:
        changed = bool(suppressing.suppress(opened_app.database, opened_app.clock, [entry]))
    _tell("add", entry.digest, reason, changed=changed, json=json)


@app.command()
def remove(
    context: typer.Context,
    recipient: Annotated[str, typer.Argument(metavar="ADDRESS|DIGEST", help="The address, or its digest as listed.")],
    json: Json = False,
) -> None:
    """Let this recipient be written to again. Exit code 4 when they were not suppressed."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs import suppressing

    with opened(context) as opened_app:
        digest = suppressing.free(opened_app.database, recipient)
    if json:
        emit("suppressions-remove", {"recipient": digest, "changed": True})
    else:
        say(f"{digest} may be written to again")


@app.command()
def unsubscribe(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token of a List-Unsubscribe link, or the link.")],
    json: Json = False,
) -> None:
    """Do what a recipient asked for by the unsubscribe link of a mail."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import suppressing

    with opened(context) as opened_app:
        digest, changed = suppressing.unsubscribe(opened_app.database, opened_app.clock, opened_app.site, token)
    _tell("unsubscribe", digest, "unsubscribed", changed=changed, json=json)


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="NDJSON, or CSV with a header.")],
    json: Json = False,
) -> int:
    """Take over bounces, complaints and unsubscribes: lines of address, reason and perhaps note."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs import suppressing

    added = unchanged = refused = 0
    errors: list[dict[str, Any]] = []
    with opened(context) as opened_app, open_input(file) as stream:
        entries = _entries(stream)
        while chunk := list(islice(entries, _CHUNK)):
            good = [entry for _, entry in chunk if not isinstance(entry, WedsyncError)]
            new = suppressing.suppress(opened_app.database, opened_app.clock, good)
            added, unchanged = added + len(new), unchanged + len(good) - len(new)
            wrong = [(number, error) for number, error in chunk if isinstance(error, WedsyncError)]
            refused += len(wrong)
            errors += [{"line": number, "message": str(error)} for number, error in wrong[: _MOST_ERRORS - len(errors)]]
    if json:
        document = {"added": added, "unchanged": unchanged, "refused": refused, "errors": errors}
        emit("suppressions-import", document)
    else:
        for error in errors:
            say(f"line {error['line']}: {error['message']}")
        say(f"{added} added, {unchanged} known before, {refused} refused")
    return _concluded(added + unchanged, refused)


def _concluded(done: int, refused: int) -> int:
    if refused and done:
        raise PartlyDone(f"{refused} lines were refused", hint="the first are named above")
    if not done:
        raise InvalidInput("nothing was imported" + (", every line was refused" if refused else ": there is no line"))
    return exits.DONE


def _entries(stream: IO[bytes]) -> "Iterator[tuple[int, Entry | WedsyncError]]":
    """The entries of a stream with their line numbers; lines of JSON objects, else CSV below a header."""
    import csv

    from wedsync_ops import codec
    from wedsync_ops.jobs.suppressing import entry_from

    columns: list[str] | None = None
    for number, line in _lines(stream):
        try:
            if isinstance(line, WedsyncError):
                raise line
            if columns is None and line.startswith("{"):
                yield number, entry_from(codec.given_object(line, "the line"))
                continue
            cells = [cell.strip() for cell in next(csv.reader([line], strict=True))]
            if columns is None:
                columns = _header(cells)
                continue
            if len(cells) > len(columns):
                raise InvalidInput(f"it has {len(cells)} fields, and the header {len(columns)}")
            yield number, entry_from({name: cell for name, cell in zip(columns, cells, strict=False) if cell})
        except csv.Error as error:
            yield number, InvalidInput(f"it is not CSV: {error}")
        except WedsyncError as error:
            yield number, error


def _header(cells: list[str]) -> list[str]:
    columns = [cell.lower() for cell in cells]
    if "address" not in columns or "reason" not in columns or len(set(columns)) < len(columns):
        raise InvalidInput("the header must name address and reason", hint="address,reason,note")
    return columns


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, str | WedsyncError]]:
    number = 0
    while raw := stream.readline(_LONGEST_LINE):
        number += 1
        is_whole = raw.endswith(b"\n") or len(raw) < _LONGEST_LINE
        while not is_whole and (piece := stream.readline(_LONGEST_LINE)):
            is_whole = piece.endswith(b"\n")
            raw = b""
        if not raw:
            yield number, InvalidJson("the line is too long", hint=f"at most {_LONGEST_LINE:,} bytes are accepted")
            continue
        try:
            text = raw.decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            yield number, InvalidInput("it is not UTF-8")
            continue
        if text:
            yield number, text


def _tell(command: str, digest: str, reason: str, *, changed: bool, json: bool) -> None:
    from wedsync_ops.cli.render import emit, say

    if json:
        emit(f"suppressions-{command}", {"recipient": digest, "reason": reason, "changed": changed})
    else:
        say(f"{digest} {'is' if changed else 'was before'} suppressed")
