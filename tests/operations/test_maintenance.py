"""Maintenance that several machines begin at once: done by one, left out by the others, never twice."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.metrics import rows
from tests.stores import databases
from tests.stores.queues import NOW, queue_on
from tests.stores.rows import add_many
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import DAY, SECOND
from wedsync_ops.jobs.leader import Leader
from wedsync_ops.jobs.store import durations, terms
from wedsync_ops.metrics.actions import measure
from wedsync_ops.metrics.rollup import Rolled, Roller
from wedsync_ops.operations import maintenance
from wedsync_ops.operations.maintenance import Site
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("maintenance")
    yield from databases.opened(request.param, request, home, f"maintenance_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def site(shared: Database, tmp_path: Path) -> Site:
    queue = queue_on(databases.emptied(shared), tmp_path)
    return Site(queue.database, queue.clock, queue.rules)


def holding(site: Site, name: str, holder: str = "another") -> None:
    assert Leader(site.database, site.clock, 60).lead(name, holder) is not None


def numbers(site: Site) -> dict[str, int]:
    with site.database.reading() as connection:
        return {term.name: term.number for term in terms.read(connection)}


@pytest.mark.parametrize("task", ["retention", "counters", "rollup", "forecast"])
def test_what_another_process_is_at_is_left_out(site: Site, task: str) -> None:
    holding(site, f"maintenance {task}")
    done = maintenance.run(site, [task])[-1]
    assert (done.counts, done.skipped) == ({}, "another process is at it")


@pytest.mark.parametrize("task", ["retention", "counters", "rollup", "forecast"])
def test_the_next_one_need_not_wait_for_the_end_of_a_term(site: Site, task: str) -> None:
    for _ in range(2):
        done = maintenance.run(site, [task])[-1]
        assert done.skipped is None
    assert numbers(site)[f"maintenance {task}"] == 2


@pytest.mark.parametrize("task", ["retention", "counters", "rollup", "forecast"])
def test_after_one_that_was_killed_the_next_takes_over(site: Site, task: str) -> None:
    holding(site, f"maintenance {task}")
    *_, done = maintenance.run(replace(site, clock=FakeClock(NOW + 61 * SECOND)), [task])
    assert done.skipped is None


def test_who_was_replaced_in_the_middle_writes_nothing_more(site: Site) -> None:
    with site.database.transaction() as connection:
        add_many(connection, [{}, {}])
    sole = maintenance.Sole(site, "maintenance counters")
    assert sole.take()
    holding(replace(site, clock=FakeClock(NOW + 600 * SECOND)), "maintenance counters")
    with pytest.raises(TermOver, match="another has it now"), sole.writing() as connection:
        connection.execute(text("UPDATE lane_counts SET waiting = 7"))
    with site.database.reading() as connection:
        assert connection.execute(text("SELECT waiting FROM lane_counts")).scalar_one() == 2


def test_two_at_once_forget_everything_once(site: Site) -> None:
    with site.database.transaction() as connection:
        ids = add_many(connection, [{}] * 1200)
        connection.execute(
            text("UPDATE jobs SET state = 'discarded', finished_at = :old WHERE id <= :last"),
            {"old": NOW - 400 * DAY, "last": max(ids)},
        )
    results: list[maintenance.Done] = []

    def run() -> None:
        results.extend(maintenance.run(site, ["retention"]))

    both = [threading.Thread(target=run) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert sum(done.counts.get("jobs_dropped", 0) for done in results) == 1200
    with site.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0


def test_a_long_task_renews_its_term(site: Site) -> None:
    clock = FakeClock(NOW)
    sole = maintenance.Sole(replace(site, clock=clock), "maintenance retention")
    assert sole.take()
    for minute in range(1, 6):
        clock.set(NOW + minute * 60 * SECOND)
        with sole.writing() as connection:
            durations.measure(connection, clock.now())
    assert Leader(site.database, clock, 60).lead("maintenance retention", "another") is None
    assert numbers(site) == {"maintenance retention": 1}
    sole.leave()
    holding(replace(site, clock=clock), "maintenance retention")
    clock.set(clock.now() + 50 * SECOND)
    with pytest.raises(TermOver), sole.writing():
        pass


def test_retention_takes_only_executions_that_are_measured(site: Site) -> None:
    """An execution that comes after the rollup stays, however old: else it would be in no figure."""
    old, day = NOW - 91 * DAY, NOW - NOW % DAY
    rows.executions(site.database, [{"finished_at": old}, {"finished_at": day - 90 * DAY}, {"finished_at": NOW - 1}])
    assert maintenance.run(site, ["rollup"])[0].counts["executions_rolled_up"] == 3
    rows.executions(site.database, [{"finished_at": old, "module_type": "sms"}])
    with site.database.transaction() as connection:
        connection.execute(text("INSERT INTO lane_counts VALUES ('email', 1, 0, 0, 0), ('sms', 1, 0, 0, 0)"))

    class Elsewhere(Roller):
        def round(self) -> Rolled:
            return Rolled(0, 0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maintenance, "Roller", Elsewhere)
        assert maintenance.run(site, ["retention"])[0].counts["executions_dropped"] == 1
    assert maintenance.run(site, ["retention"])[0].counts["executions_dropped"] == 1
    measured = measure(site.database, ["email", "sms"], range_us=95 * DAY, now=NOW)
    assert [module.counts.total for module in measured.modules] == [3, 1]
    assert measured.range.from_at == day - 95 * DAY


def test_alerts_are_evaluated_on_what_has_been_rolled_up(site: Site) -> None:
    assert [done.task for done in maintenance.run(site, ["rescue", "alerts"])] == ["rescue", "rollup", "alerts"]
    assert [done.task for done in maintenance.run(site, ["rollup", "alerts"])] == ["rollup", "alerts"]
