"""The call sheet, on both databases."""

from dataclasses import replace
from datetime import date

import pytest

from tests.planning.scene import at, changes, couples, jobs, plan, register
from tests.planning.test_readiness import end, standings
from tests.stores.queues import request
from wedsync_ops.errors import InvalidInput, NotFound
from wedsync_ops.jobs import actions as queue_actions
from wedsync_ops.jobs.actions import Queue
from wedsync_ops.jobs.model import State
from wedsync_ops.modules import store
from wedsync_ops.planning import actions, calling, preparing
from wedsync_ops.planning.by_hand import in_words
from wedsync_ops.planning.calling import Call
from wedsync_ops.planning.readiness import Standing

SOON = date(2027, 1, 20)
JOURNEY = """
journeys:
  - id: j
    steps:
      - {id: failed, module: email, config: {n: 1}, offset: -2d}
      - {id: fine, module: email, config: {n: 2}, offset: -1d}
      - {id: refused, module: info, config: {n: 3}, offset: -1d}
"""


def sheet(queue: Queue) -> list[Call]:
    return list(calling.sheet(queue, within_days=14))


@pytest.fixture
def troubled(queue: Queue) -> Queue:
    """A wedding of whose three steps one failed and one is refused."""
    register(queue, JOURNEY)
    couples(queue, {"wedding_on": SOON, "phone": "+447700900123"})
    with queue.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE modules SET retired_at = 1 WHERE module_id = 'info'")
    with queue.database.reading() as connection:
        registry = store.load(connection)
    queue = replace(queue, rules=replace(queue.rules, registry=registry))
    plan(queue)
    end(queue, "failed", State.DISCARDED)
    return queue


def test_what_failed_or_was_refused_is_told_with_whom_to_reach(troubled: Queue) -> None:
    found = sheet(troubled)
    assert [(one.key, one.obligation.standing) for one in found] == [
        ("j/failed/c1", "failed"),
        ("j/refused/c1", "refused"),
    ]
    assert found[0].what == "write to ada@example.com: what the template (no template_id) says"
    assert found[1].what == "tell them: (no title)"
    assert "retired" in found[1].obligation.reason


def test_what_somebody_did_is_off_the_sheet_and_the_wedding_is_ready(troubled: Queue) -> None:
    for one in sheet(troubled):
        assert calling.done(troubled, one.key, "rang them") == []
    assert sheet(troubled) == []
    (wedding,) = preparing.readiness(troubled, within_days=14)
    assert standings(wedding) == {"failed": "by_hand", "fine": "planned", "refused": "by_hand"}
    assert wedding.ready.readiness == "ok"
    assert "rang them" in next(one.reason for one in wedding.ready.obligations if one.step_id == "failed")


def test_a_job_that_still_waits_is_cancelled_so_that_nothing_is_said_twice(queue: Queue) -> None:
    couples(queue, {"wedding_on": SOON})
    late = at(queue, "2027-01-19T23:59:59.500000Z")
    job_id = queue_actions.enqueue(late, request(wedding_date="2027-01-20")).job_id
    (call,) = [one for one in sheet(late) if one.obligation.step_id is None]
    assert (call.key, call.obligation.standing) == (f"job:{job_id}", "late")
    assert call.wedding.ready.readiness == "critical"
    assert list(calling.done(late, call.key)) == [job_id]
    assert [row["state"] for row in jobs(queue) if row["id"] == job_id] == ["cancelled"]
    assert [one.key for one in sheet(late) if one.obligation.step_id is None] == []


def test_keys_of_nothing(queue: Queue) -> None:
    with pytest.raises(InvalidInput):
        calling.done(queue, "nothing")
    for key in ("job:999999", "a/b/c"):
        with pytest.raises(NotFound):
            calling.done(queue, key)


@pytest.mark.parametrize(
    ("module", "config", "words"),
    [
        ("sms", {"message_text": "See you {{ x }}\n{y}"}, "text +44: See you {{ x }} {y}"),
        ("form", {"form_id": "f"}, "ask them for the answers of the form f"),
        ("meeting", {}, "arrange the meeting (no meeting_type) of (no duration) minutes"),
        ("theirs", {}, "do what the module theirs would"),
    ],
)
def test_what_to_do_in_words(module: str, config: dict[str, object], words: str) -> None:
    assert in_words(module, config, "a@example.com", "+44") == words


def test_what_somebody_did_is_not_planned_any_more(troubled: Queue) -> None:
    (key,) = [one.key for one in sheet(troubled) if one.obligation.standing is Standing.REFUSED]
    calling.done(troubled, key)
    with troubled.database.transaction() as connection:  # the queue would take it now
        connection.exec_driver_sql("UPDATE modules SET retired_at = NULL WHERE module_id = 'info'")
    with troubled.database.reading() as connection:
        able = replace(troubled, rules=replace(troubled.rules, registry=store.load(connection)))
    before = len(jobs(able))
    assert changes(plan(able))["refused"] == "ended"
    assert changes([actions.move(able, "c1", date(2027, 1, 27)).plan])["refused"] == "ended"
    assert len(jobs(able)) == before
