"""``scale``: how many slots there are, how many are wanted and why; set them, look back, try other settings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.frozen import Override, reason_of
from wedsync_ops.cli.inputs import Json, instant_of, open_input
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.jobs.store.requests import Request
    from wedsync_ops.scaling.actions import Scope
    from wedsync_ops.scaling.replay import Moment, Replayed
    from wedsync_ops.scaling.store.decisions import Row

app = group("See how many slots are wanted and why; set them, look back, try other settings.")
_MOST = 1_000_000
_LARGEST = 2**63 - 1
_Scope = Annotated[
    str | None, typer.Option("--scope", metavar="SCOPE", help="Only workers of this scope, as 'scale status' names it.")
]


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Tell how many slots there are and are wanted, by scope, and how many workers that takes."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, prose, table
    from wedsync_ops.instants import iso
    from wedsync_ops.scaling import actions
    from wedsync_ops.scaling.store import forecasts

    with opened(context) as opened_app:
        found = actions.status(opened_app.database, opened_app.clock, opened_app.rules(), forecasts.expected)
        is_on = opened_app.settings.autoscale
    if json:
        document = {
            "at": iso(found.at),
            "autoscale": is_on,
            "wanted_slots": sum(one.wanted for one in found.scopes),
            "wanted_replicas": sum(one.replicas for one in found.scopes),
            "scopes": [_scope(one) for one in found.scopes],
            "requests": [_request(one) for one in found.asked],
        }
        emit("scale-status", document)
        return
    table(
        ("Scope", ">Workers", ">Slots", ">Fixed", ">Wanted", ">Min", ">Max", ">Load %", ">Replicas"),
        [_row(one) for one in found.scopes],
    )
    for one in found.scopes:
        said = f"{one.decision.said} ({one.decision.reason})"
        prose(f"{one.name}: {said if one.seen.fleet.workers else 'no worker of it lives'}")
        prose(f"   decided {moment(one.decided_at)}" if one.decided_at else f"   {_undecided(one, is_on)}")
    for asked in found.asked:
        until = "until that is undone" if asked.until is None else f"until {moment(asked.until)}"
        prose(f"{asked.source} asks for {asked.kind.replace('_', ' ')} {asked.slots:g} slots {until}: {asked.said}")


@app.command()
def history(
    context: typer.Context,
    scope: _Scope = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Since when (ISO 8601).")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List the decisions that changed something or were held, with their reasons, the latest first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.scaling import actions

    with opened(context) as opened_app:
        start = instant_of(since, "--since", opened_app.calendar.zone)
        found = actions.history(opened_app.database, since=start or 0, scope=scope, limit=limit)
    if json:
        emit("scale-history", {"decisions": [_decision(row, actions.inputs_of(row)) for row in found]})
        return
    table(
        ("At", "Scope", ">Slots", ">Wanted", "Reason", "Why"),
        [(moment(row.at), row.scope, row.slots_before, row.wanted, row.reason, row.said) for row in found],
    )


@app.command("set")
def set_slots(
    context: typer.Context,
    slots: Annotated[int, typer.Argument(metavar="N", min=1, max=_MOST, help="So many slots, of all its workers.")],
    for_: Annotated[str | None, typer.Option("--for", metavar="LENGTH", help="For how long: 30m, 2h, 1d.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Or until when (ISO 8601).")] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for others to read.")] = "",
    scope: _Scope = None,
    override: Override = False,
    json: Json = False,
) -> None:
    """Have exactly so many slots, whatever the load, until 'scale auto' or for a while. What runs goes on."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, moment, say
    from wedsync_ops.jobs.guard import Change
    from wedsync_ops.metrics.actions import parse_range
    from wedsync_ops.scaling import actions

    if for_ is not None and until is not None:
        raise UsageError("--for and --until exclude each other")
    why = reason_of(override, reason)
    with opened(context) as opened_app:
        end = instant_of(until, "--until", opened_app.calendar.zone)
        if for_ is not None:
            end = opened_app.clock.now() + parse_range(for_)
        freeze, change, frozen = opened_app.freeze(), Change("scale set"), None
        if slots < actions.slots_now(opened_app.database, opened_app.clock, opened_app.settings):
            frozen = freeze.allow(change, why)
        done = actions.set_slots(
            opened_app.database, opened_app.clock, opened_app.rules(), slots, until=end, reason=reason, scope=scope
        )
        if frozen is not None and why is not None:
            freeze.keep(change, why, frozen)
    said = f"{done.scope}: {slots} slots, {'until scale auto' if end is None else f'until {moment(end)}'}"
    with answering(said):
        if json:
            emit("scale-set", {"request": _request(done)})
        else:
            say(said)


@app.command()
def auto(context: typer.Context, scope: _Scope = None, json: Json = False) -> None:
    """Let the load decide again."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.scaling import actions

    with opened(context) as opened_app:
        ended = actions.automatic(opened_app.database, scope)
    said = "the load decides again" if ended else "nothing had been set by hand; the load decides"
    with answering(said):
        if json:
            emit("scale-auto", {"ended": ended})
        else:
            say(said)


@app.command()
def replay(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A series, one object a line; '-' reads standard input.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Without FILE: the decisions since then (ISO 8601).")
    ] = None,
    scope: _Scope = None,
    least: Annotated[
        int | None, typer.Option("--min-slots", metavar="N", min=1, max=_MOST, help="Fewest slots.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max-slots", metavar="N", min=1, max=_MOST, help="Most slots.")] = None,
    json: Json = False,
) -> None:
    """Tell what these settings (--config, the environment) would have decided, from what was recorded or a series."""
    from wedsync_ops.cli.opening import load_settings, opened
    from wedsync_ops.cli.render import emit, moment, say, table
    from wedsync_ops.scaling import actions
    from wedsync_ops.scaling.model import ALL
    from wedsync_ops.scaling.policy import policy_of
    from wedsync_ops.scaling.replay import replay as decide_again

    if file is not None and (since is not None or scope is not None):
        raise UsageError("FILE excludes --since and --scope")
    if least is not None and most is not None and least > most:
        raise UsageError(f"--min-slots is {least}, and --max-slots only {most}")
    if file is not None:
        policy, moments = policy_of(load_settings(context).settings), list(_series(file))
    else:
        with opened(context) as opened_app:
            start = instant_of(since, "--since", opened_app.calendar.zone)
            policy = policy_of(opened_app.settings)
            moments = actions.recorded(opened_app.database, since=start or 0, scope=scope or ALL)
    found = list(decide_again(moments, policy, least, most))
    if json:
        emit("scale-replay", {"decisions": [_replayed(one) for one in found], **_summary(found)})
        return
    changes = [one for one in found if one.decision.wanted != one.slots]
    table(
        ("At", ">Slots", ">Wanted", ">Then", "Reason", "Why"),
        [
            (moment(one.at), one.slots, one.decision.wanted, one.recorded, one.decision.reason, one.decision.said)
            for one in changes
        ],
    )
    total = _summary(found)
    say(f"{total['moments']} moments, {total['ups']} times up, {total['downs']} times down, {_span(total)}")


def _span(total: dict[str, Any]) -> str:
    """The most and fewest slots of a summary, in words."""
    return "no slots" if total["most"] is None else f"{total['least']} to {total['most']} slots"


def _series(file: str) -> "Iterator[Moment]":
    from wedsync_ops.codec import MAX_BYTES
    from wedsync_ops.errors import InvalidInput
    from wedsync_ops.scaling.actions import moment_from

    before = None
    with open_input(file) as opened:
        for number, raw in enumerate(iter(lambda: opened.readline(MAX_BYTES + 2), b""), 1):
            if not raw.strip():
                continue
            found = moment_from(raw, number)
            if before is not None and found.at < before:
                raise InvalidInput(f"line {number}: it is earlier than the line before")
            before = found.at
            yield found
    if before is None:
        raise InvalidInput(f"{file} holds no moment", hint="write one JSON object a line, with at and busy")


def _summary(found: "list[Replayed]") -> dict[str, Any]:
    sizes = [one.decision.wanted for one in found]
    return {
        "moments": len(found),
        "ups": sum(one.decision.wanted > one.slots for one in found),
        "downs": sum(one.decision.wanted < one.slots for one in found),
        "least": min(sizes, default=None),
        "most": max(sizes, default=None),
    }


def _row(one: "Scope") -> tuple[Any, ...]:
    seen = one.seen.situation
    load = None if one.decision.load is None else f"{100 * one.decision.load:.0f}"
    workers = len(one.seen.fleet.workers)
    return one.name, workers, seen.slots, seen.fixed, one.decision.wanted, seen.least, seen.most, load, one.replicas


def _undecided(one: "Scope", is_on: bool) -> str:
    if not is_on:
        return "nobody decides: the setting autoscale is false"
    if one.seen.fleet.fixed and not one.seen.fleet.sized:
        return "its workers were started with --concurrency and keep their size"
    return "nobody has decided yet: a worker does, as long as it runs"


def _scope(one: "Scope") -> dict[str, Any]:
    from wedsync_ops.instants import iso
    from wedsync_ops.scaling.documents import decision_document, situation_document

    seen = one.seen
    parts = {member.worker_id: member for member in seen.members}
    return {
        "scope": one.name,
        "wanted_slots": one.wanted,
        "wanted_replicas": one.replicas,
        "replica_slots": one.worker_slots,
        "decided_at": iso(one.decided_at),
        **decision_document(one.decision),
        "inputs": situation_document(seen.situation),
        "workers": [
            {
                "id": worker.id,
                "name": worker.name,
                "host": worker.host,
                "fixed": worker.id not in parts,
                "slots": worker.slots,
                "busy": worker.busy,
                "wanted_slots": worker.wanted_slots,
                "min_slots": worker.min_slots,
                "max_slots": worker.max_slots,
                "memory_slots": parts[worker.id].memory_slots if worker.id in parts else None,
            }
            for worker in seen.fleet.workers
        ],
    }


def _request(one: "Request") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {**one._asdict(), "scope": one.scope or None, "at": iso(one.at), "until": iso(one.until)}


def _decision(row: "Row", inputs: dict[str, object]) -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": row.id,
        "at": iso(row.at),
        "scope": row.scope,
        "slots_before": row.slots_before,
        "wanted": row.wanted,
        "reason": row.reason,
        "limits": row.limits.split(",") if row.limits else [],
        "said": row.said,
        "inputs": inputs,
    }


def _replayed(one: "Replayed") -> dict[str, Any]:
    from wedsync_ops.instants import iso
    from wedsync_ops.scaling.documents import decision_document

    return {
        "at": iso(one.at),
        "slots_before": one.slots,
        "wanted_then": one.recorded,
        **decision_document(one.decision),
    }
