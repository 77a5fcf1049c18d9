"""A platform to simulate on: the shipped module types, a calendar of the north, demands made of lists."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from wedsync_ops.app import rehearsal_of
from wedsync_ops.instants import SECOND, parse_instant
from wedsync_ops.jobs.model import Expected, Priority
from wedsync_ops.planning import simulating
from wedsync_ops.planning.simulate.model import Answer, Arrival, Guard, Kind, Setup
from wedsync_ops.planning.simulate.run import simulate
from wedsync_ops.planning.simulate.trace import Recorded
from wedsync_ops.planning.simulating import Known, Volume
from wedsync_ops.settings import Settings
from wedsync_ops.weddings.model import Calendar, Wedding

UTC = ZoneInfo("UTC")
CALENDAR = Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, UTC)
SATURDAY = date(2027, 6, 19)
START = parse_instant("2027-01-12T10:00:00Z")
"""A weekday in the off season: priorities are what is asked for, but for weddings."""


@lru_cache(maxsize=1)
def shipped() -> Known:
    return simulating.from_definitions((Path(__file__).parents[3] / "modules.yaml").read_bytes())


def taking(known: Known, expected: Expected) -> Known:
    """The same with executions that take so long."""
    return replace(known, kinds={name: replace(kind, expected=expected) for name, kind in known.kinds.items()})


def setup(**values: Any) -> Setup:
    made = simulating.setup_of(Settings(home=Path("unused")), CALENDAR, shipped())
    return replace(made, **values)


def fixed(slots: int, **values: Any) -> Setup:
    return setup(least=slots, most=slots, rules=(), **values)


def kinds(**expected: Expected) -> dict[str, Kind]:
    """The shipped types with other expectations."""
    known = shipped().kinds
    return {name: replace(kind, expected=expected.get(name, kind.expected)) for name, kind in known.items()}


def job(
    at_s: float = 0.0,
    takes_s: float = 1.0,
    module_type: str = "info",
    *,
    priority: Priority = Priority.NORMAL,
    supplier: str = "s1",
    wedding_on: date | None = None,
    fails: int = 0,
    label: str | None = None,
) -> Arrival:
    return Arrival(
        at=START + round(at_s * SECOND),
        module_type=module_type,
        requested=priority,
        supplier_id=supplier,
        wedding=None if wedding_on is None else Wedding(wedding_on, UTC),
        vendor_type=None,
        duration_us=round(takes_s * SECOND),
        fails=fails,
        label=label,
    )


def run(platform: Setup, jobs: Iterable[Arrival], seed: int = 1) -> Answer:
    demand = Recorded(sorted(jobs, key=lambda one: one.at))
    return simulate(platform, demand, random.Random(seed), keep_starts=True)


def labels(answer: Answer) -> Sequence[str | None]:
    """The jobs in the order in which they started."""
    return [one.label for one in answer.started]


def guard(known: Known) -> Guard | None:
    """The shipped circuit breakers."""
    return rehearsal_of(Settings(), {name: kind.definition.provider for name, kind in known.kinds.items()})


def saturday(
    known: Known, jobs: int, growth: float, platform: Setup, seed: int = 1, breakers: Guard | None = None
) -> Answer:
    """A Saturday in June."""
    volume = Volume(first=SATURDAY, last=SATURDAY, jobs=jobs, growth=growth, seed=seed)
    demand = simulating.synthetic(known, CALENDAR, volume)
    return simulate(platform, demand, simulating.chance_of(seed), guard=breakers)
