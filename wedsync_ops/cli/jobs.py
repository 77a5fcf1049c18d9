"""``jobs``: list, show, explain, cancel, reschedule, retry, discard, and what fails."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli import exits, letters, showing
from wedsync_ops.cli.inputs import DryRun, Json, Yes, confirm, instant_of
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import InvalidInput, PartlyDone, UnknownJob, UsageError, WedsyncError, quoted

if TYPE_CHECKING:
    from wedsync_ops.jobs.actions import Queue
    from wedsync_ops.jobs.model import State

app = group("List, show, explain, cancel, retry and discard jobs, and see what fails.")
_LARGEST = 2**63 - 1
_COMMANDS = {"cancelled": "cancel", "rescheduled": "reschedule", "retried": "retry", "discarded": "discard"}
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Jobs.")]


@app.command("list")
def list_jobs(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="Only these states; repeat it, or separate by commas.")
    ] = None,
    module: Annotated[str | None, typer.Option(metavar="MODULE", help="Only this module type.")] = None,
    client: Annotated[str | None, typer.Option(metavar="ID", help="Only this client.")] = None,
    supplier: Annotated[str | None, typer.Option(metavar="ID", help="Only this supplier.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only what was queued since then.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.jobs.store.view import Filter
    from wedsync_ops.jobs.store.view import list_jobs as find

    states = _states(state or ())
    with opened(context) as opened_app:
        from_then = instant_of(since, "--since", opened_app.calendar.zone)
        wanted = Filter(states=states, module=module, client=client, supplier=supplier, since=from_then, limit=limit)
        if module is not None:
            opened_app.registry().pointer(module)
        with opened_app.database.reading() as connection:
            found = find(connection, wanted)
    if json:
        emit("jobs-list", {"jobs": [showing.job_document(job) for job in found]})
        return
    columns = (">Job", "Module", "State", "Priority", ">Try", "Due", "Error")
    rows = [
        (
            j.job_id,
            j.module_type,
            j.state,
            j.priority_applied.word,
            f"{j.attempt}/{j.max_attempts}",
            moment(j.due_at),
            j.error,
        )
        for j in found
    ]
    table(columns, rows)


@app.command()
def show(
    context: typer.Context,
    job_id: Annotated[int, typer.Argument(metavar="ID", help="The job.")],
    json: Json = False,
) -> None:
    """Show a job whole, with every execution."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit
    from wedsync_ops.jobs.store import view

    _check_ids([job_id])
    with opened(context) as opened_app, opened_app.database.reading() as connection:
        detail = view.show_job(connection, job_id)
    if detail is None:
        raise UnknownJob(f"there is no job {job_id}")
    if json:
        emit("jobs-show", {"job": showing.detail_document(detail)})
    else:
        showing.print_detail(detail)


@app.command()
def explain(
    context: typer.Context,
    job_id: Annotated[int, typer.Argument(metavar="ID", help="The job.")],
    json: Json = False,
) -> None:
    """Say why a job waits or has ended, when it will start, and what would make it sooner."""
    from wedsync_ops.cli import explaining
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit
    from wedsync_ops.jobs.explaining import explained
    from wedsync_ops.planning import promising

    _check_ids([job_id])
    with opened(context) as opened_app:
        queue = opened_app.queue()
        job, why = explained(queue, job_id)
        promise = promising.of_job(queue, job_id)
    if json:
        emit("jobs-explain", {"job": explaining.document(job, why, promise)})
    else:
        explaining.show(job, why, promise)


@app.command()
def cancel(
    context: typer.Context,
    ids: Ids,
    running: Annotated[bool, typer.Option("--running", help="Break off those that run, too.")] = False,
    json: Json = False,
) -> int:
    """Cancel jobs that wait."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import actions

    _check_ids(ids)
    with opened(context) as opened_app:
        queue, ids = opened_app.queue(), list(dict.fromkeys(ids))
        if not running:
            return _told(ids, actions.cancel(queue, ids), "cancelled", json=json, asked=())
        told = actions.break_off(queue, ids)
        return _told(ids, told.answers, "cancelled", json=json, asked=told.asked)


@app.command()
def reschedule(
    context: typer.Context,
    ids: Ids,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When they are due (ISO 8601); a past time is now.")
    ] = None,
    priority: Annotated[str | None, typer.Option(metavar="PRIORITY", help="What is asked for from now on.")] = None,
    json: Json = False,
) -> int:
    """Move waiting jobs to another time or priority."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import actions
    from wedsync_ops.jobs.prepare import priority_named

    _check_ids(ids)
    if at is None and priority is None:
        raise UsageError("either --at or --priority is needed")
    with opened(context) as opened_app:
        due_at = instant_of(at, "--at", opened_app.calendar.zone)
        wanted = None if priority is None else priority_named(priority)
        action = partial(actions.reschedule, due_at=due_at, priority=wanted)
        return _each(opened_app.queue(), ids, action, "rescheduled", json=json)


@app.command()
def retry(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Jobs, or --state discarded.")] = None,
    *,
    state: Annotated[str | None, typer.Option(metavar="discarded", help="Every discarded job that fits.")] = None,
    module: letters.Module = None,
    error: letters.Error = None,
    fingerprint: letters.Fingerprint = None,
    since: letters.Since = None,
    until: letters.Until = None,
    supplier: letters.Supplier = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/min", help="Spread their due times: so many a minute, the first now.")
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Queue jobs again that were discarded, cancelled or expired, with all their attempts.

    With --state discarded every dead letter that fits, the most urgent wedding first.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import actions, dead_letters

    given = letters.Given(module, error, fingerprint, since, until, supplier)
    _check_retry(ids, state, filtered=given.is_any or rate is not None or dry_run)
    per_minute = letters.per_minute(rate)
    with opened(context) as opened_app:
        queue = opened_app.queue()
        if ids:
            return _each(queue, ids, actions.retry, "retried", json=json)
        wanted = given.wanted(opened_app.calendar.zone)
        if dry_run:
            rehearsed, found = dead_letters.rehearse(queue, wanted)
            left, words = letters.left_of(rehearsed)
            letters.show_counts("retry", found, f"would be queued again{words}", json=json, left=left)
            return exits.DONE
        done = dead_letters.retry(queue, wanted, per_minute=per_minute)
    left, words = letters.left_of(done)
    letters.show_done("retry", {"count": done.count, **left}, f"{done.count} jobs were queued again{words}", json=json)
    return exits.DONE


@app.command()
def discard(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Jobs, or any filter.")] = None,
    *,
    module: letters.Module = None,
    error: letters.Error = None,
    fingerprint: letters.Fingerprint = None,
    since: letters.Since = None,
    until: letters.Until = None,
    supplier: letters.Supplier = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> int:
    """Give dead letters up: config and context are forgotten, so that they cannot be retried. Asks first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import dead_letters

    given = letters.Given(module, error, fingerprint, since, until, supplier)
    _check_discard(ids, filtered=given.is_any, dry_run=dry_run)
    with opened(context) as opened_app:
        queue = opened_app.queue()
        if ids:
            confirm(f"Discard {len(set(ids))} dead letters for good?", yes=yes)
            return _each(queue, ids, dead_letters.discard_each, "discarded", json=json)
        wanted = given.wanted(opened_app.calendar.zone)
        found = dead_letters.failures(queue, wanted)
        if dry_run:
            letters.show_counts("discard", found, "would be discarded", json=json)
            return exits.DONE
        confirm(f"Discard {sum(one.count for one in found)} dead letters for good?", yes=yes)
        done = dead_letters.discard(queue, wanted)
    kept = f"; {done.untold} are kept until the webhook has been told of them" if done.untold else ""
    document = {"count": done.count, "untold": done.untold}
    letters.show_done("discard", document, f"{done.count} dead letters were discarded{kept}", json=json)
    return exits.DONE


@app.command()
def failures(
    context: typer.Context,
    module: letters.Module = None,
    error: letters.Error = None,
    fingerprint: letters.Fingerprint = None,
    since: letters.Since = None,
    until: letters.Until = None,
    supplier: letters.Supplier = None,
    json: Json = False,
) -> None:
    """Show what went wrong: dead letters by module type and error, the soonest wedding first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs import dead_letters

    given = letters.Given(module, error, fingerprint, since, until, supplier)
    with opened(context) as opened_app:
        found = dead_letters.failures(opened_app.queue(), given.wanted(opened_app.calendar.zone))
    letters.show_failures(found, json=json)


def _check_retry(ids: Sequence[int] | None, state: str | None, *, filtered: bool) -> None:
    if bool(ids) == (state is not None):
        raise UsageError("either job ids or --state discarded is needed", hint="see 'wedsync-ops jobs retry --help'")
    if state is not None and state != "discarded":
        raise UsageError(f"--state {quoted(state)} cannot be retried as a whole", hint="only --state discarded")
    if ids and filtered:
        raise UsageError("filters, --rate and --dry-run go with --state discarded")
    _check_ids(ids or ())


def _check_discard(ids: Sequence[int] | None, *, filtered: bool, dry_run: bool) -> None:
    if bool(ids) == filtered:
        raise UsageError("either job ids or a filter is needed", hint="see 'wedsync-ops jobs discard --help'")
    if ids and dry_run:
        raise UsageError("--dry-run goes with a filter")
    _check_ids(ids or ())


def _each(
    queue: "Queue",
    ids: Sequence[int],
    action: "Callable[[Queue, Sequence[int]], list[WedsyncError | None]]",
    verb: str,
    *,
    json: bool,
) -> int:
    """Do something to each job and report."""
    ids = list(dict.fromkeys(ids))
    return _told(ids, action(queue, ids), verb, json=json)


def _told(
    ids: "Sequence[int]",
    answers: "Sequence[WedsyncError | None]",
    verb: str,
    *,
    json: bool,
    asked: "Collection[int] | None" = None,
) -> int:
    """Report what became of each job; one that fails alone raises its own error.

    ``asked`` are those that run and were only asked to stop, where that can be.
    """
    from wedsync_ops.cli.render import answering, emit, say

    failures = [(job_id, error) for job_id, error in zip(ids, answers, strict=True) if error is not None]
    if len(ids) == 1 and failures:
        raise failures[0][1]
    accepted = [job_id for job_id, error in zip(ids, answers, strict=True) if error is None]
    told = [job_id for job_id in accepted if job_id in (asked or ())]
    done = [job_id for job_id in accepted if job_id not in (asked or ())]
    failure: WedsyncError | None = None
    if failures and accepted:
        failure = PartlyDone(f"{len(failures)} of {len(ids)} jobs were not {verb}", hint="each is named above")
    elif failures:
        failure = InvalidInput(f"none of the {len(ids)} jobs was {verb}", hint="each is named above")
    also = f", {len(told)} asked to stop" if told else ""
    with answering(f"{len(done)} of {len(ids)} jobs were {verb}{also}", failure):
        if json:
            errors = [{"job_id": job_id, "code": e.code, "message": str(e)} for job_id, e in failures]
            document = (
                {verb: done, "errors": errors} if asked is None else {verb: done, "asked": told, "errors": errors}
            )
            emit(f"jobs-{_COMMANDS[verb]}", document)
        else:
            for _, error in failures:
                say(str(error))
            say(f"{len(done)} of {len(ids)} jobs {verb}{also}")
    return exits.DONE


def _check_ids(ids: Sequence[int]) -> None:
    for job_id in ids:
        if not 0 < job_id <= _LARGEST:
            raise UnknownJob(f"there is no job {job_id}")


def _states(given: Sequence[str]) -> "list[State]":
    from wedsync_ops.jobs.model import State

    names = [name for text in given for name in text.split(",") if name]
    for name in names:
        if name not in list(State):
            raise UsageError(f"{quoted(name)} is not a state", hint=f"the states are {', '.join(State)}")
    return [State(name) for name in dict.fromkeys(names)]
