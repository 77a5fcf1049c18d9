"""Callbacks of the gateway: only genuine and fresh ones count, and only what says that a number must rest does."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.callbacks import Suppress, Undelivered, consequence, sign, verify_callback
from wedsync_ops.handlers.contract import recipient_digest

SECRET = "sesame"
AT = 1_700_000_000
NOW = AT * 1_000_000
NUMBER = "+447700900123"
BODY = '{"type":"delivered"}'


def test_the_signature_is_hmac_sha256_over_timestamp_and_body() -> None:
    expected = hmac.new(b"sesame", b'1700000000.{"type":"delivered"}', hashlib.sha256).hexdigest()
    assert sign(SECRET, str(AT), BODY) == f"sha256={expected}"
    assert verify_callback(SECRET, str(AT), BODY, f"sha256={expected}", NOW)


@pytest.mark.parametrize(
    ("late_s", "good"), [(0, True), (300, True), (-300, True), (300.000001, False), (-301, False), (1e6, False)]
)
def test_a_callback_is_fresh_for_five_minutes_either_way(late_s: float, *, good: bool) -> None:
    signature = sign(SECRET, str(AT), BODY)
    assert verify_callback(SECRET, str(AT), BODY, signature, NOW + round(late_s * 1_000_000)) is good


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=40), st.text(max_size=80))
def test_nothing_else_verifies(secret: str, timestamp: str, body: str, signature: str) -> None:
    genuine = (SECRET, str(AT), BODY, sign(SECRET, str(AT), BODY))
    for place, value in enumerate((secret, timestamp, body, signature)):
        tried = [*genuine[:place], value, *genuine[place + 1 :]]
        verified = verify_callback(tried[0], tried[1], tried[2], tried[3], NOW)
        assert verified is (tuple(tried) == genuine)


def test_an_empty_secret_and_what_is_no_text_verify_nothing() -> None:
    assert not verify_callback("", str(AT), BODY, sign("", str(AT), BODY), NOW)
    assert not verify_callback(SECRET, str(AT), "\ud800", sign(SECRET, str(AT), BODY), NOW)
    assert not verify_callback(SECRET, "١٧٠٠٠٠٠٠٠٠", BODY, sign(SECRET, "١٧٠٠٠٠٠٠٠٠", BODY), NOW)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"type": "delivered", "to": NUMBER, "channel": "sms"}, None),
        ({"type": "failed", "to": NUMBER, "channel": "sms", "permanent": True}, "bounce"),
        ({"type": "failed", "to": NUMBER, "channel": "sms", "permanent": False}, None),
        ({"type": "failed", "to": NUMBER, "channel": "sms"}, None),
        ({"type": "failed", "to": NUMBER, "channel": "whatsapp", "permanent": True}, None),
        ({"type": "opted_out", "to": NUMBER, "channel": "whatsapp"}, "unsubscribed"),
        ({"type": "received", "from": NUMBER, "text": "STOP"}, "unsubscribed"),
        ({"type": "received", "from": NUMBER, "text": " Stop!\n"}, "unsubscribed"),
        ({"type": "received", "from": NUMBER, "text": "unsubscribe"}, "unsubscribed"),
        ({"type": "received", "from": NUMBER, "text": "please don't stop the music"}, None),
        ({"type": "received", "from": NUMBER, "text": None}, None),
        ({"type": "something new"}, None),
    ],
)
def test_what_follows_from_a_callback(event: dict[str, Any], reason: str | None) -> None:
    found = consequence(json.dumps(event))
    assert found is None or isinstance(found, Suppress)
    assert (found and found.reason) == reason
    assert found is None or found.digest == recipient_digest(f"tel:{NUMBER}")
    assert found is None or NUMBER not in found.note


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"type": 5}',
        '{"type": "opted_out"}',
        '{"type": "opted_out", "to": "07700 900123"}',
        '{"type": "opted_out", "to": "+447700900123\\n"}',
        '{"type": "failed", "permanent": true, "to": "+447700900123"}',
        '{"type": "failed", "permanent": true, "channel": ["sms"], "to": "+447700900123"}',
    ],
)
def test_what_is_no_callback_is_refused_without_its_number(body: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        consequence(body)
    assert "7700" not in str(caught.value)


@pytest.mark.parametrize("permanent", [True, False, None])
def test_a_message_that_whatsapp_did_not_deliver_is_known_by_its_reference(*, permanent: bool | None) -> None:
    reference = "text-17-" + "0a" * 16
    event = {"type": "failed", "to": NUMBER, "channel": "whatsapp", "reference": reference, "permanent": permanent}
    assert consequence(json.dumps(event)) == Undelivered(reference, 17)
