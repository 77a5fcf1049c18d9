"""``emergency``: declare, see, resolve and drill emergencies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import PartlyDone, UsageError

if TYPE_CHECKING:
    from wedsync_ops.emergencies.breaker import Breaker
    from wedsync_ops.emergencies.drills import Drilled
    from wedsync_ops.emergencies.freeze import Frozen
    from wedsync_ops.emergencies.model import Emergency, Override, Step
    from wedsync_ops.emergencies.protocols import Protocol
    from wedsync_ops.jobs.store.measures import Measure

_LARGEST = 2**63 - 1
app = group("Declare an emergency, see and end it; drill one.")


@app.command()
def declare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A protocol's name, or any other.")],
    module: Annotated[str | None, typer.Option(metavar="ID", help="Of this module type.")] = None,
    provider: Annotated[str | None, typer.Option(metavar="P", help="Of all that is delivered over this.")] = None,
    supplier: Annotated[str | None, typer.Option(metavar="S", help="Of this supplier.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for others to read.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when at most (ISO 8601).")] = None,
    json: Json = False,
) -> None:
    """Declare an emergency and take the steps of its protocol."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.emergencies import actions
    from wedsync_ops.emergencies.model import Scope

    given = {"module": module, "provider": provider, "supplier": supplier}
    named = [(scope, subject) for scope, subject in given.items() if subject is not None]
    if len(named) > 1:
        raise UsageError("only one of --module, --provider and --supplier can be given")
    scope, subject = named[0] if named else ("all", "")
    with opened(context) as opened_app:
        desk = opened_app.desk()
        end = instant_of(until, "--until", opened_app.calendar.zone)
        wish = actions.Wish(name=name, scope=Scope(scope), subject=subject, reason=reason, until=end)
        made = actions.declare(desk, wish)
        steps = actions.steps_of(desk, made)
    with answering(f"{made.words}, was declared", _partly(steps)):
        if json:
            emit("emergency-declare", {"emergency": _emergency(made, steps)})
            return
        say(f"declared: {made.words}{_until(made)}")
        _say_steps(steps)


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show the emergencies that go on, their steps and breakers, and whether changes are frozen."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, prose, say
    from wedsync_ops.emergencies import actions

    with opened(context) as opened_app:
        found = actions.standing(opened_app.desk())
        frozen = opened_app.freeze().now()
    if json:
        document = {
            "emergencies": [_emergency(one, found.steps) for one in found.emergencies],
            "breakers": [_breaker(one) for one in found.breakers],
            "measures": [_measure(one) for one in found.measures],
            "freeze": None if frozen is None else _frozen(frozen),
        }
        emit("emergency-status", document)
        return
    if not found.emergencies:
        say("no emergency goes on")
    for one in found.emergencies:
        prose(f"{one.words}, since {moment(one.declared_at)}, by {one.declared_by}{_until(one)}")
        if one.reason:
            prose(one.reason)
        _say_steps([step for step in found.steps if step.emergency_id == one.id])
    for breaker in found.breakers:
        prose(f"breaker of {breaker.key.words}: {str(breaker.state).replace('_', ' ')}; {breaker.said}")
    if frozen is None:
        say("changes are not frozen")
    else:
        prose(f"changes are frozen until {moment(frozen.until)}: {frozen.words}")


@app.command()
def resolve(
    context: typer.Context,
    emergency_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=_LARGEST, help="Default: the only one.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is over.")] = None,
    json: Json = False,
) -> None:
    """End an emergency: its steps are undone, the last first, and only the history is left."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.emergencies import actions

    with opened(context) as opened_app:
        desk = opened_app.desk()
        wanted = actions.only_one(actions.standing(desk)) if emergency_id is None else emergency_id
        done = actions.resolve(desk, wanted, note=reason)
        steps = actions.steps_of(desk, done)
    with answering(f"{done.words}, is over"):
        if json:
            emit("emergency-resolve", {"emergency": _emergency(done, steps)})
            return
        say(f"resolved: {done.words}")
        _say_steps(steps)


@app.command()
def history(
    context: typer.Context,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many of each; 0 for all.")
    ] = 20,
    json: Json = False,
) -> None:
    """Show the latest emergencies, and changes that were made although they were frozen."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, prose
    from wedsync_ops.emergencies import actions

    with opened(context) as opened_app:
        found = actions.history(opened_app.desk(), limit)
    if json:
        rows = [_emergency(one, found.steps) for one in found.emergencies]
        emit("emergency-history", {"emergencies": rows, "overrides": [_override(one) for one in found.overrides]})
        return
    for emergency in found.emergencies:
        over = "goes on" if emergency.resolved_at is None else f"over {moment(emergency.resolved_at)}"
        prose(f"{emergency.words}: {moment(emergency.declared_at)} by {emergency.declared_by}, {over}")
        for text in filter(None, (emergency.reason, emergency.ending)):
            prose(text)
    for one in found.overrides:
        prose(f"{moment(one.at)}: {one.by} made a frozen change, {one.change}: {one.reason}")


@app.command()
def protocols(context: typer.Context, json: Json = False) -> None:
    """Show what is done in each emergency, step by step."""
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.cli.render import emit, prose
    from wedsync_ops.emergencies.actions import protocols_of

    found = protocols_of(load_settings(context).settings).by_name
    if json:
        emit("emergency-protocols", {"protocols": [_protocol(name, one) for name, one in found.items()]})
        return
    for name, one in found.items():
        prose(f"{name}: {one.about}")
        for place, plan in enumerate(one.steps, 1):
            given = ", ".join(
                f"{key} {_plain(value)}" for key, value in plan.with_.model_dump(exclude_none=True).items()
            )
            check = f"; check {plan.check} within {plan.within}" if plan.check else ""
            prose(f"{place}. {plan.do}{f' ({given})' if given else ''}{check}")


@app.command()
def drill(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The protocol to drill.")],
    short: Annotated[bool, typer.Option("--short", help="A few jobs only; ends within 20 s.")] = False,
    json: Json = False,
) -> None:
    """Inject the fault into a copy of the platform and measure how it is met. Nothing of the real home is touched."""
    from wedsync_ops.app import open_app
    from wedsync_ops.cli.logged import log_to_stderr
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.cli.render import answering, emit, say, table
    from wedsync_ops.emergencies.drills import drill as drilled
    from wedsync_ops.errors import DrillFailed

    loaded = load_settings(context)
    log_to_stderr("error", loaded.settings.log_format)
    done = drilled(loaded, name, open_app, short=short)
    failure = None if done.passed else DrillFailed(f"the drill of {name} failed: {'; '.join(done.problems)}")
    with answering(f"the drill of {name} was done", failure):
        if json:
            emit("emergency-drill", _drilled(done))
            return
        rows = [(one.name, _seconds(one.took_s), f"{one.allowed_s:g} s", one.said) for one in done.times]
        table(("What", ">Took", ">Allowed", "How"), rows)
        say(f"{'passed' if done.passed else 'failed'}: {done.name}, in {done.took_s:.1f} s")


def _partly(steps: "Sequence[Step]") -> PartlyDone | None:
    """What says that some steps could not be taken; ``None`` when all were."""
    failed = [f"{step.plan.do}: {step.error}" for step in steps if step.error is not None]
    if not failed:
        return None
    return PartlyDone(f"{len(failed)} of {len(steps)} steps could not be taken: {'; '.join(failed)}", details=failed)


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _until(emergency: "Emergency") -> str:
    from wedsync_ops.cli.render import moment

    return "" if emergency.until is None else f", until {moment(emergency.until)}"


def _say_steps(steps: "Sequence[Step]") -> None:
    from wedsync_ops.cli.render import prose

    for step in steps:
        said = step.error or step.result or ""
        check = "" if step.check_said is None else f" [check: {step.check_said}]"
        prose(f"{step.position}. {step.plan.do}: {step.state}{f': {said}' if said else ''}{check}")


def _emergency(emergency: "Emergency", steps: "Sequence[Step]") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": emergency.id,
        "name": emergency.name,
        "scope": emergency.scope,
        "subject": emergency.subject or None,
        "state": "resolved"
        if emergency.resolved_at is not None
        else "active"
        if emergency.ending is None
        else "ending",
        "reason": emergency.reason,
        "declared_by": emergency.declared_by,
        "by_rule": emergency.by_rule,
        "declared_at": iso(emergency.declared_at),
        "until": iso(emergency.until),
        "well_since": iso(emergency.well_since),
        "ending": emergency.ending,
        "resolved_at": iso(emergency.resolved_at),
        "resolved_by": emergency.resolved_by,
        "steps": [_step(step) for step in steps if step.emergency_id == emergency.id],
    }


def _step(step: "Step") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "position": step.position,
        "do": step.plan.do,
        "with": step.plan.with_.model_dump(exclude_none=True),
        "check": step.plan.check,
        "within_s": step.plan.within_us / 1_000_000,
        "state": step.state,
        "started_at": iso(step.started_at),
        "done_at": iso(step.done_at),
        "result": step.result,
        "checked_at": iso(step.checked_at),
        "check_ok": step.check_ok,
        "check_said": step.check_said,
        "undone_at": iso(step.undone_at),
        "error": step.error,
    }


def _breaker(breaker: "Breaker") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "scope": breaker.key.scope,
        "name": breaker.key.name,
        "emergency_id": breaker.emergency_id,
        "state": breaker.state,
        "opened_at": iso(breaker.opened_at),
        "changed_at": iso(breaker.changed_at),
        "tried_at": iso(breaker.until),
        "times": breaker.times,
        "said": breaker.said,
    }


def _measure(measure: "Measure") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "source": measure.source,
        "kind": measure.kind,
        "name": measure.name or None,
        "value": measure.value,
        "set_at": iso(measure.set_at),
        "until": iso(measure.until),
    }


def _frozen(frozen: "Frozen") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    weddings = [
        {"wedding_date": str(one.wedding_on), "client_id": one.client_id, "open_jobs": one.jobs}
        for one in frozen.weddings
    ]
    return {"until": iso(frozen.until), "weddings": weddings}


def _override(override: "Override") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "at": iso(override.at),
        "by": override.by,
        "change": override.change,
        "reason": override.reason,
        "weddings": list(override.weddings),
    }


def _protocol(name: str, protocol: "Protocol") -> dict[str, Any]:
    return {"name": name, **protocol.model_dump(mode="json", by_alias=True, exclude_none=True)}


def _drilled(done: "Drilled") -> dict[str, Any]:
    return {
        "name": done.name,
        "passed": done.passed,
        "short": done.short,
        "took_s": done.took_s,
        "times": [
            {"name": one.name, "took_s": one.took_s, "allowed_s": one.allowed_s, "ok": one.ok, "said": one.said}
            for one in done.times
        ],
        "problems": list(done.problems),
    }
