"""Real workers page a real receiver: jobs fail, rules are evaluated, somebody acknowledges, workers are killed."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Home, definition, eventually
from tests.jobs.receivers import SECRET, Receiver, receiving

FAILS = definition("fails", "refused")
FILE = """\
schema_version: 1
channels:
  hook: {{type: webhook, url: '{url}', secret: {{env: HOOK_SECRET}}, timeout_s: 2}}
routes:
  - {{channels: hook, group_window_s: 0}}
heartbeat: {{url: '{beat}', every_min: 0.1}}
"""


@pytest.fixture
def beat() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def receiver(home: Home, beat: Receiver, tmp_path: Path) -> Iterator[Receiver]:
    with receiving() as made:
        file = tmp_path / "notify.yaml"
        file.write_text(FILE.format(url=made.url, beat=beat.url))
        home.environment |= {"WEDSYNC_OPS_NOTIFY": str(file), "HOOK_SECRET": SECRET}
        yield made


def fail(home: Home, count: int) -> None:
    context = {"supplier_id": "s", "journey_instance_id": "j"}
    lines = [
        json.dumps({"module_type": "fails", "config": {}, "context": {**context, "client_id": f"c{number}"}})
        for number in range(count)
    ]
    assert home.json("enqueue", "--file", "-", stdin="\n".join(lines))["queued"] == count


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(post.document["kind"], alert["type"]) for post in receiver.taken for alert in post.document["alerts"]]


def of_errors(receiver: Receiver) -> list[str]:
    return [kind for kind, type_ in told(receiver) if type_ == "high_error_rate"]


@pytest.mark.slow
def test_ten_failures_page_once_and_an_acknowledgement_ends_it(home: Home, receiver: Receiver, beat: Receiver) -> None:
    home.register(FAILS)
    worker = home.start("--concurrency", "2")
    fail(home, 10)
    eventually(lambda: len(home.json("jobs", "list", "--state", "discarded")["jobs"]) == 10)
    home.run("maintenance", "run", "alerts")
    began = time.monotonic()
    eventually(lambda: of_errors(receiver) == ["opened"])
    assert time.monotonic() - began < 5
    eventually(lambda: home.json("alerts", "deliveries")["counts"]["pending"] == 0)  # it is known to have been taken
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    home.start("--concurrency", "2")
    (alert,) = [one for one in alerts(home) if one["type"] == "high_error_rate"]
    home.run("alerts", "ack", str(alert["id"]))
    eventually(lambda: of_errors(receiver) == ["opened", "acknowledged"])
    eventually(lambda: home.json("alerts", "deliveries")["counts"]["pending"] == 0)
    rows = home.json("alerts", "deliveries", str(alert["id"]))["deliveries"]
    assert [(row["kind"], row["state"], row["attempts"]) for row in rows] == [
        ("acknowledged", "sent", 1),
        ("opened", "sent", 1),
    ]
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == len(receiver.posts)
    eventually(lambda: len(beat.taken) > 0)


def alerts(home: Home) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = home.json("alerts", "list")["alerts"]
    return found
