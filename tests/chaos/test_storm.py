"""Workers are killed, stopped, resumed and replaced, slots killed, the database locked: nothing is lost or doubled.

Short as it stands; ``CHAOS_FAULTS=1000 pytest tests/chaos -s --timeout 0`` is the long run.
"""

import os
import sqlite3
from contextlib import closing

import psutil
import pytest

from tests.acceptance.conftest import Home, eventually
from tests.chaos.checker import harm
from tests.chaos.storm import Storm

FAULTS = int(os.environ.get("CHAOS_FAULTS", "12"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1] if FAULTS > 100 else [1, 2])
def test_a_storm_does_no_harm(home: Home, seed: int) -> None:
    home.run("register")
    storm = Storm(home, seed)
    storm.rage(FAULTS)
    storm.calm()
    assert harm(home.path, storm.queued) == []
    # Whoever queues waits out a lock, so that every call was answered: that is the availability of queueing.
    assert storm.answered == storm.asked
    eventually(
        lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in storm.children)
    )


def test_the_checker_sees_what_is_wrong(home: Home) -> None:
    home.run("register")
    storm = Storm(home, 3)
    storm.queue(3)
    storm.calm()
    assert harm(home.path, 3) == []
    one, other, _ = sorted((home.path / "outbox").iterdir())
    one.unlink()
    other.with_name("text-again.json").write_bytes(other.read_bytes())
    with closing(sqlite3.connect(home.path / "wedsync-ops.db", isolation_level=None)) as connection:
        connection.execute("UPDATE jobs SET state = 'running', leased_by = 'nobody', finished_at = NULL WHERE id = 1")
        connection.execute("DELETE FROM events WHERE job_id = 2")
    found = " / ".join(harm(home.path, 4))
    for said in ("1 jobs are running", "4 jobs were queued, and there are 3", "job 2 has not one event", "1 leases"):
        assert said in found
    assert "was delivered 2 times" in found
    assert "4 texts were to be delivered, and 2 were" in found
