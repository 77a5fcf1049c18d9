"""``alerts``: what is wrong, since when, which weddings it concerns; acknowledge, silence, try rules out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import group
from wedsync_ops.cli.notify import deliveries, notify_check, notify_test
from wedsync_ops.cli.trying import try_rules
from wedsync_ops.errors import UsageError, quoted

if TYPE_CHECKING:
    from wedsync_ops.alerts.model import Alert, AlertState, AlertType, Rule, Silence

app = group("See what is wrong; acknowledge, silence, try rules out.")
app.command("test")(try_rules)
app.command("notify-check")(notify_check)
app.command("notify-test")(notify_test)
app.command("deliveries")(deliveries)

_LARGEST = 2**63 - 1
_Limit = Annotated[int, typer.Option(metavar="N", min=0, max=_LARGEST, help="At most so many; 0 = all.")]
_Ids = Annotated[list[int], typer.Argument(metavar="ID...", min=1, max=_LARGEST, help="Alerts, by id.")]


@app.command("list")
def list_alerts(
    context: typer.Context,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only in this state; can be repeated."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also pending and resolved ones.")] = False,
    limit: _Limit = 100,
    json: Json = False,
) -> None:
    """List the open alerts: critical ones first, then the longest."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, say, table

    states = [_state(word) for word in state or ()]
    with opened(context) as opened_app:
        found = actions.list_alerts(opened_app.database, states=states, every=every, limit=limit)
        standing = actions.standing(opened_app.database, opened_app.clock)
    if json:
        from wedsync_ops.instants import iso

        rows = [actions.to_document(alert) for alert in found]
        emit("alerts", {"alerts": rows, "evaluated_at": iso(standing.evaluated_at)})
        return
    table(
        (">Id", "Severity", "State", "Since", "What", "Soonest wedding"),
        [(one.id, one.severity, one.state, moment(one.since), one.message, _soonest(one)) for one in found],
    )
    if standing.is_stale:
        say(f"last evaluated: {moment(standing.evaluated_at) or 'never'}; see 'wedsync-ops maintenance run alerts'")


@app.command()
def show(
    context: typer.Context,
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=_LARGEST, help="An alert's id.")],
    json: Json = False,
) -> None:
    """Show an alert: how bad it is, which weddings it concerns, what to do, and everything that happened to it."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, facts, moment, say, table

    with opened(context) as opened_app:
        alert, events = actions.show(opened_app.database, alert_id)
    if json:
        document = {**actions.to_document(alert), "events": [actions.event_document(event) for event in events]}
        emit("alert", {"alert": document})
        return
    facts(_facts(alert))
    if alert.weddings:
        say("")
        table(
            ("Wedding", "Client", "Supplier", ">Job"),
            [(one.wedding_on, one.client_id, one.supplier_id, one.job_id) for one in alert.weddings],
        )
    say("")
    table(
        ("At", "What", "State", "By", "Note"),
        [(moment(one.at), one.kind, one.alert.state, one.actor, one.note) for one in events],
    )


@app.command()
def ack(
    context: typer.Context,
    ids: _Ids,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What is being done, for others to read.")] = None,
    json: Json = False,
) -> None:
    """Acknowledge alerts: somebody is at it, and they are not told again."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened

    with opened(context) as opened_app:
        done = actions.acknowledge(opened_app.database, opened_app.clock, ids, note=note)
    _tell("ack", "acknowledged", done, json=json)


@app.command()
def resolve(
    context: typer.Context,
    ids: _Ids,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is over, for others to read.")] = None,
    json: Json = False,
) -> None:
    """Say that alerts are over that have no data; what still holds opens anew."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened

    with opened(context) as opened_app:
        done = actions.resolve(opened_app.database, opened_app.clock, ids, note=note)
    _tell("resolve", "resolved", done, json=json)


def _tell(command: str, word: str, done: "Sequence[Alert]", *, json: bool) -> None:
    """Say to which alerts something was done."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.render import answering, emit, say

    said = f"{word}: {_numbered(done)}"
    with answering(said):
        if json:
            emit(f"alerts-{command}", {"alerts": [actions.to_document(alert) for alert in done]})
        else:
            say(said)


@app.command()
def silence(
    context: typer.Context,
    alert_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, max=_LARGEST, help="One alert; else --type or --module.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for others to read.")] = "",
    type_: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="All alerts of this type.")] = None,
    module: Annotated[str | None, typer.Option(metavar="MODULE", help="All alerts of this module type.")] = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="LENGTH", help="For how long: 30m, 2h, 1d.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Or until when (ISO 8601).")] = None,
    json: Json = False,
) -> None:
    """Let nobody hear of some alerts for a while; they are evaluated all the same."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, moment, say
    from wedsync_ops.metrics.actions import parse_range

    if alert_id is None and type_ is None and module is None:
        raise UsageError("what to silence is missing", hint="give an alert's id, --type or --module")
    if alert_id is not None and (type_ is not None or module is not None):
        raise UsageError("an alert's id excludes --type and --module")
    if (for_ is None) == (until is None):
        raise UsageError("either --for or --until is needed")
    if not reason.strip():
        raise UsageError("--reason is needed", hint="say why, for whoever wonders later")
    hush = actions.Hush(alert_id=alert_id, type=None if type_ is None else _type(type_), module_type=module)
    with opened(context) as opened_app:
        if module is not None:
            opened_app.rules().registry.pointer(module)  # a typing error would silence nothing
        end = instant_of(until, "--until", opened_app.calendar.zone)
        if end is None:
            end = opened_app.clock.now() + parse_range(for_ or "")
        made, changed = actions.silence(opened_app.database, opened_app.clock, hush, until=end, reason=reason)
    said = f"silence {made.id} until {moment(made.until)}; silent now: {_numbered(changed)}"
    with answering(said):
        if json:
            emit("alerts-silence", {"silence": _silence(made), "alerts": [one.id for one in changed]})
        else:
            say(said)


@app.command()
def unsilence(
    context: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="SILENCE...", min=1, max=_LARGEST, help="Silences, by id.")],
    json: Json = False,
) -> None:
    """End silences before their time."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import answering, emit, say

    ids = list(dict.fromkeys(ids))
    with opened(context) as opened_app:
        changed = actions.unsilence(opened_app.database, opened_app.clock, ids)
    said = f"ended: silence {', '.join(map(str, ids))}; told again: {_numbered(changed)}"
    with answering(said):
        if json:
            emit("alerts-unsilence", {"silences": ids, "alerts": [one.id for one in changed]})
        else:
            say(said)


@app.command()
def silences(context: typer.Context, json: Json = False) -> None:
    """List the silences that hold now."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table

    with opened(context) as opened_app:
        found = actions.silences_in_force(opened_app.database, opened_app.clock)
    if json:
        emit("alerts-silences", {"silences": [_silence(one) for one in found]})
        return
    table(
        (">Silence", ">Alert", "Type", "Module", "Until", "By", "Why"),
        [
            (one.id, one.alert_id, one.type, one.module_type, moment(one.until), one.created_by, one.reason)
            for one in found
        ],
    )


@app.command()
def rules(context: typer.Context, json: Json = False) -> None:
    """List the rules that are in force, built-in and own ones."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.alerts.measure import span
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, table

    with opened(context) as opened_app:
        found = actions.rules(opened_app.database)
    if json:
        emit("alerts-rules", {"rules": [_rule(rule) for rule in found]})
        return
    table(
        ("Rule", "Severity", "Condition", "For"),
        [(rule.name, rule.severity, _condition(rule), span(rule.for_us)) for rule in found],
    )


@app.command()
def history(
    context: typer.Context,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Since when (ISO 8601).")] = None,
    limit: _Limit = 100,
    json: Json = False,
) -> None:
    """List what happened to alerts, the latest first."""
    from wedsync_ops.alerts import actions
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit, moment, table

    with opened(context) as opened_app:
        start = instant_of(since, "--since", opened_app.calendar.zone)
        found = actions.history(opened_app.database, since=start or 0, limit=limit)
    if json:
        emit("alerts-history", {"events": [actions.event_document(event) for event in found]})
        return
    table(
        (">Event", "At", ">Alert", "What", "Severity", "Message", "By"),
        [
            (one.id, moment(one.at), one.alert_id, one.kind, one.alert.severity, one.alert.message, one.actor)
            for one in found
        ],
    )


def _state(word: str) -> "AlertState":
    from wedsync_ops.alerts.model import AlertState

    return AlertState(_one_of(word, "--state", tuple(AlertState)))


def _type(word: str) -> "AlertType":
    from wedsync_ops.alerts.model import AlertType

    return AlertType(_one_of(word, "--type", tuple(AlertType)))


def _one_of(word: str, option: str, known: Sequence[str]) -> str:
    if word not in known:
        raise UsageError(f"{option}: there is no {quoted(word)}", hint=f"use one of {', '.join(known)}")
    return word


def _soonest(alert: "Alert") -> str | None:
    return alert.weddings[0].wedding_on if alert.weddings else None


def _numbered(found: "Sequence[Alert]") -> str:
    return ", ".join(f"alert {alert.id}" for alert in found) or "none"


def _facts(alert: "Alert") -> list[tuple[str, Any]]:
    from wedsync_ops.cli.render import moment

    return [
        ("Alert", alert.id),
        ("What", alert.message),
        ("Type", alert.type),
        ("Severity", alert.severity),
        ("State", alert.state),
        ("Module", alert.module_type),
        ("Since", moment(alert.since)),
        ("Value", alert.value),
        ("Worst", alert.worst),
        ("Threshold", alert.threshold),
        ("Acknowledged by", alert.acknowledged_by),
        ("Silenced until", moment(alert.silenced_until)),
        ("No data since", moment(alert.missing_since)),
        ("Resolved", moment(alert.resolved_at)),
        ("Runbook", alert.runbook),
        ("Run next", alert.command),
    ]


def _silence(one: "Silence") -> dict[str, Any]:
    from wedsync_ops.instants import iso

    return {
        "id": one.id,
        "alert_id": one.alert_id,
        "type": one.type,
        "module_type": one.module_type,
        "reason": one.reason,
        "created_by": one.created_by,
        "created_at": iso(one.created_at),
        "until": iso(one.until),
    }


def _rule(rule: "Rule") -> dict[str, Any]:
    return {
        "name": rule.name,
        "type": rule.type,
        "metric": rule.metric,
        "severity": rule.severity,
        "threshold": rule.threshold,
        "below": rule.below,
        "clears_at": rule.clears_at,
        "critical": rule.critical,
        "per_module": rule.per_module,
        "modules": None if rule.modules is None else sorted(rule.modules),
        "window_s": rule.window_us / 1_000_000,
        "short_window_s": None if rule.short_us is None else rule.short_us / 1_000_000,
        "slo": rule.slo_percent,
        "minimum": rule.minimum,
        "for_s": rule.for_us / 1_000_000,
        "clear_for_s": rule.clear_for_us / 1_000_000,
        "repeat_s": rule.repeat_us / 1_000_000,
        "runbook": rule.runbook_of,
    }


def _condition(rule: "Rule") -> str:
    side = "below" if rule.below else "above"
    threshold = "the module type's own target" if rule.threshold is None else f"{rule.threshold:g}"
    return f"{rule.metric} {side} {threshold}"
