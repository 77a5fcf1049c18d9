"""``season``: the wedding season, and the load to expect."""

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import single

if TYPE_CHECKING:
    from wedsync_ops.settings import Loaded
    from wedsync_ops.weddings.agenda import Outlook

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

    loaded = load_settings(context)
    calendar = calendar_of(loaded.settings)
    given = instant_of(at, "--at", calendar.zone)
    instant = SystemClock().now() if given is None else given
    seen = _outlook(loaded, instant)
    document = {
        "at": iso(instant),
        "current_season": season_at(instant, calendar).value,
        "expected_load_multiplier": load_multiplier(instant, calendar),
        "active_weddings_count": None if seen is None else seen.active,
        "weekend_surge_active": is_weekend(instant, calendar),
        "regional_variations": None
        if seen is None
        else {region.value: weddings for region, weddings in seen.by_region.items()},
    }
    if json:
        emit("season", document)
        return
    if seen is not None:
        document["regional_variations"] = ", ".join(f"{name} {count}" for name, count in seen.by_region.items())
    facts(document.items())


def _outlook(loaded: "Loaded", instant: int) -> "Outlook | None":
    """What the couples that are known say; ``None`` without any, or where that cannot be told, which is said."""
    from wedsync_ops.app import observe
    from wedsync_ops.cli.render import one_line
    from wedsync_ops.errors import DatabaseError, DatabaseMissing
    from wedsync_ops.weddings.agenda import outlook

    try:
        with closing(observe(loaded)) as seen, seen.database.reading() as connection:
            return outlook(connection, instant, seen.calendar.zone)
    except DatabaseMissing:
        return None
    except DatabaseError as error:
        sys.stderr.write(f"warning: the weddings could not be counted: {one_line(str(error))}\n")
        return None
