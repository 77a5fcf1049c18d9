"""``register``: from a definition file to registered module types."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import DryRun, Json
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import InvalidDefinitions

if TYPE_CHECKING:
    from wedsync_ops.alerts.registering import RuleBatch
    from wedsync_ops.app import App
    from wedsync_ops.jobs.schedules import Batch
    from wedsync_ops.modules.actions import Registration
    from wedsync_ops.modules.model import Problem, Registered
    from wedsync_ops.planning.registering import JourneyBatch

app = single()


@app.command()
def register(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Default: ./modules.yaml, else the one that is shipped.")
    ] = None,
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Also move versions that a rollback holds.")] = False,
    json: Json = False,
) -> int:
    """Register the module types, schedules, alert rules and journeys of a file: all, or nothing when any is wrong.

    What did not change keeps its version. Exit code 3 when there are problems; each names its line.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering
    from wedsync_ops.modules import actions

    path = actions.find_file(file, Path.cwd())
    raw = actions.read_file(path)
    with opened(context) as app:
        done, beside = _register(app, raw, str(path), force=force, dry_run=dry_run)
    changed = f"{sum(item.changed for item in done.registered)} of {len(done.registered)} module types were changed"
    for name, changes in beside.changes():
        changed += f", {len(changes) - changes.count('unchanged')} of {len(changes)} {name}"
    with answering(None if dry_run or done.problems else changed, _failure(done)):
        if json:
            _print_json(done, beside, dry_run=dry_run)
        else:
            _print_table(done, dry_run=dry_run)
            _print_beside(beside)
    return exits.DONE


class _Beside(NamedTuple):
    """What a file says beside its module types; ``None`` where it says nothing."""

    schedules: "Batch | None" = None
    rules: "RuleBatch | None" = None
    journeys: "JourneyBatch | None" = None

    def changes(self) -> list[tuple[str, list[str]]]:
        """What became of everything, by what it is."""
        named = (("schedules", self.schedules), ("alert rules", self.rules), ("journeys", self.journeys))
        return [(name, [one.change for one in batch.registered]) for name, batch in named if batch is not None]


def _register(app: "App", raw: bytes, source: str, *, force: bool, dry_run: bool) -> "tuple[Registration, _Beside]":
    """Register the module types of a file, and whatever else it says anything of."""
    from wedsync_ops.modules import actions

    now, beside = app.clock.now(), _Beside()
    if b"schedules" in raw:
        from wedsync_ops.jobs.schedules import Batch

        beside = beside._replace(schedules=Batch(app.rules(), raw, now))
    if b"alerts" in raw:
        from wedsync_ops.alerts.registering import RuleBatch

        beside = beside._replace(rules=RuleBatch(raw, now))
    if b"journeys" in raw:
        from wedsync_ops.planning.registering import JourneyBatch

        beside = beside._replace(journeys=JourneyBatch(app.rules(), raw, now))
    batches = [one for one in beside if one is not None]
    done = actions.register(app.database, raw, source, now=now, force=force, dry_run=dry_run, beside=batches)
    for batch in (beside.schedules, beside.journeys):
        if batch is not None:
            done = replace(done, warnings=(*done.warnings, *batch.warnings))
    if beside.schedules is not None and not dry_run:
        app.queue().ring()
    return done, beside


def _failure(done: "Registration") -> InvalidDefinitions | None:
    if not done.problems:
        return None
    count = len(done.problems)
    return InvalidDefinitions(
        f"{done.source} has {count} problem{'s' if count > 1 else ''}, the first in line {done.problems[0].line}: "
        f"{_place(done.problems[0])}{done.problems[0].message}",
        hint="nothing was registered",
        details=[_problem(problem) for problem in done.problems],
    )


def _print_json(done: "Registration", beside: _Beside, *, dry_run: bool) -> None:
    from wedsync_ops.cli.render import emit
    from wedsync_ops.instants import iso

    document: dict[str, Any] = {"registered": [_registered(item) for item in done.registered]}
    batch, rules, journeys = beside
    if batch is not None and not done.problems:
        document["schedules"] = [
            {"id": one.schedule_id, "change": one.change, "next_fire_at": iso(one.next_fire_at)}
            for one in batch.registered
        ]
    if rules is not None and not done.problems:
        document["alerts"] = [{"name": one.name, "change": one.change} for one in rules.registered]
    if journeys is not None and not done.problems:
        document["journeys"] = [
            {"id": one.journey_id, "version": one.version, "change": one.change} for one in journeys.registered
        ]
    if done.problems:
        document["problems"] = [_problem(problem) for problem in done.problems]
    warnings = [_problem(warning) for warning in done.warnings]
    emit("register", {**document, "warnings": warnings, "source": done.source, "dry_run": dry_run})


def _registered(item: "Registered") -> dict[str, Any]:
    from wedsync_ops.modules import actions

    module_id = item.module.module_id
    return {
        "success": True,
        "platform_module_id": module_id,
        "version": item.module.version,
        "changed": item.changed,
        "resource_allocation": actions.resource_allocation(item.module.definition),
        "monitoring_endpoints": dict(actions.monitoring_endpoints(module_id)),
        "version_in_force": item.version_in_force,
        "held": item.held,
        "is_active": item.module.definition.is_active,
    }


def _problem(problem: "Problem") -> dict[str, Any]:
    return {"line": problem.line, "path": problem.path, "message": problem.message}


def _place(problem: "Problem") -> str:
    return f"{problem.path}: " if problem.path else ""


def _print_table(done: "Registration", *, dry_run: bool) -> None:
    from wedsync_ops.cli.render import say, table

    if done.problems:
        rows = [(problem.line, problem.path, problem.message) for problem in done.problems]
        table((">Line", "Where", "Problem"), rows)
        return
    for warning in done.warnings:
        say(f"warning: line {warning.line}: {_place(warning)}{warning.message}")
    rows_ = [
        (i.module.module_id, i.module.definition.display_name, i.module.version, _what(i)) for i in done.registered
    ]
    if not done.registered:
        return
    table(("Module", "Name", ">Version", "Came to"), rows_)
    changed = sum(item.changed for item in done.registered)
    verb = "would change" if dry_run else "changed"
    say(f"{changed} of {len(done.registered)} {verb} ({done.source})")


def _print_beside(beside: _Beside) -> None:
    from wedsync_ops.cli.render import moment, table

    schedules, rules, journeys = beside
    if schedules is not None and schedules.registered:
        fires = [(one.schedule_id, one.change, moment(one.next_fire_at)) for one in schedules.registered]
        table(("Schedule", "Came to", "Next fire"), fires)
    if rules is not None and rules.registered:
        table(("Alert rule", "Came to"), [(one.name, one.change) for one in rules.registered])
    if journeys is not None and journeys.registered:
        kept = [(one.journey_id, one.change, one.version) for one in journeys.registered]
        table(("Journey", "Came to", ">Version"), kept)


def _what(item: "Registered") -> str:
    words = ["changed" if item.changed else "unchanged"]
    if item.held:
        words.append(f"version {item.version_in_force} held by a rollback")
    if not item.module.definition.is_active:
        words.append("not active")
    return ", ".join(words)
