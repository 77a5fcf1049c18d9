"""Makes a report: reads one module type after the other, in short reads, and puts the figures together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, local_date
from wedsync_ops.jobs.fingerprint import fingerprint
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.metrics import aggregate
from wedsync_ops.metrics.actions import measure as measured
from wedsync_ops.metrics.model import Counts, Spread
from wedsync_ops.metrics.store import buckets
from wedsync_ops.modules.registry import Registry
from wedsync_ops.operations.report import store
from wedsync_ops.operations.report.model import (
    Availability,
    Bucket,
    Failure,
    Nearness,
    Period,
    Report,
    Season,
    Target,
    Weddings,
)
from wedsync_ops.weddings.season import is_weekend, load_multiplier, season_at

WORST = 10
"""How many kinds of failures are named."""


@dataclass(slots=True)
class _Found:
    """What was read so far, of all module types."""

    outcomes: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    durations: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    waits: dict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    near_ok: Counter[int] = field(default_factory=Counter)
    near_failed: Counter[int] = field(default_factory=Counter)
    served: dict[tuple[str, str], bool] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    late: list[tuple[int, int]] = field(default_factory=list)


def make(database: Database, rules: Rules, over: Period, now: int) -> Report:
    """The report on a period, as far as it is known at ``now``."""
    found = _Found()
    metrics = measured(
        database,
        [item.module_id for item in rules.registry.modules()],
        range_us=over.to_at - over.from_at,
        now=over.to_at,
        network_capacity_mbps=rules.settings.network_capacity_mbps,
    )
    for module in metrics.modules:
        _read(database, module.module_type, over, now, found)
    calendar = rules.calendar
    return Report(
        period=over,
        made_at=now,
        season=Season(
            local_date(over.from_at, calendar.zone),
            season_at(over.from_at, calendar),
            load_multiplier(over.from_at, calendar),
            is_weekend(over.from_at, calendar),
        ),
        metrics=metrics,
        targets=_targets(rules.registry),
        buckets=[_bucket(found, over, place) for place in range(over.buckets)],
        weddings=Weddings(
            served=len(found.served),
            served_in_week=sum(found.served.values()),
            by_days=[Nearness(days, found.near_ok[days], found.near_failed[days]) for days in range(8)],
        ),
        failures=worst(found.failures),
        availability=availability(over, found.late, anything_ran=metrics.platform.counts.total > 0),
        wait_p95_ms=_ms(_spread(_all(found.waits)), 95),
    )


def known_since(database: Database) -> int:
    """From which instant on there is every execution: what was before, retention has taken. 0 where it took none."""
    with database.reading() as connection:
        return buckets.state(connection).kept.raw


def _read(database: Database, module_type: str, over: Period, now: int, found: _Found) -> None:
    with database.reading() as connection:
        for one in store.outcomes(connection, module_type, over):
            found.outcomes[one.bucket][one.value] += one.many
        for one in store.durations(connection, module_type, over):
            found.durations[one.bucket][one.value] += one.many
        for one in store.waits(connection, module_type, over):
            found.waits[one.bucket][one.value] += one.many
    with database.reading() as connection:
        for days, ok, failed in store.nearness(connection, module_type, over):
            found.near_ok[days] += ok
            found.near_failed[days] += failed
        for wedding in store.served(connection, module_type, over):
            key = (wedding.client_id, wedding.wedding_on)
            in_week = wedding.days is not None and 0 <= wedding.days <= 7
            found.served[key] = found.served.get(key, False) or in_week
        found.failures += _grouped(module_type, store.errors(connection, module_type, over))
        found.late += store.late(connection, module_type, over, now)


def _grouped(module_type: str, errors: Sequence[store.ErrorText]) -> list[Failure]:
    groups: dict[str, Failure] = {}
    for one in errors:
        key = fingerprint(one.error)
        before = groups.get(key)
        newest = before is None or one.last_seen > before.last_seen
        groups[key] = Failure(
            module_type,
            key,
            count=one.many + (0 if before is None else before.count),
            last_seen=one.last_seen if before is None else max(before.last_seen, one.last_seen),
            wedding_week=one.week + (0 if before is None else before.wedding_week),
            error=one.error if newest or before is None else before.error,
        )
    return list(groups.values())


def worst(failures: Iterable[Failure]) -> list[Failure]:
    """The failures that touch most weddings of the next days, then those that are most."""
    order = sorted(failures, key=lambda one: (-one.wedding_week, -one.count, one.module_type, one.fingerprint))
    return order[:WORST]


def availability(over: Period, late: Iterable[tuple[int, int]], *, anything_ran: bool = True) -> Availability:
    """The minutes of a period that stretches of lateness touch."""
    minutes = (over.to_at - over.from_at) // MINUTE
    touched: set[int] = set()
    for start, end in late:
        first = max(0, (start - over.from_at) // MINUTE)
        last = min(minutes - 1, (end - 1 - over.from_at) // MINUTE)
        touched.update(range(first, last + 1))
    return Availability(minutes, len(touched), anything_ran or bool(touched))


def _bucket(found: _Found, over: Period, place: int) -> Bucket:
    counts = Counts(**found.outcomes[place]) if place in found.outcomes else Counts()
    times, waits = _spread(found.durations.get(place, {})), _spread(found.waits.get(place, {}))
    return Bucket(
        at=over.from_at + place * over.step_us,
        counts=counts,
        p50_ms=_ms(times, 50),
        p95_ms=_ms(times, 95),
        p99_ms=_ms(times, 99),
        wait_p50_ms=_ms(waits, 50),
        wait_p95_ms=_ms(waits, 95),
        error_rate=aggregate.error_rate(counts),
    )


def _all(buckets: Mapping[int, Counter[int]]) -> Counter[int]:
    total: Counter[int] = Counter()
    for each in buckets.values():
        total.update(each)
    return total


def _spread(occurrences: Mapping[int, int]) -> Spread:
    values = sorted(occurrences)
    return Spread(values, [occurrences[value] for value in values])


def _ms(spread: Spread, percent: int) -> float | None:
    value = aggregate.percentile(spread, percent)
    return None if value is None else value / 1000


def _targets(registry: Registry) -> dict[str, Target]:
    return {
        item.module_id: Target(
            item.definition.performance_targets.max_execution_time,
            item.definition.performance_targets.error_rate_threshold,
            item.definition.performance_targets.target_throughput,
        )
        for item in registry.modules()
    }
