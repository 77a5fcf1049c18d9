"""What happens when a couple has answered a form: its reminders are cancelled, and they are thanked."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection

from wedsync_ops.errors import NotFound, WedsyncError
from wedsync_ops.handlers import form
from wedsync_ops.jobs import intake, wakeup
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.events import without_next_step
from wedsync_ops.jobs.model import Queued, Request
from wedsync_ops.jobs.prepare import Prepared, prepare
from wedsync_ops.jobs.store import answers, control, insert, view


class Answered(NamedTuple):
    """What an answer to a form came to: the reminders cancelled, and the job that thanks, when there is one.

    ``follow_up`` is queued, queued before, not wanted, or unknown (neither the form's job nor a reminder is kept whole
    any more, and no context was given); else why the thanks were refused.
    """

    cancelled: list[int]
    follow_up_job_id: int | None
    follow_up: str


def responded(queue: Queue, invitation_id: str, context: Mapping[str, Any] | None = None) -> Answered:
    """Note that a form was answered: cancel its waiting reminders and, with ``auto_follow_up``, thank the couple.

    Reminders that its job has yet to queue, because it has not finished, will be cancelled when it does.
    ``context`` asks for the thanks by itself, and is used for them. All is one transaction, and can be repeated. Raises
    NotFound for an invitation that was not made here, and what refuses the given context.
    """
    job_id = form.job_of(queue.rules.site, invitation_id)
    if job_id is None:
        raise NotFound("there is no such invitation", hint="see form_invitation_id in the result of the form's job")
    given = None if context is None else prepare(queue.rules, _thanks(context, invitation_id))
    key = form.follow_up_key(invitation_id)
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        held = insert.keyed(connection, [key, *form.reminder_keys(invitation_id)])
        answers.record(connection, job_id, now)
        reminders = [keyed.job.job_id for name, keyed in held.items() if name != key and keyed.job.job_id is not None]
        wanted = None if key in held else given or _wanted(connection, queue, job_id, invitation_id, reminders)
        if isinstance(wanted, Prepared):
            intake.lock_keys(connection, [wanted])  # before the lanes of what is cancelled
        cancelled = sorted(control.cancel(connection, reminders, now))
        if wanted is None:
            return Answered(cancelled, held[key].job.job_id, "queued before")
        if not isinstance(wanted, Prepared):
            return Answered(cancelled, None, wanted)
        (answer,) = intake.place(connection, queue.rules, [wanted], now=now, bounded=False)
        wakeup.notify(connection)
    queue.ring()
    if isinstance(answer, Queued):
        return Answered(cancelled, answer.job_id, "queued before" if answer.duplicate else "queued")
    return Answered(cancelled, None, str(answer))


def _wanted(
    connection: Connection, queue: Queue, job_id: int, invitation_id: str, reminders: list[int]
) -> Prepared | str:
    """The thanks that the form's job asked for, as far as it or one of its reminders is still kept; else why not."""
    known = view.show_job(connection, job_id)
    context = None if known is None else known.context
    if known is not None and isinstance(context, dict) and isinstance(known.config, dict):
        is_wanted = known.config.get("auto_follow_up") is True
    else:
        kept = (view.show_job(connection, reminder) for reminder in reminders)
        context = next((job.context for job in kept if job is not None and isinstance(job.context, dict)), None)
        is_wanted = context is not None and form.is_followed_up(context)
    if context is None:
        return "unknown"
    if not is_wanted:
        return "not wanted"
    try:
        return prepare(queue.rules, _thanks(context, invitation_id))
    except WedsyncError as error:
        return str(error)


def _thanks(context: Mapping[str, Any], invitation_id: str) -> Request:
    told = without_next_step(context)
    return Request("email", {"template_id": form.FOLLOW_UP}, told, key=form.follow_up_key(invitation_id))
