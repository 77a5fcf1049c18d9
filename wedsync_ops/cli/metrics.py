"""``metrics``: what the platform measured."""

from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.metrics.model import Metrics

app = single()


@app.command()
def metrics(
    context: typer.Context,
    module: Annotated[str | None, typer.Option(metavar="ID", help="Of the module types, only this.")] = None,
    range_: Annotated[
        str, typer.Option("--range", metavar="RANGE", help="How far back: 5m, 1h, 24h, 7d, 30d, …")
    ] = "1h",
    watch: Annotated[
        bool, typer.Option("--watch", help="Again and again, until Ctrl-C; JSON Lines with --json.")
    ] = False,
    interval: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=86400, callback=finite, help="With --watch: how often.")
    ] = 2.0,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="In Prometheus's text format.")] = False,
    json: Json = False,
) -> None:
    """Measure the platform over a range: executions, times, errors, throughput, queue, resources, weddings."""
    import time

    from wedsync_ops.cli.opening import opened
    from wedsync_ops.metrics.actions import parse_range

    if prometheus and (json or watch):
        raise UsageError("--prometheus excludes --json and --watch")
    length = parse_range(range_)
    with opened(context) as opened_app:
        _show(_measured(opened_app, length, module), json=json, prometheus=prometheus, lines=watch)
        while watch:
            time.sleep(interval)
            _show(_measured(opened_app, length, module), json=json, prometheus=False, lines=True)


def _measured(app: "App", range_us: int, module: str | None) -> "Metrics":
    from wedsync_ops.metrics.actions import measure

    return measure(
        app.database,
        [item.module_id for item in app.registry().modules()],
        range_us=range_us,
        now=app.clock.now(),
        module=module,
        network_capacity_mbps=app.settings.network_capacity_mbps,
    )


def _show(found: "Metrics", *, json: bool, prometheus: bool, lines: bool) -> None:
    from wedsync_ops.cli.render import emit, emit_raw, to_json
    from wedsync_ops.metrics.actions import to_document

    if prometheus:
        from wedsync_ops.metrics.exposition import exposition

        emit_raw([exposition(found).encode()])
    elif json and lines:
        emit_raw([to_json(to_document(found)), b"\n"])
    elif json:
        emit("metrics", to_document(found))
    else:
        _print(found)


def _print(found: "Metrics") -> None:
    from wedsync_ops.cli.render import cell, moment, say, table

    platform = found.platform
    say(f"{moment(found.range.from_at)} to {moment(found.range.to_at)}")
    say(
        f"{platform.counts.total} executions: {platform.counts.ok} ok, {platform.counts.failed} failed,"
        f" {platform.counts.lost} lost, {platform.counts.cancelled} cancelled; {platform.queue_length} jobs wait"
    )
    used = platform.utilization
    say(
        f"hosts: CPU {cell(used.cpu_percent)} %, memory {cell(used.memory_percent)} %,"
        f" network {cell(used.network_percent)} %; {cell(used.executions_per_s)} executions/s"
    )
    rows = [
        (
            item.module_type,
            item.counts.total,
            item.counts.failed,
            item.error_rate,
            item.times.average_ms,
            item.times.p95_ms,
            item.throughput,
            item.queue_length,
            item.weddings.week,
        )
        for item in found.modules
    ]
    table(("Module", ">Runs", ">Failed", ">Error %", ">Mean ms", ">p95 ms", ">/min", ">Wait", ">Week"), rows)
