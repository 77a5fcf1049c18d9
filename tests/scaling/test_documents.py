"""What is kept of a decision is enough to make it again; a past comes back as it was; what comes is foreseen."""

import json
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.scaling.scene import START
from tests.scaling.test_decide import pasts, situations
from wedsync_ops.instants import HOUR, parse_instant
from wedsync_ops.scaling.decide import decide
from wedsync_ops.scaling.documents import past_document, past_from, situation_document, situation_from
from wedsync_ops.scaling.foresight import busiest, by_calendar
from wedsync_ops.scaling.model import Past, Pin, Policy, Situation
from wedsync_ops.weddings.model import Calendar

CALENDAR = Calendar(frozenset({6}), frozenset({5}), 5.0, 2.0, 1.0, 3.0, ZoneInfo("UTC"))


class Foreseen(NamedTuple):
    hour: int
    module_type: str
    high: float


@given(situations())
def test_a_situation_comes_back_but_for_its_past(case: Situation) -> None:
    document = json.loads(json.dumps(situation_document(case)))
    again = situation_from(document)
    assert situation_document(again) == document
    assert again.past == Past()


@given(pasts)
def test_a_past_comes_back(past: Past) -> None:
    assert past_from(json.loads(json.dumps(past_document(past)))) == past


def test_what_was_kept_leads_to_the_same_decision() -> None:
    case = Situation(slots=10, least=2, most=50, busy=9.5, offered=8.125)
    policy = Policy(up_window_us=0)
    assert decide(START, situation_from(situation_document(case)), policy) == decide(START, case, policy)


def test_the_busiest_hour_counts() -> None:
    hours = [Foreseen(0, "email", 3_600.0), Foreseen(HOUR, "email", 1_800.0), Foreseen(HOUR, "sms", 1_800.0)]
    assert busiest(hours, {"email": 2.0, "sms": 3.0}.__getitem__) == 2.5
    assert busiest([], lambda _: 1.0) is None


def test_the_calendar_foresees_what_grows_soon() -> None:
    friday = parse_instant("2027-05-28T23:50:00Z")
    assert by_calendar(4.0, friday, HOUR, CALENDAR) == 12.0
    assert by_calendar(4.0, friday, HOUR // 10, CALENDAR) is None
    saturday = parse_instant("2027-05-29T12:00:00Z")
    assert by_calendar(4.0, saturday, HOUR, CALENDAR) is None


@given(st.floats(0, 100))
def test_what_shrinks_is_not_foreseen(flow: float) -> None:
    assert by_calendar(flow, parse_instant("2027-05-30T23:50:00Z"), HOUR // 12, CALENDAR) is None


def test_a_pin_says_until_when_as_json_does_and_comes_back_from_what_was_kept_before() -> None:
    case = Situation(slots=4, least=2, most=50, pins=(Pin(9, False, START, "root has set it"),))
    document = situation_document(case)
    assert parse_instant(document["pins"][0]["until"]) == START
    before = {**document, "pins": [case.pins[0]._asdict()]}
    assert situation_from(document).pins == situation_from(before).pins == case.pins
