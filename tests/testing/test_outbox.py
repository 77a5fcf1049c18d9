"""Deliveries, read back as values."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from wedsync_ops.testing.harness import Harness
from wedsync_ops.testing.outbox import PublishedPage, SentText

ANN = {
    "client_data": {"email": "ann@example.org", "couple_name": "Ann and Bo", "phone": "+447700900123"},
    "supplier_data": {"name": "Fern & Lantern", "email": "hello@fern.example"},
    "wedding_date": "2027-06-19",
}


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Harness]:
    """A platform with the shipped module types."""
    with Harness(tmp_path / "home", attachments_dir=tmp_path) as made:
        made.register()
        yield made


def test_a_mail(shipped: Harness, tmp_path: Path) -> None:
    (tmp_path / "prices.txt").write_text("one pound")
    config = {"template_id": "welcome-email", "attachments": ["prices.txt"], "subject_override": "Grüße"}
    shipped.enqueue("email", config, ANN, key="hello")
    shipped.drain()
    [mail] = shipped.outbox.mails
    assert (mail.to, mail.subject, mail.key, mail.calendar) == (("ann@example.org",), "Grüße", "hello", None)
    assert "Fern & Lantern" in mail.sender
    assert mail.reply_to is not None
    assert "hello@fern.example" in mail.reply_to
    assert "Ann and Bo" in mail.text
    assert "<html" in mail.html
    assert mail.attachments == {"prices.txt": b"one pound"}
    assert mail.message_id == mail.message["Message-ID"]


def test_an_invitation(shipped: Harness) -> None:
    context = {**ANN, "step_data": {"id": "walk", "starts_at": "2027-04-17T10:00:00"}}
    shipped.enqueue("meeting", {"meeting_type": "venue_walk", "duration": 60}, context)
    shipped.drain()
    [mail] = shipped.outbox.mails
    assert mail.calendar is not None
    assert "BEGIN:VEVENT" in mail.calendar


def test_texts_and_pages(shipped: Harness) -> None:
    shipped.enqueue("sms", {"message_text": "Hi {{ couple_name }}", "channel": "sms"}, ANN)
    shipped.drain()
    shipped.enqueue("info", {"title": "The day", "content": "At noon"}, ANN)
    shipped.drain()
    [text] = shipped.outbox.texts
    assert (text.to, text.channel, text.media_url) == ("+447700900123", "sms", None)
    assert "Hi Ann and Bo" in text.body
    assert any("At noon" in page.html for page in shipped.outbox.pages)
    assert isinstance(shipped.outbox[0], SentText)
    assert [type(one) for one in shipped.outbox].count(PublishedPage) == 1


def test_the_order_is_that_of_delivery(shipped: Harness) -> None:
    names = [f"Couple {number}" for number in range(12)]
    for number, name in enumerate(names):
        couple = {"client_data": {"email": "a@b.example", "couple_name": name}}
        shipped.enqueue("email", {"template_id": "welcome-email", "subject_override": name}, couple, key=f"{-number}")
        shipped.drain()
    assert [mail.subject for mail in shipped.outbox.mails] == names
    assert [type(one).__name__ for one in shipped.outbox[:2]] == ["SentMail", "SentMail"]


def test_an_empty_outbox_is_false_and_a_cleared_one_empty(shipped: Harness) -> None:
    assert not shipped.outbox
    shipped.enqueue("email", {"template_id": "welcome-email"}, ANN)
    shipped.drain()
    assert len(shipped.outbox) == 1
    assert "mail-" in repr(shipped.outbox)
    shipped.outbox.clear()
    assert not shipped.outbox
