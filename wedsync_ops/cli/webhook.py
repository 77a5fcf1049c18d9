"""``webhook``: what holds up the configured webhook."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import DryRun, Json, Yes, confirm
from wedsync_ops.cli.lazy import group

app = group("Let the webhook leave out an event that its receiver does not take.")


@app.command()
def skip(
    context: typer.Context,
    event_id: Annotated[int, typer.Argument(metavar="EVENT", min=1, help="The event that the webhook is held up by.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Drop the delivery of the event that the receiver refuses, and go on after it. The event stays in the feed."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.jobs import webhooks

    with opened(context) as opened_app:
        database, clock = opened_app.database, opened_app.clock
        event = webhooks.skip(database, clock, event_id, dry_run=True)
        if not dry_run:
            confirm(f"Never post event {event_id} (job {event.job_id}, {event.state})?", yes=yes)
            webhooks.skip(database, clock, event_id)
    with answering(f"event {event_id} was {'not ' if dry_run else ''}skipped"):
        if json:
            document = {"event_id": event_id, "job_id": event.job_id, "state": event.state}
            emit("webhook-skip", {**document, "dry_run": dry_run})
        else:
            say(f"{'would skip' if dry_run else 'skipped'} event {event_id} (job {event.job_id}, {event.state})")
