"""``check``: one line and an exit code for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import group
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.jobs.schedules import Standing

app = group("Check something for monitoring: exit code 0 ok, 1 warning, 2 critical, 3 unknown.")

WORDS = ("ok", "warning", "critical")
_UNWELL = ("missed", "refused")


@app.command()
def schedule(
    context: typer.Context,
    warning: Annotated[
        float, typer.Option(metavar="S", min=0, callback=finite, help="Seconds late that are a warning.")
    ] = 60.0,
    critical: Annotated[
        float, typer.Option(metavar="S", min=0, callback=finite, help="Seconds late that are critical.")
    ] = 300.0,
    json: Json = False,
) -> int:
    """Check that recurring schedules fire in time, and that the last fire of each was neither missed nor refused."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs import schedules

    if critical < warning:
        raise UsageError("--critical is less than --warning")
    with opened(context) as opened_app:
        found = schedules.standings(opened_app.queue())
    rows = [_row(one) for one in found]
    late = [row for row in rows if row["lag_s"] > warning]
    unwell = [row for row in rows if row["state"] == "ahead" or _has_failed(row)]
    code = 2 if any(row["lag_s"] > critical for row in late) else 1 if late or unwell else 0
    message = _message(len(rows), late, unwell)
    if json:
        emit("check-schedule", {"status": WORDS[code], "message": message, "late": late, "unwell": unwell})
    else:
        say(f"SCHEDULE {WORDS[code].upper()}: {message}")
    return code


def _message(count: int, late: list[dict[str, Any]], unwell: list[dict[str, Any]]) -> str:
    parts = [f"{row['id']} is {row['lag_s']:,.0f} s late" for row in late]
    parts += [f"the last fire of {row['id']} was {row['last_outcome']}" for row in unwell if _has_failed(row)]
    parts += [f"{row['id']} was fired by a clock that was ahead" for row in unwell if row["state"] == "ahead"]
    return "; ".join(parts) or f"{count} schedules, none of them late"


def _has_failed(row: dict[str, Any]) -> bool:
    return row["last_outcome"] in _UNWELL and row["state"] not in ("paused", "ahead")


def _row(one: "Standing") -> dict[str, Any]:
    return {
        "id": one.schedule.id,
        "state": one.state,
        "lag_s": one.lag_us / 1_000_000,
        "last_outcome": None if one.last is None else one.last.fire.outcome.value,
        "reason": None if one.last is None else one.last.fire.reason,
    }
