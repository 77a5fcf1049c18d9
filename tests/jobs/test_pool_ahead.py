"""Orders that are given to busy slots ahead of their turn, and taken back, with real slots."""

from pathlib import Path

import pytest

from tests.jobs.pool_helpers import order, outcomes, pool, result, run
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.pool import Pool


def warm(slots: Pool, *, in_thread: bool = False) -> Pool:
    """A pool whose slots live, as all but the first orders find it."""
    assert run(slots, order("nothing", job_id=99, in_thread=in_thread)).result is Result.OK
    return slots


KINDS = pytest.mark.parametrize("in_thread", [False, True], ids=["process", "thread"])


@KINDS
def test_a_slot_goes_on_to_the_next_by_itself(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path) as one:
        warm(one, in_thread=in_thread)
        one.start(order("sleeps", {"seconds": 0.05}, job_id=1, in_thread=in_thread))
        assert all(one.start_ahead(order("nothing", job_id=job, in_thread=in_thread)) for job in (2, 3))
        assert (one.free, one.ahead, list(one.running)) == (0, 2, [1])
        done = outcomes(one, 3)
        assert [outcome.job_id for outcome in done] == [1, 2, 3]
        assert done[0].started_at + done[0].duration_us <= done[1].started_at
        assert done[1].started_at + done[1].duration_us <= done[2].started_at
        assert (one.free, one.ahead) == (1, 0)


@KINDS
def test_what_has_not_started_can_be_taken_back(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path) as one:
        warm(one, in_thread=in_thread)
        one.start(order("sleeps", {"seconds": 0.1}, job_id=1, in_thread=in_thread))
        for job in (2, 3):
            one.start_ahead(order("nothing", job_id=job, in_thread=in_thread))
        assert sorted(one.take_back()) == [2, 3]
        assert one.take_back() == []
        assert (one.ahead, one.free) == (0, 0)
        assert [outcome.job_id for outcome in outcomes(one)] == [1]
        assert one.wait(0.05) == ([], set())


@KINDS
def test_nobody_waits_behind_a_long_job(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path) as one:
        warm(one, in_thread=in_thread)
        one.start(order("sleeps", {"seconds": 0.3}, job_id=1, in_thread=in_thread))
        one.start_ahead(order("nothing", job_id=2, in_thread=in_thread))
        assert one.take_back(60) == []
        assert one.wait(0.05) == ([], set())
        assert one.take_back(0.02) == [2]


def test_nothing_is_given_ahead_of_nothing(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        assert not one.start_ahead(order("nothing"))
        assert not one.start_ahead(order("nothing", in_thread=True))
        assert run(one, order("nothing")).result is Result.OK
        assert not one.start_ahead(order("nothing", job_id=2))


def test_what_a_dead_slot_had_not_started_is_returned_and_the_rest_is_not_blamed(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("exits", job_id=1))
        given = [job for job in (2, 3, 4) if one.start_ahead(order("echo", job_id=job))]
        (dead,) = outcomes(one)
        assert (dead.job_id, dead.result) == (1, Result.KILLED)
        assert sorted(one.take_back()) == given
        assert one.free == 1
        assert run(one, order("nothing", job_id=9)).result is Result.OK


def test_a_timeout_returns_what_was_given_ahead(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("loops", job_id=1, timeout_s=0.1))
        assert one.start_ahead(order("nothing", job_id=2))
        assert [(o.job_id, o.result) for o in outcomes(one)] == [(1, Result.TIMEOUT)]
        assert one.take_back() == [2]


def test_a_job_that_was_given_ahead_can_be_cancelled(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("sleeps", {"seconds": 0.2}, job_id=1))
        for job in (2, 3):
            assert one.start_ahead(order("nothing", job_id=job))
        assert one.cancel(2, "the couple said no")
        (outcome,) = outcomes(one)
        assert (outcome.job_id, outcome.result, outcome.error) == (2, Result.CANCELLED, "the couple said no")
        assert one.take_back() == [3]
        assert outcomes(one)[0].result is Result.OK


def test_rubbish_after_a_report_does_not_undo_it(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("nothing", job_id=1))
        assert one.start_ahead(order("talks_rubbish", {"hex": "0500000009"}, job_id=2))
        assert [(o.job_id, o.result) for o in outcomes(one, 2)] == [(1, Result.OK), (2, Result.KILLED)]


def test_large_orders_wait_for_a_free_slot(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("sleeps", {"seconds": 0.1}, job_id=1))
        assert not one.start_ahead(order("echo", {"text": "x" * 5_000}, job_id=2))
        assert one.start_ahead(order("nothing", job_id=3))
        assert [outcome.job_id for outcome in outcomes(one, 2)] == [1, 3]
        one.start(order("echo", {"text": "x" * 900_000}, job_id=4))
        assert not one.start_ahead(order("nothing", job_id=5))
        assert one.take_back() == []
        assert len(result(outcomes(one)[0])["config"]["text"]) == 900_000


def test_the_channel_is_bounded(tmp_path: Path) -> None:
    with pool(tmp_path) as one:
        warm(one)
        one.start(order("sleeps", {"seconds": 0.2}, job_id=1))
        job_id = 2
        while one.start_ahead(order("nothing", job_id=job_id)):
            job_id += 1
        given = list(range(2, job_id))
        assert 10 <= len(given) <= 64
        assert [outcome.job_id for outcome in outcomes(one, 1 + len(given))] == [1, *given]


@KINDS
def test_every_job_is_either_done_or_returned_whenever_it_is_taken_back(tmp_path: Path, *, in_thread: bool) -> None:
    with pool(tmp_path, 2) as two:
        warm(two, in_thread=in_thread)
        waiting, done = set(range(600)), set[int]()
        while waiting:
            while waiting and two.free:
                two.start(order("nothing", job_id=waiting.pop(), in_thread=in_thread))
            for job in sorted(waiting)[: len(waiting) % 7]:
                if two.start_ahead(order("nothing", job_id=job, in_thread=in_thread)):
                    waiting.discard(job)
            got, _ = two.wait(0.0002)
            back = two.take_back()
            assert not waiting & set(back)
            waiting.update(back)
            assert {outcome.result for outcome in got} <= {Result.OK}
            done.update(outcome.job_id for outcome in got)
        done.update(outcome.job_id for outcome in outcomes(two, 600 - len(done)))
        assert done == set(range(600))
