"""``weddings readiness`` and ``check readiness``: whether what was promised to couples will be done."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.planning.preparing import WeddingReady
    from wedsync_ops.planning.readiness import Obligation, Readiness

_NAMED = 3
_QUIET = ("done", "planned", "left_out", "by_hand")
Within = Annotated[str, typer.Option(metavar="DAYS", help="Weddings from today to so many days on, as 14d.")]
Supplier = Annotated[str | None, typer.Option(metavar="ID", help="Only those of this supplier.")]


def readiness(
    context: typer.Context,
    client: Annotated[str | None, typer.Argument(metavar="CLIENT", help="Only this couple, with all of it.")] = None,
    *,
    within: Within = "14d",
    supplier: Supplier = None,
    full: Annotated[bool, typer.Option("--full", help="Also list what is done or planned.")] = False,
    json: Json = False,
) -> None:
    """Tell of each wedding to come what was promised: done, planned with slack, at risk, late, failed or missing."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.planning import preparing
    from wedsync_ops.planning.readiness import worst

    days = _days(within)
    if client is not None and supplier is not None:
        raise UsageError("CLIENT and --supplier exclude each other")
    with opened(context) as opened_app:
        queue = opened_app.queue()
        found = [preparing.of_client(queue, client)] if client is not None else []
        if client is None:
            found = list(preparing.readiness(queue, within_days=days, supplier_id=supplier))
    verdict = worst([one.ready.readiness for one in found])
    _tell(found, verdict, days=None if client else days, full=full or client is not None, json=json)


def check_readiness(
    context: typer.Context,
    within: Within = "14d",
    supplier: Supplier = None,
    json: Json = False,
) -> int:
    """Check that what was promised to couples will be done: at risk is a warning; late, failed or missing critical."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.planning import preparing
    from wedsync_ops.planning.readiness import Readiness, worst

    days = _days(within)
    with opened(context) as opened_app:
        found = list(preparing.readiness(opened_app.queue(), within_days=days, supplier_id=supplier))
    unready = [one for one in found if one.ready.readiness is not Readiness.OK]
    verdict = worst([one.ready.readiness for one in found])
    named = "; ".join(f"{_who(one)}: {_troubles(one)}" for one in unready[:_NAMED])
    more = f"; and {len(unready) - _NAMED} more" if len(unready) > _NAMED else ""
    message = f"{named}{more}" if named else f"{len(found)} weddings within {days} days, all of them ready"
    if json:
        rows = [_document(one, full=False) for one in unready]
        told = {"status": verdict.value, "message": message, "within_days": days, "weddings_checked": len(found)}
        emit("check-readiness", {**told, "weddings": rows})
    else:
        say(f"READINESS {verdict.upper()}: {message}")
    return tuple(Readiness).index(verdict)


def _days(text: str) -> int:
    from wedsync_ops.cli.journeys import days_of

    return days_of(text)


def _tell(found: "list[WeddingReady]", verdict: "Readiness", *, days: int | None, full: bool, json: bool) -> None:
    from wedsync_ops.cli.render import emit, moment, say, table

    if json:
        rows = [_document(one, full=full) for one in found]
        emit("weddings-readiness", {"verdict": verdict.value, "within_days": days, "weddings": rows})
        return
    if not found:
        say(f"no wedding is known within {days} days")
        return
    overview(found)
    for one in found:
        shown = [each for each in one.ready.obligations if full or each.standing.value not in _QUIET]
        if shown:
            lines = [(_what(each), each.job_id, each.standing.value, moment(each.at), each.reason) for each in shown]
            table(("Promise", ">Job", "Stands", "At", "Why"), lines, title=_who(one))


def overview(found: "list[WeddingReady]", title: str | None = None) -> None:
    """Print how ready each wedding is."""
    from wedsync_ops.cli.render import table

    columns = ("Wedding", "Client", "Couple", "Ready", ">Least slack", "Promised")
    table(columns, [_row(one) for one in found], title=title)


def _row(one: "WeddingReady") -> tuple[Any, ...]:
    from wedsync_ops.cli.render import length

    client = one.coming.known.client
    counts = ", ".join(f"{count} {standing.value}" for standing, count in one.ready.counts.items() if count)
    slack = length(one.ready.least_slack_us)
    return (
        client.wedding_on,
        client.client_id,
        client.couple_name,
        one.ready.readiness.value,
        slack,
        counts or "nothing",
    )


def _who(one: "WeddingReady") -> str:
    client = one.coming.known.client
    return f"{client.client_id} ({client.wedding_on})"


def _troubles(one: "WeddingReady") -> str:
    return ", ".join(
        f"{count} {standing.value.replace('_', ' ')}"
        for standing, count in one.ready.counts.items()
        if count and standing.value not in _QUIET
    )


def _what(each: "Obligation") -> str:
    return f"({each.module_type})" if each.step_id is None else each.step_id


def _document(one: "WeddingReady", *, full: bool) -> dict[str, Any]:
    client, ready = one.coming.known.client, one.ready
    slack = ready.least_slack_us
    listed = [each for each in ready.obligations if full or each.standing.value not in _QUIET]
    return {
        "client_id": client.client_id,
        "couple_name": client.couple_name,
        "supplier_id": client.supplier_id,
        "wedding_date": client.wedding_on.isoformat(),
        "days_until": one.coming.days,
        "verdict": ready.readiness.value,
        "counts": {standing.value: count for standing, count in ready.counts.items()},
        "least_slack_ms": None if slack is None else slack / 1000,
        "obligations": [_obligation(each) for each in listed],
    }


def _obligation(each: "Obligation") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "journey_id": each.journey_id,
        "step_id": each.step_id,
        "module_type": each.module_type,
        "standing": each.standing.value,
        "job_id": each.job_id,
        "at": iso(each.at),
        "slack_ms": None if each.slack_us is None else each.slack_us / 1000,
        "reason": each.reason,
    }
