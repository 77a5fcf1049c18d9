"""``queue``: the lanes, pauses and drains."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.draining import drain, drain_document, drain_line
from wedsync_ops.cli.frozen import Override, reason_of
from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import group
from wedsync_ops.cli.scopes import Everything, Module, Supplier, named, scope_of

if TYPE_CHECKING:
    from wedsync_ops.jobs.store.control import Pause
    from wedsync_ops.limits import Limit

app = group("See the lanes; pause, drain and resume them.")

app.command()(drain)


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show how many jobs wait in each lane, what is paused or drained, and what limits hold."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, say, table
    from wedsync_ops.jobs import actions

    with opened(context) as opened_app:
        found = actions.status(opened_app.queue())
        limits = opened_app.settings.limits
    lanes = sorted(found.lanes, key=lambda item: (-item.lane.priority, item.lane.module_type))
    if json:
        rows = [
            {
                "module_type": item.lane.module_type,
                "priority": item.lane.priority.word,
                "available": item.available,
                "waiting": item.waiting,
            }
            for item in lanes
        ]
        pauses = [_pause(pause) for pause in found.pauses]
        held = [_limit(limit, found.held[limit.name]) for limit in limits]
        going = [drain_document(one) for one in found.drains]
        closed = [_pause(pause) for pause in found.emergencies]
        document = {"lanes": rows, "pauses": pauses, "drains": going, "limits": held, "held_by_emergencies": closed}
        emit("queue-status", document)
        return
    table(
        ("Module", "Priority", ">Ready", ">Waiting in all"),
        [(item.lane.module_type, item.lane.priority.word, item.available, item.waiting) for item in lanes],
    )
    for pause in found.pauses:
        until = f" until {moment(pause.until)}" if pause.until is not None else ""
        reason = pause.reason or "no reason given"
        say(f"paused: {named(pause.scope, pause.name)}{until}, by {pause.paused_by}: {reason}")
    for one in found.emergencies:
        say(f"held: {one.scope} {one.name}, by {one.paused_by}: {one.reason or 'no reason given'}")
    for drain_ in found.drains:
        say(drain_line(drain_))
    for limit in limits:
        say(f"limit {limit.name}: {limit.words}{_whose(limit)}; holds {found.held[limit.name]:,}")


@app.command()
def pause(
    context: typer.Context,
    module: Module = None,
    supplier: Supplier = None,
    everything: Everything = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for others to read.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when (ISO 8601).")] = None,
    override: Override = False,
    json: Json = False,
) -> None:
    """Stop jobs from starting; they can still be queued, and those that run go on."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs import actions

    scope, name = scope_of(module, supplier, everything)
    why = reason_of(override, reason)
    with opened(context) as opened_app:
        end = instant_of(until, "--until", opened_app.calendar.zone)
        made = actions.pause(opened_app.queue(), scope, name, reason=reason, until=end, override=why)
    with answering(f"{named(scope, name)} was paused"):
        if json:
            emit("queue-pause", {"pause": _pause(made)})
        else:
            say(f"paused: {named(scope, name)}")


@app.command()
def resume(
    context: typer.Context,
    module: Module = None,
    supplier: Supplier = None,
    everything: Everything = False,
    json: Json = False,
) -> None:
    """End a pause or a drain."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs import actions

    scope, name = scope_of(module, supplier, everything)
    with opened(context) as opened_app:
        changed = actions.resume(opened_app.queue(), scope, name)
    with answering(f"{named(scope, name)} was {'resumed' if changed else 'not paused or drained'}"):
        if json:
            emit("queue-resume", {"scope": scope, "name": name or None, "changed": changed})
        else:
            say(f"{'resumed' if changed else 'was not paused or drained'}: {named(scope, name)}")


def _pause(pause: "Pause") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "scope": pause.scope,
        "name": pause.name or None,
        "reason": pause.reason,
        "paused_by": pause.paused_by,
        "paused_at": iso(pause.paused_at),
        "until": iso(pause.until),
    }


def _limit(limit: "Limit", held: int) -> dict[str, Any]:
    return {
        "name": limit.name,
        "allows": limit.words,
        "per": limit.per,
        "modules": None if limit.modules is None else sorted(limit.modules),
        "providers": None if limit.providers is None else sorted(limit.providers),
        "held": held,
    }


def _whose(limit: "Limit") -> str:
    """Whose jobs a limit holds for, where not for all."""
    named = ((" of", limit.modules), (" over", limit.providers))
    words = "".join(f"{word} {', '.join(sorted(names))}" for word, names in named if names is not None)
    return f",{words}" if words else ""
