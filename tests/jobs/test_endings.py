"""A job that could do nothing when it is due is refused when it is queued, on what it says itself of its end."""

from pathlib import Path
from typing import Any

import pytest

from tests.stores import queues
from tests.stores.queues import CONTEXT, NOW
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidConfig, InvalidContext, InvalidInput
from wedsync_ops.handlers import form, info, meeting, referral
from wedsync_ops.handlers.contract import ending_of, problems
from wedsync_ops.instants import iso
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import Request
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

CONFIGS: dict[str, dict[str, Any]] = {
    "form": {"form_id": "guests"},
    "info": {"title": "t", "content": "c"},
    "referral": {"reward_type": "gift"},
    "meeting": {"meeting_type": "call", "duration": 60},
}
HANDLERS = {"form": form.handle, "info": info.handle, "referral": referral.handle, "meeting": meeting.handle}
EXPIRING = ("info", "referral")


@pytest.fixture
def queue(sqlite_database: Database, tmp_path: Path) -> Queue:
    raw = modules.read_file(modules.shipped_file())
    assert modules.register(sqlite_database, raw, "test", now=NOW).problems == ()
    settings = Settings(home=tmp_path)
    with sqlite_database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings, "5e" * 32), settings)
    return Queue(sqlite_database, FakeClock(NOW), rules)


def request(module: str, until: str, **fields: Any) -> Request:
    own = {} if module == "meeting" else {"deadline" if module == "form" else "expires_at": until}
    context = {
        **CONTEXT,
        "client_data": {"email": "couple@example.org"},
        "step_data": {"starts_at": until} if module == "meeting" else {},
        "timezone": "America/New_York",
    }
    return Request(module, {**CONFIGS[module], **own}, context, **fields)


@pytest.mark.parametrize(
    ("module", "until"),
    [
        ("form", "2020-01-01"),
        ("form", "2027-01-12"),
        ("info", "2027-01-12"),
        ("info", "2027-01-13T12:00:00Z"),
        ("referral", "2027-01-12"),
        ("referral", "2027-01-13t12:00:00z"),
        ("meeting", "2027-01-13T06:00"),
    ],
)
def test_what_is_over_already_is_refused(queue: Queue, module: str, until: str) -> None:
    with pytest.raises(InvalidContext if module == "meeting" else InvalidConfig, match="is over at") as caught:
        actions.enqueue(queue, request(module, until))
    place = {"form": "config.deadline", "meeting": "context.step_data.starts_at"}.get(module, "config.expires_at")
    assert str(caught.value).startswith(f"{module}: {place}: ")


@pytest.mark.parametrize(
    ("module", "until"),
    [
        ("form", "2027-01-13"),
        ("info", "2027-01-13"),
        ("referral", "2027-01-13T12:00:01Z"),
        ("meeting", "2027-01-13T06:01"),
    ],
)
def test_it_is_judged_for_the_moment_at_which_the_job_is_due(queue: Queue, module: str, until: str) -> None:
    job = actions.enqueue(queue, request(module, until, key="k"))
    assert actions.enqueue(queue, request(module, until, key="k")).job_id == job.job_id
    with pytest.raises((InvalidConfig, InvalidContext), match="is over at"):
        actions.enqueue(queue, request(module, until, delay=24 * 60))


@pytest.mark.parametrize("module", EXPIRING)
@pytest.mark.parametrize(
    ("expires_at", "end"),
    [
        ("2027-06-20", "2027-06-21T04:00:00.000000Z"),
        ("2027-06-20t10:00:00z", "2027-06-20T10:00:00.000000Z"),
        ("2026-12-31T23:59:60Z", "2026-12-31T23:59:59.000000Z"),
        ("2026-12-31T18:59:60.5-05:00", "2026-12-31T23:59:59.500000Z"),
        ("8999-12-31", "9000-01-01T05:00:00.000000Z"),
        ("9000-01-01", None),
        ("9999-12-31", None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_every_time_that_the_schema_accepts_is_understood(
    queue: Queue, module: str, expires_at: str, end: str | None
) -> None:
    one = request(module, expires_at)
    assert queue.rules.registry.first_config_error(queue.rules.registry.usable(module), one.config) is None
    assert list(problems(HANDLERS[module], one.config, one.context, queue.rules.site)) == []
    ending = ending_of(HANDLERS[module], one.config, one.context, queue.rules.site)
    assert iso(ending and ending.at) == end


@pytest.mark.parametrize("module", EXPIRING)
def test_a_time_before_the_years_of_instants_is_refused(queue: Queue, module: str) -> None:
    with pytest.raises(InvalidConfig, match=r"config\.expires_at: "):
        actions.enqueue(queue, request(module, "0001-01-01T00:00:00Z"))


def test_a_third_partys_that_fails_refuses_the_job(sqlite_database: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the handler cannot say when the job ends: KeyError: "):
        actions.enqueue(queues.queue_on(sqlite_database, tmp_path), queues.request("free", {"endless": True}))
