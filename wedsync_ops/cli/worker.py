"""``run-worker``: execute jobs."""

from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.app import App

app = single()
_MOST = 10_000


@app.command("run-worker")
def run_worker(
    context: typer.Context,
    *,
    drain: Annotated[bool, typer.Option("--drain", help="Work until nothing is due, then end.")] = False,
    max_jobs: Annotated[int | None, typer.Option(metavar="N", min=1, help="End after so many executions.")] = None,
    concurrency: Annotated[
        int | None, typer.Option(metavar="SLOTS", min=1, max=_MOST, help="Exactly so many slots.")
    ] = None,
    min_slots: Annotated[int | None, typer.Option(metavar="N", min=1, max=_MOST, help="Fewest slots.")] = None,
    max_slots: Annotated[int | None, typer.Option(metavar="N", min=1, max=_MOST, help="Most slots.")] = None,
    modules: Annotated[str | None, typer.Option(metavar="a,b", help="Only these module types.")] = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="Only jobs of this region, and those without one.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; host and process id by default.")] = None,
) -> int:
    """Execute jobs until stopped.

    The first SIGTERM or Ctrl-C lets running jobs go on for stop_grace_s, then asks them to stop, and after
    stop_notice_s breaks them off, with exit code 1; a second one does so at once. SIGUSR1: start nothing, but stay.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.jobs.model import Options
    from wedsync_ops.supervisor import run_worker as work
    from wedsync_ops.weddings.regions import region_named

    wanted = None if modules is None else [part.strip() for part in modules.split(",") if part.strip()]
    if wanted is not None and not wanted:
        raise UsageError("--modules names no module type")
    with opened(context, min_slots=min_slots, max_slots=max_slots, region=region) as opened_app:
        if concurrency is not None:
            _check_concurrency(concurrency, opened_app)
        registry = opened_app.registry()
        for module in wanted or ():
            registry.pointer(module)
        options = Options(
            slots=concurrency or 0,
            name=name,
            region=None if opened_app.settings.region is None else region_named(opened_app.settings.region),
            modules=wanted,
            drain=drain,
            max_jobs=max_jobs,
        )
        return work(opened_app, options)


def _check_concurrency(slots: int, app: "App") -> None:
    """``--concurrency`` lies within the limits that somebody has set; the defaults don't limit what is asked for."""
    for name, is_outside in (
        ("min_slots", slots < app.settings.min_slots),
        ("max_slots", slots > app.settings.max_slots),
    ):
        source = app.sources[name]
        if is_outside and source != "default":
            limit = f"{name} ({source}) is {getattr(app.settings, name)}"
            raise UsageError(f"--concurrency is {slots}, and the setting {limit}", hint="change one of them")
