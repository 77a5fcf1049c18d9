"""``queue drain``: accept nothing new, let what is under way end, and wait for that."""

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.frozen import Override, reason_of
from wedsync_ops.cli.inputs import Json, Yes, confirm, finite, instant_of
from wedsync_ops.cli.scopes import Everything, Module, Supplier, scope_of
from wedsync_ops.errors import UsageError, WaitTimedOut

if TYPE_CHECKING:
    from wedsync_ops.jobs.actions import Queue
    from wedsync_ops.jobs.drain import Drain
    from wedsync_ops.jobs.draining import Progress, Wait
    from wedsync_ops.jobs.store.drains import Later

Seconds = Annotated[
    float | None, typer.Option(metavar="S", min=0, callback=finite, help="With --wait: at most so many seconds.")
]


def drain(
    context: typer.Context,
    *,
    module: Module = None,
    supplier: Supplier = None,
    everything: Everything = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for others to read.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Until when (ISO 8601).")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing of it is due or runs.")] = False,
    timeout: Seconds = None,
    cancel_after: Annotated[
        float | None,
        typer.Option(metavar="S", min=0, callback=finite, help="With --wait: then cancel what is left of it."),
    ] = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is left of it.")] = False,
    override: Override = False,
    json: Json = False,
) -> None:
    """Accept no new jobs; what is due or runs is done, and then nothing of it starts until 'queue resume'.

    Jobs that are scheduled for later stay: they run when they fall due before that, and are held afterwards.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import draining
    from wedsync_ops.jobs.draining import Wait

    scope, name = scope_of(module, supplier, everything)
    if not wait and (timeout is not None or cancel_after is not None):
        raise UsageError("--timeout and --cancel-after go with --wait")
    why = reason_of(override, reason)
    if wait and dry_run:
        raise UsageError("--wait and --dry-run exclude each other")
    with opened(context) as opened_app:
        end = instant_of(until, "--until", opened_app.calendar.zone)
        queue = opened_app.queue()
        if dry_run:
            _show(*draining.look(queue, draining.planned(queue, scope, name, reason=reason, until=end)), json=json)
            return
        if cancel_after is not None:
            confirm(f"Cancel what is left after {cancel_after:g} s?", yes=yes)
        made = draining.begin(queue, scope, name, reason=reason, until=end, override=why)
        if wait:
            _wait(queue, made, Wait(timeout, cancel_after), json=json)
        else:
            _show(*draining.look(queue, made), json=json, done=True)


def drain_document(drain: "Drain") -> dict[str, Any]:
    """A drain as JSON."""
    from wedsync_ops.instants import iso

    return {
        "scope": drain.scope,
        "name": drain.name or None,
        "state": "draining" if drain.drained_at is None else "drained",
        "reason": drain.reason,
        "drained_by": drain.begun_by,
        "begun_at": iso(drain.begun_at),
        "until": iso(drain.until),
        "drained_at": iso(drain.drained_at),
    }


def drain_line(drain: "Drain") -> str:
    """A drain on one line."""
    from wedsync_ops.cli.render import moment

    until = f" until {moment(drain.until)}" if drain.until is not None else ""
    how = "draining" if drain.drained_at is None else f"drained since {moment(drain.drained_at)}"
    return f"{how}: {drain.words}{until}, by {drain.begun_by}: {drain.reason or 'no reason given'}"


def _wait(queue: "Queue", drain: "Drain", wanted: "Wait", *, json: bool) -> None:
    from wedsync_ops.jobs import draining

    seen: list[Progress] = []

    def told(progress: "Progress") -> None:
        seen.append(progress)
        _say_progress(progress, json=json)

    cancelled, failure = 0, None
    try:
        cancelled = draining.wait(queue, drain, wanted, pause=time.sleep, told=told)[1]
    except WaitTimedOut as error:
        failure = error
    _, later = draining.look(queue, seen[-1].drain)
    _show(seen[-1], later, json=json, done=True, cancelled=cancelled, failure=failure)


def _say_progress(progress: "Progress", *, json: bool) -> None:
    """One line of progress on standard error."""
    from wedsync_ops.cli.render import to_json

    left = progress.left
    if json:
        line = to_json({"progress": {"waiting": left.waiting, "running": left.running}}).decode()
    else:
        line = f"{progress.drain.words}: {left.waiting:,} wait, {left.running:,} run"
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress


def _show(
    progress: "Progress",
    later: "Later",
    *,
    json: bool,
    done: bool = False,
    cancelled: int = 0,
    failure: WaitTimedOut | None = None,
) -> None:
    from wedsync_ops.cli.render import answering, emit, moment, say
    from wedsync_ops.instants import iso

    found, left = progress.drain, progress.left
    with answering(f"{found.words} is being drained" if done else None, failure):
        if json:
            document = {
                "drain": drain_document(found),
                "waiting": left.waiting,
                "running": left.running,
                "scheduled": later.count,
                "next_due_at": iso(later.first_at),
                "cancelled": cancelled,
                "dry_run": not done,
            }
            emit("queue-drain", document)
            return
        say(drain_line(found) if done else f"would be drained: {found.words}")
        say(f"{left.waiting:,} wait, {left.running:,} run" + (f", {cancelled:,} were cancelled" if cancelled else ""))
        if later.count:
            say(f"{later.count:,} are scheduled for later, the first at {moment(later.first_at)}")
