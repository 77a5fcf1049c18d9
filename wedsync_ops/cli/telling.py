"""``check notify``: whether people are told of alerts."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json, bound, in_order

if TYPE_CHECKING:
    from wedsync_ops.alerts.store.deliveries import Trouble
    from wedsync_ops.settings import Settings

_STATUS = ("ok", "warning", "critical")


def check_notify(
    context: typer.Context,
    warning: Annotated[float, bound("S", "Seconds that a page is late by, a warning.")] = 60.0,
    critical: Annotated[float, bound("S", "Seconds that a page is late by, critical.")] = 300.0,
    json: Json = False,
) -> int:
    """Check that people can be told of alerts: that the file is right, and no page is late or was given up lately."""
    from wedsync_ops.alerts.store import deliveries
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.instants import HOUR, SECOND

    in_order(warning, critical)
    with observed(context) as site, site.database.reading() as connection:
        now, settings = site.clock.now(), site.rules.settings
        found = deliveries.troubles(connection, late=now - round(warning * SECOND), failed_since=now - HOUR)
        wrong = _what_is_wrong(settings)
    rows = [_document(one, now) for one in found]
    is_critical = any(row["failed"] or (row["late_s"] or 0) > critical for row in rows)
    code = 2 if is_critical or (wrong and settings.notify) else 1 if rows or wrong else 0
    message = "; ".join([*([wrong] if wrong else []), *map(_told, rows)]) or "no page is late, and none was given up"
    if json:
        emit("check-notify", {"status": _STATUS[code], "message": message, "channels": rows})
    else:
        say(f"NOTIFY {_STATUS[code].upper()}: {message}")
    return code


def _what_is_wrong(settings: "Settings") -> str | None:
    """Why nobody is told at all, if so."""
    from wedsync_ops.alerts.notifying import read_file
    from wedsync_ops.errors import InputFileError

    if settings.notify is None:
        return "nobody is told of alerts: the setting notify names no file"
    try:
        problems = read_file(settings.notify, settings.timezone).problems
    except InputFileError as error:
        return str(error)
    if not problems:
        return None
    first = problems[0]
    return f"{settings.notify}, line {first.line}: {first.path}: {first.message}"


def _document(one: "Trouble", now: int) -> dict[str, Any]:
    late_s = None if one.late_since is None else (now - one.late_since) / 1_000_000
    return {"channel": one.channel, "late": one.late, "late_s": late_s, "failed": one.failed, "error": one.error}


def _told(row: dict[str, Any]) -> str:
    parts = []
    if row["late"]:
        parts.append(f"{row['late']} late over {row['channel']}, the oldest by {row['late_s']:,.0f} s")
    if row["failed"]:
        parts.append(f"{row['failed']} given up over {row['channel']} in the last hour")
    return ", ".join(parts) + (f" ({row['error']})" if row["error"] else "")
