"""``check``: one line and an exit code for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.exits import UNKNOWN
from wedsync_ops.cli.inputs import Json, finite
from wedsync_ops.cli.lazy import group
from wedsync_ops.cli.telling import check_notify
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from wedsync_ops.jobs.schedules import Standing

app = group("Check something for monitoring: exit code 0 ok, 1 warning, 2 critical, 3 unknown.")
app.command("notify")(check_notify)

WORDS = ("ok", "warning", "critical")
STATUS = (*WORDS, "unknown")
_NAMED = 3
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


@app.command()
def alerts(
    context: typer.Context,
    acknowledged: Annotated[
        bool, typer.Option("--acknowledged", help="Also count those that somebody acknowledged.")
    ] = False,
    json: Json = False,
) -> int:
    """Check that no alert is open that nobody has acknowledged or silenced, and that the rules are evaluated."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.alerts.model import AlertState
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, say
    from wedsync_ops.instants import iso

    counted = {AlertState.FIRING, AlertState.NO_DATA} | ({AlertState.ACKNOWLEDGED} if acknowledged else set())
    with opened(context) as opened_app:
        standing = actions.standing(opened_app.database, opened_app.clock)
    open_ = [alert for alert in standing.alerts if alert.state in counted]
    code = _alerts_code([alert.severity for alert in open_], is_stale=standing.is_stale)
    told = "; ".join(f"{alert.type}: {alert.message}" for alert in open_[:_NAMED])
    message = told + (f"; and {len(open_) - _NAMED} more" if len(open_) > _NAMED else "")
    if standing.is_stale:
        last = f"the rules were last evaluated {moment(standing.evaluated_at) or 'never'}"
        message = f"{last}; {message}" if message else last
    others = len(standing.alerts) - len(open_)
    message = message or "no alert is open" + (f" but {others} acknowledged or silenced" if others else "")
    if json:
        document = {"alerts": [actions.to_document(alert) for alert in open_], "others": others}
        emit(
            "check-alerts",
            {"status": STATUS[code], "message": message, "evaluated_at": iso(standing.evaluated_at), **document},
        )
    else:
        say(f"ALERTS {STATUS[code].upper()}: {message}")
    return code


def _alerts_code(severities: list[str], *, is_stale: bool) -> int:
    """A critical alert is critical whatever else; when nothing was evaluated lately nobody knows."""
    if "critical" in severities:
        return 2
    if is_stale:
        return UNKNOWN
    return 1 if severities else 0


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
