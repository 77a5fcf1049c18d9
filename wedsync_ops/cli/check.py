"""``check``: one line and an exit code for monitoring: 0 ok, 1 warning, 2 critical, 3 unknown."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.exits import UNKNOWN
from wedsync_ops.cli.inputs import Json, bound, in_order
from wedsync_ops.cli.lazy import group
from wedsync_ops.cli.readying import check_readiness
from wedsync_ops.cli.telling import check_notify

if TYPE_CHECKING:
    from wedsync_ops.jobs.schedules import Standing
    from wedsync_ops.operations.verdict import Verdict

app = group("Check something for monitoring: exit code 0 ok, 1 warning, 2 critical, 3 unknown.")
app.command("notify")(check_notify)
app.command("readiness")(check_readiness)

WORDS = ("ok", "warning", "critical")
STATUS = (*WORDS, "unknown")
_NAMED = 3
_UNWELL = ("missed", "refused")


@app.command()
def schedule(
    context: typer.Context,
    warning: Annotated[float, bound("S", "Seconds late that are a warning.")] = 60.0,
    critical: Annotated[float, bound("S", "Seconds late that are critical.")] = 300.0,
    json: Json = False,
) -> int:
    """Check that recurring schedules fire in time, and that the last fire of each was neither missed nor refused."""
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.jobs import schedules
    from wedsync_ops.jobs.actions import Queue

    in_order(warning, critical)
    with observed(context) as site:
        found = schedules.standings(Queue(site.database, site.clock, site.rules))
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
def queue(
    context: typer.Context,
    warning: Annotated[float, bound("S", "Seconds that the next job of a lane may have been due.")] = 300.0,
    critical: Annotated[float, bound("S", "Seconds that are critical.")] = 900.0,
    warning_waiting: Annotated[float, bound("N", "Waiting jobs that are a warning.")] = 1_000.0,
    critical_waiting: Annotated[float, bound("N", "Waiting jobs that are critical.")] = 10_000.0,
    urgent: Annotated[float, bound("S", "Seconds after which a due job of critical priority is critical.")] = 60.0,
    json: Json = False,
) -> int:
    """Check that not too many jobs wait, and none for too long."""
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.operations.health import QueueBounds, check_queue

    bounds = QueueBounds(
        waiting=in_order(warning_waiting, critical_waiting, "-waiting"),
        late_s=in_order(warning, critical),
        urgent_s=urgent,
    )
    with observed(context) as site:
        return _told(check_queue(site, bounds), json=json)


@app.command()
def workers(
    context: typer.Context,
    least: Annotated[int, typer.Option("--least", metavar="N", min=0, help="Workers that must live.")] = 1,
    stuck_after: Annotated[float, bound("S", "Seconds that it may leave a due job, or let one overrun.")] = 60.0,
    json: Json = False,
) -> int:
    """Check that enough workers live, and that those that live also work."""
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.operations.health import WorkersBounds, check_workers

    with observed(context) as site:
        return _told(check_workers(site, WorkersBounds(least, stuck_after)), json=json)


@app.command()
def database(
    context: typer.Context,
    warning: Annotated[float, bound("MS", "Milliseconds to an answer that are a warning.")] = 250.0,
    critical: Annotated[float, bound("MS", "Milliseconds that are critical.")] = 2_000.0,
    warning_wal: Annotated[float, bound("MB", "MB of SQLite's write-ahead log that are a warning.")] = 64.0,
    critical_wal: Annotated[float, bound("MB", "MB of it that are critical.")] = 1_024.0,
    warning_connections: Annotated[float, bound("PERCENT", "Of PostgreSQL's connections, a warning.")] = 80.0,
    critical_connections: Annotated[float, bound("PERCENT", "Of PostgreSQL's connections, critical.")] = 95.0,
    json: Json = False,
) -> int:
    """Check that the database answers in time and can be written."""
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.operations.health import DatabaseBounds, check_database_at

    bounds = DatabaseBounds(
        in_order(warning, critical),
        in_order(warning_wal, critical_wal, "-wal"),
        in_order(warning_connections, critical_connections, "-connections"),
    )
    return _told(check_database_at(lambda: observed(context), bounds), json=json)


@app.command()
def disk(
    context: typer.Context,
    warning: Annotated[float, bound("PERCENT", "Free space or inodes that are a warning.")] = 10.0,
    critical: Annotated[float, bound("PERCENT", "Free space or inodes that are critical.")] = 5.0,
    json: Json = False,
) -> int:
    """Check that there are space and inodes where the platform writes."""
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.operations.health import DiskBounds, check_disk, places

    bounds = DiskBounds(in_order(warning, critical, below=True))
    return _told(check_disk(places(load_settings(context).settings), bounds), json=json)


def _told(verdict: "Verdict", *, json: bool) -> int:
    """Print what a check came to, with its figures behind a bar as monitoring plugins do; its exit code."""
    from wedsync_ops.cli.render import emit, say

    if json:
        emit(f"check-{verdict.name}", document(verdict))
    else:
        figures = " ".join(figure.perfdata for figure in verdict.figures)
        said = f"{verdict.name.upper()} {verdict.status.word.upper()}: {verdict.message.replace('|', '/')}"
        say(f"{said} | {figures}" if figures else said)
    return int(verdict.status)


def document(verdict: "Verdict") -> dict[str, Any]:
    """A verdict as JSON."""
    return {
        "status": verdict.status.word,
        "message": verdict.message,
        "reasons": [
            {"status": reason.status.word, "code": reason.code, "message": reason.words} for reason in verdict.reasons
        ],
        "figures": {figure.label: {"value": figure.value, "unit": figure.unit} for figure in verdict.figures},
    }


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
    from wedsync_ops.cli.opening import observed
    from wedsync_ops.cli.render import emit, moment, say
    from wedsync_ops.instants import iso

    counted = {AlertState.FIRING, AlertState.NO_DATA} | ({AlertState.ACKNOWLEDGED} if acknowledged else set())
    with observed(context) as site:
        standing = actions.standing(site.database, site.clock)
    open_ = [alert for alert in standing.alerts if alert.state in counted]
    code = _alerts_code([alert.severity for alert in open_], is_stale=standing.is_stale)
    told = "; ".join(f"{alert.type}: {alert.message}" for alert in open_[:_NAMED])
    message = told + (f"; and {len(open_) - _NAMED} more" if len(open_) > _NAMED else "")
    if standing.is_stale:
        at = moment(standing.evaluated_at)
        last = f"the rules were last evaluated {at}" if at else "the rules have not been evaluated yet"
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
