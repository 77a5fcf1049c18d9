"""What tests hold of queued jobs, and what they are told when it is not so."""

from typing import Any, Unpack

import pytest

from wedsync_ops.testing.harness import Harness
from wedsync_ops.testing.jobs import Expected


@pytest.fixture
def queued(harness: Harness) -> Harness:
    """Three jobs of two suppliers and two module types."""
    harness.enqueue("write", {"n": 1}, {"supplier_id": "s1", "client_data": {"name": "Ann", "tags": ["vip"]}})
    harness.enqueue("write", {"n": 2}, {"supplier_id": "s2"}, delay="3d", key="second")
    harness.enqueue("chain", {"left": 0}, {"supplier_id": "s1"}, delay="2h")
    return harness


@pytest.mark.parametrize(
    ("expected", "ids"),
    [
        ({}, [1, 2]),
        ({"supplier_id": "s2"}, [2]),
        ({"key": "second"}, [2]),
        ({"config": {"n": 1}}, [1]),
        ({"context": {"client_data": {"name": "Ann"}}}, [1]),
        ({"context": {"client_data": {"tags": ["vip"]}}}, [1]),
        ({"within": "0s"}, [1]),
        ({"within": "3d"}, [1, 2]),
        ({"at": "2027-01-16T12:00:00Z"}, [2]),
        ({"priority": "normal", "client_id": "client-1"}, [1, 2]),
        ({"config": {"n": pytest.approx(2.0)}}, [2]),
    ],
)
def test_what_fits(queued: Harness, expected: Expected, ids: list[int]) -> None:
    assert [job.job_id for job in queued.assert_queued("write", **expected)] == ids
    assert len(queued.assert_queued("write", count=len(ids), **expected)) == len(ids)
    assert [job.job_id for job in queued.all_queued("write", **expected)] == ids
    with pytest.raises(AssertionError):
        queued.refute_queued("write", **expected)


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({"supplier_id": "s3"}, "supplier_id is 's1', not 's3'"),
        ({"config": {"n": 7}}, "config.n is 1, not 7"),
        ({"config": {"m": 1}}, "config.m is missing"),
        ({"context": {"client_data": {"name": "Bo"}}}, "context.client_data.name is 'Ann', not 'Bo'"),
        ({"config": {"n": 2}, "within": "2d"}, "it is due only in 3d"),
        ({"at": "2027-01-13T13:00:00Z"}, "it is due at 2027-01-13 12:00:00 UTC"),
        ({"priority": "high"}, "priority is 'normal', not 'high'"),
    ],
)
def test_what_does_not_fit_and_why(queued: Harness, expected: Expected, why: str) -> None:
    queued.refute_queued("write", **expected)
    with pytest.raises(AssertionError) as caught:
        queued.assert_queued("write", **expected)
    assert why in str(caught.value)


def failure(harness: Harness, module: str, count: int | None = None, **expected: Unpack[Expected]) -> str:
    with pytest.raises(AssertionError) as caught:
        harness.assert_queued(module, count=count, **expected)
    return str(caught.value)


def test_the_message_shows_what_is_queued_the_nearest_first(queued: Harness) -> None:
    assert failure(queued, "write", config={"n": 2}, within="1h").splitlines() == [
        "no job of write with config {'n': 2} due within 1h is queued",
        "3 jobs are waiting:",
        "  1 write, available, due 2027-01-13 12:00:00 UTC (in 0s), supplier s1: config.n is 1, not 2",
        "  2 write, scheduled, due 2027-01-16 12:00:00 UTC (in 3d), supplier s2: it is due only in 3d",
        "  3 chain, scheduled, due 2027-01-13 14:00:00 UTC (in 2h), supplier s1: it is a chain",
    ]


def test_the_message_counts(queued: Harness) -> None:
    assert failure(queued, "write", 3).startswith("expected 3 × job of write, but 2 are queued\n")
    assert failure(queued, "chain", 0).startswith("expected 0 × job of chain, but 1 is queued\n")
    assert failure(queued, "text", 1).startswith("expected 1 × job of text, but none are queued\n")


def test_the_message_says_when_the_job_has_run_already(queued: Harness) -> None:
    queued.drain()
    said = failure(queued, "write", config={"n": 1})
    assert said.splitlines()[-2:] == [
        "not waiting any more:",
        "  1 write, completed, due 2027-01-13 12:00:00 UTC (in 0s), supplier s1: fits",
    ]


def test_the_message_of_an_empty_queue(harness: Harness) -> None:
    assert failure(harness, "write") == "no job of write is queued\nno job is waiting"


def test_the_message_stays_short(harness: Harness) -> None:
    for number in range(20):
        harness.enqueue("write", {"n": number})
    said = failure(harness, "write", config={"n": 99}).splitlines()
    assert (len(said), said[-1]) == (15, "  and 8 more")


def test_what_is_refuted_is_named(queued: Harness) -> None:
    with pytest.raises(AssertionError) as caught:
        queued.refute_queued(supplier_id="s1", within="1h")
    assert str(caught.value).splitlines() == [
        "expected no job with supplier_id 's1' due within 1h, but 1 job is waiting:",
        "  1 write, available, due 2027-01-13 12:00:00 UTC (in 0s), supplier s1: config {'n': 1}",
    ]
    queued.refute_queued("text")


def test_a_job_that_has_run_is_not_queued(queued: Harness) -> None:
    queued.drain(until="4d")
    assert queued.all_queued() == []
    queued.refute_queued()
    assert [job.job_id for job in queued.jobs("completed", module_type="write")] == [1, 2]


def test_the_first_due_comes_first(queued: Harness) -> None:
    assert [job.job_id for job in queued.all_queued()] == [1, 3, 2]


def test_an_expectation_that_does_not_exist_fails_the_test(queued: Harness) -> None:
    wrong: Any = {"suplier_id": "s1"}
    with pytest.raises(TypeError, match="'suplier_id'; did you mean 'supplier_id'"):
        queued.assert_queued("write", **wrong)
    with pytest.raises(TypeError):
        queued.refute_queued("write", **wrong)
