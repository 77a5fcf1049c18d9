"""What a context says of the wedding, the zone and the vendor, and how it is refused."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from wedsync_ops.errors import InvalidContext
from wedsync_ops.vendors import singular
from wedsync_ops.weddings.context import vendor_type_from, wedding_from, zone_from
from wedsync_ops.weddings.model import Wedding

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    "context",
    [
        {"wedding_date": "2026-06-19"},
        {"wedding_date": "2026-06-19T23:30:00"},
        {"wedding_date": "2026-06-18T23:30:00Z"},
        {"client_data": {"wedding_date": "2026-06-19"}},
        {"wedding_date": None, "client_data": {"wedding_date": "2026-06-19"}},
        {"wedding_date": "2026-06-19", "client_data": {"wedding_date": "2030-01-01"}},
        {"wedding_date": "2026-06-19", "client_data": None, "timezone": None},
    ],
)
def test_the_wedding_is_found_in_the_platforms_zone(context: dict[str, Any]) -> None:
    assert wedding_from(context, PARIS) == Wedding(date(2026, 6, 19), PARIS)


@pytest.mark.parametrize("context", [{}, {"wedding_date": None}, {"client_data": {}}, {"client_data": None}])
def test_no_date_is_no_wedding(context: dict[str, Any]) -> None:
    assert wedding_from(context, PARIS) is None


@pytest.mark.parametrize("place", ["top", "client_data"])
def test_the_zone_of_the_context_goes_before_the_platforms(place: str) -> None:
    named: dict[str, Any] = {"timezone": "Asia/Tokyo"}
    context = named if place == "top" else {"client_data": named}
    assert zone_from(context, PARIS) == ZoneInfo("Asia/Tokyo")
    found = wedding_from({"wedding_date": "2026-06-19", **context}, PARIS)
    assert found == Wedding(date(2026, 6, 19), ZoneInfo("Asia/Tokyo"))


def test_an_instant_is_a_day_of_the_weddings_zone() -> None:
    new_york = ZoneInfo("America/New_York")
    context = {"timezone": "America/New_York", "wedding_date": "2027-02-13T02:00:00Z"}
    assert wedding_from(context, PARIS) == Wedding(date(2027, 2, 12), new_york)


@pytest.mark.parametrize(
    "bad",
    ["", " ", "soon", "2026-02-30", "19/06/2026", "2026-06", "20260619", "2026-W25-5", "0001-01-01", "9999-12-31"],
)
def test_a_wedding_date_that_cannot_be_is_told_how_dates_are_written(bad: str) -> None:
    with pytest.raises(InvalidContext, match=r"context\.wedding_date: .*write it as YYYY-MM-DD"):
        wedding_from({"wedding_date": bad}, PARIS)


@pytest.mark.parametrize("bad", ["", "soon", 20260619, True, ["2026"], {}])
def test_a_wedding_date_that_is_none_is_refused_and_says_where(bad: Any) -> None:
    with pytest.raises(InvalidContext, match=r"context\.wedding_date") as caught:
        wedding_from({"wedding_date": bad}, PARIS)
    assert "2027-06-19" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\x00b", "\ud800", 1, []])
def test_a_zone_that_is_none_is_refused_and_says_where(bad: Any) -> None:
    with pytest.raises(InvalidContext, match=r"context\.timezone"):
        zone_from({"timezone": bad}, PARIS)


@pytest.mark.parametrize("read", [lambda c: wedding_from(c, PARIS), lambda c: zone_from(c, PARIS), vendor_type_from])
def test_client_data_must_be_an_object(read: Any) -> None:
    with pytest.raises(InvalidContext, match="client_data must be an object"):
        read({"client_data": ["2026-06-19"]})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("photographers", "photographer"),
        ("Photographer", "photographer"),
        (" VENUES ", "venue"),
        ("florists", "florist"),
        ("caterers", "caterer"),
        ("planners", "planner"),
        ("dress", "dress"),
        ("DJ", "dj"),
    ],
)
def test_a_vendor_type_is_kept_in_the_singular(given: str, kept: str) -> None:
    assert singular(given) == kept
    assert vendor_type_from({"vendor_type": given}) == kept


def test_the_vendor_type_is_looked_for_at_the_top_then_at_the_supplier_then_at_the_client() -> None:
    context: dict[str, Any] = {"client_data": {"vendor_type": "planner"}}
    assert vendor_type_from(context) == "planner"
    context["supplier_data"] = {"vendor_type": "venues"}
    assert vendor_type_from(context) == "venue"
    context["vendor_type"] = "florist"
    assert vendor_type_from(context) == "florist"
    assert vendor_type_from({}) is None
    assert vendor_type_from({"vendor_type": "  "}) is None
    with pytest.raises(InvalidContext, match=r"context\.vendor_type"):
        vendor_type_from({"vendor_type": 7})
