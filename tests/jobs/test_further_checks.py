"""How further jobs are checked in the worker's loop: each kind once, and no accepted text is rendered again."""

from pathlib import Path
from typing import Any

import pytest

from tests.stores.queues import CONTEXT, NOW
from tests.stores.rows import take
from wedsync_ops import codec
from wedsync_ops.app import calendar_of, site_of
from wedsync_ops.db import Database
from wedsync_ops.instants import iso
from wedsync_ops.jobs import actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.conclude import Conclusion, conclude
from wedsync_ops.jobs.model import Outcome, Request, Result
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.modules import actions as modules
from wedsync_ops.modules import store
from wedsync_ops.settings import Settings
from wedsync_ops.testing.clock import FakeClock

COUPLE = {**CONTEXT, "client_data": {"email": "couple@example.org"}}
MAIL = {"module_type": "email", "config": {"template_id": "thank-you"}, "context": COUPLE}


@pytest.fixture
def queue(sqlite_database: Database, tmp_path: Path) -> Queue:
    """The shipped module types, and a third party's beside them."""
    theirs = b"""
  - id: theirs
    display_name: A third party's
    category: messages
    handler: tests.stores.handlers:nothing
    config_schema: {type: object}
"""
    raw = modules.read_file(modules.shipped_file()) + theirs
    assert modules.register(sqlite_database, raw, "test", now=NOW).problems == ()
    settings = Settings(home=tmp_path)
    with sqlite_database.reading() as connection:
        rules = Rules(store.load(connection), calendar_of(settings), site_of(settings, "5e" * 32), settings)
    return Queue(sqlite_database, FakeClock(NOW), rules)


def concluded(queue: Queue, parent: str, *rows: dict[str, Any]) -> Conclusion:
    """What a job of that module type that asks for these rows comes to."""
    config = {"form_id": "guests"} if parent == "form" else {}
    actions.enqueue(queue, Request(parent, config, COUPLE))
    with queue.database.transaction() as connection:
        (job,) = take(connection, 1, module_type=parent)
    outcome = Outcome(job.id, job.token, 1, Result.OK, NOW, 1000, b"{}", enqueue=codec.dumps(rows))
    return conclude(queue.rules, "w", job, outcome, rand=0.5)


@pytest.mark.parametrize(("parent", "result"), [("form", Result.OK), ("theirs", Result.ERROR)])
def test_texts_of_shipped_handlers_are_not_rendered_in_the_loop(queue: Queue, parent: str, result: Result) -> None:
    row = {**MAIL, "config": {"template_id": "thank-you", "subject_override": "{{ 1/0 }}"}}
    assert concluded(queue, parent, row).outcome.result is result


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"config": {"template_id": 7}}, "config.template_id"),
        ({"config": {"template_id": "nothing-such"}}, "there is no template 'nothing-such'"),
        ({"context": CONTEXT}, "client_data.email"),
    ],
)
def test_whatever_else_is_wrong_is_refused(queue: Queue, changed: dict[str, Any], reason: str) -> None:
    made = concluded(queue, "form", {**MAIL, "key": "good"}, {**MAIL, **changed})
    assert made.outcome.result is Result.ERROR
    assert reason in (made.outcome.error or "")
    assert made.further == ()


def test_what_differs_by_its_times_only_has_its_own(queue: Queue) -> None:
    rows = [
        {**MAIL, "key": "a", "at": "2027-02-01T00:00:00Z", "expires": "2027-03-01T00:00:00Z"},
        {**MAIL, "key": "b", "at": "2027-02-02T00:00:00Z", "priority": "high"},
        {**MAIL, "key": "c"},
    ]
    one, two, three = concluded(queue, "form", *rows).further
    assert [p.key for p in (one, two, three)] == ["a", "b", "c"]
    assert [p.wish and (iso(p.wish.at) or "")[:10] for p in (one, two, three)] == ["2027-02-01", "2027-02-02", None]
    assert [p.expires_at is None for p in (one, two, three)] == [False, True, True]
    assert [p.requested.word for p in (one, two, three)] == ["normal", "high", "normal"]
    assert one.config == two.config == three.config


def test_what_is_merely_equal_is_not_the_same(queue: Queue) -> None:
    rows = [{"module_type": "theirs", "config": {"n": value}, "context": COUPLE} for value in (1, True, 1.0)]
    assert [p.config for p in concluded(queue, "theirs", *rows).further] == ['{"n":1}', '{"n":true}', '{"n":1.0}']


def test_a_wrong_time_of_a_later_row_refuses_all(queue: Queue) -> None:
    made = concluded(queue, "form", {**MAIL, "key": "a"}, {**MAIL, "key": "b", "at": "soon"})
    assert made.outcome.result is Result.ERROR
    assert "at: 'soon' is not a time" in (made.outcome.error or "")


def test_rows_without_a_context_have_their_parents(queue: Queue) -> None:
    made = concluded(queue, "form", {"module_type": "theirs", "config": {}}, MAIL)
    assert [codec.loads(p.context) for p in made.further] == [COUPLE, COUPLE]
