"""What a simulation needs of the platform: module types, what their executions take, alert rules, journeys, couples."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Connection

from wedsync_ops.alerts.alerter import rules_in_force
from wedsync_ops.alerts.model import Rule
from wedsync_ops.alerts.rules import BUILT_IN
from wedsync_ops.errors import InvalidDefinitions, InvalidInput
from wedsync_ops.instants import SECOND, local_midnight
from wedsync_ops.jobs.model import Expected
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.store import durations
from wedsync_ops.modules import registry
from wedsync_ops.modules.model import Definition
from wedsync_ops.planning import definitions
from wedsync_ops.planning.couples import couple_of
from wedsync_ops.planning.definitions import Journey
from wedsync_ops.planning.free_days import holidays_of
from wedsync_ops.planning.simulate import arrivals, couples
from wedsync_ops.planning.simulate.arrivals import Couples, Plan
from wedsync_ops.planning.simulate.couples import Cohort
from wedsync_ops.planning.simulate.model import Chance, Kind, Setup
from wedsync_ops.planning.store import journeys
from wedsync_ops.scaling.policy import policy_of
from wedsync_ops.settings import Settings
from wedsync_ops.weddings import store as clients
from wedsync_ops.weddings.model import Calendar
from wedsync_ops.weddings.store import Wanted

USUAL_JOBS = 100_000
"""The jobs of the time asked for, before growth, unless something else is said; of a Saturday 12,000 in a busy hour."""
_MIDDLE, _HIGH = 0.1, 0.25
"""What executions of a type take that was never measured, as shares of its ``max_execution_time``: p50 and p95."""
_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the platform. ``measured`` are the module types whose durations were measured."""

    kinds: Mapping[str, Kind]
    measured: frozenset[str]
    rules: Sequence[Rule]
    journeys: Sequence[Journey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much there is to do, from one day to another, both included: ``jobs``, or what ``weddings`` a year bring."""

    first: date
    last: date
    growth: float = 1.0
    weddings: int | None = None
    jobs: int | None = None
    spread_s: float = 7200.0
    seed: int = 1


def from_database(connection: Connection, rules: Rules) -> Known:
    """What a platform knows. Raises DatabaseError."""
    found = {
        module.module_id: module.definition
        for module in rules.registry.modules()
        if rules.registry.is_usable(module.module_id)
    }
    measured = durations.read(connection)
    stored = [definitions.from_text(one.definition) for one in journeys.current(connection)]
    return _known(found, measured, rules_in_force(connection), stored)


def from_definitions(raw: bytes) -> Known:
    """What a file of definitions says. Raises InvalidDefinitions, InvalidYaml."""
    parsed = registry.parse(raw)
    if parsed.problems:
        first = parsed.problems[0]
        raise InvalidDefinitions(f"line {first.line}: {first.path}: {first.message}", hint="see 'register --dry-run'")
    said = definitions.parse(raw)
    found = {one.definition.id: one.definition for one in parsed.definitions if one.definition.is_active}
    return _known(found, {}, BUILT_IN, [one.journey for one in said.journeys] if said is not None else [])


def with_attempts(known: Known, attempts: int) -> Known:
    """The same with another number of attempts for every module type."""
    kinds = {
        name: Kind(
            kind.definition.model_copy(
                update={"retry": kind.definition.retry.model_copy(update={"attempts": attempts})}
            ),
            kind.expected,
        )
        for name, kind in known.kinds.items()
    }
    return Known(kinds, known.measured, known.rules, known.journeys)


def setup_of(settings: Settings, calendar: Calendar, known: Known) -> Setup:
    """The platform as it is configured."""
    return Setup(
        calendar=calendar,
        kinds=known.kinds,
        policy=policy_of(settings),
        least=settings.min_slots,
        most=settings.max_slots,
        every_us=max(1, round(settings.autoscale_every_s * SECOND)),
        lead_us=round(settings.scale_lead_s * SECOND),
        ageing_us=round(settings.ageing_s * SECOND),
        lease_us=round(settings.lease_s * SECOND),
        loss_limit=settings.loss_limit,
        kill_limit=settings.kill_limit,
        rules=tuple(known.rules),
    )


def synthetic(known: Known, calendar: Calendar, volume: Volume) -> Couples:
    """The demand of synthetic couples. Raises InvalidInput when nothing would fall due."""
    going = [*known.journeys] or [couples.usual_journey()]
    planned = _planned(going, calendar, volume.first, volume.last, volume.spread_s)
    if volume.weddings is not None:
        year = volume.first.year
        days = (date(year, 1, 1) + timedelta(days=number) for number in range(365))
        factor = volume.weddings / sum(couples.wedding_weight(day, calendar) for day in days)
    else:
        factor = (volume.jobs or USUAL_JOBS) / (planned.total or 1.0)
    return _demand(known, planned.times(factor), volume)


def booked(connection: Connection, known: Known, calendar: Calendar, volume: Volume) -> Couples:
    """The demand of the couples that are known, on their journeys. Raises DatabaseError, InvalidInput."""
    going = [*known.journeys] or [couples.usual_journey()]
    first, last = arrivals.days_of(volume.first, volume.last, going)
    since, until = _instants(volume.first, volume.last, calendar)
    free = [(journey, holidays_of(journey)) for journey in going]
    found = _cohorts(connection, first, last, calendar)
    return _demand(known, arrivals.plan(found, free, since, until, round(volume.spread_s * SECOND)), volume)


def chance_of(seed: int) -> Chance:
    """The generator for whatever is no part of the demand."""
    return random.Random(f"{seed}:run")  # noqa: S311 - no secret


def _known(
    found: Mapping[str, Definition],
    measured: Mapping[str, Expected],
    rules: Sequence[Rule],
    stored: Sequence[Journey],
) -> Known:
    kinds = {name: Kind(one, measured.get(name) or _assumed(one)) for name, one in sorted(found.items())}
    return Known(kinds, frozenset(measured) & frozenset(kinds), rules, stored)


def _assumed(definition: Definition) -> Expected:
    longest_us = definition.performance_targets.max_execution_time * 1000
    return Expected(max(1, round(longest_us * _MIDDLE)), max(1, round(longest_us * _HIGH)))


def _planned(going: Sequence[Journey], calendar: Calendar, first: date, last: date, spread_s: float) -> Plan:
    since, until = _instants(first, last, calendar)
    free = [(journey, holidays_of(journey)) for journey in going]
    marrying = couples.couples(*arrivals.days_of(first, last, going), calendar)
    return arrivals.plan(marrying, free, since, until, round(spread_s * SECOND))


def _instants(first: date, last: date, calendar: Calendar) -> tuple[int, int]:
    return local_midnight(first, calendar.zone), local_midnight(last + timedelta(days=1), calendar.zone)


def _demand(known: Known, planned: Plan, volume: Volume) -> Couples:
    steps = {part.step.module for parts in planned.hours.values() for part in parts}
    if not steps:
        raise InvalidInput("no step of a journey falls due in that time", hint="simulate other days")
    missing = sorted(steps - set(known.kinds))
    if missing:
        raise InvalidInput(
            f"the journeys use module types that there are not: {', '.join(missing)}",
            hint="register them, or journeys without them",
        )

    def drawn(hour: int) -> Chance:
        return random.Random(f"{volume.seed}:{hour}")  # noqa: S311 - no secret

    return Couples(planned, known.kinds, drawn, growth=volume.growth)


def _cohorts(connection: Connection, first: date, last: date, calendar: Calendar) -> Iterator[Cohort]:
    after: tuple[date, str] | None = None
    while True:
        page = clients.list_clients(connection, Wanted(first=first, last=last, limit=_PAGE, after=after))
        for one in page:
            yield Cohort(couple_of(one.client, calendar.zone), 1.0, one.client.region.value)
        if len(page) < _PAGE:
            return
        after = page[-1].client.wedding_on, page[-1].client.client_id
