"""``alerts test``: what rules would have done with a series of figures, recorded or written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json, read_input
from wedsync_ops.errors import InvalidDefinitions, InvalidInput, UsageError

if TYPE_CHECKING:
    from wedsync_ops.alerts.model import Rule
    from wedsync_ops.alerts.replay import Happened, Series
    from wedsync_ops.app import App

_DAY_US = 86_400_000_000


def try_rules(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="A series of figures, YAML or NDJSON; else --since.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="RANGE", help="What was recorded lately: 30m, 6h, at most 1d.")
    ] = None,
    rules: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A definition file with the own rules to try; else those in force."),
    ] = None,
    json: Json = False,
) -> None:
    """Try rules on a series: which alerts would open and resolve, and when. Writes nothing."""
    from wedsync_ops.alerts.alerter import targets
    from wedsync_ops.alerts.replay import replay
    from wedsync_ops.cli.opening import opened

    if (file is None) == (since is None):
        raise UsageError("either a FILE or --since is needed", hint="see 'wedsync-ops alerts test --help'")
    if file == "-" and rules == "-":
        raise UsageError("only one of FILE and --rules can be '-'")
    with opened(context) as opened_app:
        tried = _rules(opened_app, rules)
        series = _recorded(opened_app, since) if since is not None else _written(file or "-")
        happened = replay(tried, series, targets(opened_app.rules()))
    _print(happened, tried, json=json)


def _rules(app: "App", file: str | None) -> "Sequence[Rule]":
    from wedsync_ops import yamldoc
    from wedsync_ops.alerts import actions
    from wedsync_ops.alerts.definitions import parse
    from wedsync_ops.alerts.rules import together
    from wedsync_ops.codec import MAX_BYTES

    if file is None:
        return actions.rules(app.database)
    raw = read_input(file, MAX_BYTES)
    yamldoc.read(raw)
    parsed = parse(raw)
    if parsed is None:
        raise InvalidInput(f"{file} says nothing of alerts", hint="alerts: is a list beside modules:")
    if parsed.problems:
        first = parsed.problems[0]
        details = [{"line": one.line, "path": one.path, "message": one.message} for one in parsed.problems]
        raise InvalidDefinitions(f"{file}, line {first.line}: {first.path}: {first.message}", hint="", details=details)
    return together(parsed.rules)


def _written(file: str) -> "Series":
    from wedsync_ops.alerts.replay import LARGEST, read

    return read(read_input(file, LARGEST))


def _recorded(app: "App", since: str) -> "Series":
    from wedsync_ops.alerts import actions
    from wedsync_ops.metrics.actions import parse_range

    length = parse_range(since)
    if length > _DAY_US:
        raise UsageError("--since reaches at most 1d back", hint="executions are kept by the minute for a day")
    now = app.clock.now()
    return actions.recorded(app.database, now - length, now, app.calendar.zone)


def _print(happened: "Sequence[Happened]", rules: "Sequence[Rule]", *, json: bool) -> None:
    from wedsync_ops.cli.render import emit, moment, say, table

    if json:
        emit("alerts-test", {"rules": len(rules), "events": [_document(one) for one in happened]})
        return
    if not happened:
        say(f"nothing would have happened ({len(rules)} rules)")
        return
    table(
        ("At", "What", "Rule", "Severity", "Message"),
        [(moment(one.at), one.kind, one.alert.rule, one.alert.severity, one.alert.message) for one in happened],
    )


def _document(one: "Happened") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    alert = one.alert
    return {
        "at": iso(one.at),
        "kind": one.kind,
        "key": alert.key,
        "rule": alert.rule,
        "type": alert.type,
        "severity": alert.severity,
        "module_type": alert.module_type,
        "value": alert.value,
        "threshold": alert.threshold,
        "message": alert.message,
    }
