"""``modules``: look at module types and their versions, move between versions, try configs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.customise import customise, print_effective
from wedsync_ops.cli.frozen import Override, Reason, reason_of
from wedsync_ops.cli.inputs import JSON_METAVAR, DryRun, Json, Yes, confirm, read_objects
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import InvalidConfig, UsageError, WedsyncError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.handlers.preview import Preview
    from wedsync_ops.modules.discovery import Listed
    from wedsync_ops.modules.model import ModuleVersion

app = group("Look at module types; compare, roll back, retire, customise, validate, preview.")
app.command()(customise)

ModuleId = Annotated[str, typer.Argument(metavar="ID", help="The module type.")]
Config = Annotated[str, typer.Option(metavar=JSON_METAVAR, help="The config: JSON, a file, or standard input.")]
Context = Annotated[
    str, typer.Option("--context", metavar=JSON_METAVAR, help="The context: JSON, a file, or standard input.")
]


@app.command("list")
def list_modules(
    context: typer.Context,
    category: Annotated[str | None, typer.Option(help="Only this category.")] = None,
    capability: Annotated[str | None, typer.Option(help="Only what can do this.")] = None,
    tier: Annotated[str | None, typer.Option(help="Only what suppliers of this subscription tier may use.")] = None,
    vendor_type: Annotated[str | None, typer.Option(help="What this vendor type uses first comes first.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Inactive and retired ones too.")] = False,
    json: Json = False,
) -> None:
    """List the module types."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say, table
    from wedsync_ops.modules.discovery import discover

    with opened(context) as app:
        found = discover(
            app.registry(),
            category=category,
            capability=capability,
            tier=tier,
            vendor_type=vendor_type,
            include_all=every,
            vendors=app.settings.vendors,
        )
    if json:
        emit("modules-list", {"modules": [_listed(item) for item in found]})
        return
    rows = [
        (
            i.module.module_id,
            i.module.definition.display_name,
            i.module.definition.category,
            i.module.version,
            _state(i),
        )
        for i in found
    ]
    table(("Module", "Name", "Category", ">Version", "State"), rows)
    if not rows:
        say("no module type fits; 'register' registers them, '--all' shows inactive ones, too")


@app.command()
def show(
    context: typer.Context,
    module_id: ModuleId,
    version: Annotated[int | None, typer.Option(help="Another version than the one in force.")] = None,
    vendor_type: Annotated[str | None, typer.Option(help="Also what holds for this vendor type.")] = None,
    supplier: Annotated[str | None, typer.Option(help="Also what holds for this supplier.")] = None,
    json: Json = False,
) -> None:
    """Show a module type whole; for a vendor type and a supplier what holds for them, and where that comes from."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts
    from wedsync_ops.modules.customise import effective

    with opened(context) as app:
        registry = app.registry()
        pointer = registry.pointer(module_id)
        module = registry.current(module_id) if version is None else registry.version(module_id, version)
        asked = vendor_type is not None or supplier is not None
        vendors = app.settings.vendors
        found = (
            effective(registry, module, vendor_type=vendor_type, supplier=supplier, vendors=vendors) if asked else None
        )
    document = {
        **_version(module),
        "is_current": module.version == pointer.version,
        "is_held": pointer.is_held,
        "is_retired": pointer.retired_at is not None,
        **module.definition.model_dump(mode="json"),
    }
    if not json:
        facts(document.items())
        if found is not None:
            print_effective(found)
    elif found is None:
        emit("modules-show", {"module": document})
    else:
        emit("modules-show", {"module": document, "effective": found.as_json()})


@app.command()
def versions(context: typer.Context, module_id: ModuleId, json: Json = False) -> None:
    """List a module type's versions, newest first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.modules import actions

    with opened(context) as app:
        found = actions.versions(app.registry(), module_id)
    if json:
        rows = [{**_version(i.module), "is_current": i.is_current, "is_held": i.is_held} for i in found]
        emit("modules-versions", {"id": module_id, "versions": rows})
        return
    states = [(i, "held" if i.is_current and i.is_held else "in force" if i.is_current else "") for i in found]
    table(
        (">Version", "Registered", "Content", "State"),
        [(i.module.version, moment(i.module.created_at), i.module.content_hash[:12], state) for i, state in states],
    )


@app.command()
def diff(
    context: typer.Context,
    module_id: ModuleId,
    old: Annotated[int | None, typer.Argument(metavar="FROM", help="Default: the one before TO.")] = None,
    new: Annotated[int | None, typer.Argument(metavar="TO", help="Default: the newest.")] = None,
    json: Json = False,
) -> None:
    """Compare two versions of a module type, field by field."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say, table
    from wedsync_ops.modules import actions

    with opened(context) as app:
        found = actions.diff(app.registry(), module_id, old, new)
    if json:
        changes = [{"path": c.path, "change": c.kind, "from": c.before, "to": c.after} for c in found.changes]
        document = {"id": module_id, "from_version": found.from_version, "to_version": found.to_version}
        emit("modules-diff", {**document, "changes": changes})
        return
    say(f"{module_id}: version {found.from_version} → {found.to_version}, {len(found.changes)} differences")
    if found.changes:
        table(("Where", "What", "From", "To"), [(c.path, c.kind, c.before, c.after) for c in found.changes])


@app.command()
def rollback(
    context: typer.Context,
    module_id: ModuleId,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The version to put in force.")],
    json: Json = False,
) -> None:
    """Put an earlier version in force and hold it there until 'register --force'. Queued jobs keep theirs."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.modules import actions

    with opened(context) as app:
        done = actions.rollback(app.database, module_id, version, now=app.clock.now())
    with answering(f"version {done.version} of {module_id} was put in force"):
        if json:
            document = {"id": module_id, "from_version": done.from_version, "version": done.version, "is_held": True}
            emit("modules-rollback", {**document, "changed": done.changed})
        else:
            say(f"{module_id}: version {done.version} is in force (was {done.from_version}) until 'register --force'")


@app.command()
def retire(
    context: typer.Context,
    module_id: ModuleId,
    override: Override = False,
    reason: Reason = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Accept no further jobs of a module type. Jobs that wait still run; registering it again brings it back."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs.guard import Change
    from wedsync_ops.modules import actions

    why = reason_of(override, reason)
    with opened(context) as app:
        counted = actions.retire(app.database, module_id, now=app.clock.now(), dry_run=True)
        if not dry_run:
            freeze, change = app.freeze(), Change("modules retire", "module", module_id)
            frozen = freeze.allow(change, why)
            confirm(f"Retire {module_id}, for which {counted.waiting_jobs} jobs wait?", yes=yes)
            counted = actions.retire(app.database, module_id, now=app.clock.now())
            if frozen is not None and why is not None:
                freeze.keep(change, why, frozen)
    verb = "would be retired" if dry_run else "is retired" if counted.changed else "was retired before"
    with answering(f"{module_id} {verb}"):
        if json:
            document = {"id": module_id, "version": counted.version, "changed": counted.changed}
            counts = {"waiting_jobs": counted.waiting_jobs, "available_jobs": counted.available_jobs}
            emit("modules-retire", {**document, **counts, "dry_run": dry_run})
        else:
            say(f"{module_id} {verb}; {counted.waiting_jobs} jobs that wait still run")


@app.command()
def validate(
    context: typer.Context,
    module_id: ModuleId,
    config: Config,
    version: Annotated[int | None, typer.Option(help="Another version than the one in force.")] = None,
    json: Json = False,
) -> None:
    """Check a config against a module type's schema. Exit code 3 when it does not fit."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.modules import actions

    given = read_objects(config=config)["config"]
    with opened(context) as app:
        found = actions.validate(app.registry(), module_id, given, version)
    failure = None
    if not found.is_valid:
        more = f", and {len(found.errors) - 1} more" if len(found.errors) > 1 else ""
        failure = InvalidConfig(f"the config does not fit {module_id}: {found.errors[0]}{more}", details=found.errors)
    with answering(None, failure):
        if json:
            emit("modules-validate", {"is_valid": found.is_valid, "errors": found.errors, "warnings": found.warnings})
        else:
            _say_all("error", found.errors)
            _say_all("warning", found.warnings)
            say("the config fits" if found.is_valid else f"the config does not fit {module_id}")


@app.command()
def preview(
    context: typer.Context,
    module_id: ModuleId,
    config: Config,
    job_context: Context,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page, or the mail's HTML, to this file.")
    ] = None,
    json: Json = False,
) -> None:
    """Render what a job would deliver when it is due; send nothing. What queueing would refuse is refused here, too."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit

    given = read_objects(config=config, context=job_context)
    with opened(context) as opened_app:
        shown = _rendered(opened_app, module_id, given["config"], given["context"])
    if html is not None:
        _write_html(shown, html)
    if json:
        emit("modules-preview", {"id": module_id, **shown.as_json(), "html_file": None if html is None else str(html)})
    else:
        _print_preview(shown)


def _write_html(shown: "Preview", file: Path) -> None:
    text = next((artefact.text for artefact in shown.artefacts if artefact.media_type == "text/html"), None)
    if text is None:
        raise UsageError("there is no HTML in what this job would deliver", hint="leave --html out")
    try:
        file.write_bytes(text.encode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the file {file} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def _rendered(app: "App", module_id: str, config: dict[str, Any], context: dict[str, Any]) -> "Preview":
    from wedsync_ops import codec
    from wedsync_ops.handlers.preview import preview as render
    from wedsync_ops.jobs import due
    from wedsync_ops.jobs.model import Due, Request
    from wedsync_ops.jobs.prepare import prepare
    from wedsync_ops.modules.resolve import resolve

    rules = app.rules()
    prepared = prepare(rules, Request(module_id, config, context))
    handler, whole = resolve(prepared.module.definition.handler), codec.loads(prepared.config, "the config")
    now = app.clock.now()
    when = Due(now, ()) if prepared.wish is None else due.decide(now, prepared.wish)
    try:
        return render(handler, whole, context, app.site, when.at, send_delay_min=when.send_delay_min)
    except WedsyncError:
        raise
    except Exception as error:
        raise WedsyncError(f"the handler of {module_id} failed: {type(error).__name__}: {error}") from error


def _print_preview(shown: "Preview") -> None:
    from wedsync_ops.cli.render import paragraph, say, to_json

    for artefact in shown.artefacts:
        say(f"── {artefact.name} ({artefact.media_type})")
        paragraph(artefact.text)
    for row in shown.enqueued:
        say(f"would queue: {to_json(row).decode()}")
    for line in shown.log:
        say(f"log: {line}")
    say(f"result: {to_json(dict(shown.result_data)).decode()}")
    say("nothing was sent")


def _say_all(word: str, lines: Sequence[str]) -> None:
    from wedsync_ops.cli.render import say

    for line in lines:
        say(f"{word}: {line}")


def _version(module: "ModuleVersion") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": module.module_id,
        "version": module.version,
        "content_hash": module.content_hash,
        "created_at": iso(module.created_at),
    }


def _listed(item: "Listed") -> dict[str, Any]:
    definition = item.module.definition
    return {
        "id": definition.id,
        "display_name": definition.display_name,
        "category": definition.category,
        "version": item.module.version,
        "capabilities": definition.capabilities,
        "is_active": item.is_usable,
        "description": definition.description,
        "icon": definition.icon,
        "isolation": definition.isolation,
        "tier": item.tier,
        "priority_boost": item.priority_boost,
        "is_held": item.pointer.is_held,
        "is_retired": item.pointer.retired_at is not None,
    }


def _state(item: "Listed") -> str:
    if item.pointer.retired_at is not None:
        return "retired"
    if not item.is_usable:
        return "not active"
    return "held" if item.pointer.is_held else "active"
