"""``alerts notify-check``, ``notify-test`` and ``deliveries``: who is told of alerts, and whether that works."""

from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.errors import InvalidInput, NotFound, SettingError, UsageError, WedsyncError, quoted

if TYPE_CHECKING:
    from wedsync_ops.alerts.notify_model import Channel, Plan
    from wedsync_ops.alerts.store.deliveries import Delivery
    from wedsync_ops.modules.model import Problem
    from wedsync_ops.settings import Settings

_LARGEST = 2**63 - 1


def notify_check(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A file of channels and routes; else the setting notify.")
    ] = None,
    no_secrets: Annotated[
        bool, typer.Option("--no-secrets", help="Don't look whether the secrets are there: for another machine.")
    ] = False,
    json: Json = False,
) -> None:
    """Check the file of channels and routes: everything that is wrong, each with its line. Sends nothing."""
    from wedsync_ops.alerts.notifying import read_file
    from wedsync_ops.cli.render import answering, emit, say, table

    settings = _settings(context)
    chosen = _file(settings, file)
    plan, problems = read_file(chosen, settings.timezone)
    channels = [] if plan is None else [_readiness(one, plan, settings, look=not no_secrets) for one in plan.channels]
    heartbeat = None if plan is None or no_secrets else _heartbeat_error(plan)
    count = len(problems) + sum(one["error"] is not None for one in channels) + (heartbeat is not None)
    failure = None
    if count:
        failure = InvalidInput(f"{chosen}: {count} problem{'s' if count > 1 else ''}", hint="each is named above")
    with answering(None, failure):
        if json:
            found = [{"line": one.line, "path": one.path, "message": one.message} for one in problems]
            document = {"file": str(chosen), "is_valid": failure is None, "problems": found}
            emit("alerts-notify-check", {**document, "channels": channels, "heartbeat_error": heartbeat})
            return
        for one in problems:
            say(_told(one))
        if channels:
            rows = [(one["name"], one["type"], one["error"] or "ready") for one in channels]
            table(("Channel", "Type", "State"), rows)
        if heartbeat is not None:
            say(heartbeat)


def notify_test(
    context: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="A channel of the file that notify names.")],
    json: Json = False,
) -> None:
    """Send a test over a channel, now, and say what became of it. Nothing is retried."""
    from wedsync_ops.alerts.channels.opened import sender
    from wedsync_ops.alerts.notify_model import Kind, Message
    from wedsync_ops.alerts.notifying import read_file
    from wedsync_ops.app import site_of
    from wedsync_ops.cli.render import answering, emit, say
    from wedsync_ops.clock import SystemClock

    settings, clock = _settings(context), SystemClock()
    file = _file(settings, None)
    plan, problems = read_file(file, settings.timezone)
    if plan is None:
        raise InvalidInput(f"{file}: {_told(problems[0])}", hint="see 'wedsync-ops alerts notify-check'")
    found = plan.channel(channel)
    if found is None:
        known = ", ".join(one.name for one in plan.channels)
        raise NotFound(f"there is no channel {quoted(channel)}", hint=f"there are {known}" if known else None)
    message = Message(f"ntf_test_{token_hex(8)}", Kind.TEST, clock.now(), ())
    ready, began = sender(found, plan, site_of(settings), clock), clock.monotonic()
    outcome = ready.send(message)
    took_ms = round((clock.monotonic() - began) * 1000, 3)
    failure = None if outcome.error is None else WedsyncError(f"the channel {channel} failed: {outcome.error}")
    with answering("the test was sent", failure):
        if json:
            document = {"channel": channel, "type": found.kind, "message_id": message.id}
            emit(
                "alerts-notify-test",
                {**document, "sent": failure is None, "error": outcome.error, "took_ms": took_ms},
            )
        elif failure is None:
            say(f"sent over {channel} in {took_ms:.0f} ms")


def deliveries(
    context: typer.Context,
    alert_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=_LARGEST, help="Only of this alert.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only pending, sent, cancelled or failed; can be repeated."),
    ] = None,
    channel: Annotated[str | None, typer.Option(metavar="CHANNEL", help="Only over this channel.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many; 0 = all.")] = 100,
    json: Json = False,
) -> None:
    """List who was told of what, over which channel, and what waits or failed; the latest first."""
    from wedsync_ops.alerts.notify_model import DeliveryState
    from wedsync_ops.alerts.store import deliveries as store
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table

    states = state or []
    unknown = next((word for word in states if word not in list(DeliveryState)), None)
    if unknown is not None:
        raise UsageError(f"there is no state {quoted(unknown)}", hint=f"use one of {', '.join(DeliveryState)}")
    with opened(context) as app, app.database.reading() as connection:
        found = store.show(connection, states, channel, alert_id, limit or _LARGEST)
        counts = {one.value: store.counts(connection).get(one.value, 0) for one in DeliveryState}
    if json:
        emit("alerts-deliveries", {"deliveries": [_document(one) for one in found], "counts": counts})
        return
    table(
        (">Alert", "Channel", "What", "State", ">Attempts", "When", "Error"),
        [
            (
                one.alert_id,
                one.channel,
                one.kind,
                one.state,
                one.attempts,
                moment(one.ended_at or one.next_at),
                one.error,
            )
            for one in found
        ],
    )


def _settings(context: typer.Context) -> "Settings":
    """The settings, and the log on standard error; the database is not needed, and may be what is down."""
    from wedsync_ops.cli.logged import log_to_stderr
    from wedsync_ops.cli.opening import load_settings

    settings = load_settings(context).settings
    log_to_stderr(settings.log_level, settings.log_format)
    return settings


def _file(settings: "Settings", given: Path | None) -> Path:
    file = given or settings.notify
    if file is None:
        raise SettingError("the setting notify names no file", hint="set it to a file of channels and routes")
    return file


def _told(problem: "Problem") -> str:
    place = f" {problem.path}:" if problem.path else ""
    return f"line {problem.line}:{place} {problem.message}"


def _readiness(channel: "Channel", plan: "Plan", settings: "Settings", *, look: bool) -> dict[str, Any]:
    from wedsync_ops.alerts.channels.opened import sender
    from wedsync_ops.app import site_of
    from wedsync_ops.clock import SystemClock

    error = None
    if look:
        try:
            sender(channel, plan, site_of(settings), SystemClock())
        except WedsyncError as problem:
            error = str(problem)
    return {"name": channel.name, "type": channel.kind, "error": error}


def _heartbeat_error(plan: "Plan") -> str | None:
    from wedsync_ops.alerts.channels.opened import address

    if plan.heartbeat is None:
        return None
    try:
        address(plan.heartbeat.url, "the URL of the heartbeat")
    except WedsyncError as problem:
        return str(problem)
    return None


def _document(one: "Delivery") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": one.id,
        "alert_id": one.alert_id,
        "event_id": one.event_id,
        "channel": one.channel,
        "kind": one.kind,
        "route": one.route,
        "state": one.state,
        "attempts": one.attempts,
        "message_id": one.message_id,
        "planned_at": iso(one.planned_at),
        "due_at": iso(one.due_at),
        "next_at": iso(one.next_at) if one.ended_at is None else None,
        "ended_at": iso(one.ended_at),
        "error": one.error,
    }
