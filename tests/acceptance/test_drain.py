"""A drain with a real worker: what runs ends, what it queues runs, and then nothing of it starts."""

from tests.acceptance.conftest import Home, definition, eventually

UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")
CHAINED = definition("chained", "chained", "{left: {type: integer}}")
STUCK = definition("stuck", "stuck")


def states(home: Home) -> list[str]:
    return [job["state"] for job in home.json("jobs", "list", "--limit", "0")["jobs"]]


def test_a_chain_that_was_accepted_runs_to_its_end(home: Home) -> None:
    home.register(CHAINED)
    home.enqueue("chained", {"left": 5})
    home.run("queue", "drain", "chained")
    worker = home.start()
    answer = home.json("queue", "drain", "chained", "--wait", "--timeout", "60")
    assert answer["drain"]["state"] == "drained"
    assert states(home) == ["completed"] * 6
    worker.terminate()
    assert worker.wait(30) == 0


def test_once_drained_what_falls_due_waits_until_it_is_resumed(home: Home) -> None:
    home.register(UNTIL_TOLD, definition("one", "version_one"))
    home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = home.start()
    eventually((home.path / "running-a").exists)
    home.enqueue("until-told", {"folder": str(home.path), "name": "b"}, "--delay", "0.05")
    home.run("queue", "drain", "until-told")
    (home.path / "go-a").touch()
    drained = home.json("queue", "drain", "until-told", "--wait", "--timeout", "2")
    assert (drained["drain"]["state"], drained["scheduled"]) == ("drained", 1)
    eventually(lambda: "available" in states(home))
    home.enqueue("one", {}, "--wait")  # the worker has looked since
    assert not (home.path / "running-b").exists()
    home.run("queue", "resume", "until-told")
    eventually((home.path / "running-b").exists)
    (home.path / "go-b").touch()
    worker.terminate()
    assert worker.wait(30) == 0


def test_what_does_not_end_is_broken_off(home: Home) -> None:
    home.register(STUCK)
    home.enqueue("stuck", {})
    worker = home.start("--concurrency", "1")
    eventually(lambda: states(home) == ["running"])
    waiting = ("--wait", "--cancel-after", "0.2", "--timeout", "60")
    document = home.json("queue", "drain", "stuck", *waiting, "--yes")
    assert (document["cancelled"], document["drain"]["state"], states(home)) == (1, "drained", ["cancelled"])
    worker.terminate()
    assert worker.wait(30) == 0
