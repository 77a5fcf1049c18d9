"""``health``: one line and an exit code for load balancers and systemd: 0 ok, 1 degraded, 2 critical, 3 unknown."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import Json
from wedsync_ops.cli.lazy import single

app = single()


@app.command()
def health(
    context: typer.Context,
    least_workers: Annotated[
        int, typer.Option(metavar="N", min=0, help="Workers that must live; 0 where cron drains the queue.")
    ] = 1,
    json: Json = False,
) -> int:
    """Tell whether the platform is well: ok, degraded or critical, and why."""
    from wedsync_ops.cli.opening import load_settings, observed
    from wedsync_ops.cli.render import emit, say
    from wedsync_ops.operations.health import health as examined

    verdicts = examined(lambda: observed(context), load_settings(context).settings, least_workers)
    worst = max(verdict.status for verdict in verdicts)
    reasons = [(verdict.name, reason) for verdict in verdicts for reason in verdict.reasons]
    reasons.sort(key=lambda pair: -pair[1].status)
    if json:
        told = [
            {"check": name, "status": one.status.health, "code": one.code, "message": one.words}
            for name, one in reasons
        ]
        checks = {verdict.name: verdict.status.health for verdict in verdicts}
        emit("health", {"status": worst.health, "reasons": told, "checks": checks})
    else:
        why = "; ".join(f"{name}: {one.words}" for name, one in reasons)
        say(f"{worst.health}: {why or '; '.join(verdict.usual for verdict in verdicts)}")
    return int(worst)
