"""The e-mail module: well-formed mails, escaped and sandboxed, into the outbox and over a real SMTP server."""

import email
import email.policy
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import HealthCheck, given, settings

from tests.handlers.hostile import HOSTILE
from tests.handlers.mailing import CONTEXT, STRICT, attempt, mails, order, site_in
from wedsync_ops.handlers import catalogue, smtp
from wedsync_ops.handlers.contract import problems
from wedsync_ops.handlers.email import handle
from wedsync_ops.jobs.model import Result
from wedsync_ops.jobs.run import Attempt


@pytest.mark.parametrize("template", sorted(catalogue.known(None)))
def test_every_shipped_template_makes_a_well_formed_mail(tmp_path: Path, template: str) -> None:
    site = site_in(tmp_path)
    assert attempt(site, {"template_id": template})[0] is Result.OK
    [mail] = mails(site)
    assert mail["Subject"]
    assert mail["To"].addresses[0].addr_spec == "couple@example.org"
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "Ada &amp; Grace" in html.get_content()
    assert "Ada & Grace" in text.get_content()
    assert "src=" not in html.get_content()
    assert "{{" not in html.get_content() + text.get_content() + mail["Subject"]


def test_the_wedding_day_is_the_one_of_the_weddings_zone(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    context = {**CONTEXT, "wedding_date": "2027-02-13T02:00:00Z", "timezone": "America/New_York"}
    attempt(site, {"template_id": "booking-confirmation"}, context)
    assert mails(site)[0]["Subject"] == "Your booking is confirmed: Friday, 12 February 2027"


def test_the_same_key_is_delivered_once_with_the_same_message_id(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    for _ in range(3):
        assert attempt(site, {"template_id": "thank-you"})[0] is Result.OK
    assert len(mails(site)) == 1
    attempt(site, {"template_id": "thank-you"}, key="other")
    assert len({mail["Message-ID"] for mail in mails(site)}) == 2


def test_a_missing_field_is_polite(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    attempt(site, {"template_id": "welcome-email"}, {**CONTEXT, "client_data": {"email": "a@example.org"}})
    body = mails(site)[0].get_body(("plain",))
    assert body is not None
    assert "None" not in body.get_content()
    assert "Dear ," not in body.get_content()


def test_a_suppressed_recipient_gets_nothing_and_that_is_no_failure(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    verdict = Attempt(order({"template_id": "thank-you"}, suppressed="bounce"), site, 0, lambda _: None).perform()
    assert verdict.result is Result.OK
    assert json.loads(verdict.data or b"") == {
        "email_sent": False,
        "message_id": None,
        "template_used": "thank-you",
        "personalization_applied": False,
        "actual_delay": 0,
        "suppressed": "bounce",
    }
    assert mails(site) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=HOSTILE, supplier=HOSTILE, venue=HOSTILE)
def test_hostile_context_is_only_ever_data(
    tmp_path_factory: pytest.TempPathFactory, name: str, supplier: str, venue: str
) -> None:
    site = site_in(tmp_path_factory.mktemp("hostile"))
    context = {
        **CONTEXT,
        "client_data": {"email": "couple@example.org", "couple_name": name, "venue_name": venue},
        "supplier_data": {"name": supplier},
    }
    result, error, _ = attempt(site, {"template_id": "booking-confirmation"}, context)
    assert result is Result.OK, error
    [mail] = mails(site)
    assert mail["Bcc"] is None
    assert [address.addr_spec for address in mail["To"].addresses] == ["couple@example.org"]
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "<img src=x" not in html.get_content()


@pytest.mark.parametrize(
    "template",
    ["{{ ''.__class__ }}", "{{ client.__init__.__globals__ }}", "{% include 'x' %}", "{{ 'x' * 999999999999 }}", "{{"],
)
def test_a_template_that_reaches_out_is_refused_for_good(tmp_path: Path, template: str) -> None:
    site = site_in(tmp_path)
    config = {"template_id": "welcome-email", "subject_override": template}
    result, _, permanent = attempt(site, config)
    assert (result, permanent) == (Result.ERROR, True)
    assert mails(site) == []


def test_a_line_break_in_the_subject_adds_no_header(tmp_path: Path) -> None:
    site = site_in(tmp_path)
    config = {"template_id": "welcome-email", "subject_override": "Hello\r\nBcc: evil@example.org"}
    result, _, permanent = attempt(site, config)
    assert result is Result.OK or permanent
    assert all(mail["Bcc"] is None for mail in mails(site))


@pytest.mark.parametrize(
    ("config", "client", "where"),
    [
        ({"template_id": "nope"}, {"email": "a@example.org"}, "config.template_id"),
        ({"template_id": "../../etc/passwd"}, {"email": "a@example.org"}, "config.template_id"),
        ({"template_id": "thank-you"}, {}, "context"),
        ({"template_id": "thank-you"}, {"email": "a@example.org\r\nBcc: b@c.d"}, "context"),
        ({"template_id": "thank-you", "reply_to": "nobody"}, {"email": "a@example.org"}, "config.reply_to"),
        ({"template_id": "thank-you", "attachments": ["../x"]}, {"email": "a@example.org"}, "config.attachments"),
        ({"template_id": "thank-you", "subject_override": "{{ x"}, {"email": "a@example.org"}, "config.subject"),
    ],
)
def test_what_can_never_be_sent_is_refused_when_queued(
    tmp_path: Path, config: dict[str, Any], client: dict[str, Any], where: str
) -> None:
    found = problems(handle, config, {**CONTEXT, "client_data": client}, site_in(tmp_path))
    assert found
    assert found[0].startswith(where)


@pytest.mark.parametrize("name", ["old.eml", "page.mht", "page.mhtml"])
def test_a_message_is_attached_as_a_file_like_any_other(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"Subject: x\r\n\r\n\x00body")
    site = site_in(tmp_path, attachments_dir=tmp_path)
    assert attempt(site, {"template_id": "thank-you", "attachments": [name]})[0] is Result.OK
    [file] = mails(site)[0].iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("application/octet-stream", name)
    assert file.get_content() == b"Subject: x\r\n\r\n\x00body"


@pytest.mark.parametrize(
    "text",
    ["{{ 1/0 }}", "{{ 'a' * 9 }}", "{{ couple_name + 1 }}", "{{ '1e999'|float|int }}", "{{ wedding.date.__class__ }}"],
)
@pytest.mark.parametrize("place", ["subject_override", "personalization.mine"])
def test_a_text_that_cannot_be_rendered_for_this_job_is_refused_when_queued(
    tmp_path: Path, text: str, place: str
) -> None:
    name, _, field = place.partition(".")
    config = {"template_id": "thank-you", name: {field: text} if field else text}
    (found,) = problems(handle, config, CONTEXT, site_in(tmp_path))
    assert found.startswith(f"config.{place}: ")
    assert attempt(site_in(tmp_path), config)[::2] == (Result.ERROR, True)


class Server:
    """What the real SMTP server answers to RCPT and DATA, and what it has taken."""

    def __init__(self) -> None:
        self.rcpt = ["250 OK"]
        self.data = ["250 OK"]
        self.taken: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.rcpt.pop(0) if len(self.rcpt) > 1 else self.rcpt[0]
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self.data.pop(0) if len(self.data) > 1 else self.data[0]
        if answer.startswith("250"):
            content = envelope.content
            self.taken.append(content if isinstance(content, bytes) else b"")
        return answer


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    handler = Server()
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, f"smtp://127.0.0.1:{port}"
    smtp.close()
    controller.stop()


def test_smtp_takes_the_mail(tmp_path: Path, server: tuple[Server, str]) -> None:
    handler, url = server
    assert attempt(site_in(tmp_path, smtp_url=url), {"template_id": "thank-you"})[0] is Result.OK
    [raw] = handler.taken
    mail = email.message_from_bytes(raw, policy=STRICT)
    assert mail["Idempotency-Key"]
    assert mail["Message-ID"]
    assert not (tmp_path / "outbox").exists()


def test_smtp_4xx_is_retried_and_then_taken(tmp_path: Path, server: tuple[Server, str]) -> None:
    handler, url = server
    handler.rcpt = ["451 greylisted", "250 OK"]
    site = site_in(tmp_path, smtp_url=url)
    result, _, permanent = attempt(site, {"template_id": "thank-you"})
    assert (result, permanent) == (Result.ERROR, False)
    assert attempt(site, {"template_id": "thank-you"})[0] is Result.OK
    assert len(handler.taken) == 1


def test_smtp_5xx_is_final(tmp_path: Path, server: tuple[Server, str]) -> None:
    handler, url = server
    handler.rcpt = ["550 no such mailbox"]
    result, error, permanent = attempt(site_in(tmp_path, smtp_url=url), {"template_id": "thank-you"})
    assert (result, permanent) == (Result.ERROR, True)
    assert "550" in (error or "")
    assert handler.taken == []


def test_a_closed_port_is_retried_and_tells_no_password(tmp_path: Path) -> None:
    site = site_in(tmp_path, smtp_url="smtp://me:sesame@127.0.0.1:1")
    result, error, permanent = attempt(site, {"template_id": "thank-you"})
    assert (result, permanent) == (Result.ERROR, False)
    assert "sesame" not in (error or "")
