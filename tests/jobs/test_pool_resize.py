"""A pool that grows and shrinks while its slots are at work: nothing that runs is ever ended for it."""

from pathlib import Path

import pytest

from tests.jobs.pool_helpers import LONG_S, order, outcomes, pool, run
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool

KINDS = pytest.mark.parametrize("in_thread", [False, True], ids=["process", "thread"])


def sleeps(slots: Pool, *jobs: int, in_thread: bool) -> None:
    for job in jobs:
        slots.start(order("sleeps", {"seconds": 0.2}, job_id=job, in_thread=in_thread))


@KINDS
def test_what_runs_when_the_pool_shrinks_ends_well(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path, 3) as slots:
        sleeps(slots, 1, 2, 3, in_thread=in_thread)
        slots.resize(1)
        assert (slots.size, slots.free, len(slots.running)) == (1, 0, 3)
        assert {outcome.result for outcome in outcomes(slots, 3)} == {Result.OK}
        assert slots.free == 1
        assert run(slots, order("nothing", job_id=4, in_thread=in_thread)).result is Result.OK


@KINDS
def test_a_pool_that_has_grown_runs_more_at_once(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path, 1) as slots:
        sleeps(slots, 1, in_thread=in_thread)
        assert slots.free == 0
        slots.resize(3)
        assert slots.free == 2
        sleeps(slots, 2, 3, in_thread=in_thread)
        done = outcomes(slots, 3)
        assert min(one.started_at + one.duration_us for one in done) > max(one.started_at for one in done)


@KINDS
def test_nothing_is_given_ahead_to_slots_of_which_some_must_go(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path, 2) as slots:
        sleeps(slots, 1, 2, in_thread=in_thread)
        slots.resize(1)
        assert not slots.start_ahead(order("nothing", job_id=3, in_thread=in_thread))
        outcomes(slots, 2)


def test_new_slots_are_warm_where_there_were_some(tmp_path: Path) -> None:
    with pool(tmp_path, 1) as slots:
        assert run(slots, order("nothing", job_id=1)).result is Result.OK
        slots.resize(4)
        while len(slots.pids()) < 4:
            assert slots.wait(0.05) == ([], set())
        slots.resize(2)
        while len(slots.pids()) > 2:
            slots.wait(0.05)


def test_threads_that_rest_end_when_there_are_too_many(tmp_path: Path) -> None:
    import threading

    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "slot" and one not in before]

    before = threading.enumerate()
    with pool(tmp_path, 3) as slots:
        sleeps(slots, 1, 2, 3, in_thread=True)
        outcomes(slots, 3)
        assert len(threads()) == 3
        slots.wait(0.05)  # they come to rest
        slots.resize(1)
        for one in threads():
            if len(threads()) > 1:
                one.join(LONG_S if len(threads()) > 1 and not one.is_alive() else 0.5)
        assert len(threads()) == 1
        assert run(slots, order("nothing", job_id=4, in_thread=True)).result is Result.OK
