"""Demand from couples: the steps of their journeys, hour by hour, so that a season needs the memory of an hour. Pure.

Weddings are known long before, so the forecast of such a demand is what is planned: the hours that jobs are drawn from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import exp, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from wedsync_ops.instants import DAY, HOUR, local_midnight
from wedsync_ops.jobs.model import Priority
from wedsync_ops.planning.definitions import Journey, Step, holiday_dates, length_us
from wedsync_ops.planning.journeys import IsHoliday, step_time
from wedsync_ops.planning.model import Couple
from wedsync_ops.planning.simulate.couples import VENDOR_TYPES, Cohort
from wedsync_ops.planning.simulate.model import Arrival, Chance, Kind
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.model import Wedding

_LONGEST_SKIP_DAYS = 32
_QUANTILES = 1024
_P95 = 1.6449
_SURE = 2.0
"""The forecast's upper end is so many standard deviations above what is expected."""
_SKEW = 2.0
"""Few suppliers have many couples."""


class Part(NamedTuple):
    """Jobs of a step that fall due in a part of an hour; ``many`` may be a fraction. Without a supplier it is drawn."""

    since: int
    until: int
    many: float
    step: Step
    wedding: Wedding
    supplier_id: str | None
    vendor_type: str | None


@dataclass(frozen=True, slots=True)
class ForeseenHour:
    """How many jobs of a module type are planned for an hour; ``high`` is what it may be with chance."""

    hour: int
    module_type: str
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is planned, by the start of the hour."""

    since: int
    until: int
    hours: Mapping[int, Sequence[Part]]

    @property
    def total(self) -> float:
        """How many jobs there are."""
        return sum(part.many for parts in self.hours.values() for part in parts)

    def times(self, factor: float) -> "Plan":
        """The same with so many times the jobs."""
        hours = {hour: [part._replace(many=part.many * factor) for part in parts] for hour, parts in self.hours.items()}
        return replace(self, hours=hours)


def plan(
    cohorts: Iterable[Cohort],
    journeys: Sequence[tuple[Journey, IsHoliday]],
    since: int,
    until: int,
    spread_us: int,
) -> Plan:
    """What couples are promised between two instants. Every step is spread evenly around its time."""
    hours: dict[int, list[Part]] = defaultdict(list)
    for cohort in cohorts:
        for journey, is_holiday in journeys:
            if not _applies(journey, cohort):
                continue
            for step in journey.steps:
                if not _may_fall(step, cohort.couple, since, until):
                    continue
                time = step_time(step, cohort.couple, is_holiday)
                if time is not None:
                    _spread(hours, step, cohort, time.at, spread_us, since, until)
    return Plan(since=since, until=until, hours=dict(hours))


def _applies(journey: Journey, cohort: Cohort) -> bool:
    """Synthetic couples go on every journey; what is known of the others decides."""
    couple = cohort.couple
    return not couple.supplier_id or journey.applies(singular(couple.vendor_type), couple.supplier_id, cohort.region)


def _may_fall(step: Step, couple: Couple, since: int, until: int) -> bool:
    anchor = couple.wedding_on if step.anchor == "wedding" else couple.booked_on
    if anchor is None:
        return False
    at = local_midnight(anchor, couple.zone) + step.days * DAY
    slack = (_LONGEST_SKIP_DAYS if step.skip_weekends or step.skip_holidays else 2) * DAY
    return since - slack <= at <= until + slack


def _spread(
    hours: dict[int, list[Part]], step: Step, cohort: Cohort, at: int, spread_us: int, since: int, until: int
) -> None:
    couple = cohort.couple
    wedding = Wedding(couple.wedding_on, couple.zone)
    supplier, vendor = couple.supplier_id or None, couple.vendor_type or None
    first, last = at - spread_us // 2, at + max(spread_us - spread_us // 2, 1)
    begin = first
    while begin < last:
        end = min(last, begin - begin % HOUR + HOUR)
        low, high = max(begin, since), min(end, until)
        if low < high:
            many = cohort.weight * (high - low) / (last - first)
            hours[low - low % HOUR].append(Part(low, high, many, step, wedding, supplier, vendor))
        begin = end


class Couples:
    """The demand of a plan, drawn by chance; ``chance_of`` gives the generator of an hour."""

    def __init__(
        self,
        planned: Plan,
        kinds: Mapping[str, Kind],
        chance_of: Callable[[int], Chance],
        *,
        suppliers: int = 400,
        growth: float = 1.0,
    ) -> None:
        self._plan = planned
        self._kinds = kinds
        self._chance_of = chance_of
        self._growth = growth
        self._suppliers = [(f"supplier-{n + 1}", VENDOR_TYPES[n % len(VENDOR_TYPES)]) for n in range(suppliers)]
        self._durations = {name: durations(kind) for name, kind in kinds.items()}

    @property
    def since(self) -> int:
        """When it begins."""
        return self._plan.since

    @property
    def until(self) -> int:
        """When it is over."""
        return self._plan.until

    def arrivals(self) -> Iterator[Arrival]:
        """The jobs, in the order in which they fall due."""
        for hour in sorted(self._plan.hours):
            chance = self._chance_of(hour)
            found: list[Arrival] = []
            for part in self._plan.hours[hour]:
                self._draw(part, chance, found)
            found.sort(key=_at)
            yield from found

    def foreseen(self, since: int, until: int) -> Iterable[ForeseenHour]:
        """What is planned for the hours that begin in a span."""
        for hour in range(since - since % HOUR, until, HOUR):
            many: dict[str, float] = defaultdict(float)
            for part in self._plan.hours.get(hour, ()):
                many[part.step.module] += part.many * self._growth
            for name, jobs in sorted(many.items()):
                yield ForeseenHour(hour, name, jobs + _SURE * sqrt(jobs))

    def _draw(self, part: Part, chance: Chance, found: list[Arrival]) -> None:
        rand, step, name = chance.random, part.step, part.step.module
        table, suppliers = self._durations[name], self._suppliers
        asked = Priority.NORMAL if step.priority is None else Priority[step.priority.upper()]
        allowed_us = None if step.deadline is None else length_us(step.deadline)
        length = part.until - part.since
        many = part.many * self._growth
        for _ in range(int(many) + (rand() < many % 1)):
            if part.supplier_id is None:
                supplier, vendor = suppliers[int(len(suppliers) * rand() ** _SKEW)]
            else:
                supplier, vendor = part.supplier_id, part.vendor_type or ""
            at = part.since + int(length * rand())
            duration_us = table[int(_QUANTILES * rand())]
            deadline_at = None if allowed_us is None else at + allowed_us
            found.append(
                Arrival(at, name, asked, supplier, part.wedding, vendor or None, duration_us, deadline_at=deadline_at)
            )


def _at(arrival: Arrival) -> int:
    return arrival.at


def durations(kind: Kind) -> Sequence[int]:
    """Equally likely durations of a module type, in microseconds: log-normal through its middle and its 95th of 100."""
    middle, high = max(kind.expected.p50_us, 1), max(kind.expected.p95_us, 1)
    sigma = max(0.0, log(high / middle)) / _P95
    longest = kind.definition.resource_requirements.execution_timeout * 1_000_000
    normal = NormalDist()
    return [
        max(1, round(min(middle * exp(sigma * normal.inv_cdf((n + 0.5) / _QUANTILES)), longest)))
        for n in range(_QUANTILES)
    ]


def holidays_named(journey: Journey) -> IsHoliday:
    """The holidays that a journey names itself."""
    return holiday_dates(journey).__contains__


def margin(journeys: Iterable[Journey]) -> tuple[timedelta, timedelta]:
    """How long before and after a day the weddings may be whose steps fall on it."""
    days = [step.days for journey in journeys for step in journey.steps if step.anchor == "wedding"]
    booked = any(step.anchor == "booking" for journey in journeys for step in journey.steps)
    skip = _LONGEST_SKIP_DAYS
    return timedelta(days=max([*days, 0]) + skip), timedelta(days=max(-min([*days, 0]), 460 if booked else 0) + skip)


def days_of(since: date, until: date, journeys: Sequence[Journey]) -> tuple[date, date]:
    """The wedding days whose journeys may have steps from one day to another."""
    before, after = margin(journeys)
    return since - before, until + after
