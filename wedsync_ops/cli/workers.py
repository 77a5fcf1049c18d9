"""``workers``: who executes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import group

if TYPE_CHECKING:
    from wedsync_ops.jobs.store.workers import Worker

app = group("List the workers.")
_NEVER = 2**63 - 1


@app.command("list")
def list_workers(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Stopped ones too, while they are kept.")] = False,
    json: Json = False,
) -> None:
    """List the workers that run, newest first."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table
    from wedsync_ops.jobs.store import workers

    with opened(context) as opened_app:
        with opened_app.database.reading() as connection:
            found = workers.list_workers(connection, 0 if every else _NEVER)
        silent_before = opened_app.clock.now() - round(opened_app.settings.lease_s * 1_000_000)
    if json:
        emit("workers-list", {"workers": [_worker(worker, silent_before) for worker in found]})
        return
    rows = [
        (w.name, _state(w, silent_before), f"{w.busy}/{w.slots}", w.modules or "all", w.pid, moment(w.heartbeat_at))
        for w in found
    ]
    table(("Worker", "State", ">Busy", "Modules", ">Pid", "Heartbeat"), rows)


def _state(worker: "Worker", silent_before: int) -> str:
    """Running, stopped, or silent: without a heartbeat for a lease, and so about to be declared dead."""
    if worker.stopped_at is not None:
        return "stopped"
    return "silent" if worker.heartbeat_at < silent_before else "running"


def _worker(worker: "Worker", silent_before: int) -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": worker.id,
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "region": worker.region,
        "modules": worker.modules.split(",") if worker.modules else None,
        "state": _state(worker, silent_before),
        "slots": worker.slots,
        "busy": worker.busy,
        "started_at": iso(worker.started_at),
        "heartbeat_at": iso(worker.heartbeat_at),
        "stopped_at": iso(worker.stopped_at),
    }
