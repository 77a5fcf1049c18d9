"""Looks at a platform, on both databases."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on
from tests.stores.rows import add_many
from tests.top.scenes import LONG, OneAlert, enqueue, scene
from tests.weddings.couples import couple
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseLocked, UnknownJob, WrongState
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import State
from wedsync_ops.jobs.store import view
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.top import store, words
from wedsync_ops.top.acts import Acts, job_number
from wedsync_ops.top.document import to_document
from wedsync_ops.top.gather import Watcher
from wedsync_ops.top.model import NextWedding
from wedsync_ops.top.port import NoAlerts
from wedsync_ops.weddings import store as clients


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("watching")
    yield from databases.opened(request.param, request, home, f"watching_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


@pytest.fixture
def watcher(queue: Queue) -> Watcher:
    return Watcher(queue.database, queue.clock, queue.rules, OneAlert())


def acts(queue: Queue) -> Acts:
    return Acts(lambda: queue, OneAlert())


def test_a_look_shows_lanes_workers_jobs_dead_letters_and_the_next_wedding(queue: Queue, watcher: Watcher) -> None:
    jobs = scene(queue)
    frame = watcher.look()
    assert frame.trouble is None
    assert [(one.lane.module_type, one.lane.priority.word, one.available) for one in frame.lanes] == [
        ("email", "high", 1),
        ("email", "normal", 1),
    ]
    assert [(one.name, one.state, one.busy, one.slots) for one in frame.workers] == [("barn", "alive", 1, 2)]
    assert [(one.job_id, one.started_at) for one in frame.running] == [(jobs["running"][0], NOW - 90 * SECOND)]
    assert [(one.module_type, one.count, one.error) for one in frame.dead] == [("free", 2, LONG)]
    assert frame.dead_is_all
    assert frame.next_wedding is not None
    assert (frame.next_wedding.days, frame.next_wedding.job_id) == (3, jobs["waiting"][0])
    assert frame.pace.error_rate == 100
    assert [one.id for one in frame.alerts] == [7]


def test_a_page_fits_eighty_columns_and_has_nothing_that_a_terminal_would_obey(queue: Queue, watcher: Watcher) -> None:
    scene(queue)
    acts(queue).pause("review")
    actions.pause(queue, "supplier", "s9", reason="owes us a lot of money, and more than one would think it could")
    lines = words.page(watcher.look(), width=80)
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
    page = "\n".join(lines)
    assert "next wedding in 3 days, 2027-01-16" in page
    assert "barn         1/2 busy" in page
    assert "review  –         0      0        paused" in page
    assert "paused: supplier s9" in page
    assert page.isascii() is False
    assert "\n".join(words.page(watcher.look(), ascii_only=True)).isascii()


def test_the_document_is_json_and_says_what_is_not_known(queue: Queue) -> None:
    document = to_document(Watcher(queue.database, queue.clock, queue.rules).look())
    assert json.loads(json.dumps(document)) == document
    assert document["next_wedding"] is None
    assert document["last_minute"]["error_rate"] is None
    assert document["last_minute"]["executions_per_s"] == 0
    scene(queue)
    document = to_document(Watcher(queue.database, queue.clock, queue.rules, OneAlert()).look())
    (worker,) = document["workers"]
    assert [job["module_type"] for job in worker["jobs"]] == ["free"]
    assert document["dead_letters"]["groups"][0]["count"] == 2
    assert document["alerts"][0]["state"] == "firing"


def test_no_transaction_stays_open(queue: Queue, watcher: Watcher) -> None:
    scene(queue)
    watcher.look()
    assert queue.database.reader.pool.checkedout() == 0  # type: ignore[attr-defined]
    if not queue.database.is_sqlite:
        with queue.database.reading() as connection:
            open_ones = text(
                "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert connection.execute(open_ones).scalar_one() == 0


def test_a_backlog_is_never_read_whole(queue: Queue) -> None:
    with queue.database.transaction() as connection:
        add_many(connection, [{"state": "available", "wedding_on": "2027-06-19"}] * 2000)
        add_many(connection, [{"state": "scheduled", "rank": None, "wedding_on": "2027-06-19"}] * 2000)
    frame = Watcher(queue.database, queue.clock, queue.rules).look()
    with queue.database.reading() as connection:
        read = store.coming(connection, [one.lane for one in frame.lanes])
    assert len(read) <= 400
    assert sum(one.waiting for one in frame.lanes) == 4000


def test_every_statement_goes_through_an_index(sqlite_database: Database, tmp_path: Path) -> None:
    queue = queue_on(sqlite_database, tmp_path)
    scene(queue)
    found: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        raw = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        found.extend(row[3] for row in raw)

    event.listen(sqlite_database.reader, "before_cursor_execute", explain)
    Watcher(queue.database, queue.clock, queue.rules).look()
    event.remove(sqlite_database.reader, "before_cursor_execute", explain)
    assert any("jobs_to_claim" in plan for plan in found)
    assert [
        plan for plan in found if plan.startswith(("SCAN jobs", "SCAN executions")) and "USING INDEX" not in plan
    ] == []


def test_what_moves_slowly_is_read_again_after_five_seconds_or_when_somebody_acts(queue: Queue) -> None:
    clock = FakeClock(NOW)
    watcher = Watcher(queue.database, clock, queue.rules)
    watcher.look()
    enqueue(queue, wedding="2027-01-16")
    clock.set(NOW + SECOND)
    assert watcher.look().next_wedding is None
    clock.set(NOW + 5 * SECOND)
    assert watcher.look().next_wedding is not None
    enqueue(queue, wedding="2027-01-14")
    watcher.soon()
    assert getattr(watcher.look().next_wedding, "days", None) == 1


def test_the_next_wedding_is_that_of_the_couples_that_are_known(queue: Queue, watcher: Watcher) -> None:
    enqueue(queue, wedding="2027-01-16")
    with queue.database.transaction() as connection:
        clients.upsert(connection, [couple("past", "2027-01-12"), couple("c1", "2027-01-15"), couple("c2")], NOW)
    frame = watcher.look()
    assert frame.next_wedding == NextWedding(date(2027, 1, 15), 2, client_id="c1")
    assert words.wedding(frame) == "next wedding in 2 days, 2027-01-15 (c1)"
    assert to_document(frame)["next_wedding"] == {
        "wedding_date": "2027-01-15",
        "days": 2,
        "job_id": None,
        "module_type": None,
        "client_id": "c1",
    }


def test_a_lane_is_paused_and_goes_on(queue: Queue, watcher: Watcher) -> None:
    enqueue(queue)
    assert not acts(queue).is_closed("email")
    assert acts(queue).pause("email") == "email is paused"
    assert acts(queue).is_closed("email")
    assert [row[-1] for _, row in words.lanes(watcher.look())] == ["paused"]
    assert acts(queue).resume("email") == "email goes on"
    assert [row[-1] for _, row in words.lanes(watcher.look())] == [""]


def test_a_group_of_dead_letters_is_retried(queue: Queue, watcher: Watcher) -> None:
    jobs = scene(queue)
    (group,) = watcher.look().dead
    assert acts(queue).dead("free", group.fingerprint) == 2
    assert acts(queue).retry("free", group.fingerprint) == "2 jobs of free are queued again"
    with queue.database.reading() as connection:
        assert {getattr(view.state_of(connection, job), "state", None) for job in jobs["dead"]} == {State.SCHEDULED}
    watcher.soon()
    assert watcher.look().dead == []


def test_jobs_are_cancelled_and_explained(queue: Queue) -> None:
    jobs = scene(queue)
    assert "job" in acts(queue).cancel(jobs["waiting"][0])
    assert "cancelled" in acts(queue).explain(jobs["waiting"][0])
    with pytest.raises(WrongState):
        acts(queue).cancel(jobs["waiting"][0])
    with pytest.raises(UnknownJob):
        acts(queue).explain(10**6)
    assert acts(queue).explain(jobs["running"][0]).startswith(f"job {jobs['running'][0]} (free), running")


@pytest.mark.parametrize("given", ["", "x", "0", "-1", "١", "9" * 19, "1" * 40, "1.5"])
def test_what_is_no_job_is_refused(given: str) -> None:
    with pytest.raises(UnknownJob):
        job_number(given)
    assert job_number(" 12 ") == 12


def test_there_may_be_no_alerts(queue: Queue) -> None:
    with queue.database.reading() as connection:
        assert NoAlerts().current(connection, NOW) == ()
    assert "no alert" in NoAlerts().acknowledge(1)


def test_a_database_that_is_gone_is_told_and_watching_goes_on(sqlite_database: Database, tmp_path: Path) -> None:
    queue = queue_on(sqlite_database, tmp_path)
    enqueue(queue)
    watcher = Watcher(queue.database, queue.clock, queue.rules)
    before = watcher.look()
    file = sqlite_database.file
    assert file is not None
    copy = file.with_name("copy.db")
    with sqlite3.connect(file) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    target.close()
    source.close()
    for each in list(file.parent.glob(f"{file.name}*")):
        each.rename(each.with_name(each.name.replace(file.name, "away.db")))
    lost = watcher.look()
    assert "No such file" in (lost.trouble or "")
    assert lost.lanes == before.lanes
    with sqlite3.connect(copy) as other:
        other.execute("DELETE FROM lane_counts")
    other.close()
    copy.rename(file)
    again = watcher.look()
    assert (again.trouble, list(again.lanes)) == (None, [])


def test_a_locked_database_is_told_and_watching_goes_on(sqlite_database: Database, tmp_path: Path) -> None:
    queue = queue_on(sqlite_database, tmp_path)
    watcher = Watcher(queue.database, queue.clock, queue.rules)
    queue.database.close()
    locker = sqlite3.connect(sqlite_database.file or "", isolation_level=None)
    locker.execute("PRAGMA locking_mode = EXCLUSIVE")
    locker.execute("BEGIN EXCLUSIVE")
    locker.execute("COMMIT")
    try:
        assert "locked" in (watcher.look().trouble or "")
        with pytest.raises(DatabaseLocked):
            watcher.read()
    finally:
        locker.close()
    assert watcher.look().trouble is None


def test_connections_that_a_server_ended_are_made_anew(postgres_url: str, tmp_path: Path) -> None:
    from wedsync_ops import db, migrate
    from wedsync_ops.settings import Settings

    database = db.connect(Settings(home=tmp_path, db=postgres_url))
    migrate.ensure(database)
    queue = queue_on(database, tmp_path)
    watcher = Watcher(database, queue.clock, queue.rules)
    assert watcher.look().trouble is None
    with database.reading() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    looks = [watcher.look(), watcher.look()]
    assert looks[-1].trouble is None
    database.close()
