"""``doctor``: what is wrong, why that matters, and the command that mends it; 0 when nothing is, else 1."""

from typing import TYPE_CHECKING, Any

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import single

if TYPE_CHECKING:
    from wedsync_ops.operations.doctor import Report

app = single()


@app.command()
def doctor(context: typer.Context, json: Json = False) -> int:
    """Examine settings, database, schema, rows, machine and network; explain what is wrong. Changes nothing."""
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.cli.render import emit
    from wedsync_ops.operations.doctor import examine
    from wedsync_ops.settings import strangers

    report = examine(load_settings(context), strangers())
    if json:
        emit("doctor", _document(report))
    else:
        _print(report)
    return 1 if report.findings else 0


def _document(report: "Report") -> dict[str, Any]:
    return {
        "is_well": not report.findings,
        "findings": [
            {
                "severity": one.severity.value,
                "code": one.code,
                "message": one.words,
                "why": one.why,
                "mend": one.mend,
            }
            for one in report.findings
        ],
        **{topic: dict(facts) for topic, facts in report.facts.items()},
        "settings": [{"name": one.name, "value": one.value, "source": one.source} for one in report.settings],
    }


def _print(report: "Report") -> None:
    from wedsync_ops.cli.render import facts, one_line, paragraph, prose, say, table

    for topic, found in report.facts.items():
        if found:
            say(f"{topic.capitalize()}:")
            facts((f"  {name.replace('_', ' ')}", value) for name, value in found.items())
    say("Settings:")
    table(("Setting", "Value", "From"), [(one.name, one.value, one.source) for one in report.settings])
    say(f"{len(report.findings) or 'Nothing'} to mend{':' if report.findings else '.'}")
    for number, one in enumerate(report.findings, 1):
        prose(f"{number}. {one.severity.value}: {one.words} ({one.code}): {one.why}")
        if one.mend is not None:
            paragraph(f"   $ {one_line(one.mend)}")
