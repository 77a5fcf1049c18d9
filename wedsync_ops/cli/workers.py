"""``workers``: who executes."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import group

if TYPE_CHECKING:
    from wedsync_ops.jobs.rescue import Condition
    from wedsync_ops.jobs.store.workers import Worker

app = group("List the workers.")
_NEVER = 2**63 - 1


@app.command("list")
def list_workers(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Stopped and dead ones too, while they are kept.")] = False,
    json: Json = False,
) -> None:
    """List the workers that have not stopped, newest first: who they are, their load, whether they live."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, table
    from wedsync_ops.jobs.rescue import condition
    from wedsync_ops.jobs.store import workers

    with opened(context) as opened_app:
        with opened_app.database.reading() as connection:
            listed = workers.list_workers(connection, 0 if every else _NEVER)
        now, settings = opened_app.clock.now(), opened_app.settings
        found = [(worker, condition(worker, now, settings)) for worker in listed]
    if json:
        emit("workers", {"workers": [_worker(worker, state, now) for worker, state in found]})
        return
    columns = ("Worker", "State", ">Busy", "Region", "Modules", "Host", ">Pid", ">Heartbeat")
    table(columns, [_row(worker, state, now) for worker, state in found])


def _row(worker: "Worker", state: "Condition", now: int) -> tuple[Any, ...]:
    busy = f"{worker.busy}/{worker.slots}"
    heartbeat = f"{_age_s(worker, now):,.0f} s ago"
    shown = state if worker.phase == "working" or worker.stopped_at is not None else worker.phase
    return worker.name, shown, busy, worker.region, worker.modules or "all", worker.host, worker.pid, heartbeat


def _age_s(worker: "Worker", now: int) -> float:
    """Seconds since the last heartbeat; 0 where another machine's clock is a little ahead."""
    return max(0, now - worker.heartbeat_at) / 1_000_000


def _worker(worker: "Worker", state: "Condition", now: int) -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": worker.id,
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "region": worker.region,
        "modules": worker.modules.split(",") if worker.modules else None,
        "state": state,
        "phase": worker.phase,
        "lacking": worker.lacking.split(",") if worker.lacking else [],
        "slots": worker.slots,
        "busy": worker.busy,
        "wanted_slots": worker.wanted_slots,
        "min_slots": worker.min_slots,
        "max_slots": worker.max_slots,
        "load": worker.busy / worker.slots if worker.slots else None,
        "started_at": iso(worker.started_at),
        "heartbeat_at": iso(worker.heartbeat_at),
        "heartbeat_age_s": _age_s(worker, now),
        "stopped_at": iso(worker.stopped_at),
    }
