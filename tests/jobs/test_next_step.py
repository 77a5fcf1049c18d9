"""What a step says comes next is in the result of its job, so that the journey can go on."""

import json
from pathlib import Path
from typing import Any

from tests.jobs.pool_helpers import order, site
from wedsync_ops import codec
from wedsync_ops.handlers.contract import Run
from wedsync_ops.jobs.run import Attempt


def plain(config: Any, context: Any, run: Run) -> Any:
    return {"done": True}


def own(config: Any, context: Any, run: Run) -> Any:
    return {"next_step": "mine"}


def large(config: Any, context: Any, run: Run) -> Any:
    return {"text": "x" * 400_000}


def passes_on(config: Any, context: Any, run: Run) -> Any:
    run.enqueue("email", {})
    run.enqueue("email", {}, context={**context, "more": 1})
    run.enqueue("email", {}, context={**context, "step_data": {"id": 8, "next_step": "another"}})
    return {}


def result_of(handler: str, step: Any, folder: Path) -> dict[str, Any]:
    context = codec.dumps({"client_id": "c1", "step_data": step})
    attempt = Attempt(order(f"{__name__}:{handler}", context=context), site(folder), 0, lambda _: None)
    verdict = attempt.perform()
    assert verdict.data is not None, verdict
    found: dict[str, Any] = json.loads(verdict.data)
    return found


def test_the_step_asked_for_is_passed_through_whatever_it_is(tmp_path: Path) -> None:
    for step in ("form", {"id": 7, "ä": [1, None]}, 0, False, ""):
        assert result_of("plain", {"next_step": step}, tmp_path) == {"done": True, "next_step": step}


def test_without_one_the_result_is_the_handler_s(tmp_path: Path) -> None:
    assert result_of("plain", {"name": "x"}, tmp_path) == {"done": True}
    assert result_of("plain", {"next_step": None}, tmp_path) == {"done": True}


def test_the_handler_s_own_comes_first(tmp_path: Path) -> None:
    assert result_of("own", {"next_step": "theirs"}, tmp_path) == {"next_step": "mine"}


def test_a_step_that_is_too_large_for_the_result_does_not_fail_what_was_done(tmp_path: Path) -> None:
    assert list(result_of("large", {"next_step": "y" * 800_000}, tmp_path)) == ["text"]


def test_further_jobs_do_not_repeat_it_and_may_have_one_of_their_own(tmp_path: Path) -> None:
    context = codec.dumps({"client_id": "c1", "step_data": {"id": 7, "next_step": "form"}})
    attempt = Attempt(order(f"{__name__}:passes_on", context=context), site(tmp_path), 0, lambda _: None)
    rows = json.loads(attempt.perform().enqueue or b"")
    assert [row["context"]["step_data"] for row in rows] == [{"id": 7}, {"id": 7}, {"id": 8, "next_step": "another"}]
