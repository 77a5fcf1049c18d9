"""What pauses and drains are of: a module type, a supplier or everything."""

from typing import Annotated

import typer

from wedsync_ops.errors import UsageError

Module = Annotated[str | None, typer.Argument(metavar="MODULE", help="A module type.")]
Supplier = Annotated[str | None, typer.Option(metavar="S", help="A supplier instead.")]
Everything = Annotated[bool, typer.Option("--all", help="Everything instead.")]


def scope_of(module: str | None, supplier: str | None, everything: bool) -> tuple[str, str]:
    """The scope and its name, from exactly one of three. Raises UsageError."""
    given = [("module", module)] if module is not None else []
    given += [("supplier", supplier)] if supplier is not None else []
    given += [("all", "")] if everything else []
    if len(given) != 1 or given[0][1] is None:
        raise UsageError("one of MODULE, --supplier and --all is needed")
    if supplier is not None and not supplier.strip():
        raise UsageError("--supplier is empty", hint="name a supplier, or give --all")
    return given[0][0], given[0][1]


def named(scope: str, name: str) -> str:
    """A scope in words."""
    return "everything" if scope == "all" else f"{scope} {name}"
