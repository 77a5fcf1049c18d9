"""Several workers on one PostgreSQL, each with a home of its own: one dies, the others finish, none does it twice."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually

LETTER = definition("letter", "letter", "{subject: {type: string}}")
NOTE = definition("note", "version_one")
JOBS = 240


@pytest.fixture
def homes(tmp_path: Path, postgres_url: str) -> Iterator[list[Home]]:
    """Four homes, as on four machines; they share the database and the outbox."""
    made = []
    for name in "abcd":
        (tmp_path / name).mkdir()
        home = Home(tmp_path / name)
        home.environment |= {"WEDSYNC_OPS_DB": postgres_url, "WEDSYNC_OPS_OUTBOX_DIR": str(tmp_path / "outbox")}
        home.environment |= {"WEDSYNC_OPS_LEASE_S": "20", "WEDSYNC_OPS_HEARTBEAT_S": "0.05"}
        made.append(home)
    made[0].register(LETTER, NOTE)
    yield made
    for home in made:
        home.close()


def queue_letters(home: Home) -> None:
    context = {"client_id": "c", "supplier_id": "s", "journey_instance_id": "j"}
    lines = [
        json.dumps({"module_type": "letter", "config": {"subject": f"letter {n}"}, "context": context})
        for n in range(JOBS)
    ]
    assert home.json("enqueue", "--file", "-", "--quiet", stdin="\n".join(lines))["queued"] == JOBS


def delivered(homes: list[Home]) -> list[Path]:
    return list((homes[0].path.parent / "outbox").rglob("*.eml"))


def assert_each_was_done_once(homes: list[Home]) -> None:
    jobs = homes[0].json("jobs", "list", "--limit", "0")["jobs"]
    assert Counter((job["state"], job["attempt"]) for job in jobs) == {("completed", 1): JOBS}
    subjects = {mail.read_text().partition("Subject: ")[2].partition("\n")[0] for mail in delivered(homes)}
    assert (len(delivered(homes)), len(subjects)) == (JOBS, JOBS)


def workers_of(home: Home) -> dict[str, Any]:
    return {worker["name"]: worker for worker in home.json("workers", "list", "--all")["workers"]}


def test_one_of_two_is_killed_and_the_other_finishes(homes: list[Home]) -> None:
    queue_letters(homes[0])
    homes[0].run("queue", "pause", "--all")
    doomed = homes[0].start("--concurrency", "2", "--name", "doomed")
    other = homes[1].start("--concurrency", "2", "--name", "other")
    eventually(lambda: set(workers_of(homes[0])) == {"doomed", "other"})
    homes[2].run("queue", "resume", "--all")
    eventually(lambda: {name for name, each in workers_of(homes[0]).items() if each["busy"]} == {"doomed", "other"})
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    assert len(delivered(homes)) < JOBS
    eventually(lambda: len(delivered(homes)) == JOBS and not homes[1].json("queue", "status")["lanes"][0]["waiting"])
    other.send_signal(signal.SIGTERM)
    assert other.wait(30) == 0
    homes[2].run("run-worker", "--drain", "--concurrency", "1")
    assert_each_was_done_once(homes)
    found = workers_of(homes[0])
    assert (found["doomed"]["state"], found["other"]["state"]) == ("dead", "stopped")


def test_four_share_the_work(homes: list[Home]) -> None:
    queue_letters(homes[0])
    running = [home.start("--drain", "--concurrency", "2") for home in homes]
    assert [worker.wait(90) for worker in running] == [0] * 4
    assert_each_was_done_once(homes)
    shown = [homes[0].json("jobs", "show", str(number))["job"] for number in range(1, JOBS + 1, 8)]
    assert len({execution["worker_id"] for job in shown for execution in job["executions"]}) > 1


def test_a_worker_of_a_region_leaves_the_others_alone(homes: list[Home]) -> None:
    places = {"Chicago": "midwest", "Austin, TX": "south", "Atlantis": "other", None: "unknown"}
    queued = {region: homes[0].enqueue("note", {}, location=place)["job_id"] for place, region in places.items()}
    for region, job_id in queued.items():
        assert homes[0].json("jobs", "show", str(job_id))["job"]["region"] == region
    homes[1].run("run-worker", "--drain", "--concurrency", "1", "--region", "midwest", "--name", "inland")
    assert states(homes[0], queued) == {"midwest": "completed", "unknown": "completed"}
    assert workers_of(homes[0])["inland"]["region"] == "midwest"
    homes[2].run("run-worker", "--drain", "--concurrency", "1", "--region", "other")
    assert states(homes[0], queued) == {"midwest": "completed", "unknown": "completed", "other": "completed"}
    homes[3].run("run-worker", "--drain", "--concurrency", "1")
    assert set(states(homes[0], queued)) == set(queued)
    refused = homes[0].run("run-worker", "--drain", "--region", "eu", code=2)
    assert "use one of west_coast" in refused.stderr


def states(home: Home, queued: dict[str, int]) -> dict[str, str]:
    """The states of jobs that do not wait any more, by region."""
    found = {job["job_id"]: job["state"] for job in home.json("jobs", "list")["jobs"]}
    return {region: found[job_id] for region, job_id in queued.items() if found[job_id] != "available"}


def test_a_worker_without_the_handler_leaves_the_job_to_one_that_has_it(home: Home) -> None:
    """As while a new version is rolled out: the old worker costs the job no attempt, and goes on with the others."""
    newer = home.path / "newer"
    newer.mkdir()
    (newer / "fresh.py").write_text("def handle(config, context, run):\n    return {'is_new': True}\n")
    old, new = dict(home.environment), dict(home.environment)
    new["PYTHONPATH"] += f"{os.pathsep}{newer}"
    home.environment = new
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(newer)
        home.register(definition("new", "x").replace("tests.acceptance.handlers:x", "fresh:handle"), NOTE)
        job_id = str(home.enqueue("new", {})["job_id"])
    home.environment = old
    first = home.start("--concurrency", "1")
    eventually(lambda: home.json("jobs", "show", job_id)["job"]["executions"] != [])
    eventually(lambda: home.json("workers", "list")["workers"][0]["lacking"] == ["new"])
    others = [home.enqueue("note", {})["job_id"] for _ in range(3)]
    eventually(lambda: all(home.json("jobs", "show", str(o))["job"]["state"] == "completed" for o in others))
    home.environment = new
    home.start("--concurrency", "1")
    eventually(lambda: home.json("jobs", "show", job_id)["job"]["state"] == "completed")
    job = home.json("jobs", "show", job_id)["job"]
    assert (job["attempt"], job["result_data"]) == (1, {"is_new": True})
    assert [e["outcome"] for e in job["executions"]][-1] == "ok"
    assert "this worker cannot run it: the handler 'fresh:handle' does not exist" in job["executions"][0]["error"]
    assert first.poll() is None
