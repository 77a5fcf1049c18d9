"""``weddings calls`` and ``weddings called``: what somebody has to do by hand, and that it is done."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.readying import Supplier, Within

if TYPE_CHECKING:
    from wedsync_ops.planning.calling import Call


def list_calls(
    context: typer.Context, *, within: Within = "14d", supplier: Supplier = None, json: Json = False
) -> None:
    """List what the platform will not do in time: for whom, how to reach them, and what to do by hand."""
    from wedsync_ops.cli.journeys import days_of
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts, moment, say
    from wedsync_ops.planning import calling

    days = days_of(within)
    with opened(context) as opened_app:
        found = list(calling.sheet(opened_app.queue(), within_days=days, supplier_id=supplier))
    if json:
        emit("weddings-calls", {"within_days": days, "calls": [_document(one) for one in found]})
        return
    if not found:
        say(f"nothing is to be done by hand for the weddings within {days} days")
        return
    for place, one in enumerate(found):
        client = one.wedding.coming.known.client
        who = f"{client.couple_name}, {client.phone or client.email}, marry on {client.wedding_on}"
        if place:
            say("")
        told = (who, one.what, moment(one.obligation.by), one.obligation.reason)
        facts(zip(("key", "who", "what to do", "by", "because"), (one.key, *told), strict=True))


def call_made(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A key of the call sheet.")],
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What was done, for others to read.")] = None,
    json: Json = False,
) -> None:
    """Note that somebody did by hand what was promised. Its job, if it still waits, is cancelled."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.planning import calling

    with opened(context) as opened_app:
        cancelled = calling.done(opened_app.queue(), key, note)
    with answering(f"{key} was noted as done"):
        if json:
            emit("weddings-called", {"key": key, "note": note, "cancelled_jobs": list(cancelled)})
        else:
            say(f"done by hand: {key}" + (f"; job {cancelled[0]} was cancelled" if cancelled else ""))


def _document(one: "Call") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    client, each = one.wedding.coming.known.client, one.obligation
    return {
        "key": one.key,
        "client_id": client.client_id,
        "couple_name": client.couple_name,
        "email": client.email,
        "phone": client.phone,
        "supplier_id": client.supplier_id,
        "wedding_date": client.wedding_on.isoformat(),
        "days_until": one.wedding.coming.days,
        "journey_id": each.journey_id,
        "step_id": each.step_id,
        "module_type": each.module_type,
        "job_id": each.job_id,
        "standing": each.standing.value,
        "reason": each.reason,
        "by": iso(each.by),
        "what": one.what,
    }
