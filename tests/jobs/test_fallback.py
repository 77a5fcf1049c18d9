"""WhatsApp took a message and did not deliver it: it goes by SMS once, where that is wanted and allowed."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.handlers.texts import CONTEXT, FALLING_BACK, NUMBER, SMS
from tests.stores import databases
from tests.stores.queues import NOW
from tests.stores.rows import take
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.handlers.callbacks import consequence
from wedsync_ops.jobs import actions, callbacks
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import conclude
from wedsync_ops.jobs.equip import order_for
from wedsync_ops.jobs.model import Outcome, Request
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.jobs.run import Attempt
from wedsync_ops.jobs.store import finish, view
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("fallback")
    yield from databases.opened(request.param, request, home, f"fallback_{uuid.uuid4().hex[:12]}")


@pytest.fixture
def queue(shared: Database, tmp_path: Path) -> Queue:
    database = databases.emptied(shared)
    raw = modules.read_file(modules.shipped_file())
    assert modules.register(database, raw, "test", now=NOW).problems == ()
    settings = Settings(home=tmp_path)
    with database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings), settings)
    return Queue(database, FakeClock(NOW), rules)


def sent(queue: Queue, config: dict[str, Any] = FALLING_BACK, context: Any = CONTEXT, **fields: Any) -> str:
    """Queue a text, run it as a worker does, and give the reference under which it went out."""
    actions.enqueue(queue, Request("sms", config, context, **fields))
    return str(run_next(queue)["reference"])


def run_next(queue: Queue) -> Any:
    before = set(queue.rules.site.outbox.glob("*.json"))
    with queue.database.transaction() as connection:
        (job,) = take(connection, 1, module_type="sms")
    verdict = Attempt(order_for(queue.rules, job), queue.rules.site, NOW, lambda _: None).perform()
    assert verdict.error is None
    outcome = Outcome(job.id, job.token, job.attempt, verdict.result, NOW, 1000, verdict.data)
    with queue.database.transaction() as connection:
        finish.apply(connection, [conclude(queue.rules, "w", job, outcome, rand=0.5).finish])
    [file] = set(queue.rules.site.outbox.glob("*.json")) - before
    return json.loads(file.read_bytes())


def failed(reference: str, **fields: Any) -> Any:
    told = {"type": "failed", "to": NUMBER, "channel": "whatsapp", "reference": reference, **fields}
    return consequence(json.dumps(told))


def counts(queue: Queue, *found: Any, **options: Any) -> tuple[int, int, int]:
    told = callbacks.take(queue, found, **options)
    assert told["suppressed"] == 0
    return told["fallbacks"], told["known"], told["ignored"]


def waiting(queue: Queue) -> int:
    return sum(lane.waiting for lane in actions.status(queue).lanes)


def test_it_goes_by_sms_once(queue: Queue) -> None:
    reference = sent(queue)
    assert counts(queue, failed(reference), dry_run=True) == (1, 0, 0)
    assert waiting(queue) == 0
    assert counts(queue, failed(reference), failed(reference, permanent=True)) == (1, 1, 0)
    assert counts(queue, failed(reference)) == (0, 1, 0)
    assert waiting(queue) == 1
    document = run_next(queue)
    assert (document["channel"], document["to"], document["body"]) == ("sms", NUMBER, "Hi Ada & Grace!")
    assert document["reference"] != reference
    assert counts(queue, failed(reference)) == (0, 1, 0)


def test_the_journey_goes_on_once(queue: Queue) -> None:
    reference = sent(queue, context={**CONTEXT, "step_data": {"id": 7, "next_step": "form"}}, key="step-7")
    counts(queue, failed(reference))
    with queue.database.reading() as connection:
        newest = view.list_jobs(connection, view.Filter(limit=1))[0]
        job = view.show_job(connection, newest.job_id)
    assert job is not None
    assert job.key == f"{reference}:sms"
    assert job.context == {**CONTEXT, "step_data": {"id": 7}}
    assert job.config == {"channel": "sms", "message_text": "Hi {{ couple_name }}!"}


@pytest.mark.parametrize(
    ("config", "client"),
    [
        ({**FALLING_BACK, "fallback_to_sms": False}, {}),
        (SMS, {}),
        ({**FALLING_BACK, "message_text": "x" * 1601}, {}),
        ({**FALLING_BACK, "require_opt_in": True}, {"whatsapp_opt_in": True, "sms_opt_in": None}),
    ],
)
def test_it_does_not_where_that_is_not_wanted_or_not_possible(
    queue: Queue, config: dict[str, Any], client: dict[str, Any]
) -> None:
    context = {**CONTEXT, "client_data": {**CONTEXT["client_data"], **client}}
    assert counts(queue, failed(sent(queue, config, context))) == (0, 0, 1)
    assert waiting(queue) == 0


def test_what_does_not_name_a_message_of_ours_is_ignored(queue: Queue) -> None:
    reference = sent(queue)
    job_id = reference.split("-")[1]
    wrong = [f"text-{job_id}-" + "0" * 32, reference.replace(f"-{job_id}-", "-999-"), reference.upper(), "", None, 7]
    found = [failed(str(one)) for one in wrong] + [
        failed(reference, channel="sms"),
        failed(reference, code="opted_out"),
    ]
    assert counts(queue, *found) == (0, 0, len(found))


def test_a_job_that_is_no_longer_kept_whole_is_ignored(queue: Queue) -> None:
    reference = sent(queue)
    with queue.database.transaction() as connection:
        connection.execute(text("UPDATE payloads SET config = NULL, context = NULL, result = NULL"))
    assert counts(queue, failed(reference)) == (0, 0, 1)


def test_what_went_by_sms_already_does_not_go_again(queue: Queue) -> None:
    reference = sent(queue)
    with queue.database.transaction() as connection:
        told = {"result": json.dumps({"channel_used": "sms"})}
        connection.execute(text("UPDATE payloads SET result = :result"), told)
    assert counts(queue, failed(reference)) == (0, 0, 1)
