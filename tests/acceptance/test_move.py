"""A platform moves from SQLite to PostgreSQL: whole, verified, resumable, and nobody goes on with the old database."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.acceptance.conftest import Home, definition, eventually
from tests.stores.rows import NOW, add_many, take, worker
from wedsync_ops import db, migrate
from wedsync_ops.db import Database
from wedsync_ops.errors import DatabaseMoved
from wedsync_ops.jobs.store import events, workers
from wedsync_ops.jobs.store.events import Cursor
from wedsync_ops.settings import Settings

NOTE = definition("note", "version_one")
UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


@pytest.fixture
def source(home: Home) -> Iterator[Database]:
    """The home's database, with module types."""
    home.register(NOTE, UNTIL_TOLD)
    with closing(db.connect(Settings(home=home.path))) as opened:
        yield opened


@pytest.fixture
def target(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    """The database to move to."""
    with closing(db.connect(Settings(home=tmp_path, db=postgres_url))) as opened:
        yield opened


def move(home: Home, url: str, *options: str, code: int = 0) -> Any:
    """Move; the document, or the error when it is refused."""
    answer = home.run("db", "migrate-to", url, "--json", *options, code=code)
    if code == 0:
        return json.loads(answer.stdout)
    return json.loads(answer.stderr.splitlines()[-1])["error"]


def status(home: Home) -> Any:
    return home.json("db", "status")


def refused(home: Home, *arguments: str) -> str:
    """The one line with which a command on a database that is not in use is refused."""
    answer = home.run(*arguments, code=5)
    (line,) = answer.stderr.splitlines()
    return line


def on(home: Home, url: str) -> Home:
    """The same home on another database."""
    other = Home(home.path)
    other.environment["WEDSYNC_OPS_DB"] = url
    return other


def rows(database: Database, table: str) -> int:
    with database.reading() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def begin_and_kill(home: Home, url: str, target: Database, table: str) -> None:
    """Start a move in a process, and kill it when it comes to a table; to ``move_progress``, after the first batch."""
    migrate.ensure(target)
    with target.transaction() as connection:
        if table != "move_progress":
            connection.execute(text(f"LOCK TABLE {table} IN SHARE MODE"))
        child = subprocess.Popen(
            [sys.executable, "-m", "wedsync_ops", "db", "migrate-to", url, "--yes"],
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        if table == "move_progress":
            noted = text("SELECT count(*) FROM move_progress WHERE table_name = 'jobs'")
            eventually(lambda: bool(connection.execute(noted).scalar()))
            connection.execute(text("LOCK TABLE move_progress IN SHARE MODE"))
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST(:table AS regclass)")
        eventually(lambda: bool(connection.execute(waiting, {"table": table}).scalar()))
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_everything_moves_and_work_goes_on_there(
    home: Home, source: Database, target: Database, postgres_url: str
) -> None:
    first = home.enqueue("note", {}, "--key", "first")["job_id"]
    home.run("run-worker", "--drain", "--concurrency", "1")
    waiting = home.enqueue("note", {}, "--key", "second")["job_id"]
    later = home.enqueue("note", {}, "--delay", "60")["job_id"]
    home.run("queue", "pause", "until-told", "--reason", "moving")
    with source.transaction() as connection:  # what a worker that was killed has left
        workers.register(connection, worker(id="dead", host="elsewhere", heartbeat_at=0))
        (orphan,) = take(connection, 1, worker="dead", module_type="note")
        last = events.read(connection, 0, 10)[-1].id
        events.lease(connection, now=NOW, until=NOW + 1)
        assert events.move(connection, Cursor(0, 0, NOW + 1, None), Cursor(last, 0, 0, None))
    assert orphan.id == waiting

    moved = move(home, postgres_url, "--yes")
    assert (moved["schema"], moved["state"]) == ("wedsync-ops/db-migrate-to@1", "moved")
    assert {each["table"]: each["rows"] for each in moved["tables"]}["jobs"] == 3

    there = on(home, postgres_url)
    assert there.enqueue("note", {}, "--key", "first") | {"job_id": first, "duplicate": True, "state": "completed"} == (
        there.enqueue("note", {}, "--key", "first")
    )
    assert [pause["name"] for pause in there.json("queue", "status")["pauses"]] == ["until-told"]
    third = there.enqueue("note", {}, "--key", "third")["job_id"]
    assert third > later
    there.run("run-worker", "--drain", "--concurrency", "1")
    states = {job["job_id"]: job["state"] for job in there.json("jobs", "list")["jobs"]}
    assert states == {first: "completed", waiting: "completed", later: "scheduled", third: "completed"}
    assert there.json("jobs", "show", str(waiting))["job"]["losses"] == 1
    with target.transaction() as connection:  # the webhook gets what it has not had, in order, from where it was
        known = events.cursor(connection)
        assert known is not None
        assert known.after_id == last
        assert [event.job_id for event in events.read(connection, known.after_id, 10)] == [waiting, third]
        assert [event.id for event in events.read(connection, 0, 10)] == [last, last + 1, last + 2]
    assert status(there)["state"] == "current"


def test_the_old_database_is_refused_by_name(home: Home, source: Database, postgres_url: str) -> None:
    job = ["enqueue", "note", "--config", "{}", "--context"]
    job.append('{"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}')
    move(home, postgres_url, "--yes")
    shown = postgres_url.partition("@")[2].partition("?")[0]
    for arguments in (job, ["run-worker"], ["run-worker", "--drain"], ["jobs", "list"], ["maintenance", "run"]):
        line = refused(home, *arguments)
        assert "this platform has moved to postgresql" in line
        assert shown in line
    assert status(home) | {"state": "moved", "other": status(home)["other"]} == status(home)
    with pytest.raises(DatabaseMoved, match="postgresql"), source.transaction() as connection:
        add_many(connection, [{}])
    assert "has moved to" in move(home, postgres_url, "--yes", code=5)["message"]
    assert "has moved to" in move(home, postgres_url, "--yes", "--resume", code=5)["message"]
    assert "is done" in refused(home, "db", "migrate-to", "--abandon")


def test_a_dry_run_counts_and_changes_nothing(
    home: Home, source: Database, target: Database, postgres_url: str
) -> None:
    home.enqueue("note", {})
    planned = move(home, postgres_url, "--dry-run")
    assert planned["state"] == "planned"
    assert {"table": "jobs", "rows": 1, "copied": 0} in planned["tables"]
    assert planned["estimated_s"] > 0
    assert migrate.revision(target) is None
    assert status(home)["state"] == "current"
    home.enqueue("note", {})
    assert "rows would move" in home.run("db", "migrate-to", postgres_url, "--dry-run").stdout


@pytest.mark.parametrize("table", ["jobs", "payloads", "move_progress"])
def test_a_move_that_is_killed_goes_on_where_it_was(
    home: Home, source: Database, target: Database, postgres_url: str, table: str
) -> None:
    with source.transaction() as connection:
        add_many(connection, [{}] * 12_000)
    begin_and_kill(home, postgres_url, target, table)
    assert status(home)["state"] == "moving"
    assert "--resume" in refused(home, "run-worker", "--drain")
    there = on(home, postgres_url)
    assert status(there)["state"] == "arriving"
    assert "is not done" in refused(there, "run-worker", "--drain")
    error = move(home, postgres_url, "--yes", code=5)
    assert (error["code"], "--resume" in error["message"]) == ("move_refused", True)
    planned = {each["table"]: each["copied"] for each in move(home, postgres_url, "--dry-run", "--resume")["tables"]}
    assert planned["jobs"] in {"jobs": [0], "payloads": [12_000], "move_progress": [5_000, 10_000, 12_000]}[table]
    moved = {each["table"]: each["rows"] for each in move(home, postgres_url, "--yes", "--resume")["tables"]}
    assert (moved["jobs"], moved["payloads"]) == (12_000, 12_000)
    assert (rows(target, "jobs"), rows(target, "payloads")) == (12_000, 12_000)
    assert status(there)["state"] == "current"


def test_a_move_that_is_killed_before_the_target_was_opened_is_only_finished(
    home: Home, source: Database, target: Database, postgres_url: str
) -> None:
    """The source knows that it is done, the target does not yet: neither is in use until it is resumed."""
    move(home, postgres_url, "--yes")
    with target.transaction() as connection:
        connection.execute(text("UPDATE moves SET finished_at = NULL"))
    there = on(home, postgres_url)
    refused(home, "jobs", "list")
    refused(there, "jobs", "list")
    move(home, postgres_url, "--yes", "--resume")
    there.run("jobs", "list")


def test_a_copy_that_was_changed_is_noticed(home: Home, source: Database, target: Database, postgres_url: str) -> None:
    with source.transaction() as connection:
        add_many(connection, [{}] * 3)
    begin_and_kill(home, postgres_url, target, "payloads")
    with target.transaction() as connection:
        connection.execute(text("UPDATE jobs SET priority = 3 WHERE id = 2"))
    error = move(home, postgres_url, "--yes", "--resume", code=1)
    assert "the table jobs is not what was copied" in error["message"]
    refused(on(home, postgres_url), "jobs", "list")


def test_a_move_can_be_abandoned_until_it_is_done(
    home: Home, source: Database, target: Database, postgres_url: str
) -> None:
    first = home.enqueue("note", {})["job_id"]
    begin_and_kill(home, postgres_url, target, "jobs")
    refused(home, "jobs", "list")
    assert home.json("db", "migrate-to", "--abandon")["state"] == "abandoned"
    home.enqueue("note", {})
    home.run("run-worker", "--drain", "--concurrency", "1")
    assert {job["state"] for job in home.json("jobs", "list")["jobs"]} == {"completed"}
    assert "no move to abandon" in refused(home, "db", "migrate-to", "--abandon")
    assert "no move to resume" in move(home, postgres_url, "--yes", "--resume", code=5)["message"]
    assert "part of another move" in move(home, postgres_url, "--yes", code=5)["message"]
    refused(on(home, postgres_url), "jobs", "list")
    assert first == 1


class TestRefused:
    def test_while_a_worker_lives(self, home: Home, source: Database, postgres_url: str) -> None:
        home.start("--concurrency", "1", "--name", "busy-bee")
        eventually(lambda: len(home.json("workers", "list")["workers"]) == 1)
        for option in ("--yes", "--dry-run"):
            error = move(home, postgres_url, option, code=5)
            assert "1 worker is alive (busy-bee)" in error["message"]
        assert status(home)["state"] == "current"

    def test_into_a_database_that_is_not_empty(
        self, home: Home, source: Database, target: Database, postgres_url: str
    ) -> None:
        there = on(home, postgres_url)
        there.run("jobs", "list")  # it makes a secret, with which nothing was signed
        assert move(home, postgres_url, "--dry-run")["state"] == "planned"
        there.run("queue", "pause", "--all")
        assert "is not empty (pauses)" in move(home, postgres_url, "--yes", code=5)["message"]
        assert status(home)["state"] == "current"

    @pytest.mark.parametrize(("revision", "code"), [("0003", 5), ("9999", 1)])
    def test_into_another_schema(
        self, home: Home, source: Database, target: Database, postgres_url: str, revision: str, code: int
    ) -> None:
        migrate.ensure(target)
        with target.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
        assert revision in move(home, postgres_url, "--yes", code=code)["message"]
        assert status(home)["state"] == "current"

    def test_off_a_terminal_without_a_yes(self, home: Home, source: Database, postgres_url: str) -> None:
        assert "--yes" in move(home, postgres_url, code=2)["message"]
        assert status(home)["state"] == "current"

    @pytest.mark.parametrize(
        "arguments",
        [["sqlite:////tmp/x.db"], ["mysql://host/x"], [], ["postgresql+psycopg://h/x", "--abandon"], ["nonsense"]],
    )
    def test_what_is_no_target(self, home: Home, source: Database, arguments: list[str]) -> None:
        answer = home.run("db", "migrate-to", *arguments, "--yes", code=2)
        assert len(answer.stderr.splitlines()) == 1

    def test_from_postgres_or_from_nothing(self, home: Home, postgres_url: str) -> None:
        assert "no such database" in move(home, postgres_url, "--yes", code=5)["message"]
        there = on(home, postgres_url)
        assert "no SQLite database" in move(there, postgres_url, "--yes", code=2)["message"]
        assert status(home)["state"] == "empty"


def test_a_worker_that_was_stopped_meanwhile_ends_with_one_line(
    home: Home, source: Database, target: Database, postgres_url: str
) -> None:
    """What it still runs is run again at the new place: a stopped worker is as good as dead."""
    home.environment |= {"WEDSYNC_OPS_LEASE_S": "0.6", "WEDSYNC_OPS_HEARTBEAT_S": "0.1"}
    stopped = home.start("--concurrency", "1")
    job_id = home.enqueue("until-told", {"folder": str(home.path), "name": "a"})["job_id"]
    eventually((home.path / "running-a").exists)
    home.suspend(stopped)
    eventually(lambda: [w["state"] for w in home.json("workers", "list")["workers"]] == ["dead"])
    move(home, postgres_url, "--yes")
    (home.path / "go-a").touch()
    stopped.send_signal(signal.SIGCONT)
    _, told = stopped.communicate(timeout=30)
    assert stopped.returncode == 5
    assert "this platform moves to postgresql" in told.splitlines()[-1]
    there = on(home, postgres_url)
    there.run("run-worker", "--drain", "--concurrency", "1")
    assert there.json("jobs", "show", str(job_id))["job"]["state"] == "completed"
