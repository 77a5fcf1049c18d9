"""One handler, run once."""

import pytest

from tests.testing.handlers import broken_chain, chain, flaky, later, never, not_now, skips, write
from wedsync_ops.errors import InvalidConfig, InvalidContext, InvalidJson
from wedsync_ops.handlers.contract import Page, RetryAfter
from wedsync_ops.jobs.model import Result
from wedsync_ops.testing.harness import Harness


def test_a_result_is_what_json_makes_of_it(harness: Harness) -> None:
    done = harness.perform(write, {"n": 3})
    assert done.is_ok
    assert done.data == {"n": 3, "now": harness.clock.now(), "attempt": 1}
    assert done.delivered == (Page("page-1", "<p>3</p>"),)
    assert [page.html for page in harness.outbox.pages] == ["<p>3</p>"]
    assert harness.jobs() == []


def test_every_attempt_delivers_unless_the_key_is_the_same(harness: Harness) -> None:
    for number in (1, 2):
        harness.perform(write, {"n": number})
    for number in (3, 4):
        harness.perform(write, {"n": number}, key="same")
    assert [page.html for page in harness.outbox.pages] == ["<p>1</p>", "<p>2</p>", "<p>3</p>"]


def test_a_failure_is_part_of_the_answer(harness: Harness) -> None:
    done = harness.perform(flaky, {"until": 3}, attempt=2)
    assert (done.result, done.data, done.is_permanent, done.retry_after_s) == (Result.ERROR, None, False, None)
    assert done.error == "ConnectionError: the server is down at attempt 2"
    assert isinstance(done.raised, ConnectionError)
    assert done.log == ("trying attempt=2",)
    assert harness.perform(flaky, {"until": 3}, attempt=3).data == {"attempt": 3}


def test_what_the_handler_asks_for_is_part_of_it_too(harness: Harness) -> None:
    assert harness.perform(never).is_permanent
    wait = harness.perform(later)
    assert (wait.result, wait.retry_after_s, type(wait.raised)) == (Result.ERROR, 600, RetryAfter)
    put_off = harness.perform(not_now)
    assert (put_off.result, put_off.retry_after_s) == (Result.CANCELLED, 1)


def test_pytest_s_own_go_through(harness: Harness) -> None:
    with pytest.raises(pytest.skip.Exception):
        harness.perform(skips)


def test_a_module_type_is_checked_as_when_it_is_queued(harness: Harness) -> None:
    assert harness.perform("write", {"n": 1}).is_ok
    with pytest.raises(InvalidConfig):
        harness.perform("write", {"n": "one"})
    harness.register()
    with pytest.raises(InvalidContext, match="email"):
        harness.perform("email", {"template_id": "welcome-email"})


def test_a_handler_has_a_name_or_none(harness: Harness) -> None:
    assert harness.perform("tests.testing.handlers:write", {"n": 2}).is_ok
    assert harness.perform(lambda *given: {"client": given[1]["client_id"]}).data == {"client": "client-1"}
    missing = harness.perform("tests.testing.handlers:nothing")
    assert missing.error is not None
    assert "does not exist" in missing.error


def test_further_jobs_are_shown_and_checked_but_not_queued(harness: Harness) -> None:
    done = harness.perform(chain, {"left": 2})
    assert [(row["module_type"], row["config"], row["delay"]) for row in done.queued] == [("chain", {"left": 1}, 60)]
    assert harness.all_queued() == []
    refused = harness.perform(broken_chain)
    assert (refused.result, refused.data) == (Result.ERROR, None)
    assert str(refused.error).startswith("a further job was refused: the config does not fit chain")


def test_a_suppressed_recipient_is_known_to_the_handler(harness: Harness) -> None:
    harness.register()
    ann = {"client_data": {"email": "ann@example.org"}}
    done = harness.perform("email", {"template_id": "welcome-email"}, ann, suppressed="bounce")
    assert done.data is not None
    assert not done.data["email_sent"]
    assert not done.delivered


def test_what_no_job_could_hold_is_refused(harness: Harness) -> None:
    with pytest.raises(InvalidJson):
        harness.perform(write, {"n": object()})
    done = harness.perform(lambda *_: {"when": object()})
    assert done.result is Result.ERROR
