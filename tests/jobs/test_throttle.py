"""Claiming under limits and pauses, on both databases: what is held back, and when it is let go."""

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.stores import databases
from tests.stores.queues import NOW, queue_on, request
from tests.stores.rows import counted, ending
from wedsync_ops import db
from wedsync_ops.db import Database
from wedsync_ops.instants import MINUTE, SECOND
from wedsync_ops.jobs import actions, throttle
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.dispatch import Dispatcher
from wedsync_ops.jobs.model import Claimed, Queued, State
from wedsync_ops.jobs.store import claim, control, finish, lanes
from wedsync_ops.jobs.store.control import Pause
from wedsync_ops.limits import limits_from
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("throttle")
    yield from databases.opened(request.param, request, home, f"throttle_{uuid.uuid4().hex[:12]}")


class Platform:
    """A queue under limits, and a worker that claims from it."""

    def __init__(self, database: Database, home: Path, *limits: dict[str, Any]) -> None:
        named = [{"name": f"l{number}", **limit} for number, limit in enumerate(limits)]
        self.queue: Queue = queue_on(databases.emptied(database), home, limits=limits_from(named))
        self.dispatch = Dispatcher(None)

    def add(self, count: int = 1, **values: Any) -> list[int]:
        answers = actions.enqueue_many(self.queue, [request(**values)] * count)
        assert all(isinstance(answer, Queued) for answer in answers), answers
        return [answer.job_id or 0 for answer in answers if isinstance(answer, Queued)]

    def claim(self, room: int = 10, now: int = NOW) -> list[Claimed]:
        with self.queue.database.transaction() as connection:
            taken = self.dispatch.claim(connection, self.queue.rules, worker_id="w", now=now, slots=room, room=room)
        self.dispatch.clear()
        self.last = taken
        return sorted(taken.jobs, key=lambda job: job.id)

    def finish(self, jobs: list[Claimed], now: int = NOW) -> None:
        with self.queue.database.transaction() as connection:
            finish.apply(connection, [ending(job, State.COMPLETED, at=now) for job in jobs])
            rules = self.queue.rules
            throttle.freed(connection, rules.settings.limits, jobs, now, provider=rules.registry.provider)

    def held(self) -> dict[str, int]:
        with self.queue.database.reading() as connection:
            rows = connection.execute(text("SELECT held_by, count(*) FROM jobs WHERE held_by IS NOT NULL GROUP BY 1"))
            found = {str(row[0]): int(row[1]) for row in rows}
            kept = {
                (c.lane.module_type, int(c.lane.priority)): (c.available, c.waiting) for c in lanes.read(connection)
            }
            assert {lane: counts for lane, counts in kept.items() if counts != (0, 0)} == counted(connection)
            assert lanes.errors(connection) == []
        return found

    def pause(self, supplier: str, until: int | None = None) -> None:
        with self.queue.database.transaction() as connection:
            control.pause(connection, Pause("supplier", supplier, None, "me", NOW, until))


def connected(queue: Queue) -> Database:
    """The queue's database, by connections of its own."""
    url = queue.database.writer.url.render_as_string(hide_password=False)
    return db.connect(replace(queue.rules.settings, db=url))


def of(jobs: list[Claimed]) -> list[str | None]:
    return [job.supplier_id for job in jobs]


def test_no_more_run_at_once_than_a_limit_says(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"concurrent": 2, "modules": ["email"]})
    platform.add(5)
    other = platform.add(1, module_type="free")
    first = platform.claim()
    assert [job.module_type for job in first].count("email") == 2
    assert other[0] in {job.id for job in first}
    assert platform.held() == {"l0:": 3}
    assert platform.claim() == []
    platform.finish([job for job in first if job.module_type == "email"][:1])
    assert len(platform.claim()) == 1
    assert platform.held() == {"l0:": 2}


def test_each_supplier_has_a_limit_of_its_own_and_the_others_pass(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"concurrent": 1, "per": "supplier"})
    platform.add(20, supplier_id="large")
    platform.add(2, supplier_id="small")
    assert of(platform.claim()) == ["large", "small"]
    assert platform.held() == {"l0:large": 19, "l0:small": 1}


def test_one_couple_at_a_time(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"concurrent": 1, "per": "client"})
    platform.add(2, client_id="c1")
    platform.add(1, client_id="c2")
    first = platform.claim()
    assert len(first) == 2
    assert platform.held() == {"l0:c1": 1}
    platform.finish(first)
    assert len(platform.claim()) == 1


@pytest.mark.parametrize("what", ["limit", "pause"])
def test_what_another_transaction_has_locked_is_let_go_a_little_later(
    shared: Database, tmp_path: Path, what: str
) -> None:
    if shared.is_sqlite:
        pytest.skip("SQLite locks no rows")
    platform = Platform(shared, tmp_path, *([{"concurrent": 1}] if what == "limit" else []))
    if what == "pause":
        platform.pause("s1")
    ids = platform.add(2)
    first = platform.claim()
    held = [job_id for job_id in ids if job_id not in {job.id for job in first}]
    with platform.queue.database.transaction() as other:
        statement = text("SELECT id FROM jobs WHERE id = :id FOR UPDATE")
        assert other.execute(statement, {"id": held[-1]}).one()
        with closing(connected(platform.queue)) as own:
            platform.queue = replace(platform.queue, database=own)
            if what == "pause":
                actions.resume(platform.queue, "supplier", "s1")
            platform.finish(first)
            assert held[-1] not in {job.id for job in platform.claim()}
            again = platform.last.next_due
    assert again == NOW + SECOND
    platform.queue = replace(platform.queue, database=shared)
    assert held[-1] in {job.id for job in platform.claim(now=again)}


PROVIDERS = b"""
schema_version: 1
modules:
""" + b"".join(
    f"""
  - {{id: {name}, provider: {provider}, display_name: N, category: c, config_schema: {{type: object}},
     handler: "tests.stores.handlers:nothing"}}""".encode()
    for name, provider in (("letter", "smtp"), ("invite", "smtp"), ("text", "sms-gateway"))
)


def over_providers(shared: Database, tmp_path: Path, limit: dict[str, Any]) -> Platform:
    platform = Platform(shared, tmp_path, limit)
    assert modules.register(shared, PROVIDERS, "test", now=NOW).problems == ()
    with shared.reading() as connection:
        rules = replace(platform.queue.rules, registry=store.load(connection))
    platform.queue = replace(platform.queue, rules=rules)
    for name in ("letter", "invite", "text", "email"):
        platform.add(2, module_type=name)
    return platform


@pytest.mark.parametrize(
    ("limit", "started", "held"),
    [
        ({"per": "provider"}, {"smtp": 1, "text": 1, "email": 2}, {"l0:smtp": 3, "l0:sms-gateway": 1}),
        ({"providers": ["smtp"]}, {"smtp": 1, "text": 2, "email": 2}, {"l0:": 3}),
    ],
)
def test_module_types_that_deliver_over_one_provider_share_its_limit(
    shared: Database, tmp_path: Path, limit: dict[str, Any], started: dict[str, int], held: dict[str, int]
) -> None:
    platform = over_providers(shared, tmp_path, {"concurrent": 1, **limit})
    first = platform.claim()
    found = Counter("smtp" if job.module_type in ("letter", "invite") else job.module_type for job in first)
    assert (found, platform.held()) == (started, held)
    assert platform.claim() == []
    platform.finish([job for job in first if job.module_type in ("letter", "invite")])
    (next_one,) = platform.claim()
    assert next_one.module_type in ("letter", "invite")


def test_a_window_holds_for_all_that_is_delivered_over_a_provider(shared: Database, tmp_path: Path) -> None:
    platform = over_providers(shared, tmp_path, {"window": "3/1h", "providers": ["smtp"]})
    assert Counter(job.module_type in ("letter", "invite") for job in platform.claim())[True] == 3
    assert len(platform.claim(now=NOW + 60 * MINUTE)) == 1


def test_a_rate_lets_jobs_start_as_time_goes(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"rate": "60/1m", "burst": 2})
    platform.add(6)
    assert len(platform.claim()) == 2
    assert platform.last.next_due == NOW + SECOND
    assert platform.claim(now=NOW + SECOND - 1) == []
    assert len(platform.claim(now=NOW + SECOND)) == 1
    assert len(platform.claim(now=NOW + 10 * SECOND)) == 2
    assert len(platform.claim(now=NOW + 11 * SECOND)) == 1
    assert platform.held() == {}


def test_a_window_is_full_until_the_next_one(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"window": "3/1h", "per": "supplier"})
    platform.add(5)
    assert len(platform.claim()) == 3
    assert platform.claim(now=NOW + 59 * MINUTE) == []
    assert len(platform.claim(now=NOW + 60 * MINUTE)) == 2


def test_retries_count_like_every_start(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"rate": "60/1m"})
    platform.add(1)
    (job,) = platform.claim()
    with platform.queue.database.transaction() as connection:
        finish.apply(connection, [ending(job, State.RETRYABLE, due_at=NOW)])
    assert platform.claim(now=NOW + 1) == []
    assert platform.held() == {"l0:": 1}
    assert len(platform.claim(now=NOW + SECOND)) == 1


def test_the_most_urgent_of_what_is_held_goes_first(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"rate": "60/1m"})
    platform.add(3, priority="low")
    urgent = platform.add(1, priority="high")
    platform.claim()
    assert [job.id for job in platform.claim(now=NOW + SECOND)] != urgent  # the high one took the first start
    platform.add(2, priority="low")
    critical = platform.add(1, priority="critical")
    assert platform.claim(now=NOW + SECOND + 1) == []
    assert [job.id for job in platform.claim(now=NOW + 2 * SECOND)] == critical


def test_every_limit_that_covers_a_job_must_have_room(shared: Database, tmp_path: Path) -> None:
    platform = Platform(
        shared, tmp_path, {"rate": "60/1m", "burst": 10}, {"concurrent": 1, "per": "supplier", "modules": ["email"]}
    )
    platform.add(3, supplier_id="a")
    platform.add(3, supplier_id="b")
    assert of(platform.claim()) == ["a", "b"]
    assert platform.held() == {"l1:a": 2, "l1:b": 2}


def test_a_limited_supplier_in_front_of_others_is_walked_past_once(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"concurrent": 1, "per": "supplier"})
    platform.add(1200, supplier_id="a")
    platform.add(1, supplier_id="b", priority="normal")
    found: list[str | None] = []
    for _ in range(4):
        found += of(platform.claim(room=4))
    assert sorted(filter(None, found)) == ["a", "b"]
    assert platform.held() == {"l0:a": 1199}


def test_a_limit_that_is_no_more_holds_nothing(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"window": "1/1h"})
    platform.add(3)
    platform.claim()
    free = Platform.__new__(Platform)
    free.queue = queue_on(shared, tmp_path)
    free.dispatch = Dispatcher(None)
    assert len(free.claim(now=NOW + 60 * MINUTE)) == 2
    assert free.held() == {}


def test_a_paused_supplier_is_held_until_the_pause_ends(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path)
    platform.add(3, supplier_id="a")
    platform.add(1, supplier_id="b")
    platform.pause("a", NOW + MINUTE)
    assert of(platform.claim()) == ["b"]
    assert platform.held() == {"pause:a": 3}
    assert platform.last.next_due == NOW + MINUTE
    assert of(platform.claim(now=NOW + MINUTE)) == ["a"] * 3
    assert platform.held() == {}


def test_resuming_a_supplier_lets_everything_go(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path)
    platform.add(700, supplier_id="a")
    platform.pause("a")
    platform.claim()
    platform.claim()
    assert platform.held() == {"pause:a": 700}
    with platform.queue.database.transaction() as connection:
        assert control.resume(connection, "supplier", "a")
    assert len(platform.claim()) == 10
    platform.claim()
    assert platform.held() == {}


def test_a_pause_that_was_made_shorter_ends_then(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path)
    platform.add(1, supplier_id="a")
    platform.pause("a", NOW + 60 * MINUTE)
    platform.claim()
    platform.pause("a", NOW + MINUTE)
    assert of(platform.claim(now=NOW + MINUTE)) == ["a"]


def test_what_is_held_can_be_cancelled_and_expires(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"window": "1/1h"})
    ids = platform.add(2)
    expiring = platform.add(1, expires="2027-01-13T12:30:00Z")
    platform.claim()
    with platform.queue.database.transaction() as connection:
        assert control.cancel(connection, ids, NOW) == {ids[1]}
    assert platform.held() == {"l0:": 1}
    platform.claim(now=NOW + 31 * MINUTE)
    assert platform.held() == {}
    with platform.queue.database.reading() as connection:
        assert control.states(connection, expiring) == {expiring[0]: State.EXPIRED}


def test_what_is_held_ages_like_everything_that_waits(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"window": "1/1h"})
    platform.add(2, priority="low")
    platform.claim()
    platform.claim(now=NOW + 16 * MINUTE)
    assert platform.held() == {"l0:": 1}
    with platform.queue.database.reading() as connection:
        assert {
            row.priority for row in connection.execute(text("SELECT priority FROM jobs WHERE held_by IS NOT NULL"))
        } == {1}


def test_two_workers_together_start_no_more_than_a_limit_says(shared: Database, tmp_path: Path) -> None:
    platform = Platform(shared, tmp_path, {"concurrent": 3})
    platform.add(10)
    other = Dispatcher(None)
    first = platform.claim(room=2)
    with platform.queue.database.transaction() as connection:
        taken = other.claim(connection, platform.queue.rules, worker_id="v", now=NOW, slots=4, room=4)
    assert len(first) + len(taken.jobs) == 3
    with platform.queue.database.transaction() as connection:  # a worker that dies leaves no place taken
        claim.release(connection, taken.jobs, now=NOW)
    assert len(platform.claim(now=NOW + SECOND)) == 1
