"""``weddings``: the couples that are known, and the weddings to come."""

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.calls import call_made, list_calls
from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import group
from wedsync_ops.cli.moving import list_moves, move_wedding
from wedsync_ops.cli.readying import readiness
from wedsync_ops.errors import UsageError, quoted

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.jobs.store.couples import CoupleJobs, NextJob
    from wedsync_ops.weddings.agenda import Coming
    from wedsync_ops.weddings.model import KnownClient
    from wedsync_ops.weddings.store import Wanted

app = group("See the weddings to come, and the couples that are known; move a wedding.")
app.command("move")(move_wedding)
app.command("moves")(list_moves)
app.command("readiness")(readiness)
app.command("calls")(list_calls)
app.command("called")(call_made)
Supplier = Annotated[str | None, typer.Option(metavar="ID", help="Only those of this supplier.")]
Region = Annotated[str | None, typer.Option(metavar="NAME", help="Only those in this region, such as south.")]
_WITHIN = re.compile(r"([0-9]{1,4})d", re.ASCII)


@app.command("list")
def list_weddings(
    context: typer.Context,
    *,
    within: Annotated[str | None, typer.Option(metavar="DAYS", help="From today to so many days on, as 14d.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="The first wedding day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="The last wedding day.")] = None,
    supplier: Supplier = None,
    region: Region = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=2**63 - 1, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List weddings, the soonest first: from today on, unless --from or --to says otherwise."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.weddings.store import Wanted

    days = _days(within)
    if days is not None and (first is not None or last is not None):
        raise UsageError("--within counts from today", hint="give either --within, or --from and --to")
    wanted = Wanted(_date(first, "--from"), _date(last, "--to"), supplier, _region(region), limit)
    if wanted.first is not None and wanted.last is not None and wanted.first > wanted.last:
        raise UsageError(f"--from {wanted.first} is after --to {wanted.last}")
    with opened(context) as opened_app:
        found = _found(opened_app, wanted, days)
        _tell_list(opened_app, found, json=json)


@app.command("next")
def next_weddings(
    context: typer.Context,
    *,
    supplier: Supplier = None,
    region: Region = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="At most so many.")] = 5,
    json: Json = False,
) -> None:
    """Tell the soonest weddings that are not past: how many days are left, and which jobs are still open."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say, table
    from wedsync_ops.jobs.store import couples
    from wedsync_ops.weddings import agenda
    from wedsync_ops.weddings.store import Wanted

    wanted = Wanted(supplier_id=supplier, region=_region(region), limit=limit)
    with opened(context) as opened_app, opened_app.database.reading() as connection:
        now, zone = opened_app.clock.now(), opened_app.calendar.zone
        found = list(agenda.coming(connection, now, zone, wanted))
        jobs = couples.by_client(connection, [one.known.client.client_id for one in found])
    if json:
        rows = [{**_document(one, opened_app), **_jobs_document(jobs.get(_id(one)))} for one in found]
        emit("weddings-next", {"weddings": rows})
    elif not found:
        say("no wedding to come is known")
    else:
        lines = [(*_cells(one), _open(jobs.get(_id(one)))) for one in found]
        table(("Wedding", ">Days", "Couple", "Client", "Region", ">Open jobs"), lines)


@app.command("show")
def show_wedding(
    context: typer.Context,
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The couple's client_id.")],
    json: Json = False,
) -> None:
    """Show a couple, and what has become of its jobs. Exit code 4 when it is not known."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts
    from wedsync_ops.errors import UnknownClient
    from wedsync_ops.jobs.store import couples
    from wedsync_ops.weddings import store
    from wedsync_ops.weddings.agenda import Coming
    from wedsync_ops.weddings.proximity import days_until

    with opened(context) as opened_app, opened_app.database.reading() as connection:
        known = store.find(connection, client)
        if known is None:
            raise UnknownClient(f"there is no client {quoted(client)}")
        jobs = couples.by_client(connection, [client]).get(client)
        next_one = couples.next_job(connection, client)
        wedding = known.client.wedding(opened_app.calendar.zone)
        days = days_until(wedding, opened_app.clock.now())
    document = {
        **_document(Coming(known, days), opened_app),
        **_dates(known),
        **_jobs_document(jobs),
        "next_job": _next_document(next_one),
    }
    if json:
        emit("weddings-show", {"wedding": document})
        return
    document["jobs"] = ", ".join(f"{count} {state}" for state, count in document["jobs"].items() if count)
    document["next_job"] = next_one and f"{next_one.job_id} ({next_one.module_type}, {next_one.state})"
    facts((name.replace("_", " "), value) for name, value in document.items())


def _found(opened_app: "App", wanted: "Wanted", within_days: int | None) -> "list[Coming]":
    from wedsync_ops.weddings import agenda, store
    from wedsync_ops.weddings.agenda import Coming
    from wedsync_ops.weddings.proximity import days_until

    now, zone = opened_app.clock.now(), opened_app.calendar.zone
    with opened_app.database.reading() as connection:
        if wanted.first is None and wanted.last is None:
            return list(agenda.coming(connection, now, zone, wanted, within_days=within_days))
        listed = store.list_clients(connection, wanted)
    return [Coming(known, days_until(known.client.wedding(zone), now)) for known in listed]


def _tell_list(opened_app: "App", found: "list[Coming]", *, json: bool) -> None:
    from wedsync_ops.cli.render import emit, table

    if json:
        emit("weddings-list", {"weddings": [_document(one, opened_app) for one in found]})
    else:
        rows = [(*_cells(one), one.known.client.supplier_id) for one in found]
        table(("Wedding", ">Days", "Couple", "Client", "Region", "Supplier"), rows)


def _document(one: "Coming", opened_app: "App") -> dict[str, Any]:
    client = one.known.client
    return {
        "client_id": client.client_id,
        "couple_name": client.couple_name,
        "wedding_date": client.wedding_on.isoformat(),
        "days_until": one.days,
        "timezone": client.zone(opened_app.calendar.zone).key,
        "location": client.location or None,
        "region": client.region.value,
        "supplier_id": client.supplier_id,
        "vendor_type": client.vendor_type,
    }


def _dates(known: "KnownClient") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    client = known.client
    return {
        "email": client.email,
        "phone": client.phone,
        "booked_on": client.booked_on and client.booked_on.isoformat(),
        "revision": known.revision,
        "imported_at": iso(known.imported_at),
        "updated_at": iso(known.updated_at),
    }


def _jobs_document(jobs: "CoupleJobs | None") -> dict[str, Any]:
    from wedsync_ops.instants import iso
    from wedsync_ops.jobs.model import State
    from wedsync_ops.jobs.store.couples import CoupleJobs

    known = jobs or CoupleJobs()
    return {
        "open_jobs": known.open,
        "jobs": {state.value: known.by_state.get(state, 0) for state in State},
        "next_due_at": iso(known.next_due_at),
    }


def _next_document(job: "NextJob | None") -> dict[str, Any] | None:
    from wedsync_ops.instants import iso

    if job is None:
        return None
    return {
        "job_id": job.job_id,
        "module_type": job.module_type,
        "state": job.state.value,
        "due_at": iso(job.due_at),
    }


def _cells(one: "Coming") -> tuple[Any, ...]:
    client = one.known.client
    return client.wedding_on.isoformat(), str(one.days), client.couple_name, client.client_id, client.region.value


def _id(one: "Coming") -> str:
    return one.known.client.client_id


def _open(jobs: "CoupleJobs | None") -> str:
    return str(0 if jobs is None else jobs.open)


def _days(text: str | None) -> int | None:
    if text is None:
        return None
    found = _WITHIN.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--within: {quoted(text)} is not a number of days", hint="write it as 14d")
    return int(found[1])


def _date(text: str | None, option: str) -> date | None:
    from wedsync_ops.errors import InvalidTime
    from wedsync_ops.instants import parse_date

    if text is None:
        return None
    try:
        return parse_date(text.strip())
    except InvalidTime as error:
        raise UsageError(f"{option}: {error.message}", hint=error.advice) from error


def _region(name: str | None) -> Any:
    from wedsync_ops.weddings.regions import region_named

    return None if name is None else region_named(name)
