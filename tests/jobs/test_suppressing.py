"""Addresses become digests in one way only, and entries are checked before they are kept."""

from typing import Any

import pytest

from wedsync_ops.errors import InvalidInput
from wedsync_ops.handlers.contract import recipient_digest
from wedsync_ops.jobs.suppressing import clean_note, digest_of, entry_from


@pytest.mark.parametrize("text", ["a@example.org", " A@Example.ORG ", "mailto:a@example.org", "MAILTO: a@example.org"])
def test_the_spellings_of_a_mail_address_are_one(text: str) -> None:
    assert digest_of(text) == recipient_digest("mailto:a@example.org")


@pytest.mark.parametrize("text", ["+441632960001", "+44 1632 960001", "tel:+44 (1632) 960-001", "+44.1632.960001"])
def test_the_spellings_of_a_phone_number_are_one(text: str) -> None:
    assert digest_of(text) == recipient_digest("tel:+441632960001")


def test_an_international_domain_is_the_one_that_is_written_to() -> None:
    assert digest_of("a@bücher.example") == recipient_digest("mailto:a@xn--bcher-kva.example")


@pytest.mark.parametrize(
    "text", ["", "a", "a@b@c", "tel:01632960001", "+1", "+44163296000112345", "a@b.c,d@e.f", "+0123456"]
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        digest_of(text)
    assert len(text) < 2 or text not in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reason": "bounce"}, "address is missing"),
        ({"address": 7, "reason": "bounce"}, "address is missing"),
        ({"address": "a@b.c"}, "reason must be one of bounce, complaint, unsubscribed, manual"),
        ({"address": "a@b.c", "reason": ["bounce"]}, "reason must be"),
        ({"address": "a@b.c", "reason": "bounce", "note": 1}, "note must be a string"),
        ({"address": "a@b.c", "reason": "bounce", "when": ""}, "there is no key 'when'"),
    ],
)
def test_an_entry_that_is_wrong_says_what(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        entry_from(values)


def test_a_note_is_one_short_line() -> None:
    assert clean_note("a\r\nb\x00\ud800") == "a b?"
    assert clean_note(" \n ") is None
    assert clean_note(None) is None
    assert len(clean_note("x" * 9999) or "") == 500
