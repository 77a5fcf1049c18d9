"""``events``: the feed of finished jobs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import single

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.jobs.events import Event

app = single()
_LARGEST = 2**63 - 1
_CHUNK = 500
_POLL_MS = 250
_ONE_SHOT = 100


@app.command()
def events(
    context: typer.Context,
    after: Annotated[int, typer.Option(metavar="N", min=0, max=_LARGEST, help="After the event with this id.")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many; 0 = all. 100, all with --follow."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Wait for new ones until Ctrl-C; JSON Lines.")] = False,
    json: Json = False,
) -> None:
    """List finished jobs in the order of the feed, oldest first, each with its result and the step that follows."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, emit_raw, moment, table, to_json
    from wedsync_ops.jobs.events import document

    most = (_LARGEST if follow else _ONE_SHOT) if limit is None else limit or _LARGEST
    with opened(context) as opened_app:
        if follow:
            for event in _followed(opened_app, after, most):
                emit_raw([to_json(document(event)), b"\n"])
            return
        found = [event for chunk in _chunks(opened_app, after, most) for event in chunk]
        webhook = _webhook(opened_app)
    if json:
        next_after = found[-1].id if found else after
        emit("events", {"events": [document(e) for e in found], "next_after": next_after, "webhook": webhook})
        return
    rows = [
        (e.id, moment(e.at), e.job_id, e.module_type, e.state, e.attempt, document(e)["next_step"], e.error)
        for e in found
    ]
    table((">Event", "At", ">Job", "Module", "State", ">Try", "Next step", "Error"), rows)


def _chunks(app: "App", after: int, most: int) -> "Iterator[list[Event]]":
    """What the feed holds by now, at most so many events."""
    from wedsync_ops.jobs.store.events import read

    while most > 0:
        with app.database.reading() as connection:
            found = read(connection, after, min(most, _CHUNK))
        if not found:
            return
        yield found
        after = found[-1].id
        most -= len(found)


def _followed(app: "App", after: int, most: int) -> "Iterator[Event]":
    """What the feed holds and what comes, at most so many events. Raises BrokenPipeError when nobody reads them."""
    import select
    import sys

    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # an error or a hang-up is always told
    while True:
        for chunk in _chunks(app, after, most):
            yield from chunk
            after = chunk[-1].id
            most -= len(chunk)
        if most <= 0:
            return
        if reader.poll(_POLL_MS):
            raise BrokenPipeError


def _webhook(app: "App") -> dict[str, Any] | None:
    """How far the webhook has got; ``None`` when none is configured or nothing was posted yet."""
    from wedsync_ops.instants import iso
    from wedsync_ops.jobs.store.events import cursor

    if app.settings.webhook_url is None:
        return None
    with app.database.reading() as connection:
        found = cursor(connection)
    if found is None:
        return None
    return {
        "after": found.after_id,
        "failures": found.failures,
        "next_at": iso(found.next_at) if found.failures else None,
        "error": found.error,
    }
