"""The jobs that a worker has claimed and not yet started."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.jobs.heap import Heap
from wedsync_ops.jobs.model import Claimed, Priority


def job(job_id: int, priority: Priority = Priority.NORMAL, rank: int = 0) -> Claimed:
    return Claimed(
        id=job_id,
        token=1,
        attempt=1,
        max_attempts=3,
        module_type="email",
        module_version=1,
        priority=priority,
        rank=rank,
        due_at=0,
        expires_at=None,
        deadline_at=None,
        losses=0,
        kills=0,
        wedding_on=None,
        timezone=None,
        vendor_type=None,
        key=None,
        config=b"{}",
        context=b"{}",
    )


def test_priority_then_turn_then_rank_then_id() -> None:
    wanted = [
        (job(9, Priority.CRITICAL, 99), 50),
        (job(8, Priority.HIGH, 9), 1),
        (job(7, Priority.HIGH, 5), 2),
        (job(5, Priority.HIGH, 6), 2),
        (job(6, Priority.HIGH, 6), 2),
        (job(1, Priority.LOW, 0), 0),
    ]
    for order in permutations(wanted):
        heap = Heap()
        for one, turn in order:
            heap.push(one, turn)
        assert [heap.pop().id for _ in range(len(heap))] == [9, 8, 7, 5, 6, 1]


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 3), st.integers(0, 3))))
def test_gives_every_job_once_in_order(items: list[tuple[Priority, int, int]]) -> None:
    heap = Heap()
    for number, (priority, turn, rank) in enumerate(items):
        heap.push(job(number, priority, rank), turn)
    assert len(heap) == len(items)
    popped = [heap.pop().id for _ in items]
    keys = [(-items[n][0], items[n][1], items[n][2], n) for n in popped]
    assert keys == sorted(keys)
    assert len(heap) == 0


def test_can_be_emptied_at_once() -> None:
    heap = Heap()
    for number in range(3):
        heap.push(job(number), 1)
    assert sorted(one.id for one in heap.clear()) == [0, 1, 2]
    assert len(heap) == 0
    assert heap.clear() == []
