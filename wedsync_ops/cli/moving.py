"""``weddings move`` and ``weddings moves``: another day, and every job of the couple with it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import DryRun, Json
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from datetime import date

    from wedsync_ops.planning.actions import Move
    from wedsync_ops.planning.store.plans import Moved


def move_wedding(
    context: typer.Context,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The couple's client_id.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="DATE", help="The new wedding day, as 2027-06-19.")],
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for others to read.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Move a wedding to another day, with every waiting job of the couple, in one transaction.

    What was sent is not sent again; what runs is left alone, and told.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering
    from wedsync_ops.planning import actions

    day = _day(to)
    with opened(context) as opened_app:
        done = actions.move(opened_app.queue(), client, day, reason=reason, dry_run=dry_run)
    with answering(None if dry_run else f"the wedding of {client} was moved to {day}"):
        _tell(done, reason, dry_run=dry_run, json=json)


def list_moves(
    context: typer.Context,
    client: Annotated[str | None, typer.Argument(metavar="CLIENT", help="Only this couple.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List the weddings that were moved, the latest first: by whom, why, and what became of the jobs."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.planning import actions

    with opened(context) as opened_app:
        found = actions.moves(opened_app.queue(), client, limit)
    if json:
        emit("weddings-moves", {"moves": [_record(one) for one in found]})
        return
    rows = [
        (moment(one.moved_at), one.client_id, one.from_on, one.to_on, one.moved_by, one.reason, _counts(one.changes))
        for one in found
    ]
    table(("Moved", "Client", "From", "To", "By", "Reason", "Jobs"), rows)


def _day(text: str) -> "date":
    from wedsync_ops.errors import InvalidTime
    from wedsync_ops.instants import parse_date

    try:
        return parse_date(text.strip())
    except InvalidTime as error:
        raise UsageError(f"--to: {error.message}", hint=error.advice) from error


def _tell(done: "Move", reason: str | None, *, dry_run: bool, json: bool) -> None:
    from wedsync_ops.cli.journeys import plan_document, print_plan
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.instants import iso

    counts = {change.value: count for change, count in sorted(done.plan.counts.items())}
    if json:
        document = plan_document(done.plan)
        del document["wedding_date"]
        head = {"client_id": document.pop("client_id"), "from": done.from_on.isoformat(), "to": done.to_on.isoformat()}
        told = {"reason": reason, "moved_at": iso(done.moved_at), "counts": counts}
        emit("weddings-move", {**head, **told, **document, "dry_run": dry_run})
        return
    verb = "would move" if dry_run else "moved"
    title = f"{done.plan.client.couple_name} {verb} from {done.from_on} to {done.to_on}"
    print_plan(done.plan, title=title)
    if counts:
        say(_counts(counts))


def _record(one: "Moved") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": one.id,
        "client_id": one.client_id,
        "from": one.from_on.isoformat(),
        "to": one.to_on.isoformat(),
        "reason": one.reason,
        "moved_by": one.moved_by,
        "moved_at": iso(one.moved_at),
        "counts": dict(one.changes),
    }


def _counts(changes: Any) -> str:
    return ", ".join(f"{count} {change}" for change, count in changes.items())
