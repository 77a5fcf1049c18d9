"""What came of a simulation, for people: tables that fit the terminal."""

import sys
from collections.abc import Sequence
from typing import Any

from wedsync_ops.cli.render import facts, moment, paragraph, prose, say, table
from wedsync_ops.metrics.spark import spark
from wedsync_ops.planning.simulate.model import Answer
from wedsync_ops.planning.simulate.report import document, grouped, hourly

_DECISIONS = 20
_WAITS = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
_LINE = 54
_WAIT_HEADS = ("Priority", ">Executions", ">p50", ">p95", ">p99", ">longest")
_US_PER_MINUTE = 60_000_000


def show(answer: Answer, beside: Answer | None, words: str | None, verdicts: Sequence[dict[str, Any]]) -> None:
    """Print a simulation, beside another one where there is one."""
    if beside is None:
        say(f"From {moment(answer.since)} to {moment(answer.until)}")
        facts((name, value) for name, value, _ in _figures(answer, answer))
    else:
        table(
            (f"From {moment(answer.since)}", ">As asked", f">{words}"),
            [(name, one, other) for name, one, other in _figures(answer, beside)],
        )
    _waits(answer, None if beside is None else "as asked")
    if beside is not None:
        _waits(beside, words)
    _breakers(answer)
    _series(answer)
    _decisions(answer)
    _alerts(answer)
    for one in verdicts:
        sign = "kept to" if one["passed"] else "FAILED"
        say(f"gate {one['gate']}: {one['value']:g}, at most {one['limit']:g}: {sign}")


def _figures(one: Answer, other: Answer) -> list[tuple[str, str, str]]:
    first, second = _values(one), _values(other)
    return [(name, first[name], second[name]) for name in first]


def _values(answer: Answer) -> dict[str, str]:
    slots = document(answer)["slots"]
    usage = slots["utilisation_percent"]
    return {
        "jobs": f"{answer.arrived:,}",
        "  of wedding weeks": f"{answer.week_arrived:,}",
        "completed": f"{answer.done:,}",
        "discarded": f"{answer.failed:,}",
        "still waiting": f"{answer.waiting:,}",
        "failed executions": f"{answer.failed_executions:,}",
        "lost executions": f"{answer.lost_executions:,}",
        "missed deadlines": f"{answer.missed:,}",
        "  of wedding weeks missed": f"{answer.missed_in_week:,}",
        "slots": f"{slots['at_start']} at start, {slots['lowest']} to {slots['highest']}",
        "utilisation": "-" if usage is None else f"{usage:.1f} %",
        "changes of slots": f"{slots['changes']}, turned {slots['reversals']} times, {slots['flaps']} within 10 min",
    }


def _waits(answer: Answer, words: str | None) -> None:
    found = document(answer)
    rows = _wait_rows(found["waits"])
    title = "Waits from due to start" if words is None else f"Waits from due to start ({words})"
    table(_WAIT_HEADS, rows, title=title)
    if answer.turns:
        table(_WAIT_HEADS, _wait_rows(found["waits_not_held"]), title="Of these, what no breaker held")


def _wait_rows(waits: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (one["priority"], f"{one['executions']:,}", *(_ms(one[name]) for name in _WAITS))
        for one in waits
        if one["executions"]
    ]


def _breakers(answer: Answer) -> None:
    if answer.turns:
        table(
            ("At", "Breaker", "Now", ">Waiting", "Why"),
            [
                (moment(one.at), one.breaker, one.state, f"{one.waiting:,}", one.said)
                for one in answer.turns[:_DECISIONS]
            ],
            title="Circuit breakers",
        )
    if len(answer.turns) > _DECISIONS:
        say(f"and {len(answer.turns) - _DECISIONS} more; see --json")


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 1000:
        return f"{value:.0f} ms"
    return f"{value / 1000:,.1f} s" if value < 600_000 else f"{value / 60_000:,.0f} min"


def _series(answer: Answer) -> None:
    parts = hourly(answer.samples, _LINE)
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    for name, values in (
        ("slots", [float(one.slots) for one in parts]),
        ("busy", [one.busy for one in parts]),
        ("waiting", [float(one.waiting) for one in parts]),
    ):
        highest = max(values, default=0.0)
        paragraph(f"{name:8}{spark(values, ascii_only=ascii_only)}  up to {_short(highest)}")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _decisions(answer: Answer) -> None:
    if not answer.scaled:
        return
    table(
        ("At", ">Slots", ">Wanted", "Why"),
        [(moment(one.at), one.before, one.decision.wanted, one.decision.said) for one in answer.scaled[:_DECISIONS]],
        title="Changes of the slots",
    )
    if len(answer.scaled) > _DECISIONS:
        say(f"and {len(answer.scaled) - _DECISIONS} more; see --json")


def _alerts(answer: Answer) -> None:
    rows = [
        (rule, module, severity, many, moment(first), f"{lasted / _US_PER_MINUTE:,.0f} min")
        for rule, module, severity, many, first, lasted in grouped(answer.alarms, answer.until)
    ]
    if not rows:
        prose("No alert would have opened.")
        return
    table(("Alert", "Module", "Severity", ">Times", "First", ">In all"), rows, title="Alerts that would have opened")
