"""Any order of plans, moves, executions, cancellations and retries keeps what journeys promise."""

import json
import random
from datetime import date, timedelta

import pytest

from tests.planning.scene import JOURNEYS, couples, jobs, plan, register
from tests.stores.queues import NOW
from tests.stores.rows import ending, take
from wedsync_ops.instants import DAY
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs import ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Priority, State
from wedsync_ops.jobs.store import finish
from wedsync_ops.planning import actions
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.weddings import store as clients

WAITING = ("scheduled", "available", "retryable")


def run_some(queue: Queue) -> None:
    """Promote what is due, run some of it."""
    now = queue.clock.now()
    with queue.database.transaction() as connection:
        ripen.promote(connection, queue.rules, now)
        for module_type in ("email", "info"):
            for step in Priority:
                taken = take(connection, 1, module_type=module_type, priority=step)
                finish.apply(connection, [ending(job, State.COMPLETED, at=now) for job in taken])


def one_of(queue: Queue, draw: random.Random, *states: str) -> list[int]:
    found = [row["id"] for row in jobs(queue) if row["state"] in states]
    return [draw.choice(found)] if found else []


@pytest.mark.parametrize("seed", range(6))
def test_any_order(queue: Queue, seed: int) -> None:
    draw = random.Random(seed)
    clock = queue.clock
    assert isinstance(clock, FakeClock)
    register(queue, JOURNEYS.replace("offset: -7d,", "offset: -7d, if_past: now, deadline: 2d,"))
    couples(queue)
    done: dict[int, str] = {}
    for _ in range(60):
        act = draw.randrange(7)
        today = date(2027, 1, 13) + timedelta(days=(clock.now() - NOW) // DAY)
        if act == 0:
            plan(queue)
        elif act in (1, 2):
            actions.move(queue, "c1", today + timedelta(days=draw.randrange(90)))
        elif act == 3:
            run_some(queue)
        elif act == 4:
            queue_actions.cancel(queue, one_of(queue, draw, *WAITING))
        elif act == 5:
            queue_actions.retry(queue, one_of(queue, draw, "cancelled"))
        else:
            clock.advance(f"{draw.randrange(1, 96)}h")
        rows = jobs(queue)  # which checks the lanes' counters, too
        assert len({row["key"] for row in rows}) == len(rows) <= 4
        for row in rows:
            if row["id"] in done:
                assert (row["state"], row["context"]) == ("completed", done[row["id"]])
            elif row["state"] == "completed":
                done[row["id"]] = row["context"]
    plan(queue)
    with queue.database.reading() as connection:
        known = clients.find(connection, "c1")
    assert known is not None
    actions.move(queue, "c1", max(known.client.wedding_on, date(2028, 1, 1)))
    dates = {json.loads(row["context"])["wedding_date"] for row in jobs(queue) if row["state"] in WAITING}
    assert len(dates) <= 1
    assert {row["wedding_on"] for row in jobs(queue) if row["state"] in WAITING} == dates
    again = jobs(queue)
    plan(queue)
    assert jobs(queue) == again
