"""On SQLite every statement of the hot path goes through its own index; none walks the jobs.

The statements are those that the stores send, caught on their way and explained.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from tests.stores.queues import queue_on
from tests.stores.rows import NOW, add, ending, take
from wedsync_ops.db import Database
from wedsync_ops.emergencies.store import frozen
from wedsync_ops.instants import DAY, to_datetime
from wedsync_ops.jobs import draining
from wedsync_ops.jobs.model import Claimed, Lane, Priority, State
from wedsync_ops.jobs.store import (
    claim,
    control,
    dead,
    durations,
    events,
    finish,
    insert,
    lanes,
    limits,
    place,
    replace,
    retention,
    schedules,
    trail,
    unique,
    view,
    vital,
    workers,
)
from wedsync_ops.jobs.store.insert import Keyed
from wedsync_ops.jobs.store.retention import Key, Sweep
from wedsync_ops.limits import Limit
from wedsync_ops.scaling.store import demand

LANE = Lane("email", Priority.NORMAL)


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """The plan of every statement that reads or changes rows while the context is open."""
    found: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
            values = parameters[0] if many else parameters
            raw = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            found.extend(row[3] for row in raw)

    event.listen(database.writer, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(database.writer, "before_cursor_execute", explain)


def _measured(connection: Connection) -> None:
    add(connection)
    durations.measure(connection, NOW)


def _claimed(connection: Connection) -> list[Claimed]:
    return take(connection)


def _swept(connection: Connection, sweep: Sweep, key: Key, after: Key) -> None:
    """What a sweep does with its first page, a later one, and what it found."""
    sweep.look(connection, ())
    sweep.look(connection, after)
    sweep.forget(connection, [key])


def _leftovers(place: int) -> Sweep:
    policy = retention.Policy(NOW, NOW, NOW, NOW, NOW, 1, 1)
    return [*retention.sweeps(policy, [])][-4:][place]


def _near(connection: Connection) -> None:
    """What the change freeze looks at."""
    add(connection)
    day = to_datetime(NOW).date()
    frozen.open_jobs(connection, (day, day), NOW + DAY)


CASES: dict[str, tuple[Callable[[Connection], Any], str]] = {
    "claim": (lambda c: claim.claim(c, LANE, 5, worker_id="w"), "jobs_to_claim (module_type=? AND priority=?)"),
    "claim under limits": (
        lambda c: limits.candidates(c, LANE, 5, with_client=True),
        "jobs_to_claim (module_type=? AND priority=?)",
    ),
    "lease of what may start": (lambda c: limits.lease(c, [1, 2], "w"), "jobs USING INTEGER PRIMARY KEY"),
    "a job's place": (lambda c: place.find(c, 1), "payloads USING INTEGER PRIMARY KEY"),
    "let go": (lambda c: limits.let_go(c, ("a", "b"), 5), "jobs_held (held_by=?)"),
    "awake": (lambda c: limits.awake(c, NOW, 5), "limit_gauges_waking (wake_at"),
    "what runs, for a limit": (
        lambda c: limits.running(c, Limit(name="a", kind="concurrent", count=1, per="supplier"), lambda _: None),
        "jobs_leased",
    ),
    "how much is held": (lambda c: limits.held(c, "a", 5), "jobs_held (held_by>? AND held_by<?)"),
    "claim in a region": (
        lambda c: claim.claim(c, LANE, 5, worker_id="w", region="south"),
        "jobs_to_claim_in_region (module_type=? AND priority=? AND region=?)",
    ),
    "claim in a region under limits": (
        lambda c: limits.candidates(c, LANE, 5, with_client=True, region="south"),
        "jobs_to_claim_in_region (module_type=? AND priority=? AND region=?)",
    ),
    "what falls due, by hour": (
        lambda c: demand.due(c, NOW, NOW + DAY),
        "jobs_to_promote (due_at>? AND due_at<?)",
    ),
    "lanes within a region": (
        lambda c: lanes.within(c, "south", 5),
        "jobs_to_claim_in_region (module_type=? AND priority=? AND region=?)",
    ),
    "weddings of what is scheduled": (_near, "jobs_to_promote (due_at<?)"),
    "weddings of what is available": (_near, "jobs_to_claim (module_type=? AND priority=?)"),
    "weddings of what is held": (_near, "jobs_held (held_by>?)"),
    "weddings of what runs": (_near, "jobs_leased"),
    "next of a lane": (lambda c: vital.heads(c, [LANE]), "jobs_to_claim (module_type=? AND priority=?)"),
    "next of a region": (
        lambda c: vital.heads_in(c, [LANE], ["south"]),
        "jobs_to_claim_in_region (module_type=? AND priority=? AND region=?)",
    ),
    "has ended something": (
        lambda c: vital.has_finished(c, "w", ["email"], NOW),
        "executions_by_module (module_type=? AND finished_at>?)",
    ),
    "history of a job": (lambda c: trail.ended(c, trail.Wanted(job=1)), "executions_by_job (job_id=?)"),
    "history from here on": (
        lambda c: trail.ended(c, trail.Wanted(), 5),
        "executions USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "load": (lambda c: claim.load(c, claim.claim(c, LANE, 5, worker_id="w")), "payloads USING INTEGER PRIMARY KEY"),
    "promote": (lambda c: claim.due(c, NOW), "jobs_to_promote (due_at<?)"),
    "reconsider": (lambda c: claim.changing(c, NOW), "jobs_to_reconsider (next_change_at"),
    "next due": (claim.next_due, "jobs_to_promote"),
    "next schedule due": (claim.next_due, "schedules_to_fire"),
    "schedules due": (lambda c: schedules.due(c, NOW, 10), "schedules_to_fire (next_due_at>? AND next_due_at<?)"),
    "jobs of a schedule": (lambda c: schedules.unfinished(c, "s"), "schedule_fires_of_jobs (schedule_id=?)"),
    "change": (
        lambda c: claim.change(
            c, [claim.Change(j, State.AVAILABLE, j.priority, NOW, None) for j in claim.due(c, NOW)], NOW
        ),
        "jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "release": (lambda c: claim.release(c, _claimed(c), now=NOW), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "apply": (
        lambda c: finish.apply(c, [ending(j, State.COMPLETED) for j in _claimed(c)]),
        "jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "mark started": (
        lambda c: finish.mark_started(c, [(j.id, j.token, NOW) for j in _claimed(c)]),
        "jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "orphans": (lambda c: workers.orphans(c, "w", 5), "jobs_leased (leased_by=?)"),
    "holders gone": (workers.holders_gone, "jobs_leased"),
    "keyed": (lambda c: insert.keyed(c, ["k"]), "jobs_by_key (key=?)"),
    "unique": (lambda c: unique.held(c, ["k"]), "jobs_unique (unique_key=?)"),
    "to replace": (lambda c: replace.standing(c, [1], lock=True), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "tags": (lambda c: insert.tags(c, [("email", 1, "s")]), "supplier_tags"),
    "position": (
        lambda c: view.position(c, add(c)),
        "jobs_to_claim (module_type=? AND priority=? AND rank<?)",
    ),
    "cancel": (lambda c: control.cancel(c, [1], NOW), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "retryable": (lambda c: control.retryable(c, [1]), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "dead letters": (lambda c: dead.page(c, after=(1, 1)), "jobs_dead (finished_at>? AND"),
    "letters still dead": (lambda c: dead.still_dead(c, [(1, 1)]), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "letters standing": (lambda c: dead.standing(c, [1]), "jobs USING INTEGER PRIMARY KEY (rowid=?)"),
    "retry": (
        lambda c: control.retry(c, [control.Retryable(1, "email", 1, "s", has_payload=True)], NOW),
        "jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "show": (lambda c: view.show_job(c, 1), "executions_by_job (job_id=?)"),
    "durations": (_measured, "executions_by_module (module_type=?)"),
    "lanes": (lanes.read, "lane_counts"),
    "old executions": (
        lambda c: _swept(c, retention.executions("email", NOW), (1,), (1, 1)),
        "executions_by_module (module_type=? AND finished_at>? AND finished_at<?)",
    ),
    "jobs of old executions": (
        lambda c: _swept(c, retention.executions("email", NOW), (1,), (1, 1)),
        "jobs USING INTEGER PRIMARY KEY (rowid=?)",
    ),
    "old dead jobs": (lambda c: _swept(c, retention.dead_jobs(NOW), (1,), (1, 1)), "jobs_dead (finished_at>? AND"),
    "completed payloads": (
        lambda c: _swept(c, retention.completed_payloads(0), (1, 1), (1,)),
        "payloads_with_result (job_id>?)",
    ),
    "dead payloads": (lambda c: _swept(c, retention.dead_payloads(NOW), (1,), (1, 1)), "jobs_dead (finished_at>? AND"),
    "details": (
        lambda c: _swept(c, retention.details(0), (1,), (1,)),
        "execution_details USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "completed payloads, some untold": (
        lambda c: _swept(c, retention.completed_payloads(0, events.Untold(c)), (1, 1), (1,)),
        "events USING INTEGER PRIMARY KEY (rowid>?)",
    ),
    "leftover samples": (
        lambda c: _swept(c, _leftovers(0), ("h", 1), ("h", 1)),
        "host_samples USING COVERING INDEX sqlite_autoindex_host_samples_1 ((host,sampled_at)>(?,?))",
    ),
    "leftover tags": (
        lambda c: _swept(c, _leftovers(3), ("email", 1, "s"), ("email", 1, "s")),
        "sqlite_autoindex_supplier_tags_1 (module_type=? AND priority=? AND supplier_id=?)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_uses_its_index_and_never_scans_the_jobs(sqlite_plans: Database, name: str) -> None:
    run, index = CASES[name]
    with sqlite_plans.transaction() as connection:
        add(connection)
        add(connection, state=State.SCHEDULED, rank=None)
    with plans(sqlite_plans) as found, sqlite_plans.transaction() as connection:
        run(connection)
    assert any(index in step for step in found), found
    # A scan of a partial index for a minimum or its distinct values is bounded; one of the table or its keys is not.
    walked = [step for step in found if step.startswith(("SCAN jobs", "SCAN executions", "SCAN payloads"))]
    bounded = ("jobs_to_promote", "jobs_to_reconsider", "jobs_leased", "payloads_with_result")
    assert [step for step in walked if not step.endswith(bounded)] == []


def test_lanes_are_checked_by_what_waits_alone(sqlite_plans: Database) -> None:
    with plans(sqlite_plans) as found, sqlite_plans.transaction() as connection:
        lanes.errors(connection)
        assert lanes.correct(connection, [lanes.LaneError(LANE, 1, 1, 0, 0)]) == 1
    walked = [step for step in found if "jobs" in step]
    assert walked == [
        "SCAN jobs USING INDEX jobs_to_claim",
        "SEARCH jobs USING INDEX jobs_held (held_by>?)",
        "SCAN jobs USING INDEX jobs_to_promote",
    ]


@pytest.mark.parametrize(("scope", "name"), [("module", "email"), ("supplier", "s1"), ("all", "")])
def test_the_end_of_a_drain_is_looked_for_before_it_is_written(
    sqlite_plans: Database, tmp_path: Path, scope: str, name: str
) -> None:
    queue = queue_on(sqlite_plans, tmp_path)
    with sqlite_plans.transaction() as connection:
        add(connection, state=State.SCHEDULED, rank=None, due_at=NOW + DAY)
    drain = draining.begin(queue, scope, name)
    with plans(sqlite_plans) as found:
        assert draining.advance(queue, drain).is_over
    assert [step for step in found if "jobs" in step] == ["SCAN jobs USING INDEX jobs_leased"]


def test_the_newest_jobs_are_listed_without_sorting(sqlite_plans: Database) -> None:
    with plans(sqlite_plans) as found, sqlite_plans.transaction() as connection:
        view.list_jobs(connection, view.Filter())
        view.list_jobs(connection, view.Filter(states=[State.AVAILABLE], module="email", supplier="s"))
    assert not [step for step in found if "TEMP B-TREE" in step]


def test_keys_are_answered_as_they_were_queued(database: Database) -> None:
    with database.transaction() as connection:
        add(connection, key="k")
        assert isinstance(insert.keyed(connection, ["k"])["k"], Keyed)


@pytest.fixture
def sqlite_plans(sqlite_database: Database) -> Database:
    """A database of SQLite's."""
    return sqlite_database
