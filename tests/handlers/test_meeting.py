"""The meeting module: invitations that calendars understand, in every zone and season, and signed links."""

import email
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, mails, order, site_in
from wedsync_ops.handlers import links
from wedsync_ops.handlers.contract import Site, problems
from wedsync_ops.handlers.meeting import LINK_DAYS, handle
from wedsync_ops.instants import DAY, iso, parse_instant
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt, Verdict

NOW = parse_instant("2027-01-13T12:00:00Z")
CONFIG = {"meeting_type": "site_visit", "duration": 90, "format": "in_person", "location": "Rose Hall, Gate 2; ask"}


def site(folder: Path, **fields: Any) -> Site:
    return site_in(folder, link_secret="5e" * 32, **fields)


def context(starts_at: Any = None, zone: str = "Europe/London", **step: Any) -> dict[str, Any]:
    when = {} if starts_at is None else {"starts_at": starts_at}
    return {**CONTEXT, "timezone": zone, "step_data": {"step_id": "s7", **when, **step}}


def perform(where: Site, about: dict[str, Any], config: dict[str, Any] = CONFIG, **options: Any) -> Verdict:
    return Attempt(order(config, about, module="meeting", **options), where, NOW, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    answer: dict[str, Any] = json.loads(verdict.data or b"")
    return answer


def calendar_of(mail: email.message.EmailMessage) -> bytes:
    (part,) = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw


def event_in(raw: bytes) -> Any:
    (event,) = icalendar.Calendar.from_ical(raw).walk("VEVENT")
    return event


def invited(folder: Path, about: dict[str, Any], config: dict[str, Any] = CONFIG) -> tuple[bytes, Any]:
    where = site(folder)
    result_of(perform(where, about, config))
    raw = calendar_of(mails(where)[-1])
    return raw, event_in(raw)


class TestInvitation:
    def test_a_mail_client_finds_the_entry_among_the_bodies_and_as_a_file(self, tmp_path: Path) -> None:
        where = site(tmp_path)
        result_of(perform(where, context("2027-06-12T10:00")))
        [mail] = mails(where)
        kinds = [part.get_content_type() for part in mail.walk()]
        assert kinds == [
            "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar", "application/ics",
        ]  # fmt: skip
        body, file = list(mail.walk())[4:]
        assert body.get_param("method") == "REQUEST"
        assert file.get_filename() == "invite.ics"
        assert file.get_payload(decode=True) == body.get_payload(decode=True)
        assert mail["Subject"].startswith(
            "Invitation: Site visit with Lumen & Oak, Saturday, 12 June 2027, 10:00 to 11:30"
        )

    def test_it_says_what_who_when_and_where(self, tmp_path: Path) -> None:
        raw, event = invited(tmp_path, context("2027-06-12T10:00", sequence=3))
        calendar = icalendar.Calendar.from_ical(raw)
        assert (calendar["METHOD"], calendar["VERSION"]) == ("REQUEST", "2.0")
        assert event["SUMMARY"] == "Site visit with Lumen & Oak"
        assert event["LOCATION"] == "Rose Hall, Gate 2; ask"
        assert event["ORGANIZER"] == "mailto:hello@lumen.example"
        assert event["ORGANIZER"].params["CN"] == "Lumen & Oak"
        assert event["ATTENDEE"] == "mailto:couple@example.org"
        assert event["ATTENDEE"].params["RSVP"] == "TRUE"
        assert (event["SEQUENCE"], event["STATUS"]) == (3, "CONFIRMED")
        assert event.decoded("DTSTAMP") == datetime(2027, 1, 13, 12, tzinfo=UTC)
        assert event.decoded("DTEND") - event.decoded("DTSTART") == timedelta(minutes=90)
        assert event["X-WEDSYNC-BUFFER-MINUTES"] == "15"
        assert [alarm.decoded("TRIGGER") for alarm in event.walk("VALARM")] == [timedelta(hours=-1)]

    def test_it_survives_icalendar_unchanged(self, tmp_path: Path) -> None:
        raw, _ = invited(tmp_path, context("2027-06-12T10:00"))
        assert icalendar.Calendar.from_ical(raw).to_ical(sorted=False) == raw

    def test_a_change_and_a_cancellation_are_of_the_same_event(self, tmp_path: Path) -> None:
        where = site(tmp_path)
        steps = [
            context("2027-06-12T10:00"),
            context("2027-06-13T15:00", change_count=1),
            context("2027-06-13T15:00", sequence=2, cancelled=True),
        ]
        answers = [result_of(perform(where, about, key=f"k{place}")) for place, about in enumerate(steps)]
        events = sorted((event_in(calendar_of(mail)) for mail in mails(where)), key=lambda event: event["SEQUENCE"])
        assert [event["SEQUENCE"] for event in events] == [0, 1, 2]
        assert {str(event["UID"]) for event in events} == {answer["ics_uid"] for answer in answers}
        assert len({answer["ics_uid"] for answer in answers}) == 1
        assert [answer["meeting_scheduled"] for answer in answers] == [True, True, False]
        (cancel,) = [mail for mail in mails(where) if mail["Subject"].startswith("Cancelled:")]
        assert icalendar.Calendar.from_ical(calendar_of(cancel))["METHOD"] == "CANCEL"
        assert events[2]["STATUS"] == "CANCELLED"
        body = cancel.get_body(("plain",))
        assert body is not None
        assert "http" not in body.get_content()

    def test_another_couple_step_or_journey_is_another_event(self, tmp_path: Path) -> None:
        about = context("2027-06-12T10:00")
        others = [
            about,
            {**about, "client_id": "c2"},
            {**about, "supplier_id": "s2"},
            {**about, "journey_instance_id": "j2"},
            {**about, "step_data": {**about["step_data"], "step_id": "s8"}},
        ]
        assert len({result_of(perform(site(tmp_path), each))["ics_uid"] for each in others}) == 5

    @pytest.mark.parametrize(
        ("step", "number"),
        [
            ({}, 0),
            ({"change_count": 4}, 4),
            ({"sequence": 0, "change_count": 4}, 0),
            ({"sequence": 2**31 - 1}, 2**31 - 1),
        ],
    )
    def test_its_sequence_is_the_one_given_else_the_number_of_changes(
        self, tmp_path: Path, step: dict[str, Any], number: int
    ) -> None:
        assert invited(tmp_path, context("2027-06-12T10:00", **step))[1]["SEQUENCE"] == number

    def test_a_video_call_can_be_joined(self, tmp_path: Path) -> None:
        config = {"meeting_type": "call", "duration": 30, "format": "video", "video_provider": "Zoom"}
        _, event = invited(tmp_path, context("2027-06-12T10:00", video_url="https://zoom.example/j/1?pwd=x"), config)
        assert event["CONFERENCE"] == "https://zoom.example/j/1?pwd=x"
        assert event["CONFERENCE"].params["FEATURE"] == "VIDEO"
        assert event["LOCATION"] == "Video call (Zoom): https://zoom.example/j/1?pwd=x"
        html = mails(site(tmp_path))[0].get_body(("html",))
        assert html is not None
        assert 'href="https://zoom.example/j/1?pwd=x"' in html.get_content()
        assert "Join the call" in html.get_content()

    def test_a_call_has_its_number(self, tmp_path: Path) -> None:
        config = {"meeting_type": "call", "duration": 30, "format": "phone"}
        _, event = invited(tmp_path, context("2027-06-12T10:00", phone="+44 20 7946 0018"), config)
        assert event["CONFERENCE"] == "tel:+442079460018"
        assert event["LOCATION"] == "By phone: +44 20 7946 0018"

    def test_without_an_address_of_the_supplier_the_platform_organises(self, tmp_path: Path) -> None:
        _, event = invited(tmp_path, {**context("2027-06-12T10:00"), "supplier_data": {}})
        assert event["ORGANIZER"] == "mailto:a@b.c"

    def test_a_meeting_that_is_over_is_not_sent(self, tmp_path: Path) -> None:
        verdict = perform(site(tmp_path), context("2027-01-13T10:30:00Z"))
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert "2027-01-13T10:30:00" in (verdict.error or "")
        result_of(perform(site(tmp_path), context("2027-01-13T10:31:00Z")))

    def test_one_key_is_delivered_once(self, tmp_path: Path) -> None:
        for _ in range(3):
            result_of(perform(site(tmp_path), context("2027-06-12T10:00")))
        assert len(mails(site(tmp_path))) == 1


class TestLink:
    def test_without_a_time_the_couple_gets_a_signed_link(self, tmp_path: Path) -> None:
        where = site(tmp_path)
        answer = result_of(perform(where, context(), {"meeting_type": "call", "duration": 45, "buffer_time": 20}))
        url = answer["scheduling_url"]
        assert url.startswith(f"http://x.example/meetings/{answer['scheduling_link_id']}?")
        assert links.verify(where, url, NOW) == {"duration": "45", "buffer": "20"}
        with pytest.raises(links.LinkRefused):
            links.verify(where, url, NOW + LINK_DAYS * DAY)
        assert answer["meeting_scheduled"] is True
        assert (answer["meeting_type"], answer["duration"]) == ("call", 45)
        assert answer["ics_uid"] is None
        [mail] = mails(where)
        assert mail.get_content_type() == "multipart/alternative"
        text = mail.get_body(("plain",))
        assert text is not None
        assert url in text.get_content()

    @pytest.mark.parametrize(
        ("starts_at", "until"), [("2027-02-01T10:00:00Z", "2027-02-12T12:00:00Z"), ("2027-06-12T10:00:00Z",) * 2]
    )
    def test_another_time_can_be_chosen_until_the_meeting_starts(
        self, tmp_path: Path, starts_at: str, until: str
    ) -> None:
        where = site(tmp_path)
        url = result_of(perform(where, context(starts_at)))["scheduling_url"]
        links.verify(where, url, parse_instant(until) - 1)
        with pytest.raises(links.LinkRefused, match="expired"):
            links.verify(where, url, parse_instant(until))

    def test_the_same_step_has_the_same_link_id(self, tmp_path: Path) -> None:
        ids = {result_of(perform(site(tmp_path), context(), key=key))["scheduling_link_id"] for key in ("a", "b")}
        assert len(ids) == 1


def test_a_suppressed_couple_gets_nothing(tmp_path: Path) -> None:
    where = site(tmp_path)
    answer = result_of(perform(where, context("2027-06-12T10:00"), suppressed="bounce"))
    assert (answer["meeting_scheduled"], answer["suppressed"]) == (False, "bounce")
    assert mails(where) == []


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"starts_at": 5}, "starts_at"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": "2027-06-12"}, "starts_at"),
        ({"starts_at": "9999-01-01T10:00"}, "starts_at"),
        ({"starts_at": "2027-03-28T01:30"}, "starts_at"),
        ({"cancelled": True}, "starts_at"),
        ({"starts_at": "2027-06-12T10:00", "cancelled": "yes"}, "cancelled"),
        ({"starts_at": "2027-06-12T10:00", "sequence": -1}, "sequence"),
        ({"starts_at": "2027-06-12T10:00", "sequence": True}, "sequence"),
        ({"starts_at": "2027-06-12T10:00", "change_count": 2**31}, "change_count"),
        ({"video_url": "javascript:alert(1)"}, "video_url"),
    ],
)
def test_what_can_never_be_invited_to_is_refused_when_queued(tmp_path: Path, step: dict[str, Any], place: str) -> None:
    (found,) = problems(handle, CONFIG, {**context(), "step_data": step}, site(tmp_path))
    assert found.startswith(f"context.step_data.{place}: ")


def test_a_couple_without_an_address_is_refused_when_queued(tmp_path: Path) -> None:
    (found,) = problems(handle, CONFIG, {**context(), "client_data": {}}, site(tmp_path))
    assert found.startswith("context.client_data.email: ")


LINE = re.compile(rb"[A-Z0-9-]+[;:]")
KNOWN = {
    "BEGIN", "END", "PRODID", "VERSION", "CALSCALE", "METHOD", "TZID", "DTSTART", "TZOFFSETFROM", "TZOFFSETTO",
    "TZNAME", "UID", "SEQUENCE", "DTSTAMP", "DTEND", "SUMMARY", "DESCRIPTION", "LOCATION", "CONFERENCE", "ORGANIZER",
    "ATTENDEE", "STATUS", "TRANSP", "X-WEDSYNC-BUFFER-MINUTES", "ACTION", "TRIGGER",
}  # fmt: skip
NASTY = st.one_of(
    HOSTILE, st.sampled_from(["x\r\nATTENDEE:mailto:evil@example.org", 'a"b;c:d,e\\n', "é" * 200, "^n^^"])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    couple=NASTY,
    supplier=NASTY,
    place=NASTY,
    kind=NASTY,
    phone=NASTY,
    form=st.sampled_from(["in_person", "video", "phone"]),
)
def test_hostile_text_stays_text(
    tmp_path_factory: pytest.TempPathFactory, couple: str, supplier: str, place: str, kind: str, phone: str, form: str
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    about = {
        **context("2027-06-12T10:00", phone=phone),
        "client_data": {"email": "couple@example.org", "couple_name": couple},
        "supplier_data": {"name": supplier},
    }
    config = {"meeting_type": kind, "duration": 60, "format": form, "location": place, "video_provider": place}
    raw, event = invited(folder, about, config)
    [mail] = mails(site(folder))
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "<img src=x" not in html.get_content()
    assert mail["Bcc"] is None
    assert event["ATTENDEE"] == "mailto:couple@example.org"
    assert "34033699" not in str(event["SUMMARY"])
    assert "\u202e" not in raw.decode()
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert not [line for line in lines if b"\n" in line or b"\r" in line]
    assert {re.split(r"[;:]", line)[0] for line in icalendar.Calendar.from_ical(raw).content_lines() if line} <= KNOWN


def test_a_long_name_is_cut_however_long_it_is(tmp_path: Path) -> None:
    about = {**context("2027-06-12T10:00"), "supplier_data": {"name": "x" * 100_000}}
    raw, _ = invited(tmp_path, about)
    assert len(raw) < 10_000
    verdict = perform(site(tmp_path), {**about, "supplier_data": {"name": "x" * 900_000}}, key="other")
    assert verdict.result is Result.OK
    assert len(mails(site(tmp_path))) == 2


def test_the_time_is_told_in_words(tmp_path: Path) -> None:
    where = site(tmp_path)
    result_of(perform(where, context("2027-06-12T23:00", "America/New_York")))
    text = mails(where)[0].get_body(("plain",))
    assert text is not None
    assert "Saturday, 12 June 2027, 23:00 to Sunday 00:30 (EDT, America/New_York)" in text.get_content()
    assert iso(NOW)
