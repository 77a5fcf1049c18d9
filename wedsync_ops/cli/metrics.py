"""``metrics``: what the platform measured."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.metrics.model import Metrics

app = single()


class By(StrEnum):
    """What figures can be told apart by."""

    VENDOR_TYPE = "vendor-type"
    PRIORITY = "priority"
    REGION = "region"
    SUPPLIER = "supplier"


@app.command()
def metrics(
    context: typer.Context,
    module: Annotated[str | None, typer.Option(metavar="ID", help="Of the module types, only this.")] = None,
    range_: Annotated[
        str, typer.Option("--range", metavar="RANGE", help="How far back: 5m, 1h, 24h, 7d, 30d, …")
    ] = "1h",
    by: Annotated[By | None, typer.Option("--by", help="Tell the figures apart by this, too.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Again and again, until Ctrl-C; JSON Lines with --json.")
    ] = False,
    interval: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=86400, callback=finite, help="With --watch: how often.")
    ] = 2.0,
    *,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="In Prometheus's text format.")] = False,
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", metavar="FILE", help="In Prometheus's text format, into a file that is replaced."),
    ] = None,
    openmetrics: Annotated[bool, typer.Option("--openmetrics", help="In the OpenMetrics text format.")] = False,
    json: Json = False,
) -> None:
    """Measure the platform over a range: executions, times, errors, throughput, queue, resources, weddings."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.metrics.actions import parse_range

    exposed = prometheus or openmetrics or textfile is not None
    if exposed and (json or watch or by is not None):
        raise UsageError("--prometheus, --openmetrics and --textfile exclude --json, --watch and --by")
    if openmetrics and (prometheus or textfile is not None):
        raise UsageError("--openmetrics excludes --prometheus and --textfile, which are in Prometheus's own format")
    length = parse_range(range_)
    with opened(context) as opened_app:
        if exposed:
            _expose(opened_app, length, module, textfile, in_openmetrics=openmetrics)
        elif watch:
            _watch(opened_app, length, module, by, interval, json=json)
        else:
            _show(_measured(opened_app, length, module, by, with_trend=not json), json=json, lines=False)


def _expose(app: "App", range_us: int, module: str | None, file: Path | None, *, in_openmetrics: bool) -> None:
    from wedsync_ops.cli.files import replace_file
    from wedsync_ops.cli.render import emit_raw
    from wedsync_ops.metrics import exposition
    from wedsync_ops.metrics.actions import since_ever
    from wedsync_ops.scaling import actions
    from wedsync_ops.scaling.store import forecasts

    found = _measured(app, range_us, module, None, with_trend=False)
    scaling = actions.families(actions.status(app.database, app.clock, app.rules(), forecasts.expected))
    written = exposition.openmetrics if in_openmetrics else exposition.exposition
    text = written(found, since_ever(app.database, module), scaling).encode()
    if file is None:
        emit_raw([text])
    else:
        replace_file(file, text)


def _watch(app: "App", range_us: int, module: str | None, by: By | None, interval: float, *, json: bool) -> None:
    import time

    from wedsync_ops.cli.render import clear

    while True:
        found = _measured(app, range_us, module, by, with_trend=not json)
        if not json:
            clear()
        _show(found, json=json, lines=True)
        time.sleep(interval)


def _measured(app: "App", range_us: int, module: str | None, by: By | None, *, with_trend: bool) -> "Metrics":
    from wedsync_ops.metrics.actions import measure
    from wedsync_ops.metrics.model import Kind

    return measure(
        app.database,
        [item.module_id for item in app.registry().modules()],
        range_us=range_us,
        now=app.clock.now(),
        module=module,
        network_capacity_mbps=app.settings.network_capacity_mbps,
        by=None if by is None else Kind(by.value),
        with_trend=with_trend,
    )


def _show(found: "Metrics", *, json: bool, lines: bool) -> None:
    from wedsync_ops.cli.render import emit, emit_raw, to_json
    from wedsync_ops.metrics.actions import to_document

    if json and lines:
        emit_raw([to_json(to_document(found)), b"\n"])
    elif json:
        emit("metrics", to_document(found))
    else:
        _print(found)
        _print_trends(found)
        _print_groups(found)


def _print_trends(found: "Metrics") -> None:
    from wedsync_ops.cli.render import table
    from wedsync_ops.metrics.spark import spark

    rows = [(item.module_type, spark(item.trend), item.availability) for item in found.modules if any(item.trend)]
    if rows:
        table(("Module", "Executions over the range", ">In time %"), rows)


def _print_groups(found: "Metrics") -> None:
    from wedsync_ops.cli.render import table
    from wedsync_ops.metrics.actions import group_name

    if found.by is None:
        return
    rows = [
        (
            group_name(group, found.by),
            group.counts.total,
            group.counts.failed,
            group.error_rate,
            group.times.average_ms,
            group.times.p95_ms,
            group.throughput,
            group.availability,
        )
        for group in found.groups
    ]
    name = found.by.value.replace("-", " ").capitalize()
    table((name, ">Runs", ">Failed", ">Error %", ">Mean ms", ">p95 ms", ">/min", ">In time %"), rows)


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
