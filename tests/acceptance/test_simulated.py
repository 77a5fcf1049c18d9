"""A real worker and the simulation of the same jobs: they start in the same order, and wait as long.

Jobs are so long that what the loop takes between two of them on a busy machine matters little, and that none is claimed
ahead.
"""

import json
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.conftest import Home, definition
from wedsync_ops.instants import iso
from wedsync_ops.jobs.model import Expected
from wedsync_ops.modules import registry
from wedsync_ops.planning.simulate import trace
from wedsync_ops.planning.simulate.model import Answer, Kind, Setup
from wedsync_ops.planning.simulate.run import simulate
from wedsync_ops.weddings.model import Calendar

TYPES = ("long-walk", "short-walk", "stroll")
ATTEMPTS = "{attempts: 3, backoff: fixed, delay: 300}"
DEFINITIONS = [
    definition(name, "sleeping", "{ms: {type: number}}", isolation="process", retry=ATTEMPTS) for name in TYPES
]
CALENDAR = Calendar(frozenset({5, 6, 7, 8, 9}), frozenset({4, 10}), 5.0, 2.0, 1.0, 3.0, ZoneInfo("UTC"))
JOBS = 60


class Ran(NamedTuple):
    """An execution as the database has it; times in microseconds."""

    job_id: int
    module_type: str
    supplier_id: str
    priority: int
    due_at: int
    started_at: int
    duration_us: int
    wedding_on: str | None


def lines(*, shortest: int, longest: int) -> list[dict[str, Any]]:
    """Jobs of several suppliers, priorities and weddings, the same each time but for the days of the weddings."""
    chance = random.Random(7)
    today = datetime.now(UTC).date()
    made = []
    for number in range(JOBS):
        supplier = chance.choice(["s1", "s1", "s1", "s2", "s3", "s4"])
        context = {"client_id": f"c{number}", "supplier_id": supplier, "journey_instance_id": f"j{number}"}
        days = chance.choice([None, None, 0, 1, 4, 20, 60])
        if days is not None:
            context["wedding_date"] = (today + timedelta(days=days)).isoformat()
        made.append(
            {
                "module_type": chance.choice(TYPES),
                "config": {"ms": chance.randint(shortest, longest)},
                "context": context,
                "priority": chance.choice(["low", "normal", "normal", "high", "critical"]),
            }
        )
    return made


def run_for_real(home: Home, slots: int, *, shortest: int, longest: int) -> list[Ran]:
    home.register(*DEFINITIONS)
    queued = "\n".join(json.dumps(line) for line in lines(shortest=shortest, longest=longest))
    home.run("enqueue", "--file", "-", "--quiet", stdin=queued)
    home.run("run-worker", "--drain", "--concurrency", str(slots))
    with closing(sqlite3.connect(home.path / "wedsync-ops.db")) as connection:
        rows = connection.execute(
            "SELECT j.id, j.module_type, j.supplier_id, j.priority_requested, j.due_at, e.started_at, e.duration_us,"
            " j.wedding_on FROM jobs j JOIN executions e ON e.job_id = j.id"
        ).fetchall()
    assert len(rows) == JOBS
    return sorted((Ran._make(row) for row in rows), key=lambda one: one.started_at)


def simulated(ran: list[Ran], slots: int) -> Answer:
    """The same jobs, as they were recorded; the worker begins when the real one had its first job."""
    words = ("low", "normal", "high", "critical")
    recorded = [
        {
            "at": iso(one.due_at),
            "module_type": one.module_type,
            "supplier_id": one.supplier_id,
            "priority": words[one.priority],
            "wedding_date": one.wedding_on,
            "duration_ms": one.duration_us / 1000,
            "label": str(one.job_id),
        }
        for one in sorted(ran, key=lambda one: one.job_id)
    ]
    parsed = registry.parse(("schema_version: 1\nmodules:\n" + "".join(DEFINITIONS)).encode())
    kinds = {one.definition.id: Kind(one.definition, Expected(2_000_000, 2_000_000)) for one in parsed.definitions}
    demand = trace.read(enumerate(recorded, 1), kinds, ZoneInfo("UTC"))
    setup = Setup(calendar=CALENDAR, kinds=kinds, least=slots, most=slots, starts_at=ran[0].started_at)
    return simulate(setup, demand, random.Random(1), keep_starts=True)


def test_with_one_slot_jobs_start_in_exactly_the_same_order(home: Home) -> None:
    ran = run_for_real(home, 1, shortest=100, longest=160)
    answer = simulated(ran, 1)
    assert [int(one.label or 0) for one in answer.started] == [one.job_id for one in ran]
    assert answer.done == JOBS


@pytest.mark.parametrize("slots", [2, 6])
def test_with_several_slots_jobs_wait_as_long(home: Home, slots: int) -> None:
    ran = run_for_real(home, slots, shortest=200, longest=400)
    assert_waits_alike(ran, simulated(ran, slots))


def assert_waits_alike(ran: list[Ran], answer: Answer) -> None:
    """Within ten per cent: the mean and the quarters of the waits since the worker had its first job."""
    begins = ran[0].started_at
    real = sorted(one.started_at - begins for one in ran)
    model = sorted(one.at - begins for one in answer.started)
    assert sum(model) == pytest.approx(sum(real), rel=0.1)
    for place in (JOBS // 4, JOBS // 2, 3 * JOBS // 4, JOBS - 1):
        assert model[place] == pytest.approx(real[place], rel=0.1, abs=20_000)
