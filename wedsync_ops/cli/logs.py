"""``logs``: what happened to jobs and workers, from the database, in the order of time."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import single

if TYPE_CHECKING:
    from wedsync_ops.db import Database
    from wedsync_ops.operations.trail import Line, Query

app = single()
_POLL_MS = 500
_LARGEST = 2**63 - 1


@app.command()
def logs(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Then wait for new lines, until Ctrl-C.")] = False,
    job: Annotated[int | None, typer.Option(metavar="ID", min=1, max=_LARGEST, help="Of this job only.")] = None,
    module: Annotated[str | None, typer.Option(metavar="ID", help="Of this module type only.")] = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="The least that is shown.")
    ] = "debug",
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Since this time.")] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, max=_LARGEST, help="The latest so many lines; 0 = all.")
    ] = 100,
    json: Json = False,
) -> None:
    """Read what happened to jobs and workers: executions, what their handlers logged, what was given up."""
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.cli.render import emit
    from wedsync_ops.operations.trail import Query, latest

    with observed(context) as site:
        if module is not None:
            site.rules.registry.pointer(module)
        if job is not None:
            _check_job(site.database, job)
        at = instant_of(since, "--since", site.rules.calendar.zone)
        query = Query(job=job, module=module, level=level, since=at, most=limit)
        if follow:
            _follow(site.database, query, json=json)
        with site.database.reading() as connection:
            found = latest(connection, query)
    if json:
        emit("logs", {"lines": [_document(line) for line in found]})
    else:
        _print(found)


def _check_job(database: "Database", job_id: int) -> None:
    from wedsync_ops.errors import UnknownJob
    from wedsync_ops.jobs.store import view

    with database.reading() as connection:
        if view.state_of(connection, job_id) is None:
            raise UnknownJob(f"there is no job {job_id}")


def _follow(database: "Database", query: "Query", *, json: bool) -> None:
    """Print lines as they come. Raises BrokenPipeError when nobody reads them."""
    import select
    import sys

    from wedsync_ops.cli.render import emit_raw, to_json
    from wedsync_ops.operations.trail import follow

    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)  # an error or a hang-up is always told
    for found in follow(database, query):
        if json:
            emit_raw([to_json(_document(line)) + b"\n" for line in found])
        else:
            _print(found)
        if reader.poll(_POLL_MS):
            raise BrokenPipeError


def _print(lines: "list[Line]") -> None:
    from wedsync_ops.cli.render import emit_raw, moment, one_line

    parts = []
    for line in lines:
        job = "" if line.job_id is None else f" job {line.job_id}"
        attempt = f" try {line.attempt}" if line.attempt else ""
        module = "" if line.module_type is None else f" {line.module_type}"
        text = f"{moment(line.at)} {line.level:7}{job}{attempt}{module} {line.event}: {line.message}"
        parts.append(one_line(text).encode("utf-8", "replace") + b"\n")
    emit_raw(parts)


def _document(line: "Line") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "at": iso(line.at),
        "level": line.level,
        "event": line.event,
        "message": line.message,
        "job_id": line.job_id,
        "attempt": line.attempt,
        "module_type": line.module_type,
        "worker_id": line.worker_id,
        "outcome": line.outcome,
        "duration_ms": line.duration_ms,
    }
