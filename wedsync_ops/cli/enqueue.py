"""``enqueue``: queue one job, or many from a file."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import JSON_METAVAR, DryRun, Json, finite, instant_of, read_objects
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import Interrupted, UsageError, WaitTimedOut, WedsyncError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.jobs.actions import Queue
    from wedsync_ops.jobs.model import Queued, Request

app = single()
Delay = Annotated[
    float | None, typer.Option(metavar="MINUTES", min=0, callback=finite, help="When it is due, from now.")
]
Timeout = Annotated[
    float | None, typer.Option(metavar="S", min=0, callback=finite, help="With --wait: at most so long.")
]

Step = Literal["low", "normal", "high", "critical"]
_DONE = {
    "new": "was queued",
    "duplicate": "had been queued before",
    "kept": "had been queued before, and has the same unique key",
    "replaced": "was replaced",
}
_CONTEXT_HELP = "Who and what the job is about."


@app.command()
def enqueue(
    context: typer.Context,
    *,
    module: Annotated[str | None, typer.Argument(metavar="MODULE", help="The module type.")] = None,
    config: Annotated[str | None, typer.Option(metavar=JSON_METAVAR, help="The job's config.")] = None,
    job_context: Annotated[str | None, typer.Option("--context", metavar=JSON_METAVAR, help=_CONTEXT_HELP)] = None,
    priority: Annotated[Step | None, typer.Option(help="At least this.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it is due (ISO 8601).")] = None,
    delay: Delay = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", help="The same key and payload is queued once.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="A waiting job with the key (or unique key) becomes this one.")
    ] = False,
    deadline: Annotated[str | None, typer.Option(metavar="TIME", help="By when it must be done.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="TIME", help="After this it is not started any more.")] = None,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Many jobs instead: one JSON object a line.")
    ] = None,
    atomic: Annotated[bool, typer.Option("--atomic", help="With --file: all lines or none.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="With --file: leave the job ids out.")] = False,
    dry_run: DryRun = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the job has finished; exit code 1 if not well.")
    ] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Queue one job, or many from a file.

    Exit codes of --file: 0 all queued, 6 some refused, 3 none queued.
    """
    from wedsync_ops.cli.opening import opened

    texts = {"priority": priority, "at": at, "key": key, "deadline": deadline, "expires": expires}
    one = {"MODULE": module, "--config": config, "--context": job_context, "--delay": delay}
    flags = {"--replace": replace or None, "--wait": wait or None}
    if file is not None:
        _refuse_any("goes with one job, not with --file", {**one, **texts, **flags})
    else:
        _refuse_any("goes with --file", {"--atomic": atomic or None, "--quiet": quiet or None})
    _check_wait(wait=wait, timeout=timeout, dry_run=dry_run)
    if file is not None:
        from wedsync_ops.cli.bulk import enqueue_file

        with opened(context) as opened_app:
            return enqueue_file(opened_app.queue(), file, atomic=atomic, quiet=quiet, dry_run=dry_run, json=json)
    request = _request(module, config, job_context, texts, delay)._replace(replace=replace)
    with opened(context) as opened_app:
        return _enqueue_one(opened_app, request, dry_run=dry_run, wait=wait, timeout=timeout, json=json)


def _check_wait(*, wait: bool, timeout: float | None, dry_run: bool) -> None:
    if timeout is not None and not wait:
        raise UsageError("--timeout goes with --wait")
    if wait and dry_run:
        raise UsageError("--wait and --dry-run exclude each other")


def _refuse_any(why: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name if name.startswith('--') or name.isupper() else '--' + name} {why}")


def _request(
    module: str | None, config: str | None, context: str | None, texts: dict[str, str | None], delay: float | None
) -> "Request":
    from wedsync_ops.jobs.model import Request

    if module is None or config is None or context is None:
        missing = "MODULE" if module is None else "--config" if config is None else "--context"
        raise UsageError(f"{missing} is missing", hint="see 'wedsync-ops enqueue --help'")
    if texts["at"] is not None and delay is not None:
        raise UsageError("--at and --delay exclude each other", hint="give one of them")
    for name in ("at", "deadline", "expires"):
        instant_of(texts[name], f"--{name}")  # only whether it is a time; which one depends on the recipient's zone
    given = read_objects(config=config, context=context)
    return Request(module, given["config"], given["context"], delay=delay, **texts)


def _enqueue_one(
    app: "App", request: "Request", *, dry_run: bool, wait: bool, timeout: float | None, json: bool
) -> int:
    from wedsync_ops.cli.explaining import promise_document
    from wedsync_ops.cli.render import answering
    from wedsync_ops.planning import promising

    queue = app.queue()
    queued, promise = promising.enqueue(queue, request, dry_run=dry_run)
    done = f"job {queued.job_id} {_DONE[queued.queued_as]}"
    document = {**_document(queued, dry_run=dry_run), "promise": promise_document(promise)}
    failure: WedsyncError | None = None
    try:
        _add_place(queue, queued, document)
        if wait and queued.job_id is not None:
            failure = _waited(queue, queued.job_id, timeout, document)
    except KeyboardInterrupt:
        failure = Interrupted("interrupted" if dry_run else f"interrupted; {done}", hint="see 'jobs show'")
    except WedsyncError as error:
        failure = error  # whatever fails from here on, the job's id is told
    with answering(None if dry_run else done, failure):
        _show(document, json=json)
    return exits.DONE


def _document(queued: "Queued", *, dry_run: bool) -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "success": True,
        "job_id": queued.job_id,
        "module_type": queued.module_type,
        "state": queued.state.value,
        "priority_requested": queued.priority_requested.word,
        "priority_applied": queued.priority_applied.word,
        "priority_reasons": queued.priority_reasons,
        "weekend_scaling_applied": queued.weekend_scaling_applied,
        "due_at": iso(queued.due_at),
        "due_reasons": queued.due_reasons,
        "queue_position": None,
        "estimated_execution_time_ms": None,
        "duplicate": queued.duplicate,
        "queued_as": queued.queued_as,
        "dry_run": dry_run,
    }


def _add_place(queue: "Queue", queued: "Queued", document: dict[str, Any]) -> None:
    from wedsync_ops.jobs import actions

    if queued.job_id is not None and not document["dry_run"]:
        document["queue_position"] = actions.position(queue, queued.job_id)
    document["estimated_execution_time_ms"] = actions.estimate_ms(queue, queued.module_type)


def _waited(queue: "Queue", job_id: int, timeout: float | None, document: dict[str, Any]) -> WedsyncError | None:
    """Wait, and bring the document up to date; what is wrong with how it ended, if anything."""
    import time

    from wedsync_ops.instants import iso
    from wedsync_ops.jobs import actions
    from wedsync_ops.jobs.model import State
    from wedsync_ops.jobs.store import view

    document |= {"attempt": None, "finished_at": None, "error": None, "result_data": None}
    failure: WedsyncError | None = None
    try:
        actions.wait(queue, job_id, timeout, pause=time.sleep)
    except WaitTimedOut as error:
        failure = error
    with queue.database.reading() as connection:
        detail = view.show_job(connection, job_id)
    if detail is None:
        return failure
    job = detail.job
    document |= {
        "state": job.state.value,
        "queue_position": None,
        "attempt": job.attempt,
        "finished_at": iso(job.finished_at),
        "error": job.error,
        "result_data": detail.result_data,
    }
    if failure is None and job.state is not State.COMPLETED:
        because = f": {job.error}" if job.error else ""
        failure = WedsyncError(f"job {job_id} ended {job.state}{because}", hint=f"see 'jobs show {job_id}'")
    return failure


def _show(document: dict[str, Any], *, json: bool) -> None:
    from wedsync_ops.cli.explaining import promised
    from wedsync_ops.cli.render import emit, facts

    if json:
        emit("enqueue", document)
        return
    lists = ("priority_reasons", "due_reasons")
    told = {**document, "promise": promised(document["promise"])}
    pairs = [(name, "; ".join(value) if name in lists else value) for name, value in told.items()]
    facts((name.replace("_", " "), value) for name, value in pairs if name != "success")
