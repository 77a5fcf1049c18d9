"""Running jobs broken off from another process, by the worker that has them."""

import json

from tests.acceptance.conftest import Home, definition, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


def state(home: Home, job_id: int) -> str:
    return str(home.json("jobs", "show", str(job_id))["job"]["state"])


def test_a_running_job_is_broken_off_and_its_slot_goes_on(home: Home) -> None:
    home.register(UNTIL_TOLD, definition("one", "version_one"))
    job_id = home.enqueue("until-told", {"folder": str(home.path), "name": "a"})["job_id"]
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    refused = home.run("jobs", "cancel", str(job_id), code=5)
    assert "give --running to break it off" in refused.stderr
    told = home.json("jobs", "cancel", str(job_id), "--running")
    assert (told["cancelled"], told["asked"], told["errors"]) == ([], [job_id], [])
    eventually(lambda: state(home, job_id) == "cancelled")
    (execution,) = home.json("jobs", "show", str(job_id))["job"]["executions"]
    assert execution["outcome"] == "cancelled"
    assert execution["error"].startswith("cancelled by ")
    after = home.enqueue("one", {}, "--wait")
    assert state(home, after["job_id"]) == "completed"
    worker.terminate()
    assert worker.wait(30) == 0


def test_what_waits_is_cancelled_at_once_and_what_has_ended_is_not(home: Home) -> None:
    home.register(definition("one", "version_one"))
    done = home.enqueue("one", {})["job_id"]
    home.run("run-worker", "--drain")
    waiting = home.enqueue("one", {})["job_id"]
    answer = home.run("jobs", "cancel", str(done), str(waiting), "--running", "--json", code=6)
    document = json.loads(answer.stdout)
    assert (document["cancelled"], document["asked"]) == ([waiting], [])
    assert [error["job_id"] for error in document["errors"]] == [done]
