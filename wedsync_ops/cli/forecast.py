"""``forecast``: how many executions are expected, which hour is the worst, how many workers it needs."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from wedsync_ops.cli.inputs import Json, instant_of
from wedsync_ops.cli.lazy import single
from wedsync_ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from wedsync_ops.scaling.asking import Answer
    from wedsync_ops.scaling.sizing import Need

app = single()

_DAYS = 7
_FEW_HOURS = 48
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BAR = 6
_LARGE = 100_000


class By(StrEnum):
    """What a row is."""

    HOUR = "hour"
    DAY = "day"


@app.command()
def forecast(
    context: typer.Context,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="From another time on (ISO 8601), or the next 'saturday'.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=92, help="So many days; 7, of a weekday 1.")
    ] = None,
    hours: Annotated[int | None, typer.Option(metavar="N", min=1, max=2208, help="So many hours instead.")] = None,
    module: Annotated[str | None, typer.Option(metavar="ID", help="Of the module types, only this.")] = None,
    *,
    by: Annotated[By | None, typer.Option("--by", help="A row for each; by hour up to 48 hours, else by day.")] = None,
    backtest: Annotated[
        bool, typer.Option("--backtest", help="Try every method on the weeks before, and show how each did.")
    ] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw a line of hours for each day.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make the forecast now, and not take the stored one.")] = False,
    json: Json = False,
) -> None:
    """Foretell executions hour by hour, the slots and workers that they need, and when capacity runs out."""
    from wedsync_ops.cli.opening import opened
    from wedsync_ops.cli.render import emit
    from wedsync_ops.instants import HOUR
    from wedsync_ops.metrics.model import Range
    from wedsync_ops.planning.unplanned import unplanned
    from wedsync_ops.scaling.asking import ask, to_document

    if days is not None and hours is not None:
        raise UsageError("--days and --hours exclude each other")
    if plot and json:
        raise UsageError("--plot and --json exclude each other")
    many = hours if hours is not None else 24 * (days or (1 if _weekday(at) is not None else _DAYS))
    with opened(context) as app_:
        now = app_.clock.now()
        since = _since(at, now, app_.calendar.zone)
        over = Range(since, since + many * HOUR)
        rules, afresh = app_.rules(), backtest or fresh
        answer = ask(app_.database, rules, now, over, module=module, afresh=afresh, promised=unplanned)
    by_day = by is By.DAY or (by is None and many > _FEW_HOURS)
    if json:
        emit("forecast", to_document(answer, by_day=by_day, backtest=backtest))
        return
    _say(answer)
    if plot:
        _plot(answer)
    elif any(need.expected for need in answer.needs):
        _table(answer, by_day=by_day)
    if backtest:
        _backtest(answer)


def _since(text: str | None, now: int, zone: "ZoneInfo") -> int:
    """The first hour that is asked about, the one of now unless told otherwise."""
    from datetime import timedelta

    from wedsync_ops.instants import HOUR, local_date, local_midnight

    weekday = _weekday(text)
    if weekday is not None:
        today = local_date(now, zone)
        ahead = (weekday - today.weekday()) % 7
        return -(-local_midnight(today + timedelta(days=ahead), zone) // HOUR) * HOUR
    given = instant_of(text, "--at", zone)
    return (now if given is None else given) // HOUR * HOUR


def _weekday(text: str | None) -> int | None:
    """The number of the weekday that is named, from Monday's 0 on."""
    name = (text or "").strip().lower()
    return _WEEKDAYS.index(name) if name in _WEEKDAYS else None


def _say(answer: "Answer") -> None:
    from wedsync_ops.cli.render import prose, say
    from wedsync_ops.weddings.season import load_multiplier

    zone = answer.calendar.zone
    how = "stored" if answer.is_stored else "made for this question"
    prose(f"{_named(answer.over.from_at, zone)} to {_named(answer.over.to_at, zone)} ({zone.key}), {how}")
    if not answer.has_history:
        busiest = max(answer.needs, key=lambda need: (load_multiplier(need.hour, answer.calendar), -need.hour))
        prose(
            "no history: nothing ran on a day (of UTC) that is over, so only what is booked is expected; by the season"
            f" {_named(busiest.hour, zone)[:14]} brings {load_multiplier(busiest.hour, answer.calendar):g} times"
            " the load of an off-season weekday"
        )
    worst, short, capacity = answer.worst, answer.shortage, answer.capacity
    if worst is None or not worst.expected:
        say("nothing is expected")
        return
    prose(
        f"worst hour: {_named(worst.hour, zone)}, {_many(worst.expected)} executions"
        f" ({_many(worst.low)} to {_many(worst.high)}): {_slots(worst.slots)}, {_workers(worst.workers)}"
    )
    high = max(need.slots_high for need in answer.needs)
    there = f"{_workers(capacity.workers)} {'lives' if capacity.workers == 1 else 'live'}"
    bound = (
        f"with {_slots(capacity.slots)} at most" if capacity.workers else f"of at most {_slots(capacity.slots)} each"
    )
    prose(f"at the upper bound {_slots(high)}; {there}, {bound}")
    if short.runs_out_at is not None:
        prose(f"capacity runs out: {_named(short.runs_out_at, zone)} needs more than {_slots(capacity.slots)}")
    elif short.may_run_out_at is not None:
        prose(f"capacity may run out: {_named(short.may_run_out_at, zone)} could need over {_slots(capacity.slots)}")


def _table(answer: "Answer", *, by_day: bool) -> None:
    from wedsync_ops.cli.render import table

    zone = answer.calendar.zone
    if by_day:
        rows = [
            (
                day,
                *_sums(needs),
                _named(most.hour, zone)[-5:] if most.expected else None,
                most.slots,
                most.workers,
            )
            for day, needs in answer.days()
            if (most := _worst(needs)) is not None
        ]
        table(("Day", ">Expected", ">8 in 10", ">Booked", ">Worst", ">Slots", ">Workers"), rows)
        return
    top = max((need.expected for need in answer.needs), default=0.0)
    table(
        ("Hour", ">Expected", ">8 in 10", ">Booked", ">Slots", ">Workers", "Load"),
        [
            (_in_short(need.hour, zone), *_sums([need]), need.slots, need.workers, _bar(need.expected, top))
            for need in answer.needs
        ],
    )


def _worst(needs: "Sequence[Need]") -> "Need | None":
    from wedsync_ops.scaling.sizing import worst

    return worst(needs)


def _sums(needs: "Sequence[Need]") -> tuple[str, str, str]:
    low, high = sum(need.low for need in needs), sum(need.high for need in needs)
    booked = sum(need.booked for need in needs)
    return _many(sum(need.expected for need in needs)), f"{_many(low)}-{_many(high)}", _whole(booked)


def _plot(answer: "Answer") -> None:
    from wedsync_ops.cli.render import table
    from wedsync_ops.instants import to_datetime
    from wedsync_ops.metrics.spark import spark

    zone = answer.calendar.zone
    top = max((need.expected for need in answer.needs), default=0.0)
    rows = []
    for day, needs in answer.days():
        hours: list[float | None] = [None] * 24
        for need in needs:
            hours[to_datetime(need.hour, zone).hour] = need.expected
        most = _worst(needs)
        shown = None if most is None else f"{_many(most.expected)} at {_named(most.hour, zone)[-5:]}"
        rows.append((day, spark(hours, top=top), shown, None if most is None else most.slots))
    table(("Day", "0     6     12    18    ", ">Most", ">Slots"), rows)


def _backtest(answer: "Answer") -> None:
    from wedsync_ops.cli.render import say, table

    chosen = {quality.module_type: quality.method for quality in answer.qualities}
    rows = [
        (
            name,
            f"{score.method.value}{' *' if chosen.get(name) is score.method else ''}",
            *(None if value is None else f"{100 * value:.1f}" for value in (score.wape, score.mase, score.inside)),
            score.origins,
        )
        for name, some in sorted(answer.scores.items())
        for score in some
    ]
    if not rows:
        say("there is too little history to try methods on")
        return
    table(("Module", "Method (* used)", ">Error %", ">Of naive %", ">Inside %", ">Tried"), rows)


def _named(hour: int, zone: "ZoneInfo") -> str:
    from wedsync_ops.instants import to_datetime

    return f"{to_datetime(hour, zone):%a %Y-%m-%d %H:%M}"


def _in_short(hour: int, zone: "ZoneInfo") -> str:
    from wedsync_ops.instants import to_datetime

    return f"{to_datetime(hour, zone):%a %m-%d %H:%M}"


def _bar(value: float, top: float) -> str:
    return "█" * round(_BAR * value / top) if top > 0 else ""


def _many(value: float) -> str:
    if value >= _LARGE:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"


def _whole(count: int) -> str:
    return _many(count) if count >= _LARGE else f"{count:,}"


def _slots(count: int) -> str:
    return f"{count:,} slot{'' if count == 1 else 's'}"


def _workers(count: int) -> str:
    return f"{count:,} worker{'' if count == 1 else 's'}"
