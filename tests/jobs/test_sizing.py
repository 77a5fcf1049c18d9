"""A worker follows what is wanted of it, within a second, and says so."""

from pathlib import Path

from tests.jobs.pool_helpers import order, outcomes, pool
from tests.stores.rows import worker
from wedsync_ops.db import Database
from wedsync_ops.jobs.sizing import Sizing
from wedsync_ops.jobs.store import workers
from wedsync_ops.testing.clock import FakeClock


def wants(database: Database, slots: int) -> None:
    with database.transaction() as connection:
        workers.want(connection, "w", slots)


def row(database: Database) -> workers.Worker:
    with database.reading() as connection:
        (found,) = workers.living(connection)
    return found


def test_the_slots_become_what_is_wanted_and_what_runs_goes_on(database: Database, tmp_path: Path) -> None:
    clock = FakeClock()
    with database.transaction() as connection:
        workers.register(connection, worker(id="w", slots=2, min_slots=1, max_slots=9))
    sizing = Sizing(database, clock, is_sized=True)
    with pool(tmp_path, 2) as slots:
        assert not sizing.is_due()
        clock.advance("1s")
        assert sizing.is_due()
        sizing.follow("w", slots)
        assert slots.size == 2, "nobody has decided"
        wants(database, 3)
        sizing.follow("w", slots)
        assert (slots.size, row(database).slots, row(database).busy) == (3, 3, 0)
        for job in (1, 2):
            slots.start(order("sleeps", {"seconds": 0.1}, job_id=job))
        wants(database, 1)
        sizing.follow("w", slots)
        assert (slots.size, len(slots.running), row(database).slots, row(database).busy) == (1, 2, 1, 1)
        assert len(outcomes(slots, 2)) == 2


def test_one_that_keeps_its_size_never_looks(database: Database) -> None:
    clock = FakeClock()
    sizing = Sizing(database, clock, is_sized=False)
    clock.advance("1h")
    assert not sizing.is_due()
