"""Couples are taken in: what is new, what is different, what stays; all or none when asked."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.weddings.test_intake import RECORD
from wedsync_ops.db import Database
from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.addresses import address_fault
from wedsync_ops.testing.clock import FakeClock
from wedsync_ops.weddings import actions, store
from wedsync_ops.weddings.actions import Change, Fault, Importer, Judge, Report
from wedsync_ops.weddings.seen import Mark, Seen
from wedsync_ops.weddings.sheet import Row
from wedsync_ops.weddings.store import Wanted

JUDGE = Judge(ZoneInfo("UTC"), address_fault)


def rows(*records: dict[str, Any]) -> list[Row]:
    return [Row(number, number + 1, {**RECORD, **record}) for number, record in enumerate(records, start=2)]


def taken(
    database: Database, batches: Iterable[Sequence[Row]], *, atomic: bool = False, dry_run: bool = False
) -> Report:
    with Importer(database, FakeClock(), JUDGE, atomic=atomic, dry_run=dry_run) as importer:
        for batch in batches:
            importer.take(batch)
        importer.finish()
    return importer.report


def counted(report: Report) -> tuple[int, int, int, int]:
    return report.imported, report.updated, report.unchanged, report.refused


def known(database: Database) -> dict[str, str]:
    with database.reading() as connection:
        found = store.list_clients(connection, Wanted())
    return {one.client.client_id: one.client.couple_name for one in found}


def test_what_is_new_is_made_what_differs_is_changed_and_the_rest_stays(database: Database) -> None:
    before = rows({"client_id": "a"}, {"client_id": "b"})
    assert counted(taken(database, [before])) == (2, 0, 0, 0)
    assert counted(taken(database, [before])) == (0, 0, 2, 0)
    after = rows({"client_id": "a", "couple_name": "Cy & Di"}, {"client_id": "b"}, {"client_id": "c"})
    assert counted(taken(database, [after])) == (1, 1, 1, 0)
    assert known(database) == {"a": "Cy & Di", "b": "Ann & Bo", "c": "Ann & Bo"}


def test_changes_are_told_by_field_and_moved_weddings_counted(database: Database) -> None:
    taken(database, [rows({"client_id": "a"}, {"client_id": "b"})])
    moved = {"wedding_date": "2027-06-26", "location": "Boston", "booked_on": "2026-01-01"}
    report = taken(database, [rows({"client_id": "a", **moved}, {"client_id": "b", "email": "x@example.com"})])
    assert report.changes == [
        Change(
            2,
            "a",
            {
                "wedding_date": ("2027-06-19", "2027-06-26"),
                "location": ("Chicago", "Boston"),
                "region": ("midwest", "northeast"),
                "booked_on": (None, "2026-01-01"),
            },
        ),
        Change(3, "b", {"email": ("ann@example.com", "x@example.com")}),
    ]
    assert report.moved == 1
    assert report.changed_fields == {"wedding_date": 1, "location": 1, "region": 1, "booked_on": 1, "email": 1}


@pytest.mark.parametrize("split", [False, True])
def test_a_couple_named_twice_is_refused_the_second_time_unless_it_says_the_same(
    database: Database, split: bool
) -> None:
    found = rows(
        {"client_id": "a"}, {"client_id": "a"}, {"client_id": "a", "couple_name": "X"}, {"client_id": "a", "email": "x"}
    )
    batches = [[row] for row in found] if split else [found]
    report = taken(database, batches)
    assert counted(report) == (1, 0, 1, 2)
    assert report.errors == [
        Fault(4, 5, "row 2 has this client_id, too, and says something else"),
        Fault(5, 6, "email: 'x' is not an e-mail address"),
    ]
    assert known(database) == {"a": "Ann & Bo"}


def test_a_row_that_was_refused_takes_no_ones_place(database: Database) -> None:
    report = taken(database, [rows({"client_id": "a", "email": "x"}, {"client_id": "a"})])
    assert counted(report) == (1, 0, 0, 1)


def test_atomic_is_all_or_none(database: Database) -> None:
    taken(database, [rows({"client_id": "a"})])
    good = rows({"client_id": "a"}, {"client_id": "b"}, {"client_id": "c", "couple_name": "X"})
    bad = rows({"client_id": "d", "email": "x"})
    report = taken(database, [good, bad, good], atomic=True)
    assert counted(report) == (0, 0, 0, 1)
    assert list(known(database)) == ["a"]
    assert counted(taken(database, [good[:2], good[2:]], atomic=True)) == (2, 0, 1, 0)
    assert list(known(database)) == ["a", "b", "c"]


def test_atomic_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST_AT_ONCE", 2)
    three = rows({"client_id": "a"}, {"client_id": "b"}, {"client_id": "c"})
    with pytest.raises(InvalidInput, match="more than 2 rows are too many to be taken all or none"):
        taken(database, [three], atomic=True)
    assert known(database) == {}
    assert counted(taken(database, [three[:2]], atomic=True)) == (2, 0, 0, 0)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_dry_run_says_what_would_be_and_writes_nothing(database: Database, atomic: bool) -> None:
    taken(database, [rows({"client_id": "a"}, {"client_id": "b"})])
    after = rows({"client_id": "a"}, {"client_id": "b", "wedding_date": "2027-07-03"}, {"client_id": "c"})
    report = taken(database, [after], atomic=atomic, dry_run=True)
    assert (*counted(report), report.moved) == (1, 1, 1, 0, 1)
    assert list(known(database)) == ["a", "b"]
    assert counted(taken(database, [after], atomic=atomic)) == counted(report)


def test_a_batch_is_no_larger_than_a_transaction_should_be(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "BATCH", 2)
    many = rows(*({"client_id": f"c{number}"} for number in range(7)))
    assert counted(taken(database, [many], atomic=True)) == (7, 0, 0, 0)
    assert counted(taken(database, [many])) == (0, 0, 7, 0)


def test_errors_and_changes_are_counted_beyond_what_is_listed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST_LISTED", 1)
    taken(database, [rows({"client_id": "a"}, {"client_id": "b"})])
    bad = [{"client_id": f"x{number}", "email": "x"} for number in range(3)]
    changed = [{"client_id": name, "couple_name": "New"} for name in "ab"]
    report = taken(database, [rows(*bad, *changed)])
    assert (report.refused, len(report.errors), report.updated, len(report.changes)) == (3, 1, 2, 1)
    assert report.changed_fields == {"couple_name": 2}


def test_two_who_import_at_once_count_each_couple_once(database: Database) -> None:
    batches = [rows(*({"client_id": f"c{start}-{number}"} for number in range(50))) for start in range(20)]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: taken(database, batches), range(2)))
    assert sum(report.imported for report in reports) == 1000
    assert sum(report.unchanged + report.updated for report in reports) == 1000
    assert sum(report.updated for report in reports) == 0


def test_who_was_seen_is_told_with_the_row() -> None:
    with Seen() as seen:
        assert seen.note([("a", Mark(2, 7)), ("b", Mark(3, -7)), ("a", Mark(4, 8))]) == [None, None, Mark(2, 7)]
        assert seen.note([("b", Mark(5, 9)), ("c", Mark(6, 1))]) == [Mark(3, -7), None]
        assert seen.note([]) == []
