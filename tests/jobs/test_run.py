"""What a handler queues is measured as it queues it, so that one that queues first delivers nothing in vain."""

import json
from pathlib import Path
from typing import Any

from tests.jobs.pool_helpers import order, site
from wedsync_ops import codec
from wedsync_ops.handlers.contract import Page, Run
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict


def queues_then_delivers(config: Any, context: Any, run: Run) -> Any:
    for size in config["sizes"]:
        run.enqueue("email", {"text": "x" * size}, context={})
    run.deliver(Page("page", "<p>"))
    return {}


def perform(folder: Path, *sizes: int) -> Verdict:
    config = codec.dumps({"sizes": sizes})
    wanted = order(f"{__name__}:queues_then_delivers")._replace(config=config, context=b"{}")
    return Attempt(wanted, site(folder), 0, lambda _: None).perform()


def test_what_takes_more_than_a_mebibyte_together_is_refused_before_anything_is_delivered(tmp_path: Path) -> None:
    verdict = perform(tmp_path, 600_000, 600_000)
    assert verdict.result is Result.ERROR
    assert "the list of jobs that the handler queued measures 1,200,117 bytes" in (verdict.error or "")
    assert list(site(tmp_path).outbox.glob("*")) == []


def test_what_just_fits_is_handed_over_whole(tmp_path: Path) -> None:
    around = len(perform(tmp_path, 0).enqueue or b"")
    verdict = perform(tmp_path, 500_000, codec.MAX_BYTES - 500_000 - 2 * around + 1)
    assert len(verdict.enqueue or b"") == codec.MAX_BYTES
    assert [row["config"]["text"][:1] for row in json.loads(verdict.enqueue or b"")] == ["x", "x"]
    assert perform(tmp_path, 500_000, codec.MAX_BYTES - 500_000 - 2 * around + 2).result is Result.ERROR
