"""Gathers what a forecast is made from: what ran, what is booked, how long executions take."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from sqlalchemy import Connection

from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput, SettingError
from wedsync_ops.instants import DAY
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.metrics.adding import Lengths
from wedsync_ops.metrics.levels import WIDTHS, Level, start_of
from wedsync_ops.metrics.model import Kind, Range
from wedsync_ops.metrics.store import buckets, executions
from wedsync_ops.metrics.store.buckets import Within
from wedsync_ops.scaling.forecast import Known, with_booked
from wedsync_ops.scaling.history import date_of, history_of
from wedsync_ops.scaling.methods import World
from wedsync_ops.scaling.profile import usual_hours
from wedsync_ops.scaling.store import demand
from wedsync_ops.vendors import VendorType, expected_factor
from wedsync_ops.weddings.holidays import public_holidays

LOOK_BACK_US = 1_100 * DAY
"""How far back history is read: three years and a little."""
_LATELY_US = 14 * DAY
_US_PER_MS = 1000


class Promised(Protocol):
    """What is promised and not queued yet: steps of couples' journeys. Wired by whoever knows of these."""

    def __call__(
        self, database: Database, rules: Rules, over: Range, between: Callable[[], object], /
    ) -> Mapping[tuple[int, str], int]:
        """How many jobs will fall due in the hours of a range, by hour and module type. Raises WedsyncError."""
        ...


def nothing_promised(
    _database: Database, _rules: Rules, _over: Range, _between: Callable[[], object], /
) -> Mapping[tuple[int, str], int]:
    """For a platform that knows of no journeys."""
    return {}


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that forecasts are made from, up to a moment: each module type, and what they have in common."""

    known: tuple[Known, ...]
    world: World


def gather(
    database: Database,
    rules: Rules,
    now: int,
    over: Range,
    *,
    promised: Promised = nothing_promised,
    between: Callable[[], object] = lambda: None,
) -> Gathered:
    """What is known at ``now`` of a range to come. What ran counts by whole days, up to the last midnight UTC.

    Raises DatabaseError, and for the setting holidays ExtraMissing and SettingError.
    """
    today = now // DAY * DAY
    past = Range(max(0, today - LOOK_BACK_US), today)
    with database.snapshot() as connection:
        kept = buckets.state(connection).kept
        days = _counts(connection, Level.DAY, past, kept.day)
        hours = _counts(connection, Level.HOUR, past, kept.hour)
        lately = Within(Level.DAY, max(0, today - _LATELY_US), now)
        durations, mix = _durations(connection, lately), _mix(connection, lately)
    between()
    booked = _booked(database, over, between)
    hours_from = -(-max(kept.hour, past.from_at) // DAY)
    end = today // DAY
    known = []
    for name in _names(rules, set(days)):
        history = history_of(name, days.get(name, {}), hours.get(name, {}), hours_from=hours_from, end=end)
        aims, wedding = _definition(rules, name)
        known.append(Known(name, history, {}, durations.get(name, aims), wedding))
    further = promised(database, rules, over, between)
    first = min((one.history.first_day for one in known if one.history is not None), default=end)
    last = max(end, -(-over.to_at // DAY)) + 1
    free = _free_days(rules.settings.holidays, date_of(first), date_of(last))
    world = World.of(rules.calendar, usual_hours(_peaks(mix, rules.settings.vendors)), first, last, free)
    return Gathered(tuple(with_booked(with_booked(known, booked), further)), world)


def _free_days(country: str | None, first: date, last: date) -> frozenset[date]:
    """The holidays of the years from one day to another. Raises ExtraMissing, SettingError for an unknown country."""
    if country is None:
        return frozenset()
    try:
        return frozenset().union(*(public_holidays(country, year) for year in range(first.year, last.year + 1)))
    except InvalidInput as error:
        raise SettingError(f"the setting holidays: {error.message}", hint=error.advice) from error


def _names(rules: Rules, ran: Collection[str]) -> list[str]:
    """The module types that may be queued, and those that ran and are not known any more."""
    registered = {module.module_id for module in rules.registry.modules()}
    return sorted({name for name in registered if rules.registry.is_usable(name)} | (set(ran) - registered))


def _definition(rules: Rules, name: str) -> tuple[int | None, bool]:
    """The length of executions by the definition, and whether their load goes with the season."""
    if name not in rules.registry.pointers:
        return None, True
    definition = rules.registry.current(name).definition
    aim = definition.performance_targets.max_execution_time
    return round(aim * _US_PER_MS), definition.wedding_optimizations.seasonal_scaling


def _counts(connection: Connection, level: Level, over: Range, floor: int) -> dict[str, dict[int, int]]:
    """Executions by module type and number of the day or hour, rolled up or not."""
    width = WIDTHS[level]
    since = start_of(level, max(over.from_at, floor) + width - 1)
    counted = Counter(buckets.starts(connection, Within(level, since, over.to_at)))
    rest = executions.after(buckets.state(connection).up_to, Range(since, over.to_at))
    counted.update(executions.starts(connection, rest, width))
    found: dict[str, dict[int, int]] = {}
    for (name, start), many in counted.items():
        found.setdefault(name, {})[start // width] = many
    return found


def _mix(connection: Connection, within: Within) -> Mapping[str, float]:
    """The executions of each vendor type over the last weeks."""
    found: Counter[str] = Counter()
    for (_, vendor_type), many in buckets.totals(connection, Kind.VENDOR_TYPE, within).items():
        if vendor_type:
            found[vendor_type] += many
    return found


def _peaks(mix: Mapping[str, float], types: Mapping[str, VendorType]) -> Callable[[int], float]:
    """What the vendors' peak hours make of an hour, by whose jobs ran; all types count the same before any did."""
    known = mix or dict.fromkeys(types, 1.0)
    return lambda hour: expected_factor(known, hour, types)


def _durations(connection: Connection, within: Within) -> dict[str, int]:
    """The mean length of executions over the last weeks, in microseconds."""
    found: dict[str, Lengths] = {}
    for series, encoded, _ in buckets.sketches(connection, Kind.ALL, within, waits=False):
        found.setdefault(series.module_type, Lengths()).add_encoded(encoded)
    sketches = {name: lengths.sketch() for name, lengths in found.items()}
    return {name: round(sketch.total / sketch.count) for name, sketch in sketches.items() if sketch.count}


def _booked(database: Database, over: Range, between: Callable[[], object]) -> dict[tuple[int, str], int]:
    """Jobs that wait for their time, read a day at a time."""
    found: dict[tuple[int, str], int] = {}
    for start in range(over.from_at, over.to_at, DAY):
        with database.reading() as connection:
            found.update(demand.due(connection, start, min(start + DAY, over.to_at)))
        between()
    return found
