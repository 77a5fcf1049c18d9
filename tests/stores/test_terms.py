"""Terms: one holder at a time, a number that grows with every change of hands, no write of who was replaced."""

import threading

import pytest

from tests.stores.rows import NOW, worker
from wedsync_ops.db import Database
from wedsync_ops.errors import TermOver
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.store import terms, workers
from wedsync_ops.jobs.store.terms import Term

LENGTH = 90 * SECOND


def take(database: Database, holder: str, now: int = NOW) -> Term | None:
    with database.transaction() as connection:
        return terms.take(connection, "chore", holder, now=now, until=now + LENGTH)


def holds(database: Database, term: Term | None) -> bool:
    """Whether a write of the term's holder takes place."""
    assert term is not None
    try:
        with database.transaction() as connection:
            terms.fence(connection, term)
    except TermOver:
        return False
    return True


def test_one_holds_it_and_renews_it_under_the_same_number(database: Database) -> None:
    first = take(database, "a")
    assert first == Term("chore", "a", 1, NOW, NOW + LENGTH)
    assert take(database, "b", NOW + LENGTH - 1) is None
    renewed = take(database, "a", NOW + LENGTH - 1)
    assert renewed == Term("chore", "a", 1, NOW + LENGTH - 1, NOW + 2 * LENGTH - 1)
    assert take(database, "b", NOW + LENGTH + 1) is None
    with database.reading() as connection:
        assert terms.read(connection) == [renewed]


def test_after_its_end_another_takes_it_over_and_the_old_holder_writes_nothing(database: Database) -> None:
    old = take(database, "a")
    new = take(database, "b", NOW + LENGTH)
    assert new is not None
    assert new.number == 2
    assert not holds(database, old)
    assert holds(database, new)
    assert take(database, "a", NOW + LENGTH + 1) is None


def test_ones_own_that_ended_begins_anew(database: Database) -> None:
    old = take(database, "a")
    again = take(database, "a", NOW + LENGTH)
    assert again is not None
    assert again.number == 2
    assert not holds(database, old)


def test_a_late_holder_may_write_while_nobody_took_over(database: Database) -> None:
    assert holds(database, take(database, "a"))


def test_nobody_holds_what_was_never_taken(database: Database) -> None:
    assert not holds(database, Term("other", "a", 1, NOW, NOW + LENGTH))


@pytest.mark.parametrize("jump", [3650 * 86_400 * SECOND, -3650 * 86_400 * SECOND, LENGTH, -LENGTH - 1])
def test_a_clock_that_jumps_lets_another_take_over_and_never_two_write(database: Database, jump: int) -> None:
    old = take(database, "a")
    new = take(database, "b", NOW + jump)
    assert new is not None
    assert (holds(database, old), holds(database, new)) == (False, True)


def test_clocks_that_differ_a_little_change_nothing(database: Database) -> None:
    take(database, "a")
    assert take(database, "b", NOW - 5 * SECOND) is None
    renewed = take(database, "a", NOW - 5 * SECOND)
    assert renewed is not None
    assert renewed.number == 1


def test_a_worker_that_stops_or_is_buried_leaves_its_terms_to_others_at_once(database: Database) -> None:
    stopping, dying = worker(), worker()
    with database.transaction() as connection:
        for one in (stopping, dying):
            workers.register(connection, one)
    take(database, stopping.id)
    with database.transaction() as connection:
        workers.stop(connection, stopping.id, NOW)
    taken = take(database, dying.id)
    assert taken is not None
    assert taken.number == 2
    with database.transaction() as connection:
        assert workers.bury(connection, dying, NOW)
    after = take(database, "third")
    assert after is not None
    assert after.number == 3
    assert not holds(database, taken)


def test_of_many_that_ask_at_once_one_is_chosen(database: Database) -> None:
    taken: list[Term | None] = []
    threads = [threading.Thread(target=lambda n=n: taken.append(take(database, f"w{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([term for term in taken if term is not None]) == 1


def test_who_takes_over_waits_for_a_write_that_is_under_way(database: Database) -> None:
    """So the last write of the old holder is done before the first of the new one."""
    old = take(database, "a")
    assert old is not None
    taken: list[Term | None] = []
    with database.transaction() as connection:
        terms.fence(connection, old)
        other = threading.Thread(target=lambda: taken.append(take(database, "b", NOW + LENGTH)))
        other.start()
        other.join(0.2)
        assert taken == []
    other.join()
    assert [term.number for term in taken if term is not None] == [2]
