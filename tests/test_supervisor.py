"""Whether a worker is sized after its start."""

from dataclasses import replace
from pathlib import Path

import pytest

from wedsync_ops.app import open_app
from wedsync_ops.jobs.model import Options
from wedsync_ops.jobs.store import workers
from wedsync_ops.settings import load
from wedsync_ops.supervisor import run_worker


def bounds_of(home: Path, options: Options, **settings: object) -> tuple[int | None, int | None]:
    """The bounds that a worker is known by, which ends after one job that there is not."""
    app = open_app(load({"home": home, "alerts_every_s": 0, **settings}, {}))
    try:
        assert run_worker(app, replace(options, max_jobs=0), signals=False) == 0
        with app.database.reading() as connection:
            (found,) = workers.list_workers(connection, 0)
    finally:
        app.close()
    return found.min_slots, found.max_slots


def test_a_worker_is_sized_within_the_limits(tmp_path: Path) -> None:
    assert bounds_of(tmp_path, Options(slots=0), min_slots=3, max_slots=9) == (3, 9)


@pytest.mark.parametrize("options", [Options(slots=4), Options(slots=0, drain=True)], ids=["concurrency", "drain"])
def test_a_worker_of_a_fixed_number_or_that_drains_keeps_its_size(tmp_path: Path, options: Options) -> None:
    assert bounds_of(tmp_path, options) == (None, None)


def test_without_autoscaling_every_worker_keeps_its_size(tmp_path: Path) -> None:
    assert bounds_of(tmp_path, Options(slots=0), autoscale="false") == (None, None)
