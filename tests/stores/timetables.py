"""Schedules for tests of them: registered from YAML, fired at an instant, and what came of it."""

import contextlib
from dataclasses import replace

from tests.stores.queues import NOW
from wedsync_ops.errors import DatabaseConflict
from wedsync_ops.instants import HOUR, iso
from wedsync_ops.jobs import schedules
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.fire import fire_due
from wedsync_ops.jobs.store import view
from wedsync_ops.modules import actions as modules
from wedsync_ops.testing.clock import FakeClock

CONTEXT = "{client_id: c1, supplier_id: s1, journey_instance_id: j1}"
ONE = NOW + HOUR
"""The first fire of an hourly schedule that was registered at noon."""


def yaml(schedule_id: str = "hourly", **fields: str) -> str:
    whole = {"module_type": "email", "config": "{}", "context": CONTEXT, "timezone": "UTC", **fields}
    if "interval" not in whole:
        whole.setdefault("cron", "0 * * * *")
    return f"  - id: {schedule_id}\n" + "".join(f"    {name}: {value}\n" for name, value in whole.items())


def register(queue: Queue, *several: str, dry_run: bool = False) -> schedules.Batch:
    raw = ("schema_version: 1\nschedules:" + ("\n" + "".join(several) if several else " []")).encode()
    now = queue.clock.now()
    batch = schedules.Batch(queue.rules, raw, now)
    done = modules.register(queue.database, raw, "test", now=now, beside=[batch], dry_run=dry_run)
    assert done.problems == ()
    return batch


def changes(batch: schedules.Batch) -> list[tuple[str, str]]:
    return [(one.schedule_id, one.change) for one in batch.registered]


def at(queue: Queue, instant: int) -> Queue:
    return replace(queue, clock=FakeClock(instant))


def fire(queue: Queue, instant: int) -> int:
    return fire_due(queue.database, queue.rules, now=instant, by="w1")


def attempt(queue: Queue, instant: int) -> None:
    """Fire as a worker does: what another transaction got in the way of is met again."""
    with contextlib.suppress(DatabaseConflict):
        fire(queue, instant)


def told(queue: Queue, name: str = "hourly") -> list[tuple[str, str]]:
    """The schedule's fires, oldest first: hour and minute, outcome."""
    return [((iso(one.fire_at) or "")[11:16], one.outcome.value) for one in schedules.history(queue, name, 0)][::-1]


def jobs(queue: Queue) -> list[tuple[int, str]]:
    with queue.database.reading() as connection:
        return [(job.job_id, job.state.value) for job in view.list_jobs(connection, view.Filter())][::-1]


def ahead(queue: Queue, name: str = "hourly") -> int | None:
    return schedules.standing(queue, name).stored.next_fire_at
