"""The command line as it is: every command with its options, read from Typer's own tree."""

from typing import Any

import typer
from typer.main import get_command

from wedsync_ops.cli.main import app


def tree() -> dict[str, frozenset[str]]:
    """The options by command path, such as ``modules list``; the root's path is empty. Groups are left out."""
    found: dict[str, frozenset[str]] = {}
    _walk(get_command(app), "", None, found)
    return found


def _walk(command: Any, path: str, parent: Any, found: dict[str, frozenset[str]]) -> None:
    context = typer.Context(command, info_name=path, parent=parent)
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    if not names or not path:
        options = {opt for item in command.params if item.param_type_name == "option" for opt in item.opts}
        found[path] = frozenset(options | {"-h", "--help"})
    for name in names:
        _walk(command.get_command(context, name), f"{path} {name}".strip(), context, found)
