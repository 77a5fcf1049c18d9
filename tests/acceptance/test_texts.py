"""Texts end to end: the shipped module, queued on the command line and sent by a real worker to a real gateway."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.acceptance.conftest import Home
from tests.cli.test_callbacks import OPTED_OUT, SECRET, line, ndjson
from tests.handlers.gateways import Answer, Gateway, running

CLIENT = {"phone": "07700 900123", "couple_name": "Ada & Grace", "timezone": "Europe/London"}
SMS = {"message_text": "Hi {{ couple_name }}!", "channel": "sms"}
FALLING_BACK = {"message_text": "Hi {{ couple_name }}!", "channel": "whatsapp", "fallback_to_sms": True}


@pytest.fixture
def gateway(home: Home) -> Iterator[Gateway]:
    with running() as found:
        home.environment |= {"WEDSYNC_OPS_SMS_URL": found.url, "WEDSYNC_OPS_SMS_TOKEN": "sesame"}
        home.json("register")
        yield found


def job(home: Home, job_id: int) -> dict[str, Any]:
    found: dict[str, Any] = home.json("jobs", "show", str(job_id))["job"]
    return found


def test_texts_reach_the_gateway_in_spite_of_what_it_does(home: Home, gateway: Gateway) -> None:
    gateway.answers = [
        Answer(429, b"", {"Retry-After": "0"}),
        Answer(422, b'{"code": "not_on_whatsapp"}'),
        Answer(body=b'{"message_id": "sms-1"}'),
    ]
    queued = home.enqueue("sms", FALLING_BACK, "--key", "k1", client_data=CLIENT)["job_id"]
    home.run("run-worker", "--drain", "--concurrency", "1")
    found = job(home, queued)
    assert found["state"] == "completed"
    assert [each["outcome"] for each in found["executions"]] == ["error", "ok"]
    assert found["executions"][1]["bytes_sent"] > 0
    assert found["result_data"] == {
        "message_sent": True,
        "channel_used": "sms",
        "message_id": "sms-1",
        "segments": 1,
        "encoding": "gsm-7",
    }
    assert [headers["Idempotency-Key"] for _, headers, _ in gateway.requests] == ["k1", "k1", "k1/sms"]


def test_a_refusal_is_final(home: Home, gateway: Gateway) -> None:
    gateway.answers = [Answer(400, b'{"code": "unknown_number"}')]
    queued = home.enqueue("sms", SMS, client_data=CLIENT)["job_id"]
    home.run("run-worker", "--drain")
    found = job(home, queued)
    assert (found["state"], len(found["executions"])) == ("discarded", 1)
    assert "unknown_number" in found["error"]


def test_whoever_answers_stop_is_not_written_to_again(home: Home, gateway: Gateway) -> None:
    home.environment["WEDSYNC_OPS_SMS_CALLBACK_SECRET"] = SECRET
    queued = home.enqueue("sms", SMS, client_data=CLIENT)["job_id"]
    answer = home.json("callbacks", "ingest", "-", stdin=ndjson([line(OPTED_OUT)]).decode())
    assert answer["suppressed"] == 1
    home.run("run-worker", "--drain")
    found = job(home, queued)
    assert (found["state"], found["result_data"]["suppressed"]) == ("completed", "unsubscribed")
    assert gateway.requests == []


def test_a_number_that_is_none_is_refused_when_queued(home: Home) -> None:
    home.json("register")
    context = '{"client_id": "c", "supplier_id": "s", "journey_instance_id": "j", "client_data": {"phone": "12"}}'
    config = '{"message_text": "x", "channel": "sms"}'
    answer = home.run("enqueue", "sms", "--config", config, "--context", context, code=3)
    assert "context.client_data.phone: is written without a country" in answer.stderr


def test_quiet_hours_hold_for_texts_and_nothing_else(home: Home) -> None:
    home.json("register")
    home.environment["WEDSYNC_OPS_QUIET_HOURS"] = "21:00-08:00"
    at = ("--at", "2036-01-14T22:30:00+00:00")
    text = home.enqueue("sms", SMS, *at, client_data=CLIENT)
    assert text["due_at"] == "2036-01-15T08:00:00.000000Z"
    assert text["due_reasons"][-1] == "the recipient's quiet hours (21:00-08:00, Europe/London)"
    page = home.enqueue("info", {"title": "x", "content": "y"}, *at, client_data=CLIENT)
    assert page["due_at"] == "2036-01-14T22:30:00.000000Z"
    near = home.enqueue("sms", SMS, *at, client_data=CLIENT, wedding_date="2036-01-15")
    assert near["due_at"] == "2036-01-14T22:30:00.000000Z"


def test_a_text_that_is_late_is_held_through_the_quiet_hours_of_the_moment(home: Home, gateway: Gateway) -> None:
    """It was queued to be sent at once; no worker ran until the recipient slept."""
    queued = home.enqueue("sms", SMS, client_data={"phone": "+447700900123", "timezone": "UTC"})["job_id"]
    now = datetime.now(UTC)
    ends = (now + timedelta(hours=6)).replace(second=0, microsecond=0)
    home.environment["WEDSYNC_OPS_QUIET_HOURS"] = f"{now - timedelta(hours=6):%H:%M}-{ends:%H:%M}"
    home.run("run-worker", "--drain", "--concurrency", "1")
    found = job(home, queued)
    assert (found["state"], found["attempt"], gateway.requests) == ("scheduled", 0, [])
    assert f"{ends:%Y-%m-%dT%H:%M}:00.000000Z" <= found["due_at"] <= f"{ends:%Y-%m-%dT%H:%M}:30"
    assert found["error"].startswith(f"held until {ends:%Y-%m-%dT%H:%M}:00.000000Z for the recipient's quiet hours")
    assert [each["outcome"] for each in found["executions"]] == ["cancelled"]
    assert home.json("metrics")["platform"]["failed_executions"] == 0
