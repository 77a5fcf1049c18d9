"""The sms module: what is sent to whom, what is refused when queued, and a gateway that does what gateways do."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.handlers.gateways import Answer, Gateway, running
from wedsync_ops.handlers import gateway as client
from wedsync_ops.handlers.contract import Site, problems, recipient_digest, recipient_of
from wedsync_ops.handlers.preview import preview
from wedsync_ops.handlers.sms import handle
from wedsync_ops.jobs.model import Order, Result
from wedsync_ops.jobs.run import Attempt, Verdict

NUMBER = "+447700900123"
CONTEXT: dict[str, Any] = {
    "client_id": "c1",
    "supplier_id": "s1",
    "journey_instance_id": "j1",
    "client_data": {"phone": "07700 900123", "couple_name": "Ada & Grace", "sms_opt_in": True},
    "supplier_data": {"name": "Lumen & Oak"},
    "timezone": "Europe/London",
}
SMS = {"message_text": "Hi {{ couple_name }}!", "channel": "sms"}
WHATSAPP = {"message_text": "Hi {{ couple_name }}!", "channel": "whatsapp"}
FALLING_BACK = {**WHATSAPP, "fallback_to_sms": True}
NOW = 1_700_000_000_000_000  # 14 November 2023, 22:13:20 UTC


def site_in(folder: Path, **fields: Any) -> Site:
    return Site(outbox=folder / "outbox", timezone="UTC", public_url="http://x.example", mail_from="a@b.c", **fields)


def attempt(
    site: Site,
    config: Mapping[str, Any],
    context: Mapping[str, Any] = CONTEXT,
    *,
    key: str = "k",
    suppressed: str | None = None,
    timeout_s: float = 20.0,
) -> Verdict:
    """Run the handler as a slot does."""
    documents = (json.dumps(config).encode(), json.dumps(context).encode())
    name = "wedsync_ops.handlers.sms:handle"
    order = Order(1, 1, 1, name, *documents, key, timeout_s, 512, 20.0, suppressed=suppressed)
    return Attempt(order, site, NOW, lambda _: None).perform()


def result_of(verdict: Verdict) -> dict[str, Any]:
    assert verdict.result is Result.OK, verdict.error
    found: dict[str, Any] = json.loads(verdict.data or b"")
    return found


def texts(site: Site) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(site.outbox.glob("*.json"))]


def with_client(**fields: Any) -> dict[str, Any]:
    return {**CONTEXT, "client_data": {**CONTEXT["client_data"], **fields}}


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
        ({**SMS, "message_text": "{{ couple_name }}"}, {"couple_name": "x" * 1601}, "config.message_text: makes 1,601"),
        (
            {**WHATSAPP, "message_text": "{{ couple_name }}"},
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


HOSTILE = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60),
    st.sampled_from(
        [
            "{{ 7*7 }}",
            "{{ ''.__class__.__mro__ }}",
            "{% for x in range(10**9) %}x{% endfor %}",
            "<script>alert(1)</script>",
            'x\r\nX-Evil: 1\r\n\r\n{"to": "+1"}',
            "\u202egpj.exe",
            '", "to": "+15550100',
        ]
    ),
)


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
    assert "49" not in text["body"] or "49" in name + supplier + location
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


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as found:
        yield found
    client.close()


def online(folder: Path, gateway: Gateway, **fields: Any) -> Site:
    return site_in(folder, **{"sms_url": gateway.url, "sms_token": "sesame", **fields})


def test_the_gateway_takes_the_text(tmp_path: Path, gateway: Gateway) -> None:
    result = result_of(attempt(online(tmp_path, gateway), SMS, key="order-7"))
    assert result["message_id"] == "prov-1"
    [(path, headers, body)] = gateway.requests
    assert path == "/v1/messages"
    assert headers["Authorization"] == "Bearer sesame"
    assert headers["Idempotency-Key"] == "order-7"
    assert headers["Content-Type"] == "application/json"
    assert (body["channel"], body["to"], body["body"], body["media_url"]) == ("sms", NUMBER, "Hi Ada & Grace!", None)
    assert body["reference"].startswith("text-")
    assert not (tmp_path / "outbox").exists()


def test_one_connection_serves_many_jobs(tmp_path: Path, gateway: Gateway) -> None:
    for key in "abc":
        result_of(attempt(online(tmp_path, gateway), SMS, key=key))
    assert (len(gateway.requests), gateway.connections) == (3, 1)


def test_a_kept_connection_that_the_gateway_has_closed_is_made_anew(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(headers={"Connection": "close"}), Answer()]
    for key in "ab":
        result_of(attempt(online(tmp_path, gateway), SMS, key=key))
    assert gateway.connections == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"not json", b'{"message_id": 5}', b'{"message_id": "a b"}', b"x" * 99_999]
)
def test_a_text_that_was_taken_without_an_id_has_our_own(tmp_path: Path, gateway: Gateway, body: bytes) -> None:
    gateway.answers = [Answer(202, body)]
    result = result_of(attempt(online(tmp_path, gateway), SMS))
    assert result["message_id"] == gateway.requests[0][2]["reference"]


@pytest.mark.parametrize(
    ("answer", "retry_after_s"),
    [
        (Answer(429, b"", {"Retry-After": "17"}), 17.0),
        (Answer(503, b"", {"Retry-After": "120"}), 120.0),
        (Answer(429, b"", {"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"}), 60.0),
        (Answer(429, b"", {"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}), 0.0),
        (Answer(503, b"", {"Retry-After": "999999999"}), 86_400.0),
        (Answer(429, b"", {"Retry-After": "soon"}), None),
        (Answer(429), None),
        (Answer(503), None),
        (Answer(500), None),
        (Answer(502, b"<html>"), None),
        (Answer(401), None),
        (Answer(404), None),
        (Answer(behaviour="cut"), None),
        (Answer(body=b"{}", headers={"Content-Length": "500", "Connection": "close"}), None),  # cut in the answer
    ],
)
def test_what_may_go_better_later_is_tried_again(
    tmp_path: Path, gateway: Gateway, answer: Answer, retry_after_s: float | None
) -> None:
    gateway.answers = [answer, Answer()]
    site = online(tmp_path, gateway)
    verdict = attempt(site, FALLING_BACK)
    assert (verdict.result, verdict.permanent, verdict.retry_after_s) == (Result.ERROR, False, retry_after_s)
    assert gateway.channels == ["whatsapp"]
    assert result_of(attempt(site, FALLING_BACK))["channel_used"] == "whatsapp"
    assert len({headers["Idempotency-Key"] for _, headers, _ in gateway.requests}) == 1


def test_a_slow_gateway_is_left_within_the_attempts_time(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(behaviour="silent"), Answer()]
    site = online(tmp_path, gateway)
    verdict = attempt(site, SMS, timeout_s=0.4)
    assert (verdict.result, verdict.permanent) == (Result.ERROR, False)
    assert "did not answer in time" in (verdict.error or "")
    assert result_of(attempt(site, SMS))["message_sent"] is True


@pytest.mark.parametrize("status", [400, 410, 422])
def test_a_refusal_of_the_message_is_final(tmp_path: Path, gateway: Gateway, status: int) -> None:
    gateway.answers = [Answer(status, b'{"code": "unknown_number"}')]
    verdict = attempt(online(tmp_path, gateway), SMS)
    assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
    assert f"({status}, unknown_number)" in (verdict.error or "")


def test_a_redirect_is_not_followed(tmp_path: Path, gateway: Gateway) -> None:
    for status in (301, 302, 303, 307, 308):
        gateway.answers = [Answer(status, b"", {"Location": gateway.url + "/elsewhere"}), Answer()]
        verdict = attempt(online(tmp_path, gateway), SMS)
        assert (verdict.result, verdict.permanent) == (Result.ERROR, False)
    assert {path for path, _, _ in gateway.requests} == {"/v1/messages"}


def test_whatsapp_falls_back_to_the_same_text_by_sms(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(422, b'{"code": "not_on_whatsapp"}'), Answer(body=b'{"message_id": "sms-9"}')]
    config = {**FALLING_BACK, "media_url": "https://example.com/a.jpg"}
    result = result_of(attempt(online(tmp_path, gateway), config))
    assert (result["channel_used"], result["message_id"], result["segments"]) == ("sms", "sms-9", 1)
    first, second = (body for _, _, body in gateway.requests)
    assert (first["channel"], second["channel"]) == ("whatsapp", "sms")
    assert first["body"] == second["body"]
    assert second["media_url"] is None
    keys = [headers["Idempotency-Key"] for _, headers, _ in gateway.requests]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("config", "opt_ins", "code"),
    [
        (WHATSAPP, {}, b'{"code": "not_on_whatsapp"}'),
        (FALLING_BACK, {}, b'{"code": "opted_out"}'),
        ({**FALLING_BACK, "require_opt_in": True}, {"whatsapp_opt_in": True, "sms_opt_in": False}, b"{}"),
        ({**FALLING_BACK, "message_text": "x" * 1601}, {}, b"{}"),
    ],
)
def test_there_is_no_fallback_unasked_or_past_a_no_or_for_what_is_too_long(
    tmp_path: Path, gateway: Gateway, config: dict[str, Any], opt_ins: dict[str, Any], code: bytes
) -> None:
    gateway.answers = [Answer(422, code)]
    verdict = attempt(online(tmp_path, gateway), config, with_client(**opt_ins))
    assert (verdict.result, verdict.permanent) == (Result.ERROR, True)
    assert gateway.channels == ["whatsapp"]


def test_a_fallback_that_fails_for_now_goes_the_same_way_again(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(422), Answer(500), Answer(422), Answer()]
    site = online(tmp_path, gateway)
    assert attempt(site, FALLING_BACK).permanent is False
    assert result_of(attempt(site, FALLING_BACK))["channel_used"] == "sms"
    keys = [headers["Idempotency-Key"] for _, headers, _ in gateway.requests]
    assert keys[:2] == keys[2:]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, json.dumps({"code": "for_447700900123", "message": f"no {NUMBER}"}).encode()),
        Answer(500, NUMBER.encode()),
        Answer(429, b"", {"Retry-After": "9"}),
        Answer(behaviour="cut"),
        Answer(302, b"", {"Location": f"http://127.0.0.1/{NUMBER}?token=sesame"}),
    ],
)
def test_no_error_tells_a_secret_the_number_or_the_text(tmp_path: Path, gateway: Gateway, answer: Answer) -> None:
    gateway.answers = [answer]
    url = gateway.url.replace("://", "://user:hunter2@") + "?key=topsecret"
    verdict = attempt(online(tmp_path, gateway, sms_url=url), SMS)
    assert verdict.result is Result.ERROR
    assert gateway.requests[0][1]["Authorization"] == "Bearer sesame"
    told = (verdict.error or "") + (verdict.traceback or "")
    assert "127.0.0.1" in told
    for secret in ("sesame", "hunter2", "topsecret", "7700900123", "Grace"):
        assert secret not in told


@pytest.mark.parametrize(
    "fields",
    [
        {"sms_url": "http://127.0.0.1:1/x"},
        {"sms_url": "http://nowhere.invalid/x"},
        {"sms_url": "http://[bad"},
        {"sms_token": "ses\r\name"},
        {"sms_token": "sésame"},
    ],
)
def test_a_gateway_that_cannot_be_used_is_retried(tmp_path: Path, gateway: Gateway, fields: dict[str, str]) -> None:
    verdict = attempt(online(tmp_path, gateway, **fields), SMS)
    assert (verdict.result, verdict.permanent) == (Result.ERROR, False)
    assert (verdict.error or "").startswith("GatewayFailed: the ")
    assert gateway.requests == []
