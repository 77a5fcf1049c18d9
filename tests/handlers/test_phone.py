"""Phone numbers: E.164 whatever way they are written, the country from the client's data, a clear fault otherwise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.handlers.phone import number_from, regions_from


def read(phone: object, **client: Any) -> tuple[str | None, str]:
    return number_from(phone, regions_from({"client_data": client}))


@pytest.mark.parametrize(
    ("phone", "client", "expected"),
    [
        ("+44 7700 900123", {}, "+447700900123"),
        ("+44 (0)7700 900123", {}, "+447700900123"),
        ("0044 7700 900123", {}, "+447700900123"),
        ("\uff0b44 7700 900123", {}, "+447700900123"),
        ("\u202a+1 202-555-0123\u202c", {}, "+12025550123"),  # as copied from an address book
        ("07700 900123", {"country": "GB"}, "+447700900123"),
        ("07700 900123", {"country": "uk"}, "+447700900123"),
        ("07700 900123", {"country": "Scotland"}, "+447700900123"),
        ("07700 900123", {"location": "The Old Barn, Bath, United Kingdom"}, "+447700900123"),
        ("07700 900123", {"timezone": "Europe/London"}, "+447700900123"),
        ("(512) 555-0123", {"location": "Austin, TX 78701"}, "+15125550123"),
        ("(512) 555-0123", {"location": "Austin, Texas"}, "+15125550123"),
        ("202.555.0123", {"timezone": "US/Eastern"}, "+12025550123"),
        ("0151 23456789", {"location": "Berlin, DE"}, "+4915123456789"),  # DE is Delaware, too
        ("098765 43210", {"location": "Mumbai, IN", "timezone": "Asia/Kolkata"}, "+919876543210"),
        ("0412 345 678", {"timezone": "Australia/ACT"}, "+61412345678"),
        (
            "06 12 34 56 78",
            {"location": "Siena, Italy", "timezone": "Europe/Paris", "country": "France"},
            "+33612345678",
        ),
        ("0412 345 678", {"location": "Siena, Italy", "country": "AU"}, "+61412345678"),
        ("٠٧٧٠٠ ٩٠٠١٢٣", {"country": "GB"}, "+447700900123"),
    ],
)
def test_a_number_becomes_e164(phone: str, client: dict[str, Any], expected: str) -> None:
    assert read(phone, **client) == (expected, "")


@pytest.mark.parametrize(
    ("phone", "client", "fault"),
    [
        ("", {}, "is missing"),
        ("  ", {}, "is missing"),
        (None, {}, "is not text"),
        (447700900123, {}, "is not text"),
        ("07700 900123", {}, "without a country"),
        ("07700 900123", {"country": "Atlantis", "timezone": "UTC"}, "without a country"),
        ("123", {"country": "GB"}, "is not a possible phone number in GB"),
        ("555 0123", {"country": "US"}, "is not a possible phone number in US"),  # no area code
        ("+999 12345678", {}, "is not a possible phone number"),
        ("+1 202 555 0123\r\n", {}, "is not one single phone number"),
        ("+1 202 555 0123, +1 202 555 0124", {}, "is not one single phone number"),
        ("+1 202 555 0123;ext=4", {}, "is not one single phone number"),
        ("tel:+12025550123", {}, "is not one single phone number"),
        ("{{ 7*7 }}", {"country": "US"}, "is not one single phone number"),
        ("+" + "1" * 1_000_000, {}, "is not one single phone number"),
    ],
)
def test_what_is_no_number_has_a_fault_that_does_not_repeat_it(
    phone: object, client: dict[str, Any], fault: str
) -> None:
    number, found = read(phone, **client)
    assert number is None
    assert fault in found
    digits = "".join(sign for sign in str(phone) if sign.isdigit())
    assert len(digits) < 3 or digits not in found


def test_the_context_itself_may_say_where_the_client_is() -> None:
    assert number_from("07700 900123", regions_from({"timezone": "Europe/London"}))[0] == "+447700900123"


def test_a_location_that_is_a_state_and_a_country_is_the_time_zones() -> None:
    assert regions_from({"location": "Tbilisi, Georgia", "timezone": "Asia/Tbilisi"}) == ("GE", "US")
    assert regions_from({"location": "Atlanta, Georgia", "timezone": "America/New_York"}) == ("US", "GE")


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_whatever_is_given_comes_to_e164_or_a_fault(phone: str, country: str, location: str) -> None:
    number, fault = read(phone, country=country, location=location)
    if number is None:
        assert fault
    else:
        assert number[0] == "+"
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert len(number) <= 16
