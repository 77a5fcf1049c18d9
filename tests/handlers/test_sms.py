"""The sms module: what is sent to whom, and what is refused when queued."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.handlers.hostile import HOSTILE
from tests.handlers.texts import (
    CONTEXT,
    FALLING_BACK,
    NOW,
    NUMBER,
    SMS,
    WHATSAPP,
    attempt,
    result_of,
    site_in,
    texts,
    with_client,
)
from wedsync_ops.handlers.contract import problems, recipient_digest, recipient_of
from wedsync_ops.handlers.preview import preview
from wedsync_ops.handlers.sms import handle
from wedsync_ops.jobs.model import Result


def test_a_text_lies_in_the_outbox_and_the_result_tells_of_it(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    result = result_of(attempt(site, SMS))
    [text] = texts(site)
    assert text == {
        "reference": result["message_id"],
        "channel": "sms",
        "to": NUMBER,
        "body": "Hi Ada & Grace!",
        "media_url": None,
    }
    assert result == {
        "message_sent": True,
        "channel_used": "sms",
        "message_id": text["reference"],
        "segments": 1,
        "encoding": "gsm-7",
    }


def test_the_outbox_takes_a_key_once(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    ids = {result_of(attempt(site, SMS))["message_id"] for _ in range(3)}
    assert len(ids) == len(texts(site)) == 1
    assert result_of(attempt(site, SMS, key="other"))["message_id"] not in ids
    assert len(texts(site)) == 2


def test_parts_are_counted_as_rendered(tmp_path: Path) -> None:
    config = {**SMS, "message_text": "{{ couple_name }}"}
    result = result_of(attempt(site_in(tmp_path), config, with_client(couple_name="😀" * 36)))
    assert (result["segments"], result["encoding"]) == (2, "ucs-2")


def test_whatsapp_takes_media_and_is_one_message(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    config = {**WHATSAPP, "message_text": "x" * 4096, "media_url": "https://example.com/a.jpg"}
    result = result_of(attempt(site, config))
    assert (result["channel_used"], result["segments"]) == ("whatsapp", 1)
    assert texts(site)[0]["media_url"] == "https://example.com/a.jpg"


def test_personalization_is_rendered_and_context_never_is(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    config = {**SMS, "message_text": "{{ hello }}", "personalization": {"hello": "Dear {{ couple_name }}"}}
    attempt(site, config, with_client(couple_name="{{ 7*7 }}"))
    assert texts(site)[0]["body"] == "Dear {{ 7*7 }}"


def test_a_missing_field_is_polite(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    attempt(site, SMS, with_client(couple_name=None))
    assert texts(site)[0]["body"] == "Hi happy couple!"


def test_a_suppressed_recipient_gets_nothing_and_that_is_no_failure(tmp_path: Path) -> None:
    result = result_of(attempt(site_in(tmp_path), SMS, suppressed="unsubscribed"))
    assert result == {
        "message_sent": False,
        "channel_used": None,
        "message_id": None,
        "segments": 0,
        "reason": "suppressed",
        "suppressed": "unsubscribed",
    }
    assert not (tmp_path / "outbox").exists()


def test_the_suppression_list_knows_the_number_however_it_is_written(tmp_path: Path) -> None:
    digest = recipient_digest(f"tel:{NUMBER}")
    for phone in ("07700 900123", "+44 (0)7700-900123"):
        assert recipient_of(handle, SMS, with_client(phone=phone), site_in(tmp_path)) == digest


@pytest.mark.parametrize(
    ("config", "opt_ins", "sent"),
    [
        (SMS, {"sms_opt_in": True}, True),
        (SMS, {"sms_opt_in": False, "whatsapp_opt_in": True}, False),
        (SMS, {"sms_opt_in": "yes"}, False),  # only true is a yes
        (WHATSAPP, {"whatsapp_opt_in": True, "sms_opt_in": False}, True),
        (WHATSAPP, {"whatsapp_opt_in": False, "sms_opt_in": True}, False),
        (FALLING_BACK, {"whatsapp_opt_in": False, "sms_opt_in": True}, False),
    ],
)
def test_a_required_opt_in_is_the_channels_own(
    tmp_path: Path, config: dict[str, Any], opt_ins: dict[str, Any], sent: bool
) -> None:
    site, context = site_in(tmp_path), with_client(**opt_ins)
    required = {**config, "require_opt_in": True}
    assert problems(handle, required, context, site) == ()
    result = result_of(attempt(site, required, context))
    assert result["message_sent"] is sent
    assert result.get("reason") == (None if sent else "no_opt_in")
    assert len(texts(site)) == sent
    assert result_of(attempt(site, config, context, key="free"))["message_sent"] is True


@pytest.mark.parametrize(
    ("config", "client_fields", "where"),
    [
        (SMS, {"phone": None}, "context.client_data.phone: is missing"),
        (SMS, {"phone": "12"}, "context.client_data.phone: is not a possible"),
        (SMS, {"phone": 447700900123}, "context.client_data.phone: is not text"),
        ({**SMS, "require_opt_in": True}, {"sms_opt_in": None}, "context.client_data.sms_opt_in: is missing"),
        ({**SMS, "message_text": "{{ x"}, {}, "config.message_text: "),
        ({**SMS, "message_text": "{{ couple_name * 9 }}"}, {}, "config.message_text: "),
        ({**SMS, "personalization": {"client": "x"}}, {}, "config.personalization.client: the name is taken"),
        (
            {**SMS, "message_text": "{{ client.couple_name }}"},
            {"couple_name": "x" * 1601},
            "config.message_text: makes 1,601",
        ),
        (
            {**WHATSAPP, "message_text": "{{ client.couple_name }}"},
            {"couple_name": "x" * 4097},
            "config.message_text: makes 4",
        ),
        ({**SMS, "message_text": "\u202e \r\n"}, {}, "config.message_text: nothing is left"),
    ],
)
def test_what_can_never_be_sent_is_refused_when_queued_and_at_run_time(
    tmp_path: Path, config: dict[str, Any], client_fields: dict[str, Any], where: str
) -> None:
    site, context = site_in(tmp_path), with_client(**client_fields)
    (found,) = problems(handle, config, context, site)
    assert found.startswith(where)
    verdict = attempt(site, config, context)
    if "opt_in" in where:
        assert result_of(verdict)["message_sent"] is False
    elif "taken" not in where:
        assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
        assert texts(site) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE, supplier=HOSTILE, location=HOSTILE)
def test_hostile_context_is_only_ever_data(
    tmp_path_factory: pytest.TempPathFactory, name: str, supplier: str, location: str
) -> None:
    site = site_in(tmp_path_factory.mktemp("hostile"))
    context = {**with_client(couple_name=name, country=location, phone=NUMBER), "supplier_data": {"name": supplier}}
    config = {**SMS, "message_text": "Hi {{ couple_name }}, {{ supplier_name }} | {{ wedding.location }}"}
    assert problems(handle, config, context, site) == ()
    assert result_of(attempt(site, config, context))["message_sent"] is True
    [text] = texts(site)
    assert text["to"] == NUMBER
    assert "34033699" not in text["body"]
    assert not set("\x00\x07\x1b\r\u202e\u2066") & set(text["body"])


@pytest.mark.parametrize("phone", ["{{ 7*7 }}", "x" * 1_048_000, "+44\r\n7700900123", "\u202e", "<b>1</b>", "٣٣"])
def test_a_hostile_number_is_refused_without_being_repeated(tmp_path: Path, phone: str) -> None:
    (found,) = problems(handle, SMS, with_client(phone=phone), site_in(tmp_path))
    assert found.startswith("context.client_data.phone: is ")
    assert len(found) < 200
    assert phone not in found


@pytest.mark.parametrize(
    "template", ["{{ ''.__class__ }}", "{% include 'x' %}", "{{ 'x' * 999999999999 }}", "{{ client.__init__ }}"]
)
def test_a_template_that_reaches_out_is_refused_for_good(tmp_path: Path, template: str) -> None:
    site = site_in(tmp_path)
    verdict = attempt(site, {**SMS, "message_text": template})
    assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
    assert texts(site) == []


def test_a_preview_shows_the_text_and_writes_nothing(tmp_path: Path) -> None:
    shown = preview(handle, SMS, CONTEXT, site_in(tmp_path), NOW)
    [artefact] = shown.artefacts
    assert json.loads(artefact.text)["body"] == "Hi Ada & Grace!"
    assert shown.result_data["message_sent"] is True
    assert not (tmp_path / "outbox").exists()


class TestQuietHours:
    """The attempt starts at 22:13:20 in London."""

    QUIET = "21:00-08:00"

    def test_whatever_brought_it_there_a_text_is_held_until_they_end(self, tmp_path: Path) -> None:
        site = site_in(tmp_path, quiet_hours=self.QUIET)
        verdict = attempt(site, SMS)
        assert (verdict.result, verdict.permanent, texts(site)) == (Result.CANCELLED, False, [])
        assert verdict.retry_after_s == 9 * 3600 + 46 * 60 + 40
        assert verdict.error == (
            "held until 2023-11-15T08:00:00.000000Z for the recipient's quiet hours (21:00-08:00, Europe/London)"
        )

    @pytest.mark.parametrize("quiet", [None, "23:00-08:00", "08:00-22:13"])
    def test_outside_of_them_it_is_sent(self, tmp_path: Path, quiet: str | None) -> None:
        assert result_of(attempt(site_in(tmp_path, quiet_hours=quiet), SMS))["message_sent"] is True

    def test_they_are_those_of_the_recipients_clock(self, tmp_path: Path) -> None:
        site = site_in(tmp_path, quiet_hours=self.QUIET)
        abroad = with_client(phone=NUMBER)
        assert result_of(attempt(site, SMS, {**abroad, "timezone": "America/New_York"}))["message_sent"] is True
        assert attempt(site, SMS, {**abroad, "timezone": "Asia/Tokyo"}).result is Result.CANCELLED

    @pytest.mark.parametrize(
        ("day", "held"), [("2023-11-13", True), ("2023-11-14", False), ("2023-11-15", False), ("2023-11-16", True)]
    )
    def test_near_the_wedding_nothing_waits(self, tmp_path: Path, day: str, *, held: bool) -> None:
        verdict = attempt(site_in(tmp_path, quiet_hours=self.QUIET), SMS, {**CONTEXT, "wedding_date": day})
        assert (verdict.result is Result.CANCELLED) is held

    def test_what_would_not_be_sent_anyway_is_not_held(self, tmp_path: Path) -> None:
        site = site_in(tmp_path, quiet_hours=self.QUIET)
        assert result_of(attempt(site, SMS, suppressed="bounce"))["reason"] == "suppressed"
