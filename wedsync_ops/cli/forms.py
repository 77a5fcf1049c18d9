"""``forms``: what the form service tells the platform."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import JSON_METAVAR, Json, read_objects
from wedsync_ops.cli.lazy import group

app = group("Tell that a couple has answered a form.")


@app.command()
def responded(
    context: typer.Context,
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION_ID", help="form_invitation_id of the form's result.")
    ],
    job_context: Annotated[
        str | None, typer.Option("--context", metavar=JSON_METAVAR, help="Thank the couple, with this context.")
    ] = None,
    json: Json = False,
) -> None:
    """Cancel the reminders of a form that was answered and, when it has auto_follow_up, thank the couple."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs import responses

    given = None if job_context is None else read_objects(context=job_context)["context"]
    with opened(context) as opened_app:
        done = responses.responded(opened_app.queue(), invitation, given)
    if json:
        document = {"form_invitation_id": invitation, "cancelled": done.cancelled}
        emit("forms-responded", {**document, "follow_up": done.follow_up, "follow_up_job_id": done.follow_up_job_id})
        return
    thanks = "" if done.follow_up_job_id is None else f" (job {done.follow_up_job_id})"
    say(f"{len(done.cancelled)} reminders cancelled; thanks: {done.follow_up}{thanks}")
