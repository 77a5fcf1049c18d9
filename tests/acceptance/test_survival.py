"""Workers are killed, stopped and aborted; no job is lost, none delivered twice, no attempt spent."""

import json
import random
import signal
import time

import psutil

from tests.acceptance.conftest import Home, definition, descendants, eventually

LETTER = definition("letter", "letter", "{subject: {type: string}}")
UNTIL_TOLD = definition("until-told", "until_told", "{folder: {type: string}, name: {type: string}}")


def jobs(home: Home, *options: str) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = home.json("jobs", "list", "--limit", "0", *options)["jobs"]
    return listed


def test_killed_five_times_every_job_completes_once(home: Home) -> None:
    home.register(LETTER)
    lines = [
        json.dumps(
            {
                "module_type": "letter",
                "key": f"key-{number}",
                "config": {"subject": f"letter {number}"},
                "context": {"client_id": f"c{number}", "supplier_id": "s", "journey_instance_id": "j"},
            }
        )
        for number in range(400)
    ]
    answer = home.json("enqueue", "--file", "-", stdin="\n".join(lines))
    assert answer["queued"] == 400
    dice = random.Random(400)
    children: list[psutil.Process] = []
    for _ in range(5):
        already = len(list((home.path / "outbox").rglob("*.eml")))
        worker = home.start("--concurrency", "4")
        eventually(lambda: len(list((home.path / "outbox").rglob("*.eml"))) > already)  # noqa: B023
        time.sleep(dice.uniform(0, 0.05))  # the moment of death is the point of this test
        children += descendants(worker.pid)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    home.run("run-worker", "--drain", "--concurrency", "4")

    finished = jobs(home)
    assert {job["state"] for job in finished} == {"completed"}
    assert {job["attempt"] for job in finished} == {1}
    deliveries = list((home.path / "outbox").rglob("*.eml"))
    assert len(deliveries) == 400
    assert len({delivery.read_text().partition("Subject: ")[2].partition("\n")[0] for delivery in deliveries}) == 400
    assert not [path for path in (home.path / "outbox").rglob("*") if path.is_file() and path.suffix != ".eml"]
    eventually(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))


def test_a_lost_execution_is_recorded_and_costs_no_attempt(home: Home) -> None:
    home.register(UNTIL_TOLD)
    job = home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = home.start()
    eventually((home.path / "running-a").exists)
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    (home.path / "go-a").touch()
    assert home.json("maintenance", "run", "rescue")["tasks"][0]["counts"]["jobs"] == 1
    home.run("run-worker", "--drain")
    shown = home.json("jobs", "show", str(job["job_id"]))["job"]
    assert (shown["state"], shown["attempt"]) == ("completed", 1)
    assert [(e["outcome"], e["attempt"]) for e in shown["executions"]] == [("lost", 1), ("ok", 1)]


def test_sigterm_finishes_what_runs_and_gives_back_the_rest(home: Home) -> None:
    home.register(UNTIL_TOLD)
    for name in "ab":
        home.enqueue("until-told", {"folder": str(home.path), "name": name})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    worker.send_signal(signal.SIGTERM)
    eventually(lambda: jobs(home, "--state", "available") != [])
    (home.path / "go-a").touch()
    assert worker.wait(30) == 0
    assert [(job["state"], job["attempt"]) for job in jobs(home)] == [("available", 0), ("completed", 1)]


def test_a_second_signal_breaks_off_and_costs_no_attempt(home: Home) -> None:
    home.register(UNTIL_TOLD)
    home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    slot = int((home.path / "running-a").read_text())
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.05)  # two signals at once are one signal to the kernel
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 1
    assert not psutil.pid_exists(slot)
    [job] = jobs(home)
    assert (job["state"], job["attempt"]) == ("available", 0)


def test_a_stopped_worker_loses_its_lease_and_its_late_finish_changes_nothing(home: Home) -> None:
    home.environment |= {"WEDSYNC_OPS_LEASE_S": "0.6", "WEDSYNC_OPS_HEARTBEAT_S": "0.1"}
    home.register(UNTIL_TOLD)
    job = home.enqueue("until-told", {"folder": str(home.path), "name": "a"})
    first = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    home.suspend(first)
    (home.path / "go-a").touch()
    eventually(lambda: home.json("maintenance", "run", "rescue")["tasks"][0]["counts"]["jobs"] == 1)
    home.run("run-worker", "--drain")
    first.send_signal(signal.SIGCONT)
    eventually(lambda: len([w for w in home.json("workers", "list")["workers"] if w["stopped_at"] is None]) == 1)
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    shown = home.json("jobs", "show", str(job["job_id"]))["job"]
    assert shown["state"] == "completed"
    assert [e["outcome"] for e in shown["executions"]] == ["lost", "ok"]


def test_a_job_over_its_time_is_killed_and_its_slot_goes_on(home: Home) -> None:
    home.register(
        definition("stuck", "stuck", resource_requirements="{execution_timeout: 0.3}", retry="{attempts: 1, delay: 0}"),
        definition("one", "version_one"),
    )
    home.enqueue("stuck", {}, "--priority", "critical")
    home.enqueue("one", {})
    home.run("run-worker", "--drain", "--concurrency", "1")
    assert [job["state"] for job in jobs(home)] == ["completed", "discarded"]
    shown = home.json("jobs", "show", "1")["job"]
    assert [e["outcome"] for e in shown["executions"]] == ["timeout"]
    assert shown["executions"][0]["duration_ms"] >= 300


def test_further_jobs_are_queued_exactly_when_the_first_succeeds(home: Home) -> None:
    home.register(definition("chained", "chained", "{left: {type: integer}}"))
    home.enqueue("chained", {"left": 3})
    home.run("run-worker", "--drain")
    finished = jobs(home)
    assert [job["state"] for job in finished] == ["completed"] * 4
    assert home.json("jobs", "show", "4")["job"]["result_data"] == {"left": 0}


def test_a_stop_while_the_database_is_locked_loses_nothing(home: Home) -> None:
    home.environment["WEDSYNC_OPS_BUSY_TIMEOUT_S"] = "0.2"
    home.register(UNTIL_TOLD)
    for name in ("a", "b", "c"):
        home.enqueue("until-told", {"folder": str(home.path), "name": name})
    worker = home.start("--concurrency", "1")
    eventually((home.path / "running-a").exists)
    with home.write_lock():
        worker.send_signal(signal.SIGTERM)
        (home.path / "go-a").touch()
        assert worker.stderr is not None
        assert any("locked" in line for line in iter(worker.stderr.readline, ""))
        assert worker.poll() is None
    assert worker.wait(30) == 0
    assert sorted(str(job["state"]) for job in jobs(home)) == ["available", "available", "completed"]
    assert [w["stopped_at"] is None for w in home.json("workers", "list", "--all")["workers"]] == [False]


def test_a_number_of_jobs_is_kept_to_although_a_thread_is_stuck(home: Home) -> None:
    home.register(
        definition(
            "stuck",
            "stuck",
            isolation="thread",
            resource_requirements="{execution_timeout: 0.2}",
            retry="{attempts: 9, delay: 0}",
        )
    )
    home.enqueue("stuck", {})
    worker = home.start("--max-jobs", "2", "--concurrency", "2")
    assert worker.wait(30) == 0
    assert jobs(home)[0]["attempt"] == 2


def test_a_paused_supplier_does_not_keep_a_drain_from_the_others(home: Home) -> None:
    home.register(definition("one", "version_one"))
    for _ in range(5):
        home.enqueue("one", {}, "--priority", "high")
    other = home.enqueue("one", {}, supplier_id="s2")
    home.json("queue", "pause", "--supplier", "s1")
    home.run("run-worker", "--drain")
    assert {job["job_id"]: job["state"] for job in jobs(home)}[other["job_id"]] == "completed"
    assert [job["state"] for job in jobs(home)].count("available") == 5
