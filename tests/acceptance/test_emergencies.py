"""Emergencies with real workers and real mail servers: mails take the backup route, breakers open and close, drills."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.acceptance.conftest import Home, definition, eventually
from wedsync_ops.clock import SystemClock
from wedsync_ops.instants import to_datetime

FLAKY = definition("flaky", "fails_while_told", properties="{folder: {type: string}}")


class Serving(Controller):
    """A mail server at a port that is free."""

    def _trigger_server(self) -> None:
        """The port is only known once it listens."""
        server: Any = self.server
        self.port = server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


class Box:
    """Takes mails."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        head = envelope.content.partition(b"\r\n\r\n")[0].decode()
        self.keys += [line.partition(": ")[2] for line in head.splitlines() if line.startswith("Idempotency-Key")]
        return "250 taken"


@pytest.fixture
def servers(home: Home) -> Iterator[dict[str, Box]]:
    boxes, controllers = {}, []
    for setting in ("SMTP_URL", "SMTP_URL_BACKUP"):
        boxes[setting] = Box()
        controller = Serving(boxes[setting], hostname="127.0.0.1", port=0)
        controller.start()
        controllers.append(controller)
        home.environment[f"WEDSYNC_OPS_{setting}"] = f"smtp://127.0.0.1:{controller.port}"
    yield boxes
    for controller in controllers:
        controller.stop()


def mail(home: Home, key: str, **context: Any) -> None:
    config = {"template_id": "thank-you"}
    home.enqueue("email", config, "--key", key, client_data={"email": "c@example.org"}, **context)


@pytest.mark.slow
def test_mails_go_over_the_backup_while_the_emergency_lasts_and_back_afterwards(
    home: Home, servers: dict[str, Box]
) -> None:
    home.environment["WEDSYNC_OPS_EMERGENCIES_EVERY_S"] = "0.5"
    home.register_shipped()
    worker = home.start()
    mail(home, "before")
    eventually(lambda: servers["SMTP_URL"].keys == ["before"])
    today = to_datetime(SystemClock().now()).date()
    declared = home.json("emergency", "declare", "wedding_day_outage", "--reason", "a test")["emergency"]
    assert [step["do"] for step in declared["steps"] if step["state"] == "failed"] == []
    mail(home, "during", wedding_date=str(today + timedelta(days=1)))
    mail(home, "later", wedding_date=str(today + timedelta(days=200)))
    eventually(lambda: servers["SMTP_URL_BACKUP"].keys == ["during"])
    done = home.json("emergency", "resolve", str(declared["id"]))["emergency"]
    assert done["state"] == "resolved"
    eventually(lambda: servers["SMTP_URL"].keys == ["before", "later"])
    assert servers["SMTP_URL_BACKUP"].keys == ["during"]
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.mark.slow
def test_a_breaker_of_a_real_worker_opens_saves_attempts_and_closes_by_itself(home: Home) -> None:
    home.environment["WEDSYNC_OPS_EMERGENCIES_EVERY_S"] = "0.2"
    home.environment["WEDSYNC_OPS_EMERGENCIES"] = str(home.path / "own.yaml")
    (home.path / "own.yaml").write_text(
        "protocols:\n  high_failure_rate:\n    about: Ours.\n"
        "    when: {failed_percent: 80, latest: 10, cool_down: 1s, probes: 2}\n"
        "    steps: [{do: open_breaker}]\n"
    )
    home.register(FLAKY)
    fault = home.path / "fault"
    fault.touch()
    lines = [
        json.dumps(
            {
                "module_type": "flaky",
                "config": {"folder": str(home.path)},
                "context": {"client_id": f"c{number}", "supplier_id": "s", "journey_instance_id": "j"},
            }
        )
        for number in range(60)
    ]
    home.json("enqueue", "--file", "-", stdin="\n".join(lines))
    worker = home.start("--concurrency", "2")
    eventually(lambda: len(home.json("emergency", "status")["breakers"]) == 1)
    fault.unlink()
    eventually(lambda: home.json("emergency", "status")["emergencies"] == [])
    eventually(lambda: len(home.json("jobs", "list", "--state", "completed", "--limit", "0")["jobs"]) == 60)
    (kept,) = home.json("emergency", "history")["emergencies"]
    assert (kept["by_rule"], kept["subject"], kept["resolved_by"]) == (True, "flaky", "a rule")
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.mark.slow
def test_slots_are_replaced_when_an_emergency_asks_for_that(home: Home) -> None:
    home.register(definition("who", "who_am_i"))
    worker = home.start("--concurrency", "1")

    def pid() -> int:
        job_id = home.enqueue("who", {}, "--wait")["job_id"]
        found: int = home.json("jobs", "show", str(job_id))["job"]["result_data"]["pid"]
        return found

    first = pid()
    assert pid() == first
    home.json("emergency", "declare", "resource_exhaustion")
    eventually(lambda: pid() != first)
    worker.terminate()
    assert worker.wait(30) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["high_failure_rate", "resource_exhaustion", "wedding_day_outage", "generic"])
def test_each_emergency_is_drilled_in_time_and_the_real_home_is_not_touched(home: Home, name: str) -> None:
    home.register_shipped()
    mail(home, "real")
    before = {path: path.read_bytes() for path in Path(home.path).rglob("*") if path.is_file()}
    answer = home.run("emergency", "drill", name, "--short", "--json")
    done = json.loads(answer.stdout)
    assert done["passed"]
    assert done["took_s"] < 20
    assert [(one["name"], one["allowed_s"]) for one in done["times"]] == [
        ("detection", 30.0),
        ("reaction", 60.0),
        ("recovery", 30.0),
    ]
    after = {path: path.read_bytes() for path in Path(home.path).rglob("*") if path.is_file()}
    changed = {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {"wedsync-ops.db-shm", "wedsync-ops.db-wal"}
    assert [job["state"] for job in home.json("jobs", "list")["jobs"]] == ["available"]
    assert home.json("emergency", "history")["emergencies"] == []
