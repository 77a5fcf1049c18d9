"""What an event says, how it is signed, and how long a failing receiver is left alone."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.events import Event, document, headers, message_id, next_step, signing_key, wait_us
from wedsync_ops.jobs.model import State

AT = 1_800_000_000_000_000
CONTEXT: dict[str, Any] = {"journey_instance_id": "j1", "step_data": {"next_step": "send-form"}}
EVENT = Event(7, 3, State.COMPLETED, AT, "email", "c1", "s1", "k", 1, None, CONTEXT, {"email_sent": True})


def test_the_document_of_an_event() -> None:
    assert document(EVENT) == {
        "id": 7,
        "job_id": 3,
        "module_type": "email",
        "state": "completed",
        "at": "2027-01-15T08:00:00.000000Z",
        "client_id": "c1",
        "supplier_id": "s1",
        "journey_instance_id": "j1",
        "key": "k",
        "attempt": 1,
        "result_data": {"email_sent": True},
        "error": None,
        "next_step": "send-form",
    }


def test_what_retention_took_is_null() -> None:
    bare = document(EVENT._replace(context=None, result_data=None))
    assert (bare["journey_instance_id"], bare["result_data"], bare["next_step"]) == (None, None, None)


@pytest.mark.parametrize(
    ("result", "context", "expected"),
    [
        ({"next_step": "a"}, {"step_data": {"next_step": "b"}}, "a"),
        ({"next_step": None}, {"step_data": {"next_step": {"id": 1}}}, {"id": 1}),
        (None, {"step_data": {"next_step": "b"}}, "b"),
        ({}, {"step_data": {}}, None),
        ({}, {"step_data": ["next_step"]}, None),
        ({}, {}, None),
    ],
)
def test_the_handler_s_next_step_comes_before_the_one_asked_for(result: Any, context: Any, expected: Any) -> None:
    assert next_step(result, context) == expected


def test_the_signature_covers_id_time_and_body() -> None:
    signed = headers(b"secret", "evt_7", AT, b'{"a":1}')
    mac = hmac.new(b"secret", b'evt_7.1800000000.{"a":1}', hashlib.sha256).digest()
    assert signed["Webhook-Signature"] == "v1," + base64.b64encode(mac).decode()
    assert (signed["Webhook-Id"], signed["Webhook-Timestamp"]) == ("evt_7", "1800000000")


def test_the_published_example_of_standard_webhooks() -> None:
    """The test vector of the specification's reference libraries."""
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330 * SECOND, b'{"test": 2432232314}')
    assert signed["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_without_the_prefix_is_its_own_text() -> None:
    assert signing_key("a secret of mine ü") == "a secret of mine ü".encode()


def test_an_event_keeps_its_id_over_every_attempt() -> None:
    assert message_id(EVENT) == message_id(EVENT._replace(result_data=None)) == f"evt_7_{AT}"
    assert message_id(EVENT._replace(at=AT + 1)) != message_id(EVENT)


def test_waits_double_up_to_a_quarter_of_an_hour_less_up_to_half() -> None:
    assert [wait_us(n, 500, 0.0) / SECOND for n in (1, 2, 3, 10, 11, 10_000)] == [1, 2, 4, 512, 900, 900]
    assert wait_us(3, None, 0.5) == 3 * SECOND
    assert wait_us(11, 503, 0.999_999_9) >= 450 * SECOND


def test_a_receiver_that_is_gone_is_left_alone_for_the_longest_at_once() -> None:
    assert wait_us(1, 410, 0.0) == 900 * SECOND
