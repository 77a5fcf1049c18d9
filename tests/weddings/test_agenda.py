"""The weddings to come, by each wedding's own calendar."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.weddings.calendars import local
from tests.weddings.couples import couple
from wedsync_ops.db import Database
from wedsync_ops.instants import HOUR
from wedsync_ops.weddings import agenda, store
from wedsync_ops.weddings.agenda import Outlook
from wedsync_ops.weddings.model import Client, Region
from wedsync_ops.weddings.store import Wanted

UTC = ZoneInfo("UTC")
NOON = local("2027-06-12T12:00")


def put(database: Database, *clients: Client) -> None:
    with database.transaction() as connection:
        store.upsert(connection, clients, NOON)


def coming(database: Database, now: int, within: int | None = None, **wanted: object) -> list[tuple[str, int]]:
    with database.reading() as connection:
        found = agenda.coming(connection, now, UTC, Wanted(**wanted), within_days=within)  # type: ignore[arg-type]
        return [(one.known.client.client_id, one.days) for one in found]


def outlook(database: Database, now: int, zone: ZoneInfo = UTC) -> Outlook | None:
    with database.reading() as connection:
        return agenda.outlook(connection, now, zone)


def test_today_is_today_where_the_wedding_is(database: Database) -> None:
    put(
        database,
        couple("kiritimati", "2027-06-12", timezone="Pacific/Kiritimati"),
        couple("pago", "2027-06-12", timezone="Pacific/Pago_Pago"),
        couple("platform", "2027-06-12"),
    )
    assert coming(database, local("2027-06-12T09:00")) == [("kiritimati", 0), ("pago", 1), ("platform", 0)]
    assert coming(database, local("2027-06-12T10:30")) == [("pago", 1), ("platform", 0)]
    assert coming(database, local("2027-06-13T10:30")) == [("pago", 0)]
    assert coming(database, local("2027-06-13T11:30")) == []


def test_only_so_many_days_ahead_and_at_most_so_many(database: Database) -> None:
    put(database, *(couple(f"c{days}", str(date(2027, 6, 12) + timedelta(days=days))) for days in range(-2, 10)))
    assert coming(database, NOON, within=2) == [("c0", 0), ("c1", 1), ("c2", 2)]
    assert coming(database, NOON, limit=1) == [("c0", 0)]
    assert len(coming(database, NOON)) == 10


def test_of_a_supplier_or_a_region(database: Database) -> None:
    put(database, couple("a"), couple("b", supplier_id="s2"), couple("c", region=Region.SOUTH))
    assert coming(database, NOON, supplier_id="s2") == [("b", 7)]
    assert coming(database, NOON, region=Region.SOUTH) == [("c", 7)]


def test_every_page_is_read_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "PAGE", 3)
    put(database, *(couple(f"c{number}", f"2027-06-{19 + number % 2}") for number in range(8)))
    assert [client_id for client_id, _ in coming(database, NOON)] == ["c0", "c2", "c4", "c6", "c1", "c3", "c5", "c7"]


def test_nothing_is_known_until_a_couple_is(database: Database) -> None:
    assert outlook(database, NOON) is None
    put(database, couple("past", "2020-01-01"))
    assert outlook(database, NOON) == Outlook(0, {})


def test_the_next_7_days_are_counted_and_the_next_30_by_region(database: Database) -> None:
    days = {"yesterday": -1, "today": 0, "week": 7, "later": 8, "month": 30, "far": 31}
    put(
        database,
        *(couple(name, str(date(2027, 6, 12) + timedelta(days=ahead))) for name, ahead in days.items()),
        couple("south", region=Region.SOUTH),
        couple("nowhere", location="", region=Region.UNKNOWN),
    )
    assert outlook(database, NOON) == Outlook(4, {Region.SOUTH: 1, Region.MIDWEST: 4, Region.UNKNOWN: 1})


def test_each_is_counted_by_its_own_calendar_and_the_platforms_without_one(database: Database) -> None:
    put(database, couple("tokyo", "2027-06-20", timezone="Asia/Tokyo"), couple("platform", "2027-06-20"))
    eve = local("2027-06-12T15:30")  # 13 June in Tokyo: 7 days before; still 12 June in UTC: 8 days
    assert outlook(database, eve - HOUR) == Outlook(0, {Region.MIDWEST: 2})
    assert outlook(database, eve) == Outlook(1, {Region.MIDWEST: 2})
    assert outlook(database, eve, ZoneInfo("Asia/Tokyo")) == Outlook(2, {Region.MIDWEST: 2})
