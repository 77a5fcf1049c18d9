"""The root group: it knows every command by name and one line, and imports a command only when it is used."""

import difflib
import importlib
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from wedsync_ops.errors import quoted

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter
    from typer._click.shell_completion import CompletionItem

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "See the whole system at work on an empty machine, in under a minute."),
    "register": ("registry", "Register the module types of a definition file."),
    "modules": ("modules", "Look at module types; compare, roll back, retire, customise, validate, preview."),
    "enqueue": ("enqueue", "Queue one job, or many from a file."),
    "run-worker": ("worker", "Execute jobs until stopped, or until nothing is due."),
    "jobs": ("jobs", "List, show, explain, cancel, retry and discard jobs, and see what fails."),
    "forms": ("forms", "Tell that a couple has answered a form."),
    "suppressions": ("suppressions", "See and change who must not be written to."),
    "events": ("events", "Follow the feed of finished jobs."),
    "webhook": ("webhook", "Skip an event that the webhook's receiver does not take."),
    "queue": ("queue", "See the lanes; pause and resume them."),
    "schedules": ("schedules", "See recurring schedules; preview, pause, resume and run them."),
    "callbacks": ("callbacks", "Take in what the text message gateway reports back."),
    "workers": ("workers", "List the workers."),
    "top": ("top", "Watch the platform live, and act on what is seen."),
    "metrics": ("metrics", "Measure the platform over a range."),
    "report": ("report", "Report on an hour or a day, as text, JSON or a page to send."),
    "alerts": ("alerts", "See what is wrong; acknowledge, silence, try rules out."),
    "clients": ("clients", "Take over couples from a file, and keep them up to date."),
    "journeys": ("journeys", "See the journeys that couples are on, and plan them."),
    "weddings": ("weddings", "See the weddings to come, and the couples that are known; move a wedding."),
    "scale": ("scale", "See how many slots are wanted and why; set them, look back, try other settings."),
    "vendors": ("vendors", "See the vendor types: peak hours, resources, what comes first."),
    "emergency": ("emergency", "Declare an emergency, see and end it; drill one."),
    "season": ("season", "Tell the wedding season and the load to expect."),
    "forecast": ("forecast", "Foretell the load, the worst hour, the workers that it needs."),
    "simulate": ("simulate", "Try a day or a season before it comes: what would be late, and with how many slots."),
    "check": ("check", "Check something for monitoring, by exit code."),
    "health": ("health", "Tell in one line whether the platform is well."),
    "doctor": ("doctor", "Find what is wrong, explain it, and say what mends it."),
    "logs": ("logs", "Read and follow what happened to jobs and workers."),
    "db": ("db", "See and prepare the database; move the platform to PostgreSQL."),
    "maintenance": ("maintenance", "Do the housekeeping that cron calls for."),
}
"""Name → module of this package that holds ``app``, and the line that the root help shows."""


class LazyGroup(TyperGroup):
    """A group whose commands are the table's; listing, help and completion import none of them."""

    def list_commands(self, ctx: "Context") -> list[str]:  # noqa: ARG002 - the base class's signature
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: "Context", cmd_name: str) -> "Command | None":  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wedsync_ops.cli.{COMMANDS[cmd_name][0]}")
        command = get_command(module.app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """Find the command that the arguments name, or say which is nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            ctx.fail(f"there is no command {quoted(name)}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: "Context", formatter: "HelpFormatter") -> None:  # noqa: ARG002
        """Write the table into the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def shell_complete(self, ctx: "Context", incomplete: str) -> "list[CompletionItem]":
        """Complete from the table and this group's own options."""
        from typer._click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=COMMANDS[name][1]) for name in COMMANDS if name.startswith(incomplete)]
        return [*found, *super(TyperGroup, self).shell_complete(ctx, incomplete)]

    def _main_shell_completion(self, *args: Any, **options: Any) -> None:
        from typer import _completion_classes

        # It would import rich to remove markup from help texts, four times the cost of all else; ours have none.
        _completion_classes._sanitize_help_text = _unchanged  # noqa: SLF001
        super()._main_shell_completion(*args, **options)


def _unchanged(text: str) -> str:
    return text


def group(about: str) -> typer.Typer:
    """An empty group of commands with its help."""
    made = single()

    @made.callback(help=about)
    def nothing() -> None:
        """Keep Typer from turning a group of one command into that command."""

    return made


def single() -> typer.Typer:
    """What holds one command that is no group."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
