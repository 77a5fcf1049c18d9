"""What a couple's record must be."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.weddings.couples import couple
from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.addresses import address_fault
from wedsync_ops.weddings.intake import COLUMNS, client_from, strangers
from wedsync_ops.weddings.model import Client, Region

UTC = ZoneInfo("UTC")
RECORD = {
    "client_id": "c1",
    "couple_name": "Ann & Bo",
    "email": "ann@example.com",
    "wedding_date": "2027-06-19",
    "location": "Chicago",
    "supplier_id": "s1",
    "vendor_type": "photographer",
}


def judged(**changed: Any) -> Client:
    return client_from({**RECORD, **changed}, UTC, address_fault)


def refusal(**changed: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        judged(**changed)
    return str(caught.value)


def test_a_record_is_a_couple() -> None:
    assert judged() == couple("c1")
    assert judged(
        phone=" +44 20 7946 0000", timezone="Asia/Tokyo", booked_on="2026-01-31", location="", vendor_type="Venues"
    ) == couple(
        "c1",
        phone="+44 20 7946 0000",
        timezone="Asia/Tokyo",
        booked_on=date(2026, 1, 31),
        location="",
        region=Region.UNKNOWN,
        vendor_type="venue",
    )


def test_white_space_is_put_in_order_but_not_inside_ids() -> None:
    made = judged(client_id=" a  b ", couple_name=" Ann \n &   Bo ", location="The Barn\r\nAustin, TX")
    assert (made.client_id, made.couple_name, made.location) == ("a  b", "Ann & Bo", "The Barn Austin, TX")
    assert made.region is Region.SOUTH


def test_ids_may_be_whole_numbers_in_json() -> None:
    made = judged(client_id=7, supplier_id=8)
    assert (made.client_id, made.supplier_id) == ("7", "8")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2028-02-29", date(2028, 2, 29)),
        ("2027-06-19T15:00:00", date(2027, 6, 19)),
        ("2027-06-19 00:00:00", date(2027, 6, 19)),
        ("1999-12-31", date(1999, 12, 31)),
    ],
)
def test_dates_are_iso(text: str, day: date) -> None:
    assert judged(wedding_date=text).wedding_on == day


def test_an_instant_is_a_day_of_the_weddings_zone() -> None:
    assert judged(wedding_date="2027-06-19T02:00:00Z", timezone="America/New_York").wedding_on == date(2027, 6, 18)


@pytest.mark.parametrize(
    "text", ["03/04/2026", "3.4.2026", "04-03-2026", "20270619", "June 19, 2027", "2027-6-19", "46192"]
)
def test_other_ways_to_write_a_date_are_refused_since_they_are_ambiguous(text: str) -> None:
    assert (
        refusal(wedding_date=text)
        == f"wedding_date: {text!r} is not a date (write it as YYYY-MM-DD, such as 2027-06-19)"
    )


@pytest.mark.parametrize("text", ["2027-02-29", "2100-02-29", "2027-06-31", "2027-13-01", "2027-00-10"])
def test_a_day_that_the_calendar_does_not_have_is_refused(text: str) -> None:
    assert refusal(wedding_date=text) == f"wedding_date: the calendar has no {text}"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"email": "ann"}, "email: 'ann' is not an e-mail address"),
        ({"email": "a@b.com, c@d.com"}, "email must be one single address"),
        ({"phone": "call me"}, "phone: 'call me' is not a phone number"),
        ({"phone": "123"}, "phone: '123' is not a phone number"),
        (
            {"timezone": "Mars/Base"},
            "timezone: 'Mars/Base' is not a time zone (use an IANA name, such as Europe/London)",
        ),
        ({"booked_on": "2027-06-20"}, "booked_on 2027-06-20 is after the wedding on 2027-06-19"),
        ({"client_id": " "}, "client_id is empty"),
        ({"vendor_type": ""}, "vendor_type is empty"),
        ({"couple_name": "a\x07b"}, "couple_name holds a control character or what is no character"),
        ({"couple_name": "a\ud800"}, "couple_name holds a control character or what is no character"),
        ({"location": "x" * 501}, "location is longer than 500 characters"),
        ({"email": 7}, "email must be text"),
        ({"couple_name": ["Ann"]}, "couple_name must be text"),
        ({"client_id": True}, "client_id must be text"),
        ({"wedding_date": None}, "wedding_date is empty"),
        ({"email": "?"}, "email: '?' is not an e-mail address"),
        ({"phone": "?"}, "phone: '?' is not a phone number"),
        ({"timezone": "?"}, "timezone: '?' is not a time zone (use an IANA name, such as Europe/London)"),
        ({"wedding_date": 7}, "wedding_date must be text"),
    ],
)
def test_each_fault_says_which_field_and_why(changed: dict[str, Any], message: str) -> None:
    assert refusal(**changed) == message


def test_every_fault_of_a_record_is_named_at_once() -> None:
    assert refusal(client_id="", email="x", wedding_date="soon").split("; ") == [
        "client_id is empty",
        "email: 'x' is not an e-mail address",
        "wedding_date: 'soon' is not a date (write it as YYYY-MM-DD, such as 2027-06-19)",
    ]


def test_a_booking_on_the_wedding_day_and_a_past_wedding_are_fine() -> None:
    assert judged(booked_on="2027-06-19").booked_on == date(2027, 6, 19)
    assert judged(wedding_date="1971-01-01").wedding_on == date(1971, 1, 1)


def test_strangers_are_named_with_the_nearest() -> None:
    assert strangers(COLUMNS) is None
    assert strangers(["client_id", "e-mail"]) == "'e-mail'; did you mean 'email'?"
    assert strangers(["shoe size"]) == "'shoe size'"


@given(st.dictionaries(st.sampled_from(COLUMNS), st.one_of(st.text(max_size=50), st.none(), st.integers()), min_size=1))
def test_whatever_is_given_is_a_couple_or_refused_in_one_line(changed: dict[str, Any]) -> None:
    try:
        made = judged(**changed)
    except InvalidInput as error:
        said = str(error)
    else:
        said = "taken"
        assert made.client_id == made.client_id.strip()
        assert all((made.client_id, made.couple_name, made.email, made.supplier_id, made.vendor_type))
    assert said
    assert said.isprintable()
