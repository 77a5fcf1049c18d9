"""``top``: the live platform on one screen."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli import exits
from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import ExtraMissing

if TYPE_CHECKING:
    from wedsync_ops.app import App
    from wedsync_ops.top.gather import Watcher
    from wedsync_ops.top.port import Alerts

app = single()


@app.command()
def top(
    context: typer.Context,
    interval: Annotated[
        float, typer.Option(metavar="S", min=0.2, max=3600, callback=finite, help="How often it looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one look as text, and end.")] = False,
    json: Json = False,
) -> int:
    """Watch lanes, workers, times, dead letters and alerts live; pause, retry, cancel, acknowledge, explain.

    Off a terminal, and on one that can draw nothing (TERM=dumb), it is one look as text.
    """
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.top.alerting import RaisedAlerts
    from wedsync_ops.top.gather import Watcher

    live = not (once or json) and _can_draw()
    if live:
        _require_textual()
    with opened(context) as opened_app:
        alerts = RaisedAlerts(opened_app.database, opened_app.clock)
        watcher = Watcher(opened_app.database, opened_app.clock, opened_app.rules(), alerts)
        if live:
            return _watch(opened_app, watcher, alerts, interval)
        return _once(watcher, json=json)


def _can_draw() -> bool:
    from wedsync_ops.cli.render import console

    return sys.stdin.isatty() and sys.stdout.isatty() and not console().is_dumb_terminal


def _require_textual() -> None:
    try:
        import textual  # noqa: F401 - whether it is there
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "the live screen needs textual, which is not installed",
            hint="pip install 'wedsync-ops[top]', or give --once for one look as text",
        ) from error


def _once(watcher: "Watcher", *, json: bool) -> int:
    from wedsync_ops.cli.render import emit, emit_raw, width
    from wedsync_ops.top.document import to_document
    from wedsync_ops.top.words import page

    frame = watcher.read()
    if json:
        emit("top", to_document(frame))
    else:
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") not in ("utf8", "utf16")
        lines = page(frame, width=width(), ascii_only=ascii_only)
        emit_raw([line.encode("utf-8", "replace") + b"\n" for line in lines])
    return exits.DONE


def _watch(opened_app: "App", watcher: "Watcher", alerts: "Alerts", interval: float) -> int:
    import logging

    from wedsync_ops.top.acts import Acts
    from wedsync_ops.top.screen import Top

    logging.getLogger("wedsync_ops").handlers = [logging.NullHandler()]  # a line of the log would lie over the screen
    code = Top(watcher, Acts(opened_app.queue, alerts), interval).run()
    return exits.DONE if code is None else code
