"""What a job takes while it runs, with everything that it started: real slots, real children."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.jobs.pool_helpers import gone, order, outcomes, pool, result, run
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool

several_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be divided")


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("pool")) as shared:
        yield shared


def test_children_that_take_too_much_memory_together_end_their_job(slots: Pool) -> None:
    wanted = order("fills_memory_with_children", {"mb": 60, "children": 3, "seconds": 50}, memory_mb=100)
    slots.start(wanted)
    slot = _only_pid(slots)
    outcome = outcomes(slots)[0]
    assert outcome.result is Result.OOM
    assert outcome.error is not None
    assert "children included" in outcome.error
    assert outcome.error.endswith("over its limit of 100 MB, and was killed")
    assert (outcome.memory_kb or 0) > 100 * 1024
    assert outcome.duration_us < 40_000_000
    assert gone(slot)
    assert run(slots, order("imported", {"names": []})).result is Result.OK


def test_the_peak_of_a_job_counts_its_children(slots: Pool) -> None:
    outcome = run(slots, order("fills_memory_with_children", {"mb": 60, "children": 2, "seconds": 1.0}, memory_mb=400))
    assert outcome.result is Result.OK
    assert 120 * 1024 < (outcome.memory_kb or 0) < 400 * 1024


def test_shared_memory_is_limited_too(slots: Pool) -> None:
    outcome = run(slots, order("fills_shared_memory", {"mb": 200, "seconds": 50}, memory_mb=64))
    assert outcome.result is Result.OOM
    assert outcome.duration_us < 40_000_000


def test_pages_of_files_are_not_a_job_s_memory(slots: Pool, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"\1" * (150 << 20))
    outcome = run(slots, order("reads_a_mapped_file", {"file": str(file), "seconds": 0.5}, memory_mb=64))
    assert outcome.result is Result.OK, outcome.error


@several_cores
def test_a_job_is_kept_on_its_cores_with_what_it_started_and_the_next_is_not(slots: Pool) -> None:
    everything = sorted(os.sched_getaffinity(0))
    found = result(run(slots, order("may_use_cores", {"seconds": 30}, cpu_limit=1.0)))
    assert found["before"] == everything
    assert len(found["slot"]) == 1
    assert found["thread"] == found["child"] == found["slot"]
    assert result(run(slots, order("may_use_cores"))) == {"slot": everything}


@several_cores
def test_a_job_that_may_use_every_core_is_left_alone(slots: Pool) -> None:
    everything = sorted(os.sched_getaffinity(0))
    found = result(run(slots, order("may_use_cores", {"seconds": 0.5}, cpu_limit=float(len(everything)))))
    assert found["slot"] == found["child"] == everything


@several_cores
def test_jobs_that_run_together_get_different_cores(tmp_path: Path) -> None:
    with pool(tmp_path, 2) as both:
        for job_id in (1, 2):
            both.start(order("may_use_cores", {"seconds": 30}, job_id=job_id, cpu_limit=0.5))
        first, second = (result(outcome)["slot"] for outcome in outcomes(both, 2))
        assert len(first) == len(second) == 1


def _only_pid(slots: Pool) -> int:
    while not slots.pids():
        slots.wait(0.05)
    return slots.pids()[0]


@several_cores
def test_where_confining_is_forbidden_every_core_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's call is refused from the second slot on; no slot stays on the core that it had."""
    with pool(tmp_path) as slots:
        everything = sorted(os.sched_getaffinity(0))
        found = result(run(slots, order("may_use_cores", {"seconds": 30}, cpu_limit=1.0)))
        assert len(found["slot"]) == 1
        real = os.sched_setaffinity

        def refused(pid: int, cores: Iterable[int]) -> None:
            if len(set(cores)) < len(everything):
                raise PermissionError(1, "not here")
            real(pid, cores)

        monkeypatch.setattr(os, "sched_setaffinity", refused)
        outcome = run(slots, order("may_use_cores", {"seconds": 0.5}, cpu_limit=1.0))
        assert result(outcome)["slot"] == everything
        monkeypatch.undo()
        assert result(run(slots, order("may_use_cores"))) == {"slot": everything}
        assert result(run(slots, order("may_use_cores", {"seconds": 0.5}, cpu_limit=1.0)))["slot"] == everything
