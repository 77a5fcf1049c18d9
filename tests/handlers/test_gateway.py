"""Texts through a real gateway that does what gateways do: slow, overloaded, broken, cut off, refusing."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.handlers.gateways import Answer, Gateway, running
from tests.handlers.texts import FALLING_BACK, NUMBER, SMS, WHATSAPP, attempt, result_of, site_in, with_client
from wedsync_ops.handlers import gateway as client
from wedsync_ops.handlers.contract import Site
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import LimitReached


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
        (Answer(429, b"", {"Retry-After": "999999999999"}), 86_400.0),
        (Answer(429, b"", {"Retry-After": "9" * 400}), 86_400.0),
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


def test_an_answer_that_drips_ends_with_the_attempts_time(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(behaviour="drip"), Answer()]
    site = online(tmp_path, gateway)
    verdict = attempt(site, SMS, timeout_s=0.5)
    assert (verdict.result, verdict.permanent) == (Result.ERROR, False)
    assert "did not answer in time" in (verdict.error or "")
    assert result_of(attempt(site, SMS))["message_sent"] is True


def test_a_text_is_taken_although_the_rest_of_the_answer_drips(tmp_path: Path, gateway: Gateway) -> None:
    gateway.answers = [Answer(202, behaviour="drip-body"), Answer(422, behaviour="drip-body"), Answer()]
    site = online(tmp_path, gateway)
    taken = result_of(attempt(site, SMS, timeout_s=0.5))
    assert taken["message_id"] == gateway.requests[0][2]["reference"]
    assert attempt(site, SMS, timeout_s=0.5).permanent is True
    assert result_of(attempt(site, SMS))["message_sent"] is True
    assert len(gateway.requests) == 3


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


def test_a_proxy_of_the_environment_is_not_used(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    result_of(attempt(online(tmp_path, gateway), SMS))
    assert len(gateway.requests) == 1


def test_an_attempt_that_is_stopped_in_the_middle_leaves_no_broken_connection(tmp_path: Path, gateway: Gateway) -> None:
    def stop(*_: object) -> None:
        raise LimitReached("over")

    gateway.answers = [Answer(behaviour="alarm"), Answer()]
    before = signal.signal(signal.SIGALRM, stop)
    try:
        verdict = attempt(online(tmp_path, gateway), SMS)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert verdict.result is Result.TIMEOUT
    assert result_of(attempt(online(tmp_path, gateway), SMS))["message_sent"] is True


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
