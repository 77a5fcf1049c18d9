"""``maintenance``: the housekeeping that cron calls for."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import group

app = group("Do the housekeeping that cron calls for.")


@app.command()
def run(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="[TASK...]", help="Default: all of them.")] = None,
    json: Json = False,
) -> None:
    """Run maintenance tasks; never asks, and can be repeated at any time."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say, table
    from wedsync_ops.operations import maintenance

    with opened(context) as app_:
        done = maintenance.run(maintenance.Site(app_.database, app_.clock, app_.rules()), names or ())
    rows = [(item.task, name.replace("_", " "), count) for item in done for name, count in item.counts.items()]
    with answering(f"maintenance was done ({', '.join(item.task for item in done)})"):
        if json:
            tasks = [{"task": item.task, "counts": dict(item.counts), "skipped": item.skipped} for item in done]
            emit("maintenance-run", {"tasks": tasks})
        else:
            table(("Task", "What", ">Count"), rows)
            for item in done:
                if item.skipped is not None:
                    say(f"{item.task} was left out: {item.skipped}")


@app.command("list")
def list_tasks(json: Json = False) -> None:
    """List the maintenance tasks."""
    from wedsync_ops.cli.render import emit, table
    from wedsync_ops.operations.maintenance import TASKS

    if json:
        emit("maintenance-list", {"tasks": [{"task": name, "about": task.about} for name, task in TASKS.items()]})
    else:
        table(("Task", "What it does"), [(name, task.about) for name, task in TASKS.items()])
