"""``season``: the wedding season, and the load to expect."""

from typing import Annotated

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import single

app = single()


@app.command()
def season(
    context: typer.Context,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Another time than now (ISO 8601).")] = None,
    json: Json = False,
) -> None:
    """Tell the wedding season and the load to expect, against an off-season weekday."""
    from wedsync_ops.app import calendar_of
    from wedsync_ops.cli.opening import load_settings
    from wedsync_ops.cli.render import emit, facts
    from wedsync_ops.clock import SystemClock
    from wedsync_ops.instants import iso
    from wedsync_ops.weddings.season import is_weekend, load_multiplier, season_at

    calendar = calendar_of(load_settings(context).settings)
    given = instant_of(at, "--at", calendar.zone)
    instant = SystemClock().now() if given is None else given
    document = {
        "at": iso(instant),
        "current_season": season_at(instant, calendar).value,
        "expected_load_multiplier": load_multiplier(instant, calendar),
        "active_weddings_count": None,
        "weekend_surge_active": is_weekend(instant, calendar),
        "regional_variations": None,
    }
    if json:
        emit("season", document)
    else:
        facts(document.items())
