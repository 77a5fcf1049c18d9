"""Answers what a time to come will need: from the forecast that is kept, or one that is made for the question."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wedsync_ops.db import Database
from wedsync_ops.errors import UsageError
from wedsync_ops.instants import DAY, HOUR, SECOND, iso, to_datetime
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import workers
from wedsync_ops.metrics.model import Range
from wedsync_ops.scaling import sizing
from wedsync_ops.scaling.backtest import Score
from wedsync_ops.scaling.forecast_model import Expected, Quality
from wedsync_ops.scaling.forecaster import AHEAD_US, predict
from wedsync_ops.scaling.gathering import Promised, nothing_promised
from wedsync_ops.scaling.sizing import Capacity, Need, Shortage
from wedsync_ops.scaling.store import forecasts
from wedsync_ops.weddings.model import Calendar
from wedsync_ops.weddings.season import load_multiplier

FURTHEST_US = 1_100 * DAY
"""How far ahead can be asked."""
_FRESH_US = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Answer:
    """What a range needs: hour by hour, of all module types that were asked for and of each.

    ``made_at`` is when it was foretold; ``is_stored`` says that it was kept since, and not made for this question.
    """

    over: Range
    made_at: int
    is_stored: bool
    capacity: Capacity
    calendar: Calendar
    rows: Sequence[Expected]
    needs: Sequence[Need]
    qualities: Sequence[Quality]
    scores: Mapping[str, Sequence[Score]]

    @property
    def worst(self) -> Need | None:
        """The hour that needs most."""
        return sizing.worst(self.needs)

    @property
    def shortage(self) -> Shortage:
        """When capacity runs out."""
        return sizing.shortage(self.needs, self.capacity)

    @property
    def has_history(self) -> bool:
        """Whether anything ever ran."""
        return any(quality.history_days for quality in self.qualities)

    def days(self) -> list[tuple[str, list[Need]]]:
        """The hours by calendar day of the platform's zone."""
        zone = self.calendar.zone
        return list(
            sizing.by_day(self.needs, {one.hour: f"{to_datetime(one.hour, zone):%a %Y-%m-%d}" for one in self.needs})
        )


def ask(
    database: Database,
    rules: Rules,
    now: int,
    over: Range,
    *,
    module: str | None = None,
    afresh: bool = False,
    promised: Promised = nothing_promised,
) -> Answer:
    """What a range needs. A range that has begun is foretold from what was known on its first day.

    The forecast that is kept is taken when it is fresh and reaches that far, unless one is to be made ``afresh``.
    Raises UnknownModule, UsageError for a range too far ahead, and as ``predict``.
    """
    if over.to_at > now + FURTHEST_US:
        raise UsageError("a forecast reaches no further than three years", hint="ask about an earlier time")
    if module is not None:
        rules.registry.pointer(module)
    hour = Range(over.from_at // HOUR * HOUR, over.to_at)
    is_past = hour.from_at < now // HOUR * HOUR
    kept = None if afresh or is_past else _kept(database, now, hour)
    if kept is None:
        known_at = min(now, over.from_at)
        found = predict(database, rules, known_at, hour, promised=promised)
        rows: Iterable[Expected] = (row for one in found for row in one.hours)
        qualities = [one.quality for one in found]
        made_at, scores = known_at, {one.quality.module_type: one.scores for one in found}
    else:
        rows, qualities, made_at = kept
        scores = {}
    asked = sorted(row for row in rows if module in (None, row.module_type))
    durations = {one.module_type: float(one.duration_us or 0) for one in qualities}
    capacity = _capacity(database, rules, now)
    return Answer(
        hour,
        made_at,
        kept is not None,
        capacity,
        rules.calendar,
        asked,
        _every_hour(hour, sizing.needs(asked, durations, capacity)),
        [one for one in qualities if module in (None, one.module_type)],
        {name: some for name, some in scores.items() if module in (None, name)},
    )


def _every_hour(over: Range, needs: Sequence[Need]) -> list[Need]:
    """With the hours of which nothing is expected."""
    found = {need.hour: need for need in needs}
    return [found.get(hour, Need(hour, 0.0, 0.0, 0.0, 0, 0, 0, 0)) for hour in range(over.from_at, over.to_at, HOUR)]


def _kept(database: Database, now: int, over: Range) -> tuple[list[Expected], list[Quality], int] | None:
    with database.snapshot() as connection:
        made_at = forecasts.made_at(connection)
        if made_at is None or not 0 <= now - made_at <= _FRESH_US or over.to_at > made_at // HOUR * HOUR + AHEAD_US:
            return None
        return forecasts.expected(connection, over.from_at, over.to_at), forecasts.quality(connection), made_at


def _capacity(database: Database, rules: Rules, now: int) -> Capacity:
    since = now - round(rules.settings.lease_s * SECOND)
    with database.reading() as connection:
        living = [one for one in workers.living(connection) if one.heartbeat_at >= since and one.phase == "working"]
    most = sum(one.slots if one.max_slots is None else one.max_slots for one in living)
    return Capacity(len(living), rules.settings.max_slots, rules.settings.forecast_load, most)


def to_document(answer: Answer, *, by_day: bool, backtest: bool = False) -> dict[str, Any]:
    """An answer as the JSON contract wants it; with ``backtest`` how every method did."""
    worst, short, capacity = answer.worst, answer.shortage, answer.capacity
    document: dict[str, Any] = {
        "from": iso(answer.over.from_at),
        "to": iso(answer.over.to_at),
        "timezone": answer.calendar.zone.key,
        "made_at": iso(answer.made_at),
        "is_stored": answer.is_stored,
        "has_history": answer.has_history,
        "by": "day" if by_day else "hour",
        "slots_needed": None if worst is None else worst.slots,
        "slots_needed_high": max((need.slots_high for need in answer.needs), default=None),
        "workers_needed": None if worst is None else worst.workers,
        "worst_hour": None if worst is None else _hour(worst, answer),
        "capacity": {
            "live_workers": capacity.workers,
            "max_slots_per_worker": capacity.slots_per_worker,
            "slots": capacity.slots,
            "target_load": capacity.load,
            "wedding_week_reserve": sizing.RESERVE,
            "runs_out_at": iso(short.runs_out_at),
            "may_run_out_at": iso(short.may_run_out_at),
        },
        "modules": [_module(quality) for quality in answer.qualities],
    }
    if by_day:
        document["days"] = [_day(day, needs, answer) for day, needs in answer.days()]
    else:
        document["hours"] = [_hour(need, answer) for need in answer.needs]
    if backtest:
        document["backtest"] = [_score(name, one) for name, some in sorted(answer.scores.items()) for one in some]
    return document


def _hour(need: Need, answer: Answer) -> dict[str, Any]:
    return {
        "hour": iso(need.hour),
        "expected": _rounded(need.expected),
        "low": _rounded(need.low),
        "high": _rounded(need.high),
        "booked": need.booked,
        "slots": need.slots,
        "slots_high": need.slots_high,
        "workers": need.workers,
        "load_multiplier": load_multiplier(need.hour, answer.calendar),
    }


def _day(day: str, needs: Sequence[Need], answer: Answer) -> dict[str, Any]:
    most = sizing.worst(needs)
    return {
        "date": day[-10:],
        "expected": _rounded(sum(need.expected for need in needs)),
        "low": _rounded(sum(need.low for need in needs)),
        "high": _rounded(sum(need.high for need in needs)),
        "booked": sum(need.booked for need in needs),
        "worst_hour": None if most is None else _hour(most, answer),
    }


def _module(quality: Quality) -> dict[str, Any]:
    return {
        "module_type": quality.module_type,
        "method": quality.method.value,
        "history_days": quality.history_days,
        "mean_execution_ms": None if quality.duration_us is None else quality.duration_us / 1000,
        "wape": _rounded(quality.wape),
        "mase": _rounded(quality.mase),
        "inside": _rounded(quality.inside),
    }


def _score(module_type: str, score: Score) -> dict[str, Any]:
    return {
        "module_type": module_type,
        "method": score.method.value,
        "wape": _rounded(score.wape),
        "mase": _rounded(score.mase),
        "inside": _rounded(score.inside),
        "origins": score.origins,
        "hours": score.hours,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
