"""Real workers post what has finished to a real receiver; one that is killed in the middle loses nothing."""

import json
import random
import signal
import time
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Home, definition, eventually
from tests.jobs.receivers import SECRET, Receiver, receiving

ONE = definition("one", "version_one")


@pytest.fixture
def receiver(home: Home) -> Iterator[Receiver]:
    with receiving() as made:
        home.environment |= {
            "WEDSYNC_OPS_WEBHOOK_URL": made.url,
            "WEDSYNC_OPS_WEBHOOK_SECRET": SECRET,
            "WEDSYNC_OPS_WEBHOOK_TIMEOUT_S": "0.5",
        }
        yield made


def queue(home: Home, count: int) -> None:
    line = {"module_type": "one", "config": {}}
    context = {"supplier_id": "s", "journey_instance_id": "j"}
    lines = (json.dumps({**line, "context": {**context, "client_id": f"c{n}"}}) for n in range(count))
    assert home.json("enqueue", "--file", "-", stdin="\n".join(lines))["queued"] == count


def feed(home: Home) -> list[dict[str, object]]:
    found: list[dict[str, object]] = home.json("events", "--limit", "0")["events"]
    return found


def documents(receiver: Receiver) -> list[dict[str, object]]:
    """What the receiver knows when it drops what it has had before."""
    once = {post.headers["webhook-id"]: post.document for post in receiver.taken}
    return list(once.values())


def test_a_worker_that_drains_has_told_everything(home: Home, receiver: Receiver) -> None:
    home.register(ONE)
    queue(home, 30)
    receiver.answers = ["200", "200", "cut"]
    home.run("run-worker", "--drain", "--concurrency", "2")
    until = time.monotonic() + 30
    while len(documents(receiver)) < 30 and time.monotonic() < until:
        home.run("maintenance", "run", "webhooks")
    assert documents(receiver) == feed(home)
    assert len(receiver.taken) == 30
    assert {document["state"] for document in documents(receiver)} == {"completed"}


def test_a_worker_that_waits_tells_at_once(home: Home, receiver: Receiver) -> None:
    home.register(ONE)
    worker = home.start("--concurrency", "1")
    for number in range(3):
        home.enqueue("one", {})
        eventually(lambda: len(receiver.taken) == number + 1)  # noqa: B023
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert documents(receiver) == feed(home)


def test_killed_in_the_middle_nothing_is_lost_and_the_order_holds(home: Home, receiver: Receiver) -> None:
    home.register(ONE)
    dice = random.Random(300)
    for _ in range(3):
        queue(home, 300)  # more than are posted before it dies
        already = len(receiver.posts)
        worker = home.start("--concurrency", "2")
        eventually(lambda: len(receiver.posts) > already)  # noqa: B023
        time.sleep(dice.uniform(0, 0.2))  # the moment of death is the point of this test
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    home.run("run-worker", "--drain", "--concurrency", "2")
    until = time.monotonic() + 60
    while len(documents(receiver)) < 900 and time.monotonic() < until:
        home.run("maintenance", "run", "webhooks")
        time.sleep(0.1)  # until the lease of the one that was killed has ended
    assert documents(receiver) == feed(home)
    assert sorted(int(str(event["job_id"])) for event in feed(home)) == list(range(1, 901))


def test_two_workers_keep_one_order(home: Home, receiver: Receiver) -> None:
    home.register(ONE)
    queue(home, 200)
    workers = [home.start("--drain", "--concurrency", "1") for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    home.run("maintenance", "run", "webhooks")
    assert [post.document for post in receiver.posts] == feed(home)
    assert len(receiver.posts) == 200
