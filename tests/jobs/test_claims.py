"""Codes that are claimed when a job is queued: each is one couple's, and a couple has one, on both databases."""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.stores import databases
from tests.stores.queues import CONTEXT, NOW
from tests.stores.rows import take
from wedsync_ops import codec
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.errors import CapacityReached, CodeTaken, InvalidInput, WedsyncError
from wedsync_ops.jobs import actions, further
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import conclude, refused
from wedsync_ops.jobs.equip import order_for
from wedsync_ops.jobs.model import Outcome, Queued, Request, Result
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.run import Attempt
from wedsync_ops.jobs.store import codes
from wedsync_ops.jobs.store.codes import Claim
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

CLIENT = {"client_data": {"email": "couple@example.org"}}


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("claims")
    yield from databases.opened(request.param, request, home, f"claims_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    return queue_on(databases.emptied(shared), tmp_path)


def queue_on(database: Database, home: Path, secret: str = "5e" * 32, **options: Any) -> Queue:
    raw = modules.read_file(modules.shipped_file()).replace(b"is_active: false", b"is_active: true")
    for missing in (b"sms", b"form"):
        raw = raw.replace(b"handlers." + missing + b":handle", b"handlers.email:handle")
    assert modules.register(database, raw, "test", now=NOW).problems == ()
    settings = Settings(home=home, **options)
    with database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings, secret), settings)
    return Queue(database, FakeClock(NOW), rules)


def referral(code: str | None = None, client: str = "c1", supplier: str = "s1", **fields: Any) -> Request:
    config = {"reward_type": "gift"} if code is None else {"reward_type": "gift", "tracking_code": code}
    context = {**CONTEXT, **CLIENT, "client_id": client, "supplier_id": supplier}
    return Request("referral", config, context, **fields)


def held(queue: Queue) -> list[tuple[str, str, str]]:
    with queue.database.reading() as connection:
        rows = connection.execute(text("SELECT supplier_id, client_id, code FROM referral_codes ORDER BY 1, 2"))
        return [(row[0], row[1], row[2]) for row in rows]


def jobs(queue: Queue) -> int:
    with queue.database.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())


def test_a_code_belongs_to_the_first_couple_that_claims_it(queue: Queue) -> None:
    actions.enqueue(queue, referral("ROSE"))
    for other in (referral("ROSE", client="c2"), referral("rose", supplier="s2")):
        with pytest.raises(CodeTaken, match="the code ROSE belongs to another couple") as caught:
            actions.enqueue(queue, other)
        assert caught.value.code == "code_taken"
        assert "s1" not in str(caught.value)
    assert held(queue) == [("s1", "c1", "ROSE")]
    assert jobs(queue) == 1


def test_the_same_couple_has_the_same_code_again(queue: Queue) -> None:
    for code in ("ROSE", "ROSE", "rose"):
        actions.enqueue(queue, referral(code))
    for _ in range(2):
        actions.enqueue(queue, referral(client="c2"))
    assert [row[:2] for row in held(queue)] == [("s1", "c1"), ("s1", "c2")]
    assert jobs(queue) == 5


def test_a_couple_has_one_code_with_a_supplier(queue: Queue) -> None:
    actions.enqueue(queue, referral("ROSE"))
    with pytest.raises(CodeTaken, match="give the tracking_code ROSE"):
        actions.enqueue(queue, referral("THORN"))
    actions.enqueue(queue, referral("THORN", supplier="s2"))
    assert held(queue) == [("s1", "c1", "ROSE"), ("s2", "c1", "THORN")]


def mailed(queue: Queue, *, secret: str = "5e" * 32) -> list[str]:
    """The codes that the waiting jobs mail, when they run on a site with that secret."""
    with queue.database.transaction() as connection:
        orders = [order_for(queue.rules, job) for job in take(connection, 10, module_type="referral")]
    where = replace(queue.rules.site, link_secret=secret)
    verdicts = [Attempt(one, where, NOW, lambda _: None).perform() for one in orders]
    return [codec.loads(verdict.data or b"")["tracking_code"] for verdict in verdicts]


def test_without_a_code_the_couples_own_is_mailed(queue: Queue) -> None:
    actions.enqueue(queue, referral("ROSE"))
    actions.enqueue(queue, referral())
    assert not actions.enqueue(queue, referral(key="k")).duplicate
    assert actions.enqueue(queue, referral(key="k")).duplicate
    actions.enqueue_many(queue, [referral("Thorn", client="c2"), referral(client="c2")])
    assert sorted(mailed(queue)) == ["ROSE", "ROSE", "ROSE", "THORN", "Thorn"]
    assert held(queue) == [("s1", "c1", "ROSE"), ("s1", "c2", "THORN")]


def test_the_code_that_was_claimed_is_mailed_whatever_the_secret_has_become(queue: Queue) -> None:
    actions.enqueue_many(queue, [referral(), referral()])
    [(*_, code)] = held(queue)
    assert mailed(queue, secret="6f" * 32) == [code, code]


def test_a_couple_keeps_its_code_when_the_secret_changes(queue: Queue, tmp_path: Path) -> None:
    actions.enqueue(queue, referral())
    [(*_, code)] = held(queue)
    actions.enqueue(queue_on(queue.database, tmp_path, secret="6f" * 32), referral())
    assert mailed(queue) == [code, code]
    assert len(held(queue)) == 1


def test_a_dry_run_says_so_and_claims_nothing(queue: Queue) -> None:
    actions.enqueue(queue, referral("ROSE"), dry_run=True)
    assert held(queue) == []
    actions.enqueue(queue, referral("ROSE"))
    with pytest.raises(CodeTaken):
        actions.enqueue(queue, referral("ROSE", client="c2"), dry_run=True)


def test_a_batch_has_its_own_conflicts_and_claims_only_for_what_is_queued(queue: Queue) -> None:
    answers = actions.enqueue_many(
        queue,
        [referral("A"), referral("a"), referral("A", "c2"), referral("B"), referral("C", "c3"), referral(None, "c4")],
    )
    assert [type(answer) for answer in answers] == [Queued, Queued, CodeTaken, CodeTaken, Queued, Queued]
    assert [row[:2] for row in held(queue)] == [("s1", "c1"), ("s1", "c3"), ("s1", "c4")]


def test_an_atomic_batch_with_a_conflict_claims_nothing(queue: Queue) -> None:
    answers = actions.enqueue_many(queue, [referral("A"), referral("A", "c2")], atomic=True)
    assert all(isinstance(answer, WedsyncError) for answer in answers)
    assert held(queue) == []


def test_a_job_that_is_refused_or_a_duplicate_claims_nothing(queue: Queue, tmp_path: Path) -> None:
    full = queue_on(queue.database, tmp_path, capacity=1)
    actions.enqueue(full, referral("A", key="k"))
    with pytest.raises(CapacityReached):
        actions.enqueue(full, referral("B", "c2", priority="low"))
    assert actions.enqueue(full, referral("A", key="k")).duplicate
    assert held(queue) == [("s1", "c1", "A")]


def test_many_couples_are_claimed_for_in_one_go(queue: Queue) -> None:
    answers = actions.enqueue_many(queue, [referral(client=f"c{number}") for number in range(1000)])
    assert {type(answer) for answer in answers} == {Queued}
    assert len({code for *_, code in held(queue)}) == 1000


def test_without_a_secret_the_job_is_refused(queue: Queue, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no secret"):
        actions.enqueue(queue_on(queue.database, tmp_path, secret=""), referral())


def test_the_table_itself_lets_no_code_be_held_twice(queue: Queue) -> None:
    for second in (Claim("s2", "c2", "A"), Claim("s1", "c1", "B")):
        with pytest.raises(IntegrityError), queue.database.writer.begin() as connection:
            codes.insert(connection, [Claim("s1", "c1", "A"), second], NOW)
    assert held(queue) == []


def at_once(queue: Queue, batches: Sequence[Sequence[Request]]) -> list[list[Queued | WedsyncError]]:
    """Queue batches from as many threads, which all start together."""
    ready = Barrier(len(batches))

    def run(batch: Sequence[Request]) -> list[Queued | WedsyncError]:
        ready.wait(timeout=20)
        return actions.enqueue_many(queue, batch)

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(run, batches))


def test_of_many_who_claim_one_code_at_once_one_gets_it(queue: Queue) -> None:
    for turn in range(5):
        answers = at_once(queue, [[referral(f"CODE-{turn}", f"c{turn}-{number}")] for number in range(8)])
        kinds = [type(answer[0]) for answer in answers]
        assert (kinds.count(Queued), kinds.count(CodeTaken)) == (1, 7)
    assert len(held(queue)) == 5


def test_one_couple_that_is_offered_many_codes_at_once_gets_one(queue: Queue) -> None:
    answers = at_once(queue, [[referral(f"CODE-{number}")] for number in range(8)])
    kinds = [type(answer[0]) for answer in answers]
    assert (kinds.count(Queued), kinds.count(CodeTaken)) == (1, 7)
    assert len(held(queue)) == 1


def test_batches_that_claim_the_same_in_opposite_order_do_not_deadlock(queue: Queue) -> None:
    wanted = [referral(f"CODE-{number}", f"c{number}", f"s{number % 7}") for number in range(60)]
    for answer in at_once(queue, [wanted, wanted[::-1], wanted, wanted[::-1]]):
        assert {type(each) for each in answer} == {Queued}
    assert len(held(queue)) == 60


def test_further_jobs_claim_too_and_what_is_refused_as_a_whole_claims_nothing(queue: Queue) -> None:
    actions.enqueue(queue, referral("TAKEN"))

    def settle(*wanted: Request) -> bool:
        """Whether the further jobs of a job that has just run were queued."""
        actions.enqueue(queue, Request("email", {"template_id": "thank-you"}, {**CONTEXT, **CLIENT}))
        rows = [{"module_type": one.module_type, "config": one.config, "context": one.context} for one in wanted]
        with queue.database.transaction() as connection:
            (job,) = take(connection, 1)
            outcome = Outcome(job.id, job.token, 1, Result.OK, NOW, 1000, b"{}", enqueue=codec.dumps(rows))
            asking = conclude(queue.rules, "w", job, outcome, rand=0.5)
            (made,) = further.settle(
                connection,
                queue.rules,
                [asking],
                now=NOW,
                refuse=lambda one, error: one._replace(outcome=refused(one.outcome, error)),
            )
        return made.outcome.result is Result.OK

    assert settle(referral("NEW", "c2"), referral("NEWER", "c3"))
    assert not settle(referral("FREE", "c4"), referral("TAKEN", "c5"))
    assert [code for *_, code in held(queue)] == ["TAKEN", "NEW", "NEWER"]
