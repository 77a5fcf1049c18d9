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
        supplier_id=None,
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
        heap: Heap[Claimed] = Heap()
        for one, turn in order:
            heap.push(one, turn)
        assert [heap.pop().id for _ in range(len(heap))] == [9, 8, 7, 5, 6, 1]


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 3), st.integers(0, 3))))
def test_gives_every_job_once_in_order(items: list[tuple[Priority, int, int]]) -> None:
    heap: Heap[Claimed] = Heap()
    for number, (priority, turn, rank) in enumerate(items):
        heap.push(job(number, priority, rank), turn)
    assert len(heap) == len(items)
    popped = [heap.pop().id for _ in items]
    keys = [(-items[n][0], items[n][1], items[n][2], n) for n in popped]
    assert keys == sorted(keys)
    assert len(heap) == 0


def filled(*priorities: Priority) -> Heap[Claimed]:
    heap: Heap[Claimed] = Heap()
    for number, priority in enumerate(priorities):
        heap.push(job(number, priority), 1)
    return heap


def test_can_be_emptied_at_once() -> None:
    heap = filled(*[Priority.NORMAL] * 3)
    heap.lend()
    assert sorted(one.id for one in heap.here()) == [1, 2]
    heap.clear()
    assert len(heap) == 0
    assert heap.lent() == []


def test_what_is_lent_comes_back_to_its_place() -> None:
    heap = filled(Priority.HIGH, Priority.NORMAL, Priority.CRITICAL)
    assert [heap.lend().id, heap.lend().id] == [2, 0]
    assert [one.id for one in heap.lent()] == [2, 0]
    heap.ended(2)
    heap.take_back([0])
    assert heap.lent() == []
    assert [heap.pop().id, heap.pop().id] == [0, 1]
    heap.take_back([1])
    assert heap.pop().id == 1


def test_what_is_lent_can_be_overtaken() -> None:
    heap = filled(Priority.NORMAL, Priority.NORMAL)
    seen = [heap.is_overtaken]
    heap.lend()
    seen.append(heap.is_overtaken)
    heap.push(job(7, Priority.CRITICAL), 9)
    seen.append(heap.is_overtaken)
    heap.ended(0)
    seen.append(heap.is_overtaken)
    assert seen == [False, False, True, False]


def test_jobs_can_be_removed_wherever_they_are() -> None:
    heap = filled(Priority.LOW, Priority.HIGH, Priority.NORMAL)
    heap.remove([1, 0, 99])
    assert [one.id for one in heap.here()] == [2]
