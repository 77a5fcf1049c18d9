"""``modules customise``: what suppliers and vendor types change of module types, from a file or taken back."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import DryRun, Json, read_input
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.modules.customise import Customising, Effective
    from wedsync_ops.modules.model import Customisation, Scope


def customise(
    context: typer.Context,
    what: Annotated[
        str, typer.Argument(metavar="FILE|ID", help="A file of customisations, or - ; with --remove a module type.")
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Take a customisation back.")] = False,
    supplier: Annotated[str | None, typer.Option(help="With --remove: the supplier whose it is.")] = None,
    vendor_type: Annotated[str | None, typer.Option(help="With --remove: the vendor type whose it is.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Store every customisation of a file, or none when anything is wrong (exit code 3); or take one back."""
    named = [(scope, name) for scope, name in _scopes(supplier, vendor_type) if name is not None]
    if remove:
        if len(named) != 1:
            raise UsageError("--remove needs either --supplier or --vendor-type")
        _remove(context, *named[0], what, dry_run=dry_run, json=json)
    elif named:
        raise UsageError("--supplier and --vendor-type go with --remove", hint="a file names them itself")
    else:
        _store(context, what, dry_run=dry_run, json=json)
    return exits.DONE


def _scopes(supplier: str | None, vendor_type: str | None) -> "tuple[tuple[Scope, str | None], ...]":
    return ("supplier", supplier), ("vendor_type", vendor_type)


def _store(context: typer.Context, file: str, *, dry_run: bool, json: bool) -> None:
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.codec import MAX_BYTES
    from wedsync_ops.errors import InvalidCustomisations
    from wedsync_ops.modules import customise as actions

    raw = read_input(file, MAX_BYTES)
    source = "standard input" if file == "-" else file
    with opened(context) as app:
        done = actions.customise(
            app.database, raw, source, now=app.clock.now(), dry_run=dry_run, vendors=app.settings.vendors
        )
    _print(done, dry_run=dry_run, json=json)
    if done.problems:
        first, count = done.problems[0], len(done.problems)
        place = f"{first.path}: " if first.path else ""
        raise InvalidCustomisations(
            f"{source} has {count} problem{'s' if count > 1 else ''}, the first in line {first.line}: "
            f"{place}{first.message}",
            hint="nothing was stored",
            details=_problems(done),
        )


def _print(done: "Customising", *, dry_run: bool, json: bool) -> None:
    from wedsync_ops.cli.render import emit, say, table

    if json:
        rows = [{**_document(one.customisation), "change": one.change} for one in done.customised]
        document: dict[str, Any] = {"customised": rows, "source": done.source, "dry_run": dry_run}
        emit("modules-customise", {**document, "problems": _problems(done)} if done.problems else document)
        return
    if done.problems:
        table((">Line", "Where", "Problem"), [(one.line, one.path, one.message) for one in done.problems])
        return
    table(
        ("For", "Module", "Came to"),
        [(i.customisation.owner, i.customisation.module_id, i.change) for i in done.customised],
    )
    changed = sum(one.change != "unchanged" for one in done.customised)
    say(f"{changed} of {len(done.customised)} {'would change' if dry_run else 'changed'} ({done.source})")


def _remove(context: typer.Context, scope: "Scope", name: str, module_id: str, *, dry_run: bool, json: bool) -> None:
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.modules import customise as actions

    with opened(context) as app:
        removed = actions.remove(app.database, scope, name, module_id, dry_run=dry_run, vendors=app.settings.vendors)
    if json:
        emit("modules-customise-remove", {"removed": _document(removed), "dry_run": dry_run})
    else:
        say(f"{removed.owner} {'would no longer customise' if dry_run else 'no longer customises'} {module_id}")


def _problems(done: "Customising") -> list[dict[str, Any]]:
    return [{"line": one.line, "path": one.path, "message": one.message} for one in done.problems]


def _document(one: "Customisation") -> dict[str, Any]:
    return {
        one.scope: one.name,
        "module": one.module_id,
        "config": one.config,
        "priority": one.priority,
        "priority_boost": one.priority_boost,
        "weight": one.weight,
        "limits": one.limits.model_dump(exclude_none=True),
    }


def print_effective(found: "Effective") -> None:
    """Print what holds for a vendor type and a supplier, and where each value comes from."""
    from wedsync_ops.cli.render import table

    for title, origins in (("Config defaults", found.config), ("Priority", found.priority), ("Limits", found.limits)):
        table(("Name", "Value", "From"), [(one.path, one.value, one.source) for one in origins], title=title)
