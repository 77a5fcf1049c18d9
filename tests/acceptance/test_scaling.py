"""A real worker: load comes and slots grow, load ends and slots shrink, nothing is killed, and the history says why."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually

WAITING = definition("waiting", "until_told", "{folder: {type: string}, name: {type: string}}")
JOBS = 10
SWIFT = {
    "AUTOSCALE_EVERY_S": "0.2",
    "SCALE_UP_WINDOW_S": "0",
    "SCALE_DOWN_WINDOW_S": "1",
    "SCALE_DOWN_PAUSE_S": "0",
    "SCALE_CPU_PERCENT": "100",
    "MEMORY_MB": "100000",
}


@pytest.fixture(params=["sqlite", "postgres"])
def sized(home: Home, request: pytest.FixtureRequest) -> Home:
    """A home whose worker is sized within seconds."""
    if request.param == "postgres":
        home.environment["WEDSYNC_OPS_DB"] = request.getfixturevalue("postgres_url")
    home.environment |= {f"WEDSYNC_OPS_{name}": value for name, value in SWIFT.items()}
    home.register(WAITING)
    return home


def worker_of(home: Home) -> dict[str, Any]:
    (found,) = home.json("workers", "list")["workers"]
    worker: dict[str, Any] = found
    return worker


def queue(home: Home, folder: Path, jobs: int) -> None:
    lines = [
        json.dumps(
            {
                "module_type": "waiting",
                "config": {"folder": str(folder), "name": str(number)},
                "context": {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"},
            }
        )
        for number in range(jobs)
    ]
    assert home.json("enqueue", "--file", "-", "--quiet", stdin="\n".join(lines))["queued"] == jobs


def test_slots_grow_with_the_load_and_shrink_after_it(sized: Home, tmp_path: Path) -> None:
    worker = sized.start("--min-slots", "2", "--max-slots", "12")
    eventually(lambda: bool(sized.json("workers", "list")["workers"]))
    eventually(lambda: worker_of(sized)["slots"] == 2)  # whatever it starts with on this machine, in this season

    queue(sized, tmp_path, JOBS)
    eventually(lambda: len(list(tmp_path.glob("running-*"))) == JOBS)  # all at once: the slots have grown
    grown = worker_of(sized)["slots"]
    assert JOBS <= grown <= 12

    pids = {path.read_text() for path in tmp_path.glob("running-*")}
    assert len(pids) == JOBS
    for number in range(JOBS - 1):
        (tmp_path / f"go-{number}").touch()
    eventually(lambda: worker_of(sized)["slots"] < grown - 4)
    assert sized.json("jobs", "list", "--state", "running")["jobs"], "one still runs, through all of that"
    (tmp_path / f"go-{JOBS - 1}").touch()
    eventually(lambda: worker_of(sized)["slots"] == 2)
    eventually(lambda: len(sized.json("jobs", "list", "--state", "completed")["jobs"]) == JOBS)

    jobs = sized.json("jobs", "list", "--limit", "0")["jobs"]
    assert Counter((job["state"], job["attempt"]) for job in jobs) == {("completed", 1): JOBS}
    told = sized.json("scale", "history")["decisions"][::-1]
    ups = [one for one in told if one["wanted"] > one["slots_before"]]
    downs = [one for one in told if one["wanted"] < one["slots_before"]]
    assert {one["reason"] for one in ups} <= {"queue", "load"}
    assert downs[-1]["wanted"] == 2
    assert downs[-1]["reason"] == "idle"
    assert all("slots" in one["said"] for one in ups)
    assert all(one["inputs"]["slots"] == one["slots_before"] for one in told)

    worker.terminate()
    assert worker.wait(30) == 0


def test_what_is_set_by_hand_holds_until_it_is_undone(sized: Home) -> None:
    worker = sized.start("--min-slots", "2", "--max-slots", "12")
    eventually(lambda: bool(sized.json("workers", "list")["workers"]))
    sized.run("scale", "set", "9", "--reason", "rehearsal")
    eventually(lambda: worker_of(sized)["slots"] == 9)
    (one,) = sized.json("scale", "status")["scopes"]
    assert (one["reason"], one["wanted_slots"], one["wanted_replicas"]) == ("pinned", 9, 1)
    assert sized.run("scale", "set", "21", code=5).stderr.startswith("error: 21 is outside of 2 to 12")
    sized.run("scale", "auto")
    eventually(lambda: worker_of(sized)["slots"] == 2)
    assert "rehearsal" in sized.run("scale", "history").stdout
    worker.terminate()
    assert worker.wait(30) == 0


def test_a_worker_with_a_fixed_number_keeps_it(sized: Home, tmp_path: Path) -> None:
    worker = sized.start("--concurrency", "3")
    other = sized.start("--min-slots", "2", "--max-slots", "4")
    eventually(lambda: len(sized.json("workers", "list")["workers"]) == 2)
    queue(sized, tmp_path, 7)
    eventually(lambda: len(list(tmp_path.glob("running-*"))) == 7)
    (one,) = sized.json("scale", "status")["scopes"]
    assert sorted((each["fixed"], each["slots"]) for each in one["workers"]) == [(False, 4), (True, 3)]
    for number in range(7):
        (tmp_path / f"go-{number}").touch()
    for each in (worker, other):
        each.terminate()
        assert each.wait(30) == 0
