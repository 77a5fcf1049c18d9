"""The database goes away and comes back while a worker runs: the worker goes on, and nothing is lost or run twice."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest
from sqlalchemy import Connection, text

from tests.acceptance.conftest import Home, definition, descendants, eventually
from tests.chaos.scene import OnSqlite, limited
from tests.stores.rows import take
from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.settings import Settings

LETTER = definition("letter", "letter", "{subject: {type: string}}")
UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


def database_of(home: Home) -> Database:
    url = home.environment.get("WEDSYNC_OPS_DB", "")
    return db.connect(replace(Settings(home=home.path), db=url))


@pytest.fixture
def shared(home: Home, postgres_url: str) -> Iterator[Database]:
    """The home's database is one of PostgreSQL's."""
    home.environment["WEDSYNC_OPS_DB"] = postgres_url
    home.environment |= {"WEDSYNC_OPS_LEASE_S": "20", "WEDSYNC_OPS_HEARTBEAT_S": "0.05"}
    home.register(LETTER, UNTIL_TOLD)
    opened = database_of(home)
    yield opened
    opened.close()


def cut(connection: Connection) -> None:
    """End every other connection to this database, in the middle of whatever it does."""
    connection.execute(
        text(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )


def jobs(home: Home) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = home.json("jobs", "list", "--limit", "0")["jobs"]
    return listed


def completed(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM jobs WHERE state = 'completed'")).scalar_one())


def until_told(home: Home, name: str) -> int:
    return int(home.enqueue("until-told", {"folder": str(home.path), "name": name})["job_id"])


def outcomes(home: Home, job_id: int) -> tuple[int, list[str]]:
    """A job's attempts, and how its executions ended."""
    shown = home.json("jobs", "show", str(job_id))["job"]
    return shown["attempt"], [execution["outcome"] for execution in shown["executions"]]


def test_a_worker_outlives_the_loss_of_every_connection(home: Home, shared: Database) -> None:
    lines = [
        json.dumps(
            {
                "module_type": "letter",
                "config": {"subject": f"letter {number}"},
                "context": {"client_id": f"c{number}", "supplier_id": "s", "journey_instance_id": "j"},
            }
        )
        for number in range(200)
    ]
    home.json("enqueue", "--file", "-", stdin="\n".join(lines))
    worker = home.start("--concurrency", "2")
    done = 0
    for _ in range(5):
        eventually(lambda: completed(shared) > done)  # noqa: B023
        with shared.transaction() as connection:
            cut(connection)
        done = completed(shared)
    eventually(lambda: completed(shared) == 200)
    assert {job["attempt"] for job in jobs(home)} == {1}
    assert len(list((home.path / "outbox").rglob("*.eml"))) == 200
    assert len(home.json("workers", "list")["workers"]) == 1
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_an_idle_worker_is_woken_again_after_its_connections_were_lost(home: Home, shared: Database) -> None:
    worker = home.start("--concurrency", "1")
    for name in "abc":
        job_id = until_told(home, name)
        eventually((home.path / f"running-{name}").exists)
        with shared.transaction() as connection:
            cut(connection)
        (home.path / f"go-{name}").touch()
        eventually(lambda: outcomes(home, job_id) == (1, ["ok"]))  # noqa: B023
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_jobs_that_a_worker_does_not_know_it_holds_are_run(home: Home, shared: Database) -> None:
    """Its claim was committed, and the answer lost with the connection."""
    home.start("--concurrency", "1")
    eventually(lambda: len(home.json("workers", "list")["workers"]) == 1)
    (me,) = home.json("workers", "list")["workers"]
    home.run("queue", "pause", "--all")
    for name in "ab":
        (home.path / f"go-{name}").touch()
        until_told(home, name)
    with shared.transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7102830, shard) FROM generate_series(0, 7) AS shard"))
        assert len(take(connection, 1, worker=me["id"], module_type="until-told")) == 1
        home.run("queue", "resume", "--all")
        eventually(lambda: waiting_for_a_lock(shared))  # its claim of the other job, which is cut off
        cut(connection)
    eventually(lambda: completed(shared) == 2)
    assert [outcomes(home, job["job_id"]) for job in jobs(home)] == [(1, ["ok"])] * 2


def waiting_for_a_lock(database: Database) -> bool:
    with database.reading() as connection:
        return bool(connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())


def test_outcomes_that_could_not_be_written_for_longer_than_the_lease_are_kept(home: Home) -> None:
    home.environment |= {
        "WEDSYNC_OPS_LEASE_S": "0.4",
        "WEDSYNC_OPS_HEARTBEAT_S": "0.05",
        "WEDSYNC_OPS_BUSY_TIMEOUT_S": "0.05",
    }
    home.register(UNTIL_TOLD)
    job_id = until_told(home, "a")
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    with home.write_lock():
        (home.path / "go-a").touch()
        told = next(line for line in worker.stderr or () if "longer than the lease" in line)
    assert told
    eventually(lambda: outcomes(home, job_id) == (1, ["ok"]))
    eventually(lambda: [w["stopped_at"] for w in home.json("workers", "list")["workers"]] == [None])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_worker_whose_heart_cannot_beat_goes_on_under_another_id(home: Home) -> None:
    home.environment |= {"WEDSYNC_OPS_LEASE_S": "0.4", "WEDSYNC_OPS_HEARTBEAT_S": "0.05"}
    home.register(UNTIL_TOLD)
    worker = home.start("--concurrency", "1")
    eventually(lambda: len(home.json("workers", "list")["workers"]) == 1)
    (first,) = home.json("workers", "list")["workers"]
    database = database_of(home)
    with database.transaction() as connection:
        connection.execute(
            text(
                "CREATE TRIGGER silence BEFORE UPDATE OF heartbeat_at ON workers"
                f" WHEN NEW.id = '{first['id']}' BEGIN SELECT RAISE(ABORT, 'not now'); END"
            )
        )
    eventually(lambda: first["id"] not in {w["id"] for w in home.json("workers", "list")["workers"]})
    job_id = until_told(home, "a")
    (home.path / "go-a").touch()
    eventually(lambda: outcomes(home, job_id) == (1, ["ok"]))
    (second,) = home.json("workers", "list")["workers"]
    assert [path.stem for path in (home.path / "workers").iterdir()] == [second["id"]]
    with database.transaction() as connection:
        connection.execute(text("DROP TRIGGER silence"))
    database.close()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_a_disk_that_is_full_in_the_middle_of_a_commit_loses_nothing(home: Home) -> None:
    """Every write of the worker and its slots fails for a while: outcomes are kept, and no delivery is repeated."""
    home.register(UNTIL_TOLD, LETTER)
    job_id = until_told(home, "a")
    worker = home.start("--concurrency", "2")
    eventually((home.path / "running-a").exists)
    crew = [psutil.Process(worker.pid), *descendants(worker.pid)]
    with limited(crew, 0):
        (home.path / "go-a").touch()
        home.enqueue("letter", {"subject": "hello"})
        told = next(line for line in worker.stderr or () if "full" in line)
    assert told
    eventually(lambda: outcomes(home, job_id) == (1, ["ok"]))
    eventually(lambda: completed(database_of(home)) == 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert len(list((home.path / "outbox").rglob("*.eml"))) == 1


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_jumps_while_a_job_runs_costs_it_nothing(home: Home, seconds: int) -> None:
    """Forward, and the leases look as if they had run out; back, and the heartbeats lie in the future."""
    home.register(UNTIL_TOLD)
    home.environment |= {"WEDSYNC_OPS_LEASE_S": "2", "WEDSYNC_OPS_HEARTBEAT_S": "0.1"}
    scene = OnSqlite(home)
    job_id = until_told(home, "a")
    workers = [home.start("--concurrency", "1") for _ in range(2)]
    eventually((home.path / "running-a").exists)
    eventually(lambda: len(home.json("workers", "list")["workers"]) == 2)
    with scene.clock_moved(seconds):
        after = until_told(home, "b") if seconds > 0 else None
        if after is not None:
            eventually((home.path / "running-b").exists)
        (home.path / "go-a").touch()
        (home.path / "go-b").touch()
        eventually(lambda: "ok" in outcomes(home, job_id)[1])
    after = until_told(home, "c")
    (home.path / "go-c").touch()
    eventually(lambda: outcomes(home, after)[1][-1:] == ["ok"])
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert {job["state"] for job in jobs(home)} == {"completed"}
    assert all(outcomes(home, job["job_id"])[0] == 1 for job in jobs(home))
