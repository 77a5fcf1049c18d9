"""Couples in the store, on both databases: made, changed, listed, counted."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.stores.rows import NOW
from tests.weddings.couples import couple
from wedsync_ops.db import Database
from wedsync_ops.weddings import store
from wedsync_ops.weddings.model import Client, KnownClient, Region
from wedsync_ops.weddings.store import DayCount, Wanted, Written


def put(database: Database, *clients: Client, now: int = NOW) -> Written:
    with database.transaction() as connection:
        return store.upsert(connection, clients, now)


def listed(database: Database, wanted: Wanted) -> list[str]:
    with database.reading() as connection:
        return [known.client.client_id for known in store.list_clients(connection, wanted)]


def test_a_couple_is_kept_as_it_was_given(database: Database) -> None:
    first = couple("c1", phone="+44 20 7946 0000", timezone="Asia/Tokyo", booked_on=date(1970, 1, 1))
    second = couple("c2", "1969-12-31", location="", region=Region.UNKNOWN, couple_name="Zoë & Łukasz 💍")
    assert put(database, second, first) == (frozenset({"c1", "c2"}), frozenset())
    with database.reading() as connection:
        assert store.find(connection, "c1") == KnownClient(first, 1, NOW, NOW)
        assert store.find(connection, "c2") == KnownClient(second, 1, NOW, NOW)
        assert store.find(connection, "c3") is None


def test_only_what_is_new_or_changed_is_written(database: Database) -> None:
    one, two = couple("c1"), couple("c2")
    put(database, one, two)
    moved = replace(two, wedding_on=two.wedding_on + timedelta(days=7))
    assert put(database, one, moved, couple("c3"), now=NOW + 5) == (frozenset({"c3"}), frozenset({"c2"}))
    with database.reading() as connection:
        assert store.find(connection, "c1") == KnownClient(one, 1, NOW, NOW)
        assert store.find(connection, "c2") == KnownClient(moved, 2, NOW, NOW + 5)
    assert put(database, one, moved, now=NOW + 6) == (frozenset(), frozenset())
    assert put(database) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    "changed",
    [
        {"couple_name": "X"},
        {"email": "x@example.com"},
        {"phone": "1234567"},
        {"location": "Boston"},
        {"region": Region.OTHER},
        {"supplier_id": "s9"},
        {"vendor_type": "dj"},
        {"timezone": "Europe/Paris"},
        {"booked_on": date(2020, 2, 29)},
        {"wedding_on": date(2028, 2, 29)},
    ],
)
def test_every_fact_counts_as_a_change(changed: dict[str, object]) -> None:
    assert store.digest_of(replace(couple("c1"), **changed)) != store.digest_of(couple("c1"))  # type: ignore[arg-type]


def test_digests_tell_which_are_known(database: Database) -> None:
    put(database, couple("c1"))
    with database.reading() as connection:
        assert store.digests(connection, ["c1", "c2"]) == {"c1": store.digest_of(couple("c1"))}
        assert store.digests(connection, []) == {}


def test_they_are_listed_by_wedding_and_then_by_id(database: Database) -> None:
    put(
        database,
        couple("b", "2027-06-19", supplier_id="s2"),
        couple("a", "2027-06-19"),
        couple("c", "2027-06-12", region=Region.SOUTH),
        couple("d", "2027-06-26"),
    )
    assert listed(database, Wanted()) == ["c", "a", "b", "d"]
    assert listed(database, Wanted(first=date(2027, 6, 13), last=date(2027, 6, 19))) == ["a", "b"]
    assert listed(database, Wanted(supplier_id="s2")) == ["b"]
    assert listed(database, Wanted(region=Region.SOUTH)) == ["c"]
    assert listed(database, Wanted(limit=2)) == ["c", "a"]
    assert listed(database, Wanted(limit=2, after=(date(2027, 6, 19), "a"))) == ["b", "d"]
    assert listed(database, Wanted(first=date(2027, 6, 19), supplier_id="s2", region=Region.MIDWEST)) == ["b"]


def test_weddings_are_counted_by_day_region_and_zone(database: Database) -> None:
    put(
        database,
        couple("a", "2027-06-19"),
        couple("b", "2027-06-19"),
        couple("c", "2027-06-19", timezone="Asia/Tokyo"),
        couple("d", "2027-06-20", region=Region.SOUTH),
        couple("e", "2027-06-21"),
    )
    with database.reading() as connection:
        found = store.counts(connection, date(2027, 6, 19), date(2027, 6, 20))
    assert set(found) == {
        DayCount(date(2027, 6, 19), Region.MIDWEST, None, 2),
        DayCount(date(2027, 6, 19), Region.MIDWEST, "Asia/Tokyo", 1),
        DayCount(date(2027, 6, 20), Region.SOUTH, None, 1),
    }


def test_it_is_known_whether_any_couple_is(database: Database) -> None:
    with database.reading() as connection:
        assert store.is_empty(connection)
    put(database, couple("c1"))
    with database.reading() as connection:
        assert not store.is_empty(connection)


def test_every_region_is_allowed_and_no_other(database: Database) -> None:
    put(database, *(couple(f"c-{region}", region=region) for region in Region))
    with pytest.raises(IntegrityError), database.writer.begin() as connection:
        connection.execute(text("UPDATE clients SET region = 'moon'"))


def test_counting_and_listing_go_through_indexes(sqlite_database: Database) -> None:
    plan = "EXPLAIN QUERY PLAN "
    with sqlite_database.reading() as connection:
        counting = connection.execute(
            text(
                plan + "SELECT wedding_on, region, timezone, count(*) FROM clients WHERE wedding_on BETWEEN 1 AND 9"
                " GROUP BY wedding_on, region, timezone"
            )
        ).all()
        of_supplier = connection.execute(
            text(plan + "SELECT * FROM clients WHERE supplier_id = 's' ORDER BY wedding_on, client_id LIMIT 9")
        ).all()
    assert "USING COVERING INDEX clients_by_wedding" in str(counting)
    assert "TEMP B-TREE" not in str(counting)
    assert "USING INDEX clients_by_supplier (supplier_id=?)" in str(of_supplier)
