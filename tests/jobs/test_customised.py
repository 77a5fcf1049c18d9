"""Queueing and running under customisations and subscription tiers."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.stores import databases
from tests.stores.queues import NOW, later, queue_on, request
from tests.stores.rows import row, take
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidConfig, InvalidContext, KeyConflict, TierRefused
from wedsync_ops.instants import DAY, MINUTE
from wedsync_ops.jobs import actions, ripen
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.equip import order_for
from wedsync_ops.jobs.model import Priority, Queued, Request
from wedsync_ops.jobs.prepare import prepare
from wedsync_ops.jobs.store import view
from wedsync_ops.modules import customise, store


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("queue")
    yield from databases.opened(request.param, request, home, f"queue_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    """Both dialects in turn, without a row."""
    return queue_on(databases.emptied(shared), tmp_path)


def customised(queue: Queue, *entries: dict[str, Any]) -> Queue:
    """The queue with customisations of the module type email (unless they name another) stored."""
    listed = [{"module": "email", **entry} for entry in entries]
    raw = yaml.safe_dump({"schema_version": 1, "customisations": listed}).encode()
    assert customise.customise(queue.database, raw, "test", now=NOW).problems == ()
    return refreshed(queue)


def refreshed(queue: Queue) -> Queue:
    with queue.database.reading() as connection:
        return replace(queue, rules=replace(queue.rules, registry=store.load(connection)))


def id_of(answer: Queued) -> int:
    assert answer.job_id is not None
    return answer.job_id


def config_of(queue: Queue, one: Request) -> dict[str, Any]:
    """The config that is kept with a job."""
    job_id = id_of(actions.enqueue(queue, one))
    with queue.database.reading() as connection:
        job = view.show_job(connection, job_id)
    assert job is not None
    kept: dict[str, Any] = job.config
    return kept


class TestDefaults:
    def test_the_merged_config_is_what_is_kept(self, queue: Queue) -> None:
        layered = customised(
            queue, {"vendor_type": "venue", "config": {"n": 1, "send_delay": 5}}, {"supplier": "s1", "config": {"n": 2}}
        )
        assert config_of(layered, request("email", {})) == {"n": 2}
        assert config_of(layered, request("email", {}, vendor_type="venues")) == {"n": 2, "send_delay": 5}
        assert config_of(layered, request("email", {"n": 3}, vendor_type="venue")) == {"n": 3, "send_delay": 5}
        assert config_of(layered, request("email", {"n": 3}, supplier_id="s2")) == {"n": 3}
        assert config_of(layered, request("info", {"n": 3}, client_data={"email": "x"})) == {"n": 3}

    def test_a_default_delays_the_job(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "s1", "config": {"send_delay": 5}})
        assert actions.enqueue(layered, request()).due_at == NOW + 5 * MINUTE
        assert actions.enqueue(layered, request("email", {"send_delay": 0})).due_at == NOW

    def test_a_request_that_is_sent_again_is_no_conflict_when_the_customisation_has_changed(self, queue: Queue) -> None:
        first = customised(queue, {"supplier": "s1", "config": {"n": 1}})
        job_id = id_of(actions.enqueue(first, request(key="k")))
        for changed in (customised(queue, {"supplier": "s1", "config": {"n": 2}}), queue):
            again = actions.enqueue(changed, request(key="k"))
            assert (again.job_id, again.duplicate) == (job_id, True)
        with pytest.raises(KeyConflict):
            actions.enqueue(first, request("email", {"n": 1}, key="k"))

    def test_defaults_that_no_longer_fit_are_named_when_queued(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "s1", "module": "info", "config": {"n": 13}})
        with pytest.raises(InvalidConfig, match=r"n brings bad luck.*defaults of the supplier s1"):
            prepare(layered.rules, request("info", client_data={"email": "x"}))
        with queue.database.transaction() as connection:
            store.customise(connection, ("supplier", "s1", "email"), '{"config":{"m":1}}', NOW)
        with pytest.raises(InvalidConfig, match=r"config.m: is not a key.*defaults of the supplier s1"):
            prepare(refreshed(queue).rules, request())

    def test_a_fault_of_the_callers_own_names_no_defaults(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "s1", "priority": "high"})
        with pytest.raises(InvalidConfig) as refusal:
            prepare(layered.rules, request("email", {"n": "x"}))
        assert refusal.value.advice is None


class TestPriority:
    def test_is_raised_and_says_by_whom(self, queue: Queue) -> None:
        layered = customised(
            queue, {"vendor_type": "venue", "config": {"n": 1}}, {"supplier": "s1", "priority": "high"}
        )
        answer = actions.enqueue(layered, request(vendor_type="venue"))
        assert (answer.priority_requested, answer.priority_applied) == (Priority.NORMAL, Priority.HIGH)
        assert answer.priority_reasons == ("asked for: normal", "customised by supplier s1: raised to high")
        critical = actions.enqueue(layered, request(priority="critical"))
        assert critical.priority_reasons == ("asked for: critical",)
        assert actions.enqueue(layered, request(supplier_id="s2")).priority_applied is Priority.NORMAL

    def test_of_one_batch_each_job_has_its_own(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "s1", "priority_boost": 1}, {"supplier": "s2", "priority": "critical"})
        batch = [request(supplier_id=name, priority="low") for name in ("s0", "s1", "s2", "s1", "s0")]
        applied = [getattr(answer, "priority_applied", answer) for answer in actions.enqueue_many(layered, batch)]
        assert applied == [Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.NORMAL, Priority.LOW]

    def test_holds_when_the_job_falls_due(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "s1", "priority": "critical"})
        job_id = id_of(actions.enqueue(layered, request(delay=60 * 24)))
        with queue.database.transaction() as connection:
            assert ripen.promote(connection, layered.rules, later(layered, DAY).clock.now()) == 1
            found = row(connection, job_id)
        assert (found["priority"], found["priority_requested"]) == (Priority.CRITICAL, Priority.NORMAL)


class TestWeight:
    def test_gives_a_supplier_more_of_the_turns(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "heavy", "weight": 3}, {"vendor_type": "venue", "weight": 0.5})
        batch = [request(supplier_id=name) for name in ("heavy", "plain") for _ in range(6)]
        batch += [request(supplier_id="light", vendor_type="venue") for _ in range(6)]
        answers = actions.enqueue_many(layered, batch)
        ranked = sorted(zip(answers, batch, strict=True), key=lambda pair: getattr(pair[0], "rank", 0))
        first = [one.context["supplier_id"] for _, one in ranked[:9]]
        assert [first.count(name) for name in ("heavy", "plain", "light")] == [6, 2, 1]

    def test_holds_when_the_job_falls_due(self, queue: Queue) -> None:
        layered = customised(queue, {"supplier": "heavy", "weight": 10})
        ids = [id_of(actions.enqueue(layered, request(supplier_id=name, delay=60))) for name in ("plain", "heavy")]
        with queue.database.transaction() as connection:
            ripen.promote(connection, layered.rules, later(layered, DAY).clock.now())
            plain, heavy = (row(connection, job_id)["rank"] for job_id in ids)
        assert heavy < plain


class TestLimits:
    def test_are_those_of_the_jobs_supplier_and_vendor_type(self, queue: Queue) -> None:
        layered = customised(
            queue,
            {"vendor_type": "venue", "limits": {"memory_limit": 128, "cpu_limit": 0.5}},
            {"supplier": "s1", "limits": {"memory_limit": 256, "execution_timeout": 4}},
        )
        actions.enqueue(layered, request(vendor_type="venue"))
        actions.enqueue(layered, request())
        actions.enqueue(layered, request(supplier_id="s2"))
        with queue.database.transaction() as connection:
            orders = [order_for(layered.rules, job) for job in sorted(take(connection, 3))]
        assert [(order.memory_mb, order.timeout_s, order.cpu_s) for order in orders] == [
            (128, 4.0, 2.0),
            (256, 4.0, 4.0),
            (512, 30.0, 30.0),
        ]


class TestTiers:
    @pytest.mark.parametrize("where", [{}, {"supplier_data": {}}, {"subscription_tier": None}])
    def test_without_one_nothing_is_refused(self, queue: Queue, where: dict[str, Any]) -> None:
        assert prepare(queue.rules, request("review", **where)).module.module_id == "review"

    @pytest.mark.parametrize(
        ("tier", "module", "included"),
        [
            ("free", "email", True),
            ("free", "info", False),
            ("starter", "info", False),
            ("professional", "info", True),
            ("professional", "review", False),
            ("scale", "review", True),
            ("enterprise", "review", True),
            ("free", "free", True),
        ],
    )
    def test_each_includes_those_below(self, queue: Queue, tier: str, module: str, included: bool) -> None:
        client = {"email": "x"}
        for where in ({"subscription_tier": tier}, {"supplier_data": {"subscription_tier": tier}}):
            one = request(module, client_data=client, **where)
            if included:
                assert prepare(queue.rules, one).module.module_id == module
                continue
            with pytest.raises(TierRefused, match=f"tier '{tier}' does not include {module}; it needs '"):
                prepare(queue.rules, one)

    def test_the_one_at_the_top_counts(self, queue: Queue) -> None:
        one = request("review", subscription_tier="scale", supplier_data={"subscription_tier": "free"})
        assert prepare(queue.rules, one).module.module_id == "review"
        other = request("review", subscription_tier="free", supplier_data={"subscription_tier": "scale"})
        with pytest.raises(TierRefused):
            prepare(queue.rules, other)

    @pytest.mark.parametrize("tier", ["gold", "", "Free", 5, True, ["free"]])
    def test_what_is_none_is_refused(self, queue: Queue, tier: Any) -> None:
        with pytest.raises(InvalidContext, match=r"context.subscription_tier"):
            prepare(queue.rules, request(subscription_tier=tier))
